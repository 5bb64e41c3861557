//! Multi-scale structural similarity.

use crate::error::MetricsError;
use crate::image::ImageView;
use crate::ssim::{WINDOW, check, similarity, widened};

/// The exponent of each scale, finest first (Wang, Simoncelli, Bovik 2003).
const WEIGHTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

/// The smallest side of an image: at the coarsest scale, the window must still fit into the image.
const SMALLEST_SIDE: usize = WINDOW << (WEIGHTS.len() - 1);

/// Computes the multi-scale structural similarity (Wang, Simoncelli, Bovik 2003) of two images with
/// values in [0, 1]. It is 1 if the images are equal.
///
/// For each channel, it is the product of contrast and structure at five scales, and of luminance at
/// the coarsest scale. Each factor is raised to the power of its published weight. The result is the
/// mean over channels. From each scale to the next, 2 x 2 pixels are averaged and an odd last row or
/// column is dropped. The window and the constants are those of [`ssim`](crate::ssim). A negative
/// factor counts as 0, because it has no real power.
///
/// # Errors
///
/// [`MetricsError::Shapes`] if the shapes differ, [`MetricsError::SmallerThanWindow`] if a side is
/// below 176, [`MetricsError::TooFew`] if there are no channels.
///
/// # Examples
///
/// ```
/// use chimle_metrics::{ImageView, ms_ssim};
///
/// # fn main() -> Result<(), chimle_metrics::MetricsError> {
/// let values = vec![0.5f32; 176 * 176];
/// let image = ImageView::new(&values, [1, 176, 176])?;
/// assert!((ms_ssim(image, image)? - 1.0).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
pub fn ms_ssim(a: ImageView<'_>, b: ImageView<'_>) -> Result<f64, MetricsError> {
    let [channels, _, width] = check(a, b, SMALLEST_SIDE)?;
    let planes = a.planes().zip(b.planes());
    let of_plane = |(a, b): (&[f32], &[f32])| plane(widened(a), widened(b), width);
    Ok(planes.map(of_plane).sum::<f64>() / channels as f64)
}

fn plane(mut a: Vec<f64>, mut b: Vec<f64>, mut width: usize) -> f64 {
    let mut product = 1.0;
    let coarsest = WEIGHTS.len() - 1;
    for (scale, weight) in WEIGHTS.into_iter().enumerate() {
        let found = similarity(&a, &b, width);
        let factor = if scale == coarsest {
            found.whole
        } else {
            found.contrast
        };
        product *= factor.max(0.0).powf(weight);
        if scale < coarsest {
            (a, b) = (halve(&a, width), halve(&b, width));
            width /= 2;
        }
    }
    product
}

/// Averages 2 x 2 pixels.
fn halve(plane: &[f64], width: usize) -> Vec<f64> {
    let rows: Vec<&[f64]> = plane.chunks_exact(width).collect();
    let pairs = rows.chunks_exact(2).flat_map(|pair| {
        let columns = pair[0].chunks_exact(2).zip(pair[1].chunks_exact(2));
        columns.map(|(above, below)| (above[0] + above[1] + below[0] + below[1]) / 4.0)
    });
    pairs.collect()
}
