//! Measures that compare one image with the true image.

use chimle_data::Planes;
use chimle_metrics::{ImageView, MetricsError, ms_ssim, psnr, ssim};

use crate::error::Error;

/// The measures that need no network. A measure is `None` if the images are too small for it.
pub(super) struct ImageSimilarity {
    pub(super) psnr: f64,
    pub(super) ssim: Option<f64>,
    pub(super) ms_ssim: Option<f64>,
}

impl ImageSimilarity {
    /// Compares two images of the same size.
    pub(super) fn of(image: &Planes, truth: &Planes) -> Result<Self, Error> {
        let shape = |planes: &Planes| [planes.channels, planes.height, planes.width];
        let image = ImageView::new(&image.data, shape(image))?;
        let truth = ImageView::new(&truth.data, shape(truth))?;
        Ok(Self {
            psnr: psnr(image.values(), truth.values())?,
            ssim: if_large_enough(ssim(image, truth))?,
            ms_ssim: if_large_enough(ms_ssim(image, truth))?,
        })
    }
}

fn if_large_enough(found: Result<f64, MetricsError>) -> Result<Option<f64>, MetricsError> {
    match found {
        Ok(value) => Ok(Some(value)),
        Err(MetricsError::SmallerThanWindow { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
