//! A trained generator, and samples from it.

use std::ops::Range;
use std::path::Path;

use burn::tensor::{Tensor, backend::Backend};
use chimle_data::{Task, planes_from_tensor};
use chimle_imle::{SeededPool, shown_to_rgb};
use chimle_nn::{
    Architecture, Compute, Generator, GeneratorConfig, Kernels, LatentCode, Precision, WeightFile,
};
use image::{RgbImage, imageops};

use crate::checkpoint;
use crate::error::Error;
use crate::memory::{Rows, USUAL_BYTES, USUAL_ROWS, bytes_per_output};

/// What differs between the samples of one input; everything else is as in the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Vary {
    /// The whole code.
    #[default]
    Everything,
    /// The global parts of all levels: overall tone.
    Global,
    /// The local parts of all levels: fine texture.
    Local,
    /// Both parts of one level, counted from 1.
    Level(usize),
}

/// A generator ready to be sampled.
#[derive(Debug)]
pub struct Model<B: Backend> {
    generator: Generator<B>,
    device: B::Device,
    rows: Rows,
}

impl<B: Kernels> Model<B> {
    /// Loads a run's newest checkpoint, or a file of weights that carries its configuration (a
    /// checkpoint's `generator.safetensors`, or what `chimle import` and `chimle export` write).
    ///
    /// # Errors
    /// If `path` holds no model, or a damaged one; the error names the file.
    pub fn load(path: impl AsRef<Path>, device: &B::Device) -> Result<Self, Error> {
        Ok(Self::new(load_generator(path, device)?))
    }

    /// A model of a generator at hand.
    pub fn new(generator: Generator<B>) -> Self {
        let device = generator.levels[0].out.bias.val().device();
        Self {
            generator: generator.fold(),
            device,
            rows: Rows::new(USUAL_ROWS, USUAL_BYTES),
        }
    }

    /// The same model, evaluated in another precision.
    ///
    /// # Errors
    /// If the device does not have it.
    pub fn with_precision(self, precision: Precision) -> Result<Self, Error> {
        check_precision::<B>(precision, &self.device)?;
        let compute = Compute {
            precision,
            ..self.generator.compute()
        };
        let generator = self.generator.with_compute(compute);
        Ok(Self { generator, ..self })
    }

    /// The same model, with at most so many samples evaluated at once, in at most so many bytes by
    /// [an estimate](crate::bytes_per_output). (64 in 1 GiB otherwise; half as many, each time that the
    /// device has no memory left.)
    pub fn with_at_once(self, samples: usize, bytes: u64) -> Self {
        let rows = Rows::new(samples, bytes);
        Self { rows, ..self }
    }

    /// The generator's configuration.
    pub fn config(&self) -> &GeneratorConfig {
        self.generator.config()
    }

    /// The generator, its weight normalization folded.
    pub fn generator(&self) -> &Generator<B> {
        &self.generator
    }

    /// Where it runs.
    pub fn device(&self) -> &B::Device {
        &self.device
    }

    /// So many plausible outputs for one input.
    ///
    /// `input` is what the task takes: an image of low resolution, gray (of a color image the
    /// lightness is used), compressed, or by night. It may have any size; sides that the levels
    /// cannot divide are continued at the right and bottom edge, and the outputs cut back. Outputs
    /// have the input's size, in super-resolution that times [`GeneratorConfig::enlargement`].
    /// The same seed gives the same outputs, and the k-th output does not depend on `samples`.
    ///
    /// # Errors
    /// If the input has no pixels, or cannot be brought down to every level.
    pub fn sample(
        &self,
        input: &RgbImage,
        samples: usize,
        seed: u64,
    ) -> Result<Vec<RgbImage>, Error> {
        self.vary(input, samples, seed, Vary::Everything)
    }

    /// As [`sample`](Self::sample), with part of the code held fixed.
    ///
    /// # Errors
    /// As [`sample`](Self::sample); also if the level does not exist.
    pub fn vary(
        &self,
        input: &RgbImage,
        samples: usize,
        seed: u64,
        vary: Vary,
    ) -> Result<Vec<RgbImage>, Error> {
        let levels = self.config().levels();
        if let Vary::Level(level) = vary
            && !(1..=levels).contains(&level)
        {
            return Err(Error::Setting {
                field: "vary",
                reason: format!("names level {level}, but the model has levels 1 to {levels}"),
            });
        }
        let (width, height) = input.dimensions();
        let conditioning = self.conditioning(input)?;
        let shown_scale = if self.config().architecture == Architecture::SuperResolution {
            self.config().enlargement()
        } else {
            1
        };
        let (width, height) = (width * shown_scale as u32, height * shown_scale as u32);

        let pool = SeededPool::new(self.config(), seed);
        let mut images = Vec::with_capacity(samples);
        while images.len() < samples {
            let start = images.len();
            let planes = self.at_once(height as usize, width as usize, |rows| {
                let part = start..(start + rows).min(samples);
                Ok(planes_from_tensor(draw(
                    &self.generator,
                    &conditioning,
                    |level, size| varied_code(&pool, vary, level, part.clone(), size, &self.device),
                )))
            })?;
            images.extend(
                planes.iter().map(|image| {
                    imageops::crop_imm(&image.to_rgb(), 0, 0, width, height).to_image()
                }),
            );
        }
        Ok(images)
    }

