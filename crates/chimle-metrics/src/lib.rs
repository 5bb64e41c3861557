//! Measures of conditional image synthesis: whether samples are faithful, whether they differ, and
//! whether they cover what is possible.
//!
//! Of one input's samples:
//!
//! - [`psnr`], [`ssim`] and [`ms_ssim`] compare two images, plain slices of f32 in [0, 1]
//!   ([`ImageView`]). For LPIPS there is
//!   [`Distance::between`](chimle_perceptual::Distance::between).
//! - [`Summary`] turns one value per sample into best of N, mean and deviation.
//! - [`diversity`] is the mean distance between samples, [`faithfulness_weighted_variance`] counts
//!   only what stays near the truth.
//! - [`mode_coverage`] counts which of an input's known outputs the samples reach, and
//!   [`expected_coverage`] says how many perfect sampling would.
//!
//! Of sets of images, by features that `chimle-perceptual` extracts:
//!
//! - [`Statistics`] accumulate a set, image by image: [`Moments`] in memory that does not grow,
//!   and the features themselves as [`Rows`]. They can be saved and read again.
//! - [`frechet_distance`] (FID), [`kid`], and [`neighborhoods`] (precision, recall, density, coverage)
//!   compare two sets.
//! - [`Bootstrap`] gives an [`Estimate`], a value with its interval over images.
//!
//! # Example
//!
//! Three samples for one input, against the truth and against each other:
//!
//! ```
//! use burn::tensor::{Tensor, TensorData};
//! use burn_flex::Flex;
//! use chimle_metrics::{Better, Summary, diversity, psnr};
//! use chimle_perceptual::ImageDistance;
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
//! let spread = diversity(&ImageDistance::L1, Tensor::<Flex, 4>::from_data(all, &Default::default()))?;
//! assert!((spread - (0.2 + 0.11 + 0.09) / 3.0).abs() < 1e-6);
//! # Ok(())
//! # }
//! ```

mod bootstrap;
mod diversity;
mod error;
mod faithfulness;
mod frechet;
mod image;
mod kid;
mod manifold;
mod modes;
mod moments;
mod ms_ssim;
mod psnr;
mod rows;
mod ssim;
mod statistics;
mod summary;

pub use bootstrap::{Bootstrap, CONFIDENCE, Draws, Estimate};
pub use diversity::{diversity, diversity_of_features};
pub use error::MetricsError;
pub use faithfulness::{FAITHFULNESS_SIGMAS, faithfulness_weighted_variance};
pub use frechet::{frechet_distance, frechet_estimate};
pub use image::ImageView;
pub use kid::{Subsets, kid, kid_estimate};
pub use manifold::{Neighborhoods, neighborhoods};
pub use modes::{expected_coverage, mode_coverage, mode_radius};
pub use moments::Moments;
pub use ms_ssim::ms_ssim;
pub use psnr::psnr;
pub use rows::Rows;
pub use ssim::ssim;
pub use statistics::Statistics;
pub use summary::{Better, Summary};
