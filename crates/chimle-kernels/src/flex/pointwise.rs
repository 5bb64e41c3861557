//! Sums and masks over whole maps.

use rayon::prelude::*;

use crate::flex::maps::Maps;

/// Values to a task.
const VALUES: usize = 1 << 14;

/// The sum of each plane over all images.
pub(crate) fn plane_sums(maps: &Maps, scale: f32) -> Vec<f32> {
    let frame = &maps.frame;
    let few = (VALUES / (frame.images * frame.pixels()).max(1)).max(1);
    let planes = (0..frame.planes).into_par_iter().with_min_len(few);
    let sum = |plane| -> f32 {
        (0..frame.images)
            .map(|image| sum(maps.plane(image, plane)))
            .sum()
    };
    planes.map(|plane| sum(plane) * scale).collect()
}

fn sum(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<32>();
    let mut sums = [0.0; 32];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value;
        }
    }
    sums.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// The gradient before the activation whose output is given: times `slope` where that is not
/// positive.
pub(crate) fn masked(output: &[f32], gradient: &[f32], slope: f32) -> Vec<f32> {
    let pairs = output.par_iter().zip(gradient).with_min_len(VALUES);
    let masked = pairs.map(|(&y, &g)| if y > 0.0 { g } else { slope * g });
    masked.collect()
}
