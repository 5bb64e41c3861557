//! Measures of conditional image synthesis: whether samples are near the truth, whether they are
//! diverse, and whether they cover all plausible outputs.
//!
//! Use this crate to measure images that any program has made. It does not sample a model.
//!
//! To measure the samples of one input:
//!
//! - [`psnr`], [`ssim`] and [`ms_ssim`] compare two images, which are plain slices of f32 in [0, 1]
//!   ([`ssim`] and [`ms_ssim`] take an [`ImageView`]). For LPIPS, use
//!   [`Distance::between`](chimle_perceptual::Distance::between).
//! - [`Summary`] turns one value per sample into the best of N, the mean and the standard deviation.
//! - [`diversity`] is the mean distance between samples. [`faithfulness_weighted_variance`] counts
//!   only samples near the truth.
//! - [`mode_coverage`] counts the known outputs of an input that the samples reach, and
//!   [`expected_coverage`] is the number that a perfect sampler would reach.
//!
//! To compare sets of images by features that `chimle-perceptual` extracts:
//!
//! - [`Statistics`] accumulate, image by image, the features of a set ([`Rows`]) and the [`Moments`] of
//!   the features. Statistics can be saved and read again. To save memory, accumulate [`Moments`]
//!   alone, whose size does not depend on the number of images.
//! - [`frechet_distance`] (FID), [`kid`], and [`neighborhoods`] (precision, recall, density, coverage)
//!   compare two sets.
//! - [`Bootstrap`] resamples images. [`frechet_estimate`] and [`kid_estimate`] use it to return an
//!   [`Estimate`]: a value with its interval over images.
//!
//! # Examples
//!
//! The example compares three samples for one input with the truth and with each other:
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
