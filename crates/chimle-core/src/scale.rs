//! Sampling pictures that are larger than the pictures that a model was trained on.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use chimle_data::{
    InputSize, OutputSpace, Planes, Recoloring, Sizes, downsample_planes, planes_from_tensor, stack,
};
use chimle_imle::SeededPool;
use image::RgbImage;

use crate::error::Error;
use crate::generator::{ImageGenerator, NetworkConfig};
use crate::model::{Draws, Model, Varied, continued};

/// The ratio to the shorter side of training above which [`Scale::Automatic`] does not evaluate a picture
/// as a whole.
const LARGER: f64 = 1.5;

/// How a picture larger than those of training is sampled.
///
/// A generator consists of convolutions, so it takes pictures of any size. However, it has learned what
/// objects look like at the size of training. In a picture of four times that size, each object covers more
/// pixels than in training, and the samples are worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Scale {
    /// Chooses by the size of the output. If its shorter side is more than 1.5 times that of training,
    /// [`Reduced`](Self::Reduced) is used for tasks that add color, and [`Tiles`](Self::Tiles) for other
    /// tasks. If it is smaller, or the size of training is not known, [`Whole`](Self::Whole) is used.
    #[default]
    Automatic,
    /// The generator evaluates the whole picture at its own size.
    Whole,
    /// The generator evaluates the picture brought down to the shorter side of training. The colors of its
    /// samples are enlarged to the picture's own size ([`Recoloring`]), and the picture keeps its
    /// lightness. Only tasks that add color can use it.
    Reduced,
    /// The generator evaluates overlapping tiles of the size of training. All tiles of a sample have the same
    /// global codes. Where tiles overlap, they have the same local codes, and their outputs are blended.
    Tiles,
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Automatic => "automatic",
            Self::Whole => "whole",
            Self::Reduced => "reduced",
            Self::Tiles => "tiles",
        })
    }
}

impl FromStr for Scale {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let all = [Self::Automatic, Self::Whole, Self::Reduced, Self::Tiles];
        let found = all.into_iter().find(|scale| scale.to_string() == name);
        found.ok_or_else(|| Error::Setting {
            field: "scale",
            reason: format!("is {name:?}, but must be automatic, whole, reduced or tiles"),
        })
    }
}

impl<B: Backend, G: ImageGenerator<B>> Model<B, G> {
    /// Estimates how many bytes it takes, at the peak, to draw one sample of this size with the model's
    /// [`Scale`].
    pub fn bytes_to_sample(&self, height: usize, width: usize) -> u64 {
        let trained = self.trained_size().unwrap_or((height, width));
        let evaluated = match self.scale_of(height, width) {
            Ok(Scale::Reduced) => reduced_size((height, width), trained),
            Ok(Scale::Tiles) => trained,
            _ => return self.bytes_per_sample(height, width),
        };
        let pixels = height as u64 * width as u64;
        // The picture, its lightness or its blending weights, and the sample, as 32-bit numbers.
        self.bytes_per_sample(evaluated.0, evaluated.1) + 40 * pixels
    }

    /// Returns how the outputs for an input are sampled. The result is never [`Scale::Automatic`].
    ///
    /// # Errors
    ///
    /// As [`scale_of`](Self::scale_of).
    pub(crate) fn scale_of_input(&self, input: &Planes) -> Result<Scale, Error> {
        let times = self.enlargement();
        self.scale_of(input.height * times, input.width * times)
    }

