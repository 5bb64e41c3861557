//! The CHIMLE generator: from one conditioning image and a chain of latent codes to one plausible
//! output, for any Burn backend.
//!
//! Use this crate to evaluate or train the network of the paper (Peng, Moazeni, Li, "CHIMLE",
//! NeurIPS 2022, arXiv 2211.14286), or to build on its layers. To sample images or run a complete
//! training, use `chimle-core`.
//!
//! # Main types
//!
//! The network is a chain of [`Level`]s, each at twice the side of the level below. A level has a
//! *local* stream ([`Rrdb`]s of weight-normalized convolutions, [`WeightNormConv2d`]) and a
//! *global* stream (a [`MappingNetwork`]). The style vector of the global stream modulates the
//! local stream through [`AdaIn`].
//!
//! A [`GeneratorConfig`] makes a [`Generator`], which joins the levels. The generator implements
//! [`StagedGenerator`], so it works with the search and the objective of `chimle-imle`. `begin`
//! takes the conditioning, and `advance` evaluates one level. The [`State`] between two levels can
//! be kept, and its rows can be selected and repeated, so a search never evaluates a prefix twice.
//!
//! # Example
//!
//! ```
//! use burn::tensor::Tensor;
//! use burn_flex::Flex;
//! use chimle_imle::{Candidate, CodePool, ExampleId, SeededPool, StagedGenerator};
//! use chimle_nn::{Architecture, GeneratorConfig, Preset};
//!
//! type B = Flex;
//! let device = Default::default();
//! let config = GeneratorConfig::preset(Preset::Tiny, Architecture::Colorization);
//! let generator = config.init::<B>(&device);
//!
//! // Colorization conditions each level on the lightness at its own side: 8, 16 and 32 pixels.
//! let lightness = [8, 16, 32].map(|side| Tensor::<B, 4>::ones([1, 1, side, side], &device) * 0.5);
//! let codes = SeededPool::new(7);
//! let candidate = Candidate { example: ExampleId(0), index: 0 };
//! let mut state = generator.begin(lightness.to_vec());
//! for level in 0..generator.levels() {
//!     let len = generator.code_len(&state);
//!     let code = generator.code(&state, codes.draw(level, &[candidate], len, &device));
//!     let (next, image) = generator.advance(state, code);
//!     let side = 8 << level;
//!     assert_eq!(image.dims(), [1, 3, side, side]); // RGB
//!     state = next;
//! }
//! ```
//!
//! [`StagedGenerator`]: chimle_imle::StagedGenerator

mod adain;
mod compute;
mod config;
mod conv;
mod dense_block;
mod encoder;
mod error;
mod generator;
mod lab;
mod level;
mod mapping;
mod names;
mod rrdb;
mod shapes;
mod state;
mod weights;

pub use adain::{AdaIn, AdaInConfig};
pub use chimle_kernels::{AdamFactors, Kernels, TrainingBackend, adam_step, conv3x3, fresh_leaves};
pub use chimle_weights::{WeightFile, WeightsError, write_halved};
pub use compute::{Compute, Precision};
pub use config::{Architecture, GeneratorConfig, Preset, RrdbCount};
pub use conv::{LEAKY_SLOPE, WeightNormConv2d, WeightNormConv2dConfig};
pub use dense_block::{DenseBlock, DenseBlockConfig, RESIDUAL_SCALE};
pub use encoder::{Encoder, EncoderConfig, Stage};
pub use error::ConfigError;
pub use generator::Generator;
pub use lab::lab_to_rgb;
pub use level::{Level, LevelConfig};
pub use mapping::{MappingNetwork, MappingNetworkConfig};
pub use names::{NamedVisitor, is_mapping};
pub use rrdb::{Rrdb, RrdbConfig};
pub use state::{LatentCode, State};
