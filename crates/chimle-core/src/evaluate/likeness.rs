//! Measures of one image beside its truth.

use chimle_data::{
    ChromaSubsampling, DECOMPRESSION_QUALITY, DataError, Example, Planes, Task, downsample, jpeg,
};
use chimle_metrics::{ImageView, MetricsError, ms_ssim, psnr, ssim};

use crate::error::Error;

/// The measures that need no network. `None` where the images are too small.
pub(super) struct Likeness {
    pub(super) psnr: f64,
    pub(super) ssim: Option<f64>,
    pub(super) ms_ssim: Option<f64>,
}

impl Likeness {
    /// Of two images of the same size.
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

/// The output that takes no model: the gray image, the input enlarged (bicubic), or the input.
pub(super) fn baseline(task: Task, example: &Example) -> Result<Planes, DataError> {
    let input = example.input_picture();
    if task != Task::SuperResolution {
        return Ok(input);
    }
    let truth = example.truth();
    resized(&input, truth.width, truth.height)
}

/// How near an output, degraded as its input was, comes to the input: PSNR in dB. `None` for tasks
/// whose degradation takes nothing that an output could get wrong, or is not known.
pub(super) fn consistency(
    task: Task,
    example: &Example,
    output: &Planes,
) -> Result<Option<f64>, Error> {
    let input = example.input_picture();
    let degraded = match task {
        Task::SuperResolution => resized(output, input.width, input.height)?,
        Task::Decompression => {
            let quality = DECOMPRESSION_QUALITY;
            Planes::from_rgb(&jpeg(&output.to_rgb(), quality, ChromaSubsampling::Half)?)
        }
        Task::Colorization | Task::NightToDay => return Ok(None),
    };
    Ok(Some(psnr(&degraded.data, &input.data)?))
}

/// By the bicubic resampling that makes the inputs.
fn resized(image: &Planes, width: usize, height: usize) -> Result<Planes, DataError> {
    let resized = downsample(&image.to_rgb(), width as u32, height as u32)?;
    Ok(Planes::from_rgb(&resized))
}