    /// Returns how an output of this size is sampled. The result is never [`Scale::Automatic`].
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the model's scale does not fit the task, or if the scale needs the size of
    /// training but the model does not know it.
    pub(crate) fn scale_of(&self, height: usize, width: usize) -> Result<Scale, Error> {
        let adds_color = self.task().output_space() == OutputSpace::Lab;
        let refuse = |reason: String| {
            Err(Error::Setting {
                field: "scale",
                reason,
            })
        };
        let shorter = height.min(width);
        if shorter == 0 {
            return Ok(Scale::Whole);
        }
        match (self.scale(), self.trained_size()) {
            (Scale::Automatic, None) | (Scale::Whole, _) => Ok(Scale::Whole),
            (Scale::Automatic, Some((height, width))) => {
                let trained = height.min(width);
                Ok(if shorter as f64 <= LARGER * trained as f64 {
                    Scale::Whole
                } else if adds_color {
                    Scale::Reduced
                } else {
                    Scale::Tiles
                })
            }
            (Scale::Reduced, _) if !adds_color => refuse(format!(
                "is reduced, which only tasks that add color can use, but the task is {}",
                self.task()
            )),
            (scale @ (Scale::Reduced | Scale::Tiles), None) => refuse(format!(
                "is {scale}, but the size at which the model was trained is not known"
            )),
            (scale, Some(_)) => Ok(scale),
        }
    }

    /// Draws samples at the size of training and enlarges their colors.
    pub(crate) fn draw_reduced(
        &self,
        input: &Planes,
        draws: Draws,
    ) -> Result<Vec<RgbImage>, Error> {
        let samples = self.draw_whole(&self.reduced(input)?, draws)?;
        let photograph = self.picture_of(input)?;
        let recolored = samples
            .iter()
            .map(|sample| Recoloring::new(&photograph, &sample.to_rgb()).whole());
        Ok(recolored.collect())
    }

    /// Brings an input down to the shorter side of training. A smaller input stays as it is.
    pub(crate) fn reduced(&self, input: &Planes) -> Result<Planes, Error> {
        let size = (input.height, input.width);
        let (height, width) = match self.trained_size() {
            Some(trained) => reduced_size(size, trained),
            None => size,
        };
        Ok(downsample_planes(input, height, width)?)
    }

    /// Returns an input as a picture of its own size.
    pub(crate) fn picture_of(&self, input: &Planes) -> Result<RgbImage, Error> {
        // One level, because the sizes of coarser levels are not needed.
        let sizes = Sizes::of_input(&**self.task(), 1, input.height, input.width)?;
        let conditioning = self.task().conditioning(input, &sizes)?;
        Ok(self.task().picture_of_input(&conditioning).to_rgb())
    }

    /// Draws samples tile by tile.
    pub(crate) fn draw_tiles(&self, input: &Planes, draws: Draws) -> Result<Vec<Planes>, Error> {
        let times = self.enlargement();
        let (height, width) = (input.height * times, input.width * times);
        let tile = self.trained_size().unwrap_or((height, width));
        let tiling = self.tiling(input, tile)?;
        let pool = SeededPool::new(draws.seed);
        let drawn = (0..draws.samples).map(|sample| {
            let mut codes = Sampled {
                varied: Varied {
                    pool: &pool,
                    vary: draws.vary,
                    global: self.generator().config().global_values(),
                },
                sample,
                fields: Vec::new(),
                device: self.device(),
            };
            let mut whole = Planes::from_fn(3, height, width, |_, _, _| 0.0);
            let mut row = 0;
            let mut take = |strip: Planes| {
                let rows = strip.height.min(height - row);
                for channel in 0..3 {
                    for line in 0..rows {
                        let from = (channel * strip.height + line) * strip.width;
                        let to = (channel * height + row + line) * width;
                        whole.data[to..to + width].copy_from_slice(&strip.data[from..from + width]);
                    }
                }
                row += rows;
            };
            self.evaluate_tiles(&tiling, &mut codes, &mut |_| Ok(()), &mut take)?;
            Ok(whole)
        });
        drawn.collect()
    }

