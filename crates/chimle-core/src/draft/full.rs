//! Making a draft's picture at the full size of its input.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use chimle_data::{OutputSpace, Recoloring, planes_from_tensor};
use chimle_imle::{ExampleId, SeededPool};
use image::RgbImage;

use super::{Draft, Showing, Values, enlarged, map_size};
use crate::error::Error;
use crate::generator::{ImageGenerator, NetworkConfig as _};
use crate::model::Model;

/// The number of rows of a photograph that are recolored at once.
const STRIP: u32 = 64;

impl<B: Backend, G: ImageGenerator<B>> Model<B, G> {
    /// Makes a draft's picture at the full size of its input.
    ///
    /// If the input was not [brought down](super::DraftConfig::largest), or if it was made by degrading a
    /// photograph, the result is the draft's own picture. Otherwise the result depends on the task:
    ///
    /// - In colorization, the colors of the draft are combined with the lightness of the input; see
    ///   [`Recoloring`]. The colors stay the chosen ones.
    /// - In other tasks, all levels are evaluated again for the whole input. The global codes stay the same.
    ///   The local codes become larger maps. The mean of a larger map over each position of the chosen map
    ///   follows the chosen code, and the larger map is standard normal. The picture therefore resembles
    ///   the chosen one, but differs in detail. If the draft is not finished, its picture is enlarged
    ///   instead.
    ///
    /// `input` must be the image that the draft was [begun](Model::draft) with. A draft does not keep this
    /// image, because it can be large.
    ///
    /// `most_bytes` is the largest memory that the picture may take by the estimate of
    /// [`bytes_per_sample`](Self::bytes_per_sample). `watch` is called with the number of finished parts and
    /// the number of all parts. If it returns false, the work stops.
    ///
    /// # Errors
    ///
    /// - [`Error::Stopped`] if `watch` returns false.
    /// - [`Error::Setting`] if the input has a different size, or if the picture would need more memory than
    ///   `most_bytes`.
    /// - Otherwise as [`advance`](Self::advance).
    pub fn finish(
        &self,
        draft: &Draft<B, G::State>,
        input: &RgbImage,
        most_bytes: u64,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<RgbImage, Error> {
        let begun = &draft.begun;
        let mut report = |done, of| match watch(done, of) {
            true => Ok(()),
            false => Err(Error::Stopped),
        };
        if !begun.input.has_size(input.dimensions()) {
            return Err(Error::Setting {
                field: "input",
                reason: "is not the input that the picture was begun with: its size differs"
                    .to_owned(),
            });
        }
        if begun.config.degrade || begun.worked == input.dimensions() {
            report(1, 1)?;
            return Ok(draft.picture().clone());
        }
        if self.task().output_space() == OutputSpace::Lab {
            return recolored(input, draft.picture(), &mut report);
        }
        let times = self.enlargement() as u32;
        let (width, height) = input.dimensions();
        let (width, height) = (width.saturating_mul(times), height.saturating_mul(times));
        if !draft.is_finished() {
            report(1, 1)?;
            return Ok(enlarged(draft.picture(), (width, height)));
        }
        let bytes = self.bytes_per_sample(height as usize, width as usize);
        if bytes > most_bytes {
            return Err(Error::Setting {
                field: "size",
                reason: format!(
                    "is {width}x{height}, which needs about {} MiB of memory, but at most {} MiB may be used",
                    bytes >> 20,
                    most_bytes >> 20
                ),
            });
        }
        self.evaluated(draft, input, &mut report)
    }

    /// Evaluates all levels for the whole input.
    fn evaluated(
        &self,
        draft: &Draft<B, G::State>,
        input: &RgbImage,
        report: &mut dyn FnMut(usize, usize) -> Result<(), Error>,
    ) -> Result<RgbImage, Error> {
        let begun = &draft.begun;
        let conditioned = self.condition(&self.task().input_of_picture(input)?)?;
        let showing = Showing::new(self.task(), &conditioned, input);
        let steps = draft.strands.len() * begun.levels;
        let mut done = 0;
        let mut whole: Option<RgbImage> = None;
        for strand in &draft.strands {
            let mut state = self.generator().begin(conditioned.tensors.clone());
            let mut output = None;
            for (level, code) in strand.codes.iter().enumerate() {
                report(done, steps)?;
                let input_size = self.task().input_size();
                let small = map_size(input_size, &begun.conditioned.sizes, level);
                let large = map_size(input_size, &conditioned.sizes, level);
                let len = self.generator().code_len(&state);
                let global = self.generator().config().global_values();
                let channels = (len - global) / (large.0 * large.1);
                let values = |map: (usize, usize)| Values::<B> {
                    pool: SeededPool::new(begun.config.seed),
                    level,
                    len: global + channels * map.0 * map.1,
                    global,
                    map,
                    device: self.device(),
                };
                let mut code = values(small).of(code)?;
                let chosen = code.split_off(global);
                // The chosen codes were drawn for example 0, so the fresh values are drawn for example 1.
                let fresh = values(large).drawn(ExampleId(1), 0).split_off(global);
                code.extend(finer(&chosen, small, fresh, large));
                if code.len() != len {
                    return Err(Error::Setting {
                        field: "size",
                        reason: "cannot be changed: the local codes of this model are not maps"
                            .to_owned(),
                    });
                }
                let code = Tensor::from_data(TensorData::new(code, [1, len]), self.device());
                let code = self.generator().code(&state, code);
                let (next, shown) = self.generator().advance(state, code);
                state = next;
                output = Some(shown);
                done += 1;
            }
            let output = planes_from_tensor(output.expect("a draft that is finished has levels"));
            let output = output.into_iter().next().expect("one row");
            let picture = showing.picture(begun.levels - 1, output);
            whole = Some(match (whole, &strand.region) {
                (Some(below), Some(region)) => region
                    .resized(below.width(), below.height())
                    .composite(&below, &picture),
                _ => picture,
            });
        }
        report(steps, steps)?;
        Ok(whole.expect("a draft has strands"))
    }
}

fn recolored(
    photograph: &RgbImage,
    colors: &RgbImage,
    report: &mut dyn FnMut(usize, usize) -> Result<(), Error>,
) -> Result<RgbImage, Error> {
    let recoloring = Recoloring::new(photograph, colors);
    let (width, height) = photograph.dimensions();
    let strips = height.div_ceil(STRIP);
    let mut bytes = Vec::with_capacity(photograph.as_raw().len());
    for strip in 0..strips {
        report(strip as usize, strips as usize)?;
        bytes.extend(recoloring.rows(strip * STRIP..((strip + 1) * STRIP).min(height)));
    }
    report(strips as usize, strips as usize)?;
    Ok(RgbImage::from_raw(width, height, bytes).expect("three bytes for each pixel"))
}

/// Computes a larger standard normal map whose local means follow a small map.
///
/// Each position of the small map covers n positions of the larger map. The mean of n independent standard
/// normal values has variance 1/n. The n fresh values are therefore shifted so that their mean is the small
/// map's value divided by the square root of n.
fn finer(
    small_values: &[f32],
    small: (usize, usize),
    mut large_values: Vec<f32>,
    large: (usize, usize),
) -> Vec<f32> {
    let (small_area, large_area) = (small.0 * small.1, large.0 * large.1);
    let below: Vec<usize> = (0..large_area)
        .map(|at| {
            let (row, column) = (at / large.1, at % large.1);
            row * small.0 / large.0 * small.1 + column * small.1 / large.1
        })
        .collect();
    let channels = small_values.chunks(small_area);
    for (chosen, fresh) in channels.zip(large_values.chunks_mut(large_area)) {
        let (mut sums, mut counts) = (vec![0f32; small_area], vec![0f32; small_area]);
        for (&below, &value) in below.iter().zip(&*fresh) {
            sums[below] += value;
            counts[below] += 1.0;
        }
        for (&below, value) in below.iter().zip(fresh) {
            let count = counts[below];
            *value += chosen[below] / count.sqrt() - sums[below] / count;
        }
    }
    large_values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finer_map_stays_normal_and_follows_the_small_one() {
        let values = |len: usize, seed: u32| -> Vec<f32> {
            // A sum of twelve uniform values is nearly normal.
            let mut state = seed;
            let mut uniform = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 24) as f32
            };
            (0..len)
                .map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0)
                .collect()
        };
        let (small, large) = ((8, 8), (40, 24));
        let chosen = values(64, 1);
        let finer = finer(&chosen, small, values(40 * 24, 2), large);
        let mean = finer.iter().sum::<f32>() / finer.len() as f32;
        let variance = finer.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / finer.len() as f32;
        assert!(
            mean.abs() < 0.15 && (0.8..1.2).contains(&variance),
            "{mean} {variance}"
        );
        // Each position of the small map covers 5 x 3 positions of the larger map.
        let block: f32 = (0..5)
            .flat_map(|y| (0..3).map(move |x| (y, x)))
            .map(|(y, x)| finer[y * 24 + x])
            .sum();
        assert!((block / 15.0 - chosen[0] / 15f32.sqrt()).abs() < 1e-4);
    }
}