    /// About how many bytes one sample of an output of this size takes at its peak.
    pub fn bytes_per_sample(&self, height: usize, width: usize) -> u64 {
        let precision = self.generator.compute().precision;
        bytes_per_output(self.config(), precision, height, width)
    }

    /// Does some work on as many samples of this size as fit.
    pub(crate) fn at_once<T>(
        &self,
        height: usize,
        width: usize,
        work: impl Fn(usize) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let bytes = self.bytes_per_sample(height, width);
        self.rows.attempt::<B, T>(&self.device, bytes, work)
    }

    fn conditioning(&self, input: &RgbImage) -> Result<Vec<Tensor<B, 4>>, Error> {
        let config = self.config();
        // The input is taken as it is, so decompression and pairs are one.
        let (task, multiple) = match config.architecture {
            Architecture::SuperResolution => (Task::SuperResolution, 1),
            Architecture::Colorization => (Task::Colorization, config.enlargement()),
            Architecture::ImageToImage => (Task::NightToDay, config.enlargement()),
        };
        let planes =
            chimle_data::conditioning(task, config.levels(), &extend(input, multiple as u32))?;
        Ok(planes
            .iter()
            .map(|image| image.to_tensor(&self.device))
            .collect())
    }
}

/// The generator of a run or of a file of weights, as [`Model::load`] finds it, its weight
/// normalization not folded: to train it further, or to save it again.
///
/// # Errors
/// As [`Model::load`].
pub fn load_generator<B: Backend>(
    path: impl AsRef<Path>,
    device: &B::Device,
) -> Result<Generator<B>, Error> {
    let path = path.as_ref();
    let weights = if path.is_dir() {
        checkpoint::weights(&checkpoint::newest(path)?)
    } else {
        path.to_owned()
    };
    let file = WeightFile::open(weights)?;
    let config = GeneratorConfig::of_file(&file, None)?;
    Ok(config.init(device).load(&file)?)
}

/// Checks that a device can compute in a precision.
///
/// # Errors
/// [`Error::Setting`], which names the device, if it cannot.
pub fn check_precision<B: Backend>(precision: Precision, device: &B::Device) -> Result<(), Error> {
    if precision.is_supported::<B>(device) {
        return Ok(());
    }
    Err(Error::Setting {
        field: "precision",
        reason: format!(
            "{precision} is not among what {} can compute in",
            B::name(device)
        ),
    })
}

/// The last level's image as RGB in [0, 1], `[rows, 3, h, w]`.
///
/// `conditioning` holds `[examples, c, h, w]`; `code` gives the codes of a level, any multiple of
/// `examples` rows, example by example.
pub(crate) fn draw<B: Kernels>(
    generator: &Generator<B>,
    conditioning: &[Tensor<B, 4>],
    code: impl Fn(usize, [usize; 2]) -> LatentCode<B>,
) -> Tensor<B, 4> {
    let mut state = generator.begin(conditioning.to_vec());
    let examples = state.batch();
    let mut shown = None;
    while let Some(size) = state.code_size() {
        let level = state.level();
        let code = code(level, size);
        if level == 0 {
            state = state.repeat(code.global.dims()[0] / examples);
        }
        let (next, image) = generator.advance(state, code);
        state = next;
        shown = Some(image);
    }
    shown_to_rgb(
        generator.config().architecture,
        shown.expect("a generator has levels"),
    )
}

/// The codes of some samples of one input at one level, of which only what varies is each
/// sample's own.
fn varied_code<B: Backend>(
    pool: &SeededPool,
    vary: Vary,
    level: usize,
    samples: Range<usize>,
    size: [usize; 2],
    device: &B::Device,
) -> LatentCode<B> {
    let own = || {
        pool.codes(
            level,
            samples.clone().map(|sample| (0, sample)),
            size,
            device,
        )
    };
    let first = || pool.codes(level, samples.clone().map(|_| (0, 0)), size, device);
    match vary {
        Vary::Everything => own(),
        Vary::Level(varied) if varied == level + 1 => own(),
        Vary::Level(_) => first(),
        Vary::Global => LatentCode {
            global: own().global,
            local: first().local,
        },
        Vary::Local => LatentCode {
            global: first().global,
            local: own().local,
        },
    }
}

/// The image continued at the right and bottom edge up to multiples of `multiple`.
fn extend(image: &RgbImage, multiple: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let (wide, high) = (
        width.next_multiple_of(multiple),
        height.next_multiple_of(multiple),
    );
    if (wide, high) == (width, height) || width == 0 || height == 0 {
        return image.clone();
    }
    RgbImage::from_fn(wide, high, |x, y| {
        *image.get_pixel(x.min(width - 1), y.min(height - 1))
    })
}