    /// Cuts an input into tiles. `tile` is the (height, width) of a tile's output, which the levels must
    /// divide.
    pub(crate) fn tiling(&self, input: &Planes, tile: (usize, usize)) -> Result<Tiling, Error> {
        let levels = self.config().levels();
        let sizes = Sizes::new(&**self.task(), levels, tile.0, tile.1)?;
        // A tile begins at a multiple of the block of pixels that the coarsest level reduces to one pixel.
        let step = match self.task().input_size() {
            InputSize::Reduced => 1,
            InputSize::SameAsOutput => self.multiple(),
        };
        let tile = sizes.input();
        let cover = |side: usize, tile: usize| side.next_multiple_of(step).max(tile);
        let whole = (cover(input.height, tile.0), cover(input.width, tile.1));
        let rows = starts(whole.0, tile.0, step);
        let columns = starts(whole.1, tile.1, step);
        let corners = rows
            .iter()
            .flat_map(|&row| columns.iter().map(move |&column| (row, column)));
        Ok(Tiling {
            tile,
            whole,
            times: self.enlargement(),
            corners: corners.collect(),
            input: continued(input, whole.0, whole.1),
            sizes,
        })
    }

    /// Evaluates all tiles and blends them. `report` is called with the number of tiles that are done. `take`
    /// is called with strips of the picture from top to bottom, RGB in [0, 1], as soon as they are complete.
    pub(crate) fn evaluate_tiles(
        &self,
        tiling: &Tiling,
        codes: &mut dyn TileCodes<B>,
        report: &mut dyn FnMut(usize) -> Result<(), Error>,
        take: &mut dyn FnMut(Planes),
    ) -> Result<(), Error> {
        let (height, width) = tiling.sizes.output();
        let mut canvas = Canvas::new(tiling);
        let mut done = 0;
        for row in tiling.corners.chunk_by(|a, b| a.0 == b.0) {
            take(canvas.completed(row[0].0 * tiling.times));
            let mut rest = row;
            while !rest.is_empty() {
                let outputs = self.at_once(height, width, |rows| {
                    let tiles = rows.min(TILES_AT_ONCE).min(rest.len());
                    self.evaluate_some_tiles(tiling, &rest[..tiles], codes)
                })?;
                for (output, corner) in outputs.iter().zip(rest) {
                    canvas.add(output, *corner);
                }
                rest = &rest[outputs.len()..];
                done += outputs.len();
                report(done)?;
            }
        }
        take(canvas.completed(tiling.whole.0 * tiling.times));
        Ok(())
    }

    /// Evaluates tiles that lie in one row. Returns their outputs, RGB in [0, 1].
    fn evaluate_some_tiles(
        &self,
        tiling: &Tiling,
        corners: &[(usize, usize)],
        codes: &mut dyn TileCodes<B>,
    ) -> Result<Vec<Planes>, Error> {
        let conditioning = corners.iter().map(|&corner| {
            let part = window(&tiling.input, corner, tiling.tile);
            self.task().conditioning(&part, &tiling.sizes)
        });
        let conditioning: Vec<Vec<Planes>> = conditioning.collect::<Result<_, _>>()?;
        let images = (0..conditioning[0].len()).map(|image| {
            let tiles: Vec<&Planes> = conditioning.iter().map(|images| &images[image]).collect();
            stack(&tiles, self.device())
        });
        let generator = self.generator();
        let mut state = generator.begin(images.collect());
        let mut shown = None;
        for level in 0..generator.levels() {
            let wanted = Wanted {
                level,
                len: generator.code_len(&state),
                shape: generator.local_shape(&state),
            };
            let values = codes.codes(wanted, tiling, corners)?;
            let code = generator.code(&state, values);
            let (next, output) = generator.advance(state, code);
            state = next;
            shown = Some(output);
        }
        let outputs = planes_from_tensor(shown.expect("a generator has levels"));
        let shown = conditioning
            .iter()
            .zip(outputs)
            .map(|(images, output)| self.task().show(images, output));
        Ok(shown.collect())
    }
}

/// The largest number of tiles that are evaluated at once. It bounds the time between two reports.
const TILES_AT_ONCE: usize = 16;

