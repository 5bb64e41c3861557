//! Measures of conditional image synthesis: how near samples come to the truth, and how much they
//! differ.
//!
//! - [`psnr`] and [`ssim`] compare two images, plain slices of f32 in [0, 1] ([`ImageView`]). For
//!   LPIPS there is [`Distance::between`](chimle_perceptual::Distance::between).
//! - [`Summary`] turns one value per sample into best of N, mean and deviation.
//! - [`diversity`] is the mean distance between the samples for one input.
//! - [`mode_coverage`] counts which of an input's known outputs the samples reach, and
//!   [`expected_coverage`] says how many perfect sampling would.
//!
//! # Example
//!
//! Three samples for one input, against the truth and against each other:
//!
//! ```
//! use burn::tensor::{Tensor, TensorData};
//! use burn_flex::Flex;
//! use chimle_metrics::{Better, Summary, diversity, psnr};
//! use chimle_perceptual::Distance;
//!
//! # fn main() -> Result<(), chimle_metrics::MetricsError> {
//! let truth = [0.5f32; 3 * 16 * 16];
//! let samples = [[0.4f32; 3 * 16 * 16], [0.6; 3 * 16 * 16], [0.51; 3 * 16 * 16]];
//!
//! let ratios = samples.iter().map(|s| psnr(s, &truth)).collect::<Result<Vec<_>, _>>()?;
//! let summary = Summary::of(&ratios, Better::Higher)?;
//! assert!((summary.best - 40.0).abs() < 1e-3); // 0.01 off: 40 dB
//!
//! let all = TensorData::new(samples.concat(), [3, 3, 16, 16]);
//! let spread = diversity(&Distance::L1, Tensor::<Flex, 4>::from_data(all, &Default::default()))?;
//! assert!((spread - (0.2 + 0.11 + 0.09) / 3.0).abs() < 1e-6);
//! # Ok(())
//! # }
//! ```

mod diversity;
mod error;
mod image;
mod modes;
mod psnr;
mod ssim;
mod summary;

pub use diversity::diversity;
pub use error::MetricsError;
pub use image::ImageView;
pub use modes::{expected_coverage, mode_coverage};
pub use psnr::psnr;
pub use ssim::ssim;
pub use summary::{Better, Summary};
