//! The latent search and the objective of CHIMLE, for any generator, any distance and any Burn
//! backend.
//!
//! Implicit maximum likelihood estimation (IMLE) draws many latent codes for each observed pair,
//! keeps the code whose output is nearest to the observed output, and moves that output closer. So
//! every observed output keeps a sample near it. CHIMLE (Peng, Moazeni, Li, NeurIPS 2022,
//! arXiv 2211.14286) searches the code level by level: m candidates at each of L levels stand for
//! m^L combinations.
//!
//! Use this crate to train a network of your own with this objective. To train or sample the
//! network of the paper, use `chimle-core`, which is built on this crate.
//!
//! # Main types
//!
//! - [`StagedGenerator`] is the trait of a network that the search can evaluate: it begins with a
//!   conditioning and is evaluated level by level. One level gives cIMLE. The conditioning
//!   [`Unconditional`] gives IMLE.
//! - [`Distance`] is the trait of a distance that the search minimizes. [`TrainingDistance`]
//!   extends it to autodiff backends.
//! - [`Rows`] is the trait of the batches that generators and distances hold: rows can be selected
//!   and joined.
//! - [`Search`] finds the codes, with [`Strategy::Hierarchical`] (CHIMLE) or [`Strategy::Flat`]
//!   (cIMLE).
//! - A [`Target`] holds the features of the observed outputs: one output per input, or several that
//!   share the input's candidates.
//! - A [`CodePool`] supplies the candidates. [`SeededPool`] draws them from a seed, so a chosen
//!   code can be stored as its index. [`GivenPool`] holds codes that were made elsewhere.
//! - [`Objective`] is the training loss, with or without intermediate supervision.
//! - [`nearest`] finds exact nearest neighbors among the rows of two tensors, on their own device.
//!
//! # Example
//!
//! One search with a generator of two levels. The generator moves a point in the plane twice, and
//! the search finds the codes that bring it near each of three observed points:
//!
//! ```
//! use burn::tensor::{Tensor, backend::Backend};
//! use burn_flex::Flex;
//! use chimle_imle::{
//!     Distance, ExampleId, Search, SeededPool, StagedGenerator, Strategy, Target,
//! };
//!
//! /// Adds a code to a point. The step is smaller at the second level.
//! struct Walk;
//!
//! #[derive(Clone)]
//! struct Squared;
//!
//! impl<B: Backend> StagedGenerator<B> for Walk {
//!     type Conditioning = Tensor<B, 2>; // where each walk begins, [batch, 2]
//!     type State = (Tensor<B, 2>, Tensor<B, 1>); // the point, and the scale of the next step
//!     type Code = Tensor<B, 2>;
//!     type Output = Tensor<B, 2>;
//!
//!     fn levels(&self) -> usize {
//!         2
//!     }
//!     fn device(&self) -> B::Device {
//!         Default::default()
//!     }
//!     fn begin(&self, points: Tensor<B, 2>) -> Self::State {
//!         let scale = Tensor::ones([points.dims()[0]], &points.device());
//!         (points, scale)
//!     }
//!     fn code_len(&self, _: &Self::State) -> usize {
//!         2
//!     }
//!     fn code(&self, _: &Self::State, values: Tensor<B, 2>) -> Tensor<B, 2> {
//!         values
//!     }
//!     fn advance(&self, (points, scale): Self::State, code: Tensor<B, 2>) -> (Self::State, Tensor<B, 2>) {
//!         let points = points + code * scale.clone().unsqueeze_dim(1);
//!         ((points.clone(), scale / 10.0), points)
//!     }
//! }
//!
//! impl<B: Backend> Distance<B> for Squared {
//!     type Output = Tensor<B, 2>;
//!     type Features = Tensor<B, 2>;
//!
//!     fn features(&self, points: Tensor<B, 2>) -> Tensor<B, 2> {
//!         points
//!     }
//!     fn compare(&self, candidates: &Tensor<B, 2>, targets: &Tensor<B, 2>) -> Tensor<B, 1> {
//!         let ([n, d], [g, _]) = (candidates.dims(), targets.dims());
//!         let targets = targets.clone().reshape([g, 1, d]);
//!         let difference = candidates.clone().reshape([g, n / g, d]) - targets;
//!         difference.square().mean_dim(2).reshape([n])
//!     }
//! }
//!
//! # fn main() -> Result<(), chimle_imle::SearchError> {
//! let device = Default::default();
//! let observed = Tensor::<Flex, 2>::from_floats([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], &device);
//! let target = Target::new(&Squared, vec![observed.clone(), observed]);
//! let search = Search::new(Strategy::Hierarchical { pools: vec![100, 100] }, 64);
//! let found = search.run(
//!     &Walk,
//!     &Squared,
//!     Tensor::<Flex, 2>::zeros([3, 2], &device),
//!     &target,
//!     &SeededPool::new(7),
//!     &[ExampleId(0), ExampleId(1), ExampleId(2)],
//! )?;
//! for chosen in found {
//!     let nearest = chosen.nearest();
//!     assert!(nearest[1] < nearest[0]); // the second level came nearer
//! }
//! # Ok(())
//! # }
//! ```

mod choice;
mod chosen;
mod code;
mod distance;
mod error;
mod generator;
mod nearest;
mod neighbors;
mod objective;
mod rows;
mod search;
mod shortlist;
mod target;

pub use chosen::Chosen;
pub use code::{Candidate, CodePool, ExampleId, GivenPool, GroupedPool, SeededPool};
pub use distance::{Distance, TrainingDistance};
pub use error::SearchError;
pub use generator::{Output, StagedGenerator};
pub use nearest::nearest;
pub use neighbors::{Neighbors, Shortlist};
pub use objective::Objective;
pub use rows::{Rows, Selection, Unconditional};
pub use search::{Search, Strategy};
pub use target::Target;