/// Returns the size (height, width) to which a picture is brought down, so that its shorter side is that of
/// training. A smaller picture keeps its size.
fn reduced_size(size: (usize, usize), trained: (usize, usize)) -> (usize, usize) {
    let (trained, shorter) = (trained.0.min(trained.1), size.0.min(size.1));
    if shorter <= trained {
        return size;
    }
    let side = |side: usize| (side as f64 * trained as f64 / shorter as f64).round() as usize;
    (side(size.0), side(size.1))
}

/// An input that is cut into tiles. Sizes are (height, width) and corners are (row, column), in pixels of
/// the input.
pub(crate) struct Tiling {
    /// The size of a tile.
    pub(crate) tile: (usize, usize),
    /// The size of the extended input.
    pub(crate) whole: (usize, usize),
    /// The ratio of an output's side to the input's side.
    pub(crate) times: usize,
    /// The upper left corner of each tile, row by row.
    pub(crate) corners: Vec<(usize, usize)>,
    /// The extended input.
    input: Planes,
    /// The sizes of a tile's conditioning images and outputs.
    sizes: Sizes,
}

impl Tiling {
    /// Keeps only the tiles that touch a rectangle of the output. The rest of the picture becomes black.
    pub(crate) fn keep(&mut self, rows: Range<usize>, columns: Range<usize>) {
        let times = self.times;
        let touches = |start: usize, len: usize, kept: &Range<usize>| {
            start * times < kept.end && (start + len) * times > kept.start
        };
        let tile = self.tile;
        self.corners.retain(|&(row, column)| {
            touches(row, tile.0, &rows) && touches(column, tile.1, &columns)
        });
    }

    /// Returns the size of a level's local map for the whole input. `of_tile` is the size of a tile's map.
    pub(crate) fn whole_map(&self, of_tile: (usize, usize)) -> (usize, usize) {
        (
            of_tile.0 * self.whole.0 / self.tile.0,
            of_tile.1 * self.whole.1 / self.tile.1,
        )
    }

    /// Returns the corner of a tile's part of a level's local map.
    pub(crate) fn in_map(
        &self,
        (row, column): (usize, usize),
        of_tile: (usize, usize),
    ) -> (usize, usize) {
        (
            row * of_tile.0 / self.tile.0,
            column * of_tile.1 / self.tile.1,
        )
    }
}

/// The codes that tiles need at one level.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// The level, from 0.
    pub(crate) level: usize,
    /// The number of values of a tile's code.
    pub(crate) len: usize,
    /// The shape of the local values of a tile, `[channels, height, width]`, if they belong to positions.
    pub(crate) shape: Option<[usize; 3]>,
}

/// The source of the codes of tiles.
pub(crate) trait TileCodes<B: Backend> {
    /// Returns the codes of the tiles at `corners`, `[tiles, len]`. The tiles lie in one row.
    fn codes(
        &mut self,
        wanted: Wanted,
        tiling: &Tiling,
        corners: &[(usize, usize)],
    ) -> Result<Tensor<B, 2>, Error>;
}

/// The codes of a sample.
struct Sampled<'a, B: Backend> {
    varied: Varied<'a>,
    sample: usize,
    /// The code of each level that was needed so far.
    fields: Vec<Field>,
    device: &'a B::Device,
}

impl<B: Backend> TileCodes<B> for Sampled<'_, B> {
    fn codes(
        &mut self,
        wanted: Wanted,
        tiling: &Tiling,
        corners: &[(usize, usize)],
    ) -> Result<Tensor<B, 2>, Error> {
        if self.fields.len() == wanted.level {
            let field = self.field(wanted, tiling);
            self.fields.push(field);
        }
        Ok(self.fields[wanted.level].codes::<B>(tiling, corners, self.device))
    }
}

