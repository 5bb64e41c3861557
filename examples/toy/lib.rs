//! What the examples on points in one and two dimensions share: a [`Mixture`] to learn, a small [`Perceptron`],
//! IMLE on points with the library's search ([`imle::train`]), and pictures of points ([`Scatter`]).
//!
//! All randomness is from [`Noise`], one seeded stream to each use, so that models trained on several threads at
//! once come out the same.

pub mod imle;
mod mixture;
mod noise;
mod perceptron;
mod scatter;

pub use mixture::{Counts, Mixture, REACH};
pub use noise::Noise;
pub use perceptron::{Adam, Perceptron, adam, cosine_decay};
pub use scatter::{Scatter, columns};

/// What models are sampled on.
pub type Flex = burn_flex::Flex;
/// What they are trained on.
pub type Training = burn::backend::Autodiff<Flex>;

/// The programs in the documentation, compiled as a reader would have them.
#[cfg(doctest)]
#[doc = include_str!("../../docs/library.md")]
#[doc = include_str!("../../README.md")]
struct Documentation;
