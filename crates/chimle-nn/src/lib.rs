//! The CHIMLE generator: from one conditioning image and a chain of latent codes to one plausible
//! output, for any Burn backend.
//!
//! The network is a chain of [`Level`]s, each at twice the side of the one below. A level has a
//! *local* stream ([`Rrdb`]s over weight-normalized convolutions, [`WeightNormConv2d`]) and a
//! *global* stream (a [`MappingNetwork`]) whose style vector modulates the local one through
//! [`AdaIn`]. [`Generator`] folds over the levels: [`Generator::begin`] takes the conditioning,
//! [`Generator::advance`] evaluates one level, and the [`State`] between two levels can be kept,
//! repeated and selected, so that a search never evaluates a prefix twice.
//!
//! Method: Peng, Moazeni, Li, "CHIMLE", NeurIPS 2022, arXiv 2211.14286.
//!
//! ```
//! use burn_flex::Flex;
//! use burn::tensor::{Distribution, Tensor};
//! use chimle_nn::{Architecture, GeneratorConfig, LatentCode, Preset};
//!
//! type B = Flex;
//! let device = Default::default();
//! let config = GeneratorConfig::preset(Preset::Tiny, Architecture::Colorization);
//! let generator = config.init::<B>(&device);
//!
//! // Colorization conditions each level on the lightness at its own side: 8, 16 and 32 pixels.
//! let lightness = [8, 16, 32].map(|side| Tensor::<B, 4>::ones([1, 1, side, side], &device) * 0.5);
//! let mut state = generator.begin(lightness.to_vec());
//! while let Some([height, width]) = state.code_size() {
//!     let code = LatentCode {
//!         global: Tensor::random([1, config.map_code], Distribution::Normal(0., 1.), &device),
//!         local: Tensor::random(
//!             [1, config.code_channels, height, width],
//!             Distribution::Normal(0., 1.),
//!             &device,
//!         ),
//!     };
//!     let (next, image) = generator.advance(state, code);
//!     assert_eq!(image.dims(), [1, 3, height, width]); // [L', a', b']
//!     state = next;
//! }
//! ```

mod adain;
mod compute;
mod config;
mod conv;
mod dense_block;
mod error;
mod generator;
mod level;
mod mapping;
mod names;
mod rrdb;
mod state;
mod weights;

pub use adain::{AdaIn, AdaInConfig};
pub use chimle_kernels::{Kernels, TrainingBackend, conv3x3};
pub use chimle_weights::{WeightFile, WeightsError};
pub use compute::{Compute, Precision};
pub use config::{Architecture, GeneratorConfig, Preset};
pub use conv::{LEAKY_SLOPE, WeightNormConv2d, WeightNormConv2dConfig};
pub use dense_block::{DenseBlock, DenseBlockConfig, RESIDUAL_SCALE};
pub use error::ConfigError;
pub use generator::Generator;
pub use level::{Level, LevelConfig};
pub use mapping::{MappingNetwork, MappingNetworkConfig};
pub use names::{NamedVisitor, is_mapping};
pub use rrdb::{Rrdb, RrdbConfig};
pub use state::{LatentCode, State};