impl<B: Backend> Sampled<'_, B> {
    /// Draws the code of a level for the whole picture.
    fn field(&self, wanted: Wanted, tiling: &Tiling) -> Field {
        let draw = |len: usize| {
            let samples = self.sample..self.sample + 1;
            let drawn: Tensor<B, 2> = self.varied.codes(wanted.level, samples, len, self.device);
            drawn.into_data().iter::<f32>().collect::<Vec<f32>>()
        };
        let Some([channels, height, width]) = wanted.shape else {
            return Field::Shared(draw(wanted.len));
        };
        let whole = tiling.whole_map((height, width));
        let mut values = draw(self.varied.global + channels * whole.0 * whole.1);
        let data = values.split_off(self.varied.global);
        Field::Divided {
            global: values,
            local: Planes {
                channels,
                height: whole.0,
                width: whole.1,
                data,
            },
            tile: (height, width),
        }
    }
}

/// The code of one level for all tiles of a sample.
enum Field {
    /// One code for all tiles, because the generator does not say which position each value belongs to.
    Shared(Vec<f32>),
    /// A local code for the whole picture, from which each tile takes its part.
    Divided {
        global: Vec<f32>,
        local: Planes,
        /// The height and the width of a tile's local values.
        tile: (usize, usize),
    },
}

impl Field {
    /// Returns the codes of the tiles at `corners`, `[tiles, len]`.
    fn codes<B: Backend>(
        &self,
        tiling: &Tiling,
        corners: &[(usize, usize)],
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let rows = corners.len();
        let values: Vec<f32> = match self {
            Self::Shared(values) => values.repeat(rows),
            Self::Divided {
                global,
                local,
                tile,
            } => {
                let of_tile = |&corner: &(usize, usize)| {
                    let part = window(local, tiling.in_map(corner, *tile), *tile);
                    global.iter().copied().chain(part.data)
                };
                corners.iter().flat_map(of_tile).collect()
            }
        };
        let len = values.len() / rows;
        Tensor::from_data(TensorData::new(values, [rows, len]), device)
    }
}

/// The weighted sum of the tiles of one row, and of the tiles above that reach into this row.
struct Canvas {
    /// The first row of the picture that is not complete.
    top: usize,
    sum: Planes,
    weights: Vec<f32>,
    /// The weights of a tile's rows and columns.
    ramps: (Vec<f32>, Vec<f32>),
    times: usize,
}

impl Canvas {
    fn new(tiling: &Tiling) -> Self {
        let times = tiling.times;
        let (height, width) = (tiling.tile.0 * times, tiling.whole.1 * times);
        Self {
            top: 0,
            sum: Planes::from_fn(3, height, width, |_, _, _| 0.0),
            weights: vec![0.0; height * width],
            ramps: (ramp(height), ramp(tiling.tile.1 * times)),
            times,
        }
    }

    /// Adds the output of a tile, RGB in [0, 1], whose input has the upper left corner `corner`. All rows
    /// above this tile are [complete](Self::completed).
    fn add(&mut self, tile: &Planes, corner: (usize, usize)) {
        debug_assert_eq!(corner.0 * self.times, self.top);
        let (height, width) = (self.sum.height, self.sum.width);
        let left = corner.1 * self.times;
        for (row, down) in self.ramps.0.iter().enumerate() {
            for (column, across) in self.ramps.1.iter().enumerate() {
                let (weight, at) = (down * across, row * width + left + column);
                self.weights[at] += weight;
                for channel in 0..3 {
                    let value = tile.get(channel, row, column);
                    self.sum.data[channel * height * width + at] += weight * value;
                }
            }
        }
    }

