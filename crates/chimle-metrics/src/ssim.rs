//! Structural similarity.

use crate::error::MetricsError;
use crate::image::ImageView;

/// Deviation of the Gaussian window in pixels, and where it is cut off, in deviations.
const SIGMA: f64 = 1.5;
const TRUNCATE: f64 = 3.5;

/// The window reaches this far from its center.
const RADIUS: usize = (SIGMA * TRUNCATE + 0.5) as usize;
const WINDOW: usize = 2 * RADIUS + 1;

/// (K1 L)^2 and (K2 L)^2, with values in a range of L = 1.
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;

/// Structural similarity (Wang et al. 2004) of two images with values in [0, 1]: 1 if equal.
///
/// Gaussian window of sigma 1.5, 11 x 11; K1 = .01, K2 = .03; mean over all positions where the
/// window lies within the image, then over channels; in f64. It is scikit-image's
/// `structural_similarity` with `gaussian_weights=True`, `sigma=1.5`,
/// `use_sample_covariance=False`, `data_range=1`.
///
/// # Errors
///
/// [`MetricsError::Shapes`] if the shapes differ, [`MetricsError::SmallerThanWindow`] if a side is
/// under 11, [`MetricsError::TooFew`] without channels.
pub fn ssim(a: ImageView<'_>, b: ImageView<'_>) -> Result<f64, MetricsError> {
    if a.shape() != b.shape() {
        return Err(MetricsError::Shapes {
            first: a.shape(),
            second: b.shape(),
        });
    }
    let [channels, height, width] = a.shape();
    if height < WINDOW || width < WINDOW {
        return Err(MetricsError::SmallerThanWindow {
            height,
            width,
            window: WINDOW,
        });
    }
    if channels == 0 {
        return Err(MetricsError::TooFew {
            found: 0,
            needed: 1,
        });
    }
    let weights = gaussian();
    let planes = a.planes().zip(b.planes());
    let sum: f64 = planes.map(|(a, b)| plane(a, b, width, &weights)).sum();
    Ok(sum / channels as f64)
}

/// Structural similarity of two planes, averaged over positions.
fn plane(a: &[f32], b: &[f32], width: usize, weights: &[f64; WINDOW]) -> f64 {
    let moment = |product: fn(f64, f64) -> f64| {
        let values = a.iter().zip(b);
        let values: Vec<f64> = values
            .map(|(a, b)| product(f64::from(*a), f64::from(*b)))
            .collect();
        smooth(&values, width, weights)
    };
    let mean_a = moment(|a, _| a);
    let mean_b = moment(|_, b| b);
    let square_a = moment(|a, _| a * a);
    let square_b = moment(|_, b| b * b);
    let product = moment(|a, b| a * b);

    let positions = mean_a.len();
    let similarity = |i: usize| {
        let (ma, mb) = (mean_a[i], mean_b[i]);
        let variances = square_a[i] - ma * ma + square_b[i] - mb * mb;
        let covariance = product[i] - ma * mb;
        (2.0 * ma * mb + C1) * (2.0 * covariance + C2)
            / ((ma * ma + mb * mb + C1) * (variances + C2))
    };
    (0..positions).map(similarity).sum::<f64>() / positions as f64
}

/// Weighted means through the window, where it lies within the plane: each side shrinks by
/// WINDOW - 1.
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

/// The window along one axis, of sum 1.
fn gaussian() -> [f64; WINDOW] {
    let density = |i: usize| {
        let x = i as f64 - RADIUS as f64;
        (-x * x / (2.0 * SIGMA * SIGMA)).exp()
    };
    let weights: [f64; WINDOW] = std::array::from_fn(density);
    let sum: f64 = weights.iter().sum();
    weights.map(|w| w / sum)
}
