//! Structural similarity.

use crate::error::MetricsError;
use crate::image::ImageView;

/// The standard deviation of the Gaussian window in pixels, and its reach in standard deviations.
const SIGMA: f64 = 1.5;
const TRUNCATE: f64 = 3.5;

/// The reach of the window from its center, in pixels.
const RADIUS: usize = (SIGMA * TRUNCATE + 0.5) as usize;
pub(crate) const WINDOW: usize = 2 * RADIUS + 1;

/// The constants (K1 L)^2 and (K2 L)^2, where L = 1 is the range of the values.
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;

/// Computes the structural similarity (Wang et al. 2004) of two images with values in [0, 1]. It is 1 if
/// the images are equal.
///
/// The window is Gaussian with sigma 1.5 and 11 x 11 pixels, K1 = .01 and K2 = .03. The similarity is
/// averaged over all positions where the window lies inside the image, then over channels, in f64. It is
/// the same as scikit-image's `structural_similarity` with `gaussian_weights=True`, `sigma=1.5`,
/// `use_sample_covariance=False`, `data_range=1`.
///
/// # Errors
///
/// [`MetricsError::Shapes`] if the shapes differ, [`MetricsError::SmallerThanWindow`] if a side is
/// below 11, [`MetricsError::TooFew`] if there are no channels.
///
/// # Examples
///
/// ```
/// use chimle_metrics::{ImageView, ssim};
///
/// # fn main() -> Result<(), chimle_metrics::MetricsError> {
/// let (dark, light) = ([0.4f32; 11 * 11], [0.8f32; 11 * 11]);
/// let dark = ImageView::new(&dark, [1, 11, 11])?;
/// let light = ImageView::new(&light, [1, 11, 11])?;
/// // Images without contrast differ only in luminance: (2 * 0.4 * 0.8 + C1) / (0.4^2 + 0.8^2 + C1).
/// assert!((ssim(dark, light)? - 0.8).abs() < 1e-3);
/// # Ok(())
/// # }
/// ```
pub fn ssim(a: ImageView<'_>, b: ImageView<'_>) -> Result<f64, MetricsError> {
    let [channels, _, width] = check(a, b, WINDOW)?;
    let planes = a.planes().zip(b.planes());
    let similarity = |(a, b): (&[f32], &[f32])| similarity(&widened(a), &widened(b), width).whole;
    Ok(planes.map(similarity).sum::<f64>() / channels as f64)
}

/// Returns the shape of both images. It is an error if they cannot be compared or a side is below
/// `smallest`.
pub(crate) fn check(
    a: ImageView<'_>,
    b: ImageView<'_>,
    smallest: usize,
) -> Result<[usize; 3], MetricsError> {
    if a.shape() != b.shape() {
        return Err(MetricsError::Shapes {
            first: a.shape(),
            second: b.shape(),
        });
    }
    let [channels, height, width] = a.shape();
    if height < smallest || width < smallest {
        return Err(MetricsError::SmallerThanWindow {
            height,
            width,
            window: smallest,
        });
    }
    if channels == 0 {
        return Err(MetricsError::TooFew {
            found: 0,
            needed: 1,
        });
    }
    Ok(a.shape())
}

/// Converts values to f64.
pub(crate) fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

/// The similarity of two planes, averaged over positions.
pub(crate) struct Similarity {
    /// The similarity of luminance, contrast and structure, which is SSIM.
    pub(crate) whole: f64,
    /// The similarity of contrast and structure alone.
    pub(crate) contrast: f64,
}

/// Computes the similarity of two planes of the same size. Both sides are at least [`WINDOW`].
pub(crate) fn similarity(a: &[f64], b: &[f64], width: usize) -> Similarity {
    let weights = gaussian();
    let moment = |product: fn(f64, f64) -> f64| {
        let values = a.iter().zip(b);
        let values: Vec<f64> = values.map(|(a, b)| product(*a, *b)).collect();
        smooth(&values, width, &weights)
    };
    let mean_a = moment(|a, _| a);
    let mean_b = moment(|_, b| b);
    let square_a = moment(|a, _| a * a);
    let square_b = moment(|_, b| b * b);
    let product = moment(|a, b| a * b);

    let (mut whole, mut contrast) = (0.0, 0.0);
    for i in 0..mean_a.len() {
        let (ma, mb) = (mean_a[i], mean_b[i]);
        let variances = square_a[i] - ma * ma + square_b[i] - mb * mb;
        let covariance = product[i] - ma * mb;
        let of_contrast = (2.0 * covariance + C2) / (variances + C2);
        contrast += of_contrast;
        whole += of_contrast * (2.0 * ma * mb + C1) / (ma * ma + mb * mb + C1);
    }
    let positions = mean_a.len() as f64;
    Similarity {
        whole: whole / positions,
        contrast: contrast / positions,
    }
}

/// Computes the weighted means at all positions where the window lies inside the plane. Each side
/// shrinks by WINDOW - 1.
fn smooth(plane: &[f64], width: usize, weights: &[f64; WINDOW]) -> Vec<f64> {
    let weighted = |window: &[f64]| -> f64 { window.iter().zip(weights).map(|(v, w)| v * w).sum() };
    let along_rows: Vec<f64> = plane
        .chunks_exact(width)
        .flat_map(|row| row.windows(WINDOW).map(weighted))
        .collect();
    let width = width - (WINDOW - 1);
    let outputs = along_rows.len() - (WINDOW - 1) * width;
    (0..outputs)
        .map(|i| {
            let column = weights.iter().enumerate();
            column.map(|(k, w)| w * along_rows[i + k * width]).sum()
        })
        .collect()
}

/// Returns the weights of the window along one axis. Their sum is 1.
fn gaussian() -> [f64; WINDOW] {
    let density = |i: usize| {
        let x = i as f64 - RADIUS as f64;
        (-x * x / (2.0 * SIGMA * SIGMA)).exp()
    };
    let weights: [f64; WINDOW] = std::array::from_fn(density);
    let sum: f64 = weights.iter().sum();
    weights.map(|w| w / sum)
}