    /// Returns the rows above `row` that were not returned yet. Pixels without a tile are black.
    fn completed(&mut self, row: usize) -> Planes {
        let (height, width) = (self.sum.height, self.sum.width);
        let rows = row - self.top;
        let (sum, weights) = (&self.sum.data, &self.weights);
        let completed = Planes::from_fn(3, rows, width, |channel, row, column| {
            let at = row * width + column;
            match weights.get(at) {
                Some(&weight) if weight > 0.0 => sum[channel * height * width + at] / weight,
                _ => 0.0,
            }
        });
        let moved = rows.min(height) * width;
        let planes = self.sum.data.chunks_mut(height * width);
        for plane in planes.chain([self.weights.as_mut_slice()]) {
            plane.copy_within(moved.., 0);
            let kept = plane.len() - moved;
            plane[kept..].fill(0.0);
        }
        self.top = row;
        completed
    }
}

/// Returns the blending weights of a tile along one side: a raised cosine that never reaches 0.
fn ramp(side: usize) -> Vec<f32> {
    let weight = |i: usize| {
        let phase = (i as f32 + 0.5) / side as f32;
        (std::f32::consts::PI * phase).sin().powi(2) + 1e-3
    };
    (0..side).map(weight).collect()
}

/// Returns the positions at which tiles begin along one side. The positions are multiples of `step`, and
/// neighboring tiles overlap by about half a tile. `whole` and `tile` are multiples of `step`.
fn starts(whole: usize, tile: usize, step: usize) -> Vec<usize> {
    let stride = (tile / 2 / step * step).max(step);
    let last = whole - tile;
    let mut starts: Vec<usize> = (0..last).step_by(stride).collect();
    starts.push(last);
    starts
}

/// Returns the part of an image with the given upper left corner (row, column) and size (height, width).
pub(crate) fn window(image: &Planes, corner: (usize, usize), size: (usize, usize)) -> Planes {
    Planes::from_fn(image.channels, size.0, size.1, |channel, row, column| {
        image.get(channel, corner.0 + row, corner.1 + column)
    })
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;
    use chimle_data::Decompression;

    use super::*;

    /// Two tiles of 16 x 16 pixels that share eight columns.
    fn two_tiles() -> Tiling {
        Tiling {
            tile: (16, 16),
            whole: (16, 24),
            times: 1,
            corners: vec![(0, 0), (0, 8)],
            input: Planes::from_fn(3, 16, 24, |_, _, _| 0.0),
            sizes: Sizes::new(&Decompression, 3, 16, 16).unwrap(),
        }
    }

    #[test]
    fn a_dark_tile_fades_into_a_light_one() {
        let tiling = two_tiles();
        let mut canvas = Canvas::new(&tiling);
        for (value, &corner) in [0.0, 1.0].into_iter().zip(&tiling.corners) {
            canvas.add(&Planes::from_fn(3, 16, 16, |_, _, _| value), corner);
        }
        let blended = canvas.completed(16);
        let row: Vec<f32> = (0..24).map(|column| blended.get(1, 5, column)).collect();
        assert_eq!(row[..8], [0.0; 8]);
        assert_eq!(row[16..], [1.0; 8]);
        // The plain mean of the two tiles would have two steps of 0.5.
        assert!(
            row.windows(2)
                .all(|pair| (0.0..0.25).contains(&(pair[1] - pair[0]))),
            "{row:?}"
        );
    }

    #[test]
    fn tiles_have_the_same_local_codes_where_they_overlap() {
        let tiling = two_tiles();
        // A local value for each 4 x 4 pixels.
        let field = Field::Divided {
            global: vec![7.0, 8.0],
            local: Planes::from_fn(1, 4, 6, |_, row, column| (10 * row + column) as f32),
            tile: (4, 4),
        };
        let codes = field.codes::<Flex>(&tiling, &tiling.corners, &Default::default());
        let codes: Vec<f32> = codes.into_data().into_vec().unwrap();
        let (first, second) = codes.split_at(18);
        assert_eq!(
            (&first[..2], &second[..2]),
            (&[7.0, 8.0][..], &[7.0, 8.0][..])
        );
        for row in 0..4 {
            let of_row = |tile: &[f32]| tile[2 + 4 * row..][..4].to_vec();
            assert_eq!(of_row(first)[2..], of_row(second)[..2]);
        }
    }
}
