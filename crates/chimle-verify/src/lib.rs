//! Checks whether a build of CHIMLE computes correct numbers on a device, and measures how fast it is.
//!
//! - [`verify`](fn@verify) compares a build with a folder of reference numbers, made by another implementation of
//!   the method. It returns one [`Check`] per comparison.
//! - [`self_test`](fn@self_test) tests one convolution and its gradient. It needs no files, so a
//!   program can use it to choose among devices.
//! - [`bench`](fn@bench) times a forward pass, a training step and a search, and returns a
//!   [`Timing`].
//!
//! All three are generic over the Burn backend. They are in a separate crate, because a program that
//! trains or samples does not need them.
//!
//! # Examples
//!
//! ```
//! use burn::backend::Autodiff;
//! use burn_flex::Flex;
//! use chimle_core::{Architecture, Compute, DistanceConfig, GeneratorConfig, Preset};
//! use chimle_verify::{BenchConfig, bench, self_test};
//!
//! type B = Autodiff<Flex>;
//! let device = Default::default();
//! self_test::<B>(&device)?;
//!
//! let timing = bench::<B>(
//!     &BenchConfig {
//!         network: GeneratorConfig::preset(Preset::Tiny, Architecture::Colorization),
//!         batch: 1,
//!         side: 8,
//!         pools: Vec::new(), // no search
//!         loss: DistanceConfig::L2,
//!         repeat: 1,
//!         chunk: 1,
//!         compute: Compute::default(),
//!     },
//!     &device,
//! )?;
//! assert!(timing.forward_ms > 0.0);
//! # Ok::<(), chimle_verify::Error>(())
//! ```

mod bench;
mod error;
mod network_file;
mod self_test;
mod verify;
mod work;

pub use bench::{BenchConfig, Timing, bench};
pub use error::Error;
pub use network_file::read_network;
pub use self_test::self_test;
pub use verify::{Check, Outcome, verify};
pub use work::{Work, count};
