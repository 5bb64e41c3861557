//! Making a draft's picture at the full size of its input.

use std::ops::Range;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use chimle_data::{OutputSpace, Planes, Recoloring};
use chimle_imle::{ExampleId, SeededPool};
use image::RgbImage;

use super::{Code, Draft, Strand, Values, enlarged, map_size};
use crate::error::Error;
use crate::generator::{ImageGenerator, NetworkConfig as _};
use crate::model::Model;
use crate::scale::{Scale, TileCodes, Tiling, Wanted, window};

/// The number of rows of a photograph that are recolored at once.
const STRIP: u32 = 64;

impl<B: Backend, G: ImageGenerator<B>> Model<B, G> {
    /// Makes a draft's picture at the full size of its input.
    ///
    /// If the input was not [brought down](super::DraftConfig::largest), the result is the draft's own
    /// picture. Otherwise the result depends on the task:
    ///
    /// - In colorization, the colors of the draft are combined with the lightness of the input; see
    ///   [`Recoloring`]. The colors stay the chosen ones.
    /// - In other tasks, all levels are evaluated again for the whole input, in the tiles of
    ///   [`Scale::Tiles`](crate::Scale::Tiles). If the size of training is not known, a tile has the size of
    ///   the draft's picture. An input that is little larger than the pictures of training is a single tile.
    ///   The global codes stay the same. The local codes become larger maps. The mean of a larger map over
    ///   each position of the chosen map follows the chosen code, and the larger map is standard normal. The
    ///   picture therefore resembles the chosen one, but differs in detail. If the draft is not finished, its
    ///   picture is enlarged instead.
    ///
    /// If the input is a photograph that must first be [degraded](super::DraftConfig::degrade), it is degraded
    /// at its full size.
    ///
    /// `input` must be the image that the draft was [begun](Model::draft) with. A draft does not keep this
    /// image, because it can be large.
    ///
    /// `most_bytes` is the largest memory that the picture may take by an estimate, which includes
    /// [`bytes_per_sample`](Self::bytes_per_sample) of a tile. `watch` is called with the number of finished
    /// parts and the number of all parts. If it returns false, the work stops.
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
        let adds_color = self.task().output_space() == OutputSpace::Lab;
        if begun.worked == input.dimensions() || adds_color && begun.config.degrade {
            report(1, 1)?;
            return Ok(draft.picture().clone());
        }
        if adds_color {
            return recolored(input, draft.picture(), &mut report);
        }
        let (width, height) = self.full_size(draft, input);
        if !draft.is_finished() {
            report(1, 1)?;
            return Ok(enlarged(draft.picture(), (width, height)));
        }
        let tile = self.full_tile(draft, (height as usize, width as usize))?;
        let bytes = self.bytes_to_finish(draft, input, tile);
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
        self.evaluated(draft, input, tile, &mut report)
    }

    /// Returns the (width, height) of the finished picture.
    fn full_size(&self, draft: &Draft<B, G::State>, input: &RgbImage) -> (u32, u32) {
        let (times, multiple) = (self.enlargement() as u32, self.multiple() as u32);
        let side = |side: u32| match draft.begun.config.degrade {
            // A photograph is cropped to a multiple before it is degraded.
            true => side / multiple * multiple,
            false => side.saturating_mul(times),
        };
        (side(input.width()), side(input.height()))
    }

    /// Returns the (height, width) of a tile's output.
    fn full_tile(
        &self,
        draft: &Draft<B, G::State>,
        (height, width): (usize, usize),
    ) -> Result<(usize, usize), Error> {
        let multiple = self.multiple();
        let scale = match (self.scale(), self.trained_size()) {
            (Scale::Automatic | Scale::Tiles, None) => {
                return Ok(draft.begun.conditioned.sizes.output());
            }
            _ => self.scale_of(height, width)?,
        };
        Ok(match (scale, self.trained_size()) {
            (Scale::Tiles, Some(trained)) => trained,
            _ => (
                height.next_multiple_of(multiple),
                width.next_multiple_of(multiple),
            ),
        })
    }

    /// Estimates how many bytes it takes, at the peak, to finish a picture in tiles of this output size.
    fn bytes_to_finish(
        &self,
        draft: &Draft<B, G::State>,
        input: &RgbImage,
        tile: (usize, usize),
    ) -> u64 {
        let pixels = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
        // Two copies of the input as 32-bit numbers. A degraded input is computed from the whole photograph.
        let of_input = match draft.begun.config.degrade {
            true => 48,
            false => 24,
        };
        // The picture, and with regions a second picture and the weights of its pixels.
        let of_output = match draft.has_regions() {
            true => 24,
            false => 6,
        };
        self.bytes_per_sample(tile.0, tile.1)
            + of_input * pixels(input.dimensions())
            + of_output * pixels(self.full_size(draft, input))
    }

    /// Evaluates all levels for the whole input, in tiles.
    fn evaluated(
        &self,
        draft: &Draft<B, G::State>,
        input: &RgbImage,
        tile: (usize, usize),
        report: &mut dyn FnMut(usize, usize) -> Result<(), Error>,
    ) -> Result<RgbImage, Error> {
        let (width, height) = self.full_size(draft, input);
        let given = match draft.begun.config.degrade {
            true => self.degraded(input)?,
            false => self.task().input_of_picture(input)?,
        };
        let regions: Vec<_> = (draft.strands.iter())
            .map(|strand| Some(strand.region.as_ref()?.resized(width, height)))
            .collect();
        let mut tilings = Vec::with_capacity(regions.len());
        for region in &regions {
            let mut tiling = self.tiling(&given, tile)?;
            if let Some((columns, rows)) = region.as_ref().and_then(|region| region.mask.bounds()) {
                tiling.keep(rows, columns);
            }
            tilings.push(tiling);
        }
        drop(given);
        let of = tilings.iter().map(|tiling| tiling.corners.len()).sum();
        let mut done = 0;
        let mut whole: Option<RgbImage> = None;
        for ((strand, region), tiling) in draft.strands.iter().zip(&regions).zip(tilings) {
            report(done, of)?;
            let mut codes = Chosen::new(self, draft, strand);
            let mut bytes = Vec::with_capacity(3 * width as usize * height as usize);
            let mut take = |strip: Planes| {
                let rows = (height as usize).saturating_sub(bytes.len() / (3 * width as usize));
                let strip = strip.to_rgb();
                let lines = strip.as_raw().chunks(3 * strip.width() as usize);
                for line in lines.take(rows) {
                    bytes.extend_from_slice(&line[..3 * width as usize]);
                }
            };
            let mut report = |tiles| report(done + tiles, of);
            self.evaluate_tiles(&tiling, &mut codes, &mut report, &mut take)?;
            done += tiling.corners.len();
            let picture = RgbImage::from_raw(width, height, bytes);
            let picture = picture.expect("the tiles cover the picture");
            whole = Some(match (whole, region) {
                (Some(below), Some(region)) => region.composite(&below, &picture),
                _ => picture,
            });
        }
        Ok(whole.expect("a draft has strands"))
    }
}

