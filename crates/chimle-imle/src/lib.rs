//! The latent search and the objective of CHIMLE, for any Burn backend.
//!
//! Implicit maximum likelihood estimation (IMLE) draws many latent codes for each observed pair,
//! keeps the code whose output lies nearest to the observed output, and moves that output closer,
//! so that every observed output keeps a sample near it. CHIMLE (Peng, Moazeni, Li, NeurIPS 2022)
//! searches the code level by level: m candidates at each of L levels stand for m^L combinations.
//!
//! - [`Search`] finds the codes: [`Strategy::Hierarchical`] (CHIMLE) or [`Strategy::Flat`] (cIMLE).
//! - A [`Target`] is what it looks for: one observed output for each input, or a set of them that
//!   share the input's candidates.
//! - A [`CodePool`] is where candidates come from: [`SeededPool`] draws them from a seed, so that a
//!   chosen code is remembered by its index alone; [`GivenPool`] holds codes made elsewhere.
//! - [`Objective`] is the training loss, with or without intermediate supervision.
//! - [`nearest`] is an exact search among the rows of any two tensors, on their own device.
//!
//! ```
//! use burn::tensor::{Distribution, Tensor};
//! use burn_flex::Flex;
//! use chimle_imle::{Search, SeededPool, Strategy, Target};
//! use chimle_nn::{Architecture, GeneratorConfig, Preset};
//! use chimle_perceptual::Distance;
//!
//! type B = Flex;
//! let device = Default::default();
//! let config = GeneratorConfig::preset(Preset::Tiny, Architecture::Colorization);
//! let generator = config.init::<B>(&device).fold();
//! let random = |channels, side| {
//!     Tensor::<B, 4>::random([2, channels, side, side], Distribution::Uniform(0., 1.), &device)
//! };
//! let lightness = [8, 16, 32].map(|side| random(1, side)).to_vec();
//! let images = [8, 16, 32].map(|side| random(3, side)).to_vec();
//!
//! let distance = Distance::L2;
//! let search = Search::new(Strategy::Hierarchical { pools: vec![4, 2, 2] }, 32);
//! let found = search.run(
//!     &generator,
//!     &distance,
//!     lightness,
//!     &Target::new(&distance, images),
//!     &SeededPool::new(&config, 7),
//!     0,
//! )?;
//! assert_eq!(found.len(), 2);
//! assert!(found[0].candidates[0] < 4);
//! # Ok::<(), chimle_imle::SearchError>(())
//! ```

mod choice;
mod nearest;
mod neighbors;
mod objective;
mod pool;
mod search;
mod shortlist;
mod target;

pub use nearest::nearest;
pub use neighbors::{Neighbors, Shortlist};
pub use objective::{Objective, shown_to_rgb};
pub use pool::{CodePool, GivenPool, SeededPool};
pub use search::{Chosen, Search, SearchError, Strategy};
pub use target::Target;
