//! Shared code of the examples on points in one and two dimensions: a [`Mixture`] to learn, a small
//! [`Perceptron`], IMLE on points with the library's search ([`imle::train`]), and pictures of points
//! ([`Scatter`]).
//!
//! All random numbers come from [`Noise`], with one seeded stream per use. So the results do not depend on how
//! many models are trained at the same time.

pub mod imle;
mod mixture;
mod noise;
mod perceptron;
mod scatter;

pub use mixture::{Counts, Mixture, REACH};
pub use noise::Noise;
pub use perceptron::{Adam, Perceptron, adam, cosine_decay};
pub use scatter::{Scatter, columns};

/// The backend for sampling.
pub type Flex = burn_flex::Flex;
/// The backend for training.
pub type Training = burn::backend::Autodiff<Flex>;

/// The programs of the documentation, which are compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/library.md")]
#[doc = include_str!("../../README.md")]
struct Documentation;