/// The codes of a strand, made for the larger maps of the full size.
struct Chosen<'a, B: Backend> {
    seed: u64,
    codes: &'a [Code],
    /// The number of global values at the beginning of a code.
    global: usize,
    /// The (height, width) of each level's local map in the draft.
    small: Vec<(usize, usize)>,
    levels: Vec<Option<ChosenLevel>>,
    device: &'a B::Device,
}

/// The code of one level.
struct ChosenLevel {
    global: Vec<f32>,
    /// The chosen local values, for the draft's own map.
    local: Vec<f32>,
    /// The first row of `strip` in the larger map.
    row: usize,
    /// The rows of the larger map that one row of tiles needs.
    strip: Planes,
}

impl<'a, B: Backend> Chosen<'a, B> {
    fn new<G: ImageGenerator<B>>(
        model: &'a Model<B, G>,
        draft: &Draft<B, G::State>,
        strand: &'a Strand<G::State>,
    ) -> Self {
        let sizes = &draft.begun.conditioned.sizes;
        let small = |level| map_size(model.task().input_size(), sizes, level);
        Self {
            seed: draft.begun.config.seed,
            codes: &strand.codes,
            global: model.generator().config().global_values(),
            small: (0..strand.codes.len()).map(small).collect(),
            levels: strand.codes.iter().map(|_| None).collect(),
            device: model.device(),
        }
    }

    fn values(&self, level: usize, len: usize) -> Values<'a, B> {
        Values {
            pool: SeededPool::new(self.seed),
            level,
            len,
            global: self.global,
            map: self.small[level],
            device: self.device,
        }
    }

    /// Makes the code of a level for the tiles whose part of the larger map begins at `row`.
    fn level(
        &self,
        wanted: Wanted,
        [channels, rows, _]: [usize; 3],
        row: usize,
        large: (usize, usize),
    ) -> Result<ChosenLevel, Error> {
        let small = self.small[wanted.level];
        let len = self.global + channels * small.0 * small.1;
        let (global, local) = match &self.levels[wanted.level] {
            Some(level) => (level.global.clone(), level.local.clone()),
            None => {
                let values = self.values(wanted.level, len);
                let mut global = values.of(&self.codes[wanted.level])?;
                let local = global.split_off(self.global);
                (global, local)
            }
        };
        // The chosen codes were drawn for example 0, so the fresh values are drawn for example 1.
        let fresh = self.values(wanted.level, channels * large.1);
        let mut fresh = |row: usize| fresh.drawn(ExampleId(1), row as u64);
        let strip = finer(&local, small, large, row..row + rows, &mut fresh);
        Ok(ChosenLevel {
            global,
            local,
            row,
            strip,
        })
    }
}

impl<B: Backend> TileCodes<B> for Chosen<'_, B> {
    fn codes(
        &mut self,
        wanted: Wanted,
        tiling: &Tiling,
        corners: &[(usize, usize)],
    ) -> Result<Tensor<B, 2>, Error> {
        let not_maps = || Error::Setting {
            field: "size",
            reason: "cannot be changed: the local codes of this model are not maps".to_owned(),
        };
        let shape = wanted.shape.ok_or_else(not_maps)?;
        let tile = (shape[1], shape[2]);
        let (row, _) = tiling.in_map(corners[0], tile);
        let is_made = |level: &ChosenLevel| level.row == row;
        if !self.levels[wanted.level].as_ref().is_some_and(is_made) {
            let level = self.level(wanted, shape, row, tiling.whole_map(tile))?;
            self.levels[wanted.level] = Some(level);
        }
        let level = self.levels[wanted.level].as_ref().expect("it was made");
        let mut values = Vec::with_capacity(corners.len() * wanted.len);
        for &corner in corners {
            let (_, column) = tiling.in_map(corner, tile);
            values.extend_from_slice(&level.global);
            values.extend(window(&level.strip, (0, column), tile).data);
        }
        let data = TensorData::new(values, [corners.len(), wanted.len]);
        Ok(Tensor::from_data(data, self.device))
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

/// Computes rows of a larger standard normal map whose local means follow a small map. Sizes are (height,
/// width). `fresh` returns the independent standard normal values `[channels, width]` of a row of the larger
/// map.
///
/// Each position of the small map covers n positions of the larger map. The mean of n independent standard
/// normal values has variance 1/n. The n fresh values are therefore shifted so that their mean is the small
/// map's value divided by the square root of n.
fn finer(
    small_values: &[f32],
    small: (usize, usize),
    large: (usize, usize),
    rows: Range<usize>,
    fresh: &mut dyn FnMut(usize) -> Vec<f32>,
) -> Planes {
    let channels = small_values.len() / (small.0 * small.1);
    let mut finer = Planes::from_fn(channels, rows.len(), large.1, |_, _, _| 0.0);
    let column_below = |column: usize| column * small.1 / large.1;
    let mut counts = vec![0f32; small.1];
    (0..large.1).for_each(|column| counts[column_below(column)] += 1.0);
    let row_below = |row: usize| row * small.0 / large.0;
    // A position of the small map can reach beyond `rows`. Its mean needs all of its rows.
    for below in row_below(rows.start)..=row_below(rows.end - 1) {
        let first = |row: usize| (row * large.0).div_ceil(small.0);
        let covered = first(below)..first(below + 1);
        let drawn: Vec<Vec<f32>> = covered.clone().map(&mut *fresh).collect();
        for channel in 0..channels {
            let line = channel * large.1..(channel + 1) * large.1;
            let mut sums = vec![0f32; small.1];
            for values in &drawn {
                for (column, value) in values[line.clone()].iter().enumerate() {
                    sums[column_below(column)] += value;
                }
            }
            let chosen = &small_values[(channel * small.0 + below) * small.1..][..small.1];
            for (row, values) in covered.clone().zip(&drawn) {
                if !rows.contains(&row) {
                    continue;
                }
                let start = (channel * rows.len() + row - rows.start) * large.1;
                let written = &mut finer.data[start..start + large.1];
                for (column, (written, value)) in
                    written.iter_mut().zip(&values[line.clone()]).enumerate()
                {
                    let at = column_below(column);
                    let count = counts[at] * covered.len() as f32;
                    *written = value + chosen[at] / count.sqrt() - sums[at] / count;
                }
            }
        }
    }
    finer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns nearly normal values: sums of twelve uniform values.
    fn normal(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761);
        let mut uniform = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        (0..len)
            .map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0)
            .collect()
    }

    #[test]
    fn a_finer_map_stays_normal_and_follows_the_small_one() {
        let (small, large) = ((8, 8), (40, 24));
        let chosen = normal(64, 1);
        let mut fresh = |row: usize| normal(24, 2 + row as u32);
        let finer = finer(&chosen, small, large, 0..40, &mut fresh).data;
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

    #[test]
    fn rows_of_a_finer_map_do_not_depend_on_the_rows_that_are_asked_for() {
        // The sides of the larger map are not multiples of those of the small map.
        let (small, large) = ((5, 3), (37, 11));
        let chosen = normal(2 * 15, 7);
        let mut fresh = |row: usize| normal(2 * 11, 100 + row as u32);
        let all = finer(&chosen, small, large, 0..37, &mut fresh);
        for rows in [0..4, 6..9, 13..30, 36..37] {
            let some = finer(&chosen, small, large, rows.clone(), &mut fresh);
            assert_eq!(some, window(&all, (rows.start, 0), (rows.len(), 11)));
        }
    }
}
