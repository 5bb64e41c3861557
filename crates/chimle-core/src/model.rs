//! A trained generator, and samples from it.

use std::ops::Range;
use std::path::Path;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_data::{InputSize, Planes, Sizes, TaskHandle, planes_from_tensor};
use chimle_imle::{Candidate, CodePool, ExampleId, Rows as _, SeededPool, Selection};
use chimle_nn::{Compute, Generator, Kernels, Precision};
use chimle_weights::WeightFile;
use image::RgbImage;

use crate::checksums::{checksum_of, checksum_of_bytes};
use crate::error::Error;
use crate::generator::{ImageGenerator, NetworkConfig};
use crate::memory::{Rows, USUAL_BYTES, USUAL_ROWS};
use crate::model_file::{TrainedFor, generator_of};
use crate::run_folder::RunFolder;
use crate::scale::Scale;

/// Which part of the code differs between the samples of one input. All samples share the rest of the
/// code with the first sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Vary {
    /// The whole code.
    #[default]
    Everything,
    /// The global parts of all levels, which change the overall tone.
    Global,
    /// The local parts of all levels, which change the fine texture.
    Local,
    /// Both parts of one level, counted from 1.
    Level(usize),
}

/// A generator that is ready to be sampled, and its task.
#[derive(Clone, Debug)]
pub struct Model<B: Backend, G = Generator<B>> {
    generator: G,
    task: TaskHandle,
    /// The height and the width of the outputs in training, if they are known.
    trained_size: Option<(usize, usize)>,
    scale: Scale,
    device: B::Device,
    rows: Rows,
    checksum: Option<String>,
}

impl<B: Kernels> Model<B> {
    /// Loads a model from a run folder or from a file of weights.
    ///
    /// For a run folder, the newest checkpoint is loaded. A file of weights must carry its configuration,
    /// as a checkpoint's `generator.safetensors` does, and the files that `chimle import` and
    /// `chimle export` write.
    ///
    /// With the feature `pretrained`, `path` can also be the name of a trained model. If a file or a folder
    /// has the same name, the file or the folder is loaded.
    ///
    /// # Errors
    ///
    /// If `path` holds no model, or the model is damaged. The error names the file.
    pub fn load(path: impl AsRef<Path>, device: &B::Device) -> Result<Self, Error> {
        Self::load_as(path, device)
    }

    /// Loads a trained model of the crate `chimle-models` by its name.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownModel`] if the crate holds no model of this name. The error lists the known names.
    ///
    /// # Examples
    ///
    /// ```
    /// use burn_flex::Flex;
    /// use chimle_core::Model;
    ///
    /// let model = Model::<Flex>::pretrained("scenes-colorization-64", &Default::default())?;
    /// let photograph = image::RgbImage::from_pixel(96, 64, image::Rgb([128; 3]));
    /// let colorings = model.sample(&photograph, 2, 0)?;
    /// assert_eq!(colorings[0].dimensions(), (96, 64));
    /// # Ok::<(), chimle_core::Error>(())
    /// ```
    #[cfg(feature = "pretrained")]
    pub fn pretrained(name: &str, device: &B::Device) -> Result<Self, Error> {
        Self::of_file(pretrained(name)?, None, device)
    }
}

impl<B: Backend, G: ImageGenerator<B>> Model<B, G> {
    /// Loads a model with any generator; otherwise as [`load`](Model::load).
    ///
    /// # Errors
    ///
    /// As [`load`](Model::load); also if the task is not [registered](chimle_data::register).
    pub fn load_as(path: impl AsRef<Path>, device: &B::Device) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::of_file(load_weights(path)?, Some(path), device)
    }

    /// Creates a model from its weights. `path` is the run or the file that they were loaded from.
    fn of_file(file: WeightFile, path: Option<&Path>, device: &B::Device) -> Result<Self, Error> {
        let generator: G = generator_of(&file, None, device)?;
        let checksum = match file.bytes() {
            Some(bytes) => checksum_of_bytes(bytes),
            None => checksum_of(file.path()).map_err(Error::file("read", file.path()))?,
        };
        let trained_for = match path {
            Some(path) => trained_for(path, &file, generator.config())?,
            None => TrainedFor::of_file(&file, generator.config())?,
        };
        let model = Self::new(generator, trained_for.task).with_checksum(checksum);
        Ok(Self {
            trained_size: trained_for.size,
            ..model
        })
    }

    /// Creates a model from a generator and [prepares](ImageGenerator::prepared) the generator for
    /// evaluation.
    pub fn new(generator: G, task: impl Into<TaskHandle>) -> Self {
        Self {
            device: generator.device(),
            generator: generator.prepared(),
            task: task.into(),
            trained_size: None,
            scale: Scale::default(),
            rows: Rows::new(USUAL_ROWS, USUAL_BYTES),
            checksum: None,
        }
    }

    /// Sets the SHA-256 of the model's file, which is written into [recipes](crate::Recipe). A model that
    /// was loaded from a file already has its SHA-256. Use this function if the weights come from
    /// elsewhere, such as from the program itself.
    pub fn with_checksum(self, checksum: impl Into<String>) -> Self {
        let checksum = Some(checksum.into());
        Self { checksum, ..self }
    }

    /// Returns the SHA-256 of the model's file in hexadecimal, if it is known.
    pub fn checksum(&self) -> Option<&str> {
        self.checksum.as_deref()
    }

    /// Sets the task.
    ///
    /// Use this function for a file of weights that does not name its task. If the generator of such a file
    /// fits several tasks, the file is loaded as a night-to-day model.
    ///
    /// # Errors
    ///
    /// If the generator does not fit the task.
    pub fn with_task(self, task: impl Into<TaskHandle>) -> Result<Self, Error> {
        let task = task.into();
        self.generator.config().validate(&*task)?;
        Ok(Self { task, ..self })
    }

    /// Sets the precision of evaluation.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the device does not support the precision.
    pub fn with_precision(self, precision: Precision) -> Result<Self, Error> {
        check_precision::<B>(precision, &self.device)?;
        let compute = Compute {
            precision,
            ..Compute::default()
        };
        let generator = self.generator.with_compute(compute);
        Ok(Self { generator, ..self })
    }

    /// Sets how pictures larger than those of training are sampled.
    pub fn with_scale(self, scale: Scale) -> Self {
        Self { scale, ..self }
    }

    /// Sets the height and the width of the outputs in training, in pixels. [`load`](Model::load) sets
    /// them if the run or the file of weights names them.
    pub fn with_trained_size(self, height: usize, width: usize) -> Self {
        Self {
            trained_size: Some((height, width)),
            ..self
        }
    }

    /// Sets the largest number of samples that are evaluated at once, and the number of bytes that they
    /// may take by the estimate of [`NetworkConfig::bytes_per_output`]. The default is 64 samples in
    /// 1 GiB. When the device runs out of memory, the number of samples is halved.
    pub fn with_at_once(self, samples: usize, bytes: u64) -> Self {
        let rows = Rows::new(samples, bytes);
        Self { rows, ..self }
    }

    /// Returns the configuration of the generator.
    pub fn config(&self) -> &G::Config {
        self.generator.config()
    }

    /// Returns the height and the width of the outputs in training, in pixels, if they are known.
    pub fn trained_size(&self) -> Option<(usize, usize)> {
        self.trained_size
    }

    /// Returns how pictures larger than those of training are sampled.
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// Returns the task.
    pub fn task(&self) -> &TaskHandle {
        &self.task
    }

    /// Returns the generator, prepared for evaluation.
    pub fn generator(&self) -> &G {
        &self.generator
    }

    /// Returns the device on which the model computes.
    pub fn device(&self) -> &B::Device {
        &self.device
    }

    /// Returns the ratio of an output's side to the input's side.
    pub fn enlargement(&self) -> usize {
        Sizes::enlargement(&*self.task, self.config().levels()).unwrap_or(1)
    }

    /// Returns a number that divides the sides of every output before outputs are cropped.
    pub fn multiple(&self) -> usize {
        Sizes::multiple(&*self.task, self.config().levels()).unwrap_or(1)
    }

    /// Draws `samples` plausible outputs for one input picture.
    ///
    /// `input` is an input of the task: a low-resolution image, a gray image, a compressed image, or a
    /// photograph taken at night. For colorization, the lightness of a color image is used. The input may
    /// have any size. If its sides are not multiples of what the levels need, the input is extended at the
    /// right and bottom edges and the outputs are cropped. Outputs have the input's size times
    /// [`enlargement`](Self::enlargement). The same seed gives the same outputs, and output k does not
    /// depend on `samples`. The [`Scale`] sets how inputs larger than those of training are sampled.
    ///
    /// # Errors
    ///
    /// If the input has no pixels, if it cannot be brought down to every level, or if the task needs more
    /// than a picture as its input.
    pub fn sample(
        &self,
        input: &RgbImage,
        samples: usize,
        seed: u64,
    ) -> Result<Vec<RgbImage>, Error> {
        self.vary(input, samples, seed, Vary::Everything)
    }

    /// Draws samples that differ only in a part of the code; otherwise as [`sample`](Self::sample).
    ///
    /// # Errors
    ///
    /// As [`sample`](Self::sample); also if the level does not exist, or the generator's code has no
    /// global part.
    pub fn vary(
        &self,
        input: &RgbImage,
        samples: usize,
        seed: u64,
        vary: Vary,
    ) -> Result<Vec<RgbImage>, Error> {
        let input = self.task.input_of_picture(input)?;
        let draws = Draws {
            samples,
            seed,
            vary,
        };
        self.check(vary)?;
        if self.scale_of_input(&input)? == Scale::Reduced {
            return self.draw_reduced(&input, draws);
        }
        let outputs = self.draw_planes(&input, draws)?;
        Ok(outputs.iter().map(Planes::to_rgb).collect())
    }

    /// Draws samples for an input of any number of channels; otherwise as [`sample`](Self::sample).
    ///
    /// # Errors
    ///
    /// As [`sample`](Self::sample).
    pub fn sample_planes(
        &self,
        input: &Planes,
        samples: usize,
        seed: u64,
    ) -> Result<Vec<Planes>, Error> {
        let draws = Draws {
            samples,
            seed,
            vary: Vary::Everything,
        };
        self.draw_planes(input, draws)
    }

    fn draw_planes(&self, input: &Planes, draws: Draws) -> Result<Vec<Planes>, Error> {
        match self.scale_of_input(input)? {
            Scale::Reduced => {
                let pictures = self.draw_reduced(input, draws)?;
                Ok(pictures.iter().map(Planes::from_rgb).collect())
            }
            Scale::Tiles => self.draw_tiles(input, draws),
            Scale::Automatic | Scale::Whole => self.draw_whole(input, draws),
        }
    }

    /// Checks that the model has the part of the code that is to vary.
    fn check(&self, vary: Vary) -> Result<(), Error> {
        let levels = self.config().levels();
        let reason = match vary {
            Vary::Level(level) if !(1..=levels).contains(&level) => {
                format!("names level {level}, but the model has levels 1 to {levels}")
            }
            Vary::Global | Vary::Local if self.config().global_values() == 0 => {
                "must be everything or a level: the model's codes have no global part".to_owned()
            }
            _ => return Ok(()),
        };
        Err(Error::Setting {
            field: "vary",
            reason,
        })
    }

    /// Draws samples for an input that is evaluated as a whole.
    pub(crate) fn draw_whole(&self, input: &Planes, draws: Draws) -> Result<Vec<Planes>, Error> {
        let Draws {
            samples,
            seed,
            vary,
        } = draws;
        let global = self.generator.config().global_values();
        let conditioned = self.condition(input)?;
        let pool = SeededPool::new(seed);
        let (height, width) = conditioned.sizes.output();
        let mut images = Vec::with_capacity(samples);
        while images.len() < samples {
            let start = images.len();
            let outputs = self.at_once(height, width, |rows| {
                let part = start..(start + rows).min(samples);
                let output = draw(&self.generator, &conditioned.tensors, |level, len| {
                    let whole = Varied {
                        pool: &pool,
                        vary,
                        global,
                    };
                    whole.codes(level, part.clone(), len, &self.device)
                });
                Ok(planes_from_tensor(output))
            })?;
            images.extend(outputs.into_iter().map(|output| {
                let shown = self.task.show(&conditioned.planes, output);
                crop(&shown, conditioned.height, conditioned.width)
            }));
        }
        Ok(images)
    }

    /// Computes the conditioning of an input. The input is first extended to sides that the levels can
    /// divide.
    pub(crate) fn condition(&self, input: &Planes) -> Result<Conditioned<B>, Error> {
        // A task that enlarges takes inputs of any size. In other tasks the levels divide the input's
        // sides.
        let multiple = match self.task.input_size() {
            InputSize::Reduced => 1,
            InputSize::SameAsOutput => self.multiple(),
        };
        let extended = extend(input, multiple);
        let levels = self.config().levels();
        let sizes = Sizes::of_input(&*self.task, levels, extended.height, extended.width)?;
        let planes = self.task.conditioning(&extended, &sizes)?;
        let tensors = planes.iter().map(|image| image.to_tensor(&self.device));
        Ok(Conditioned {
            sizes,
            tensors: tensors.collect(),
            planes,
            height: input.height * self.enlargement(),
            width: input.width * self.enlargement(),
        })
    }

    /// Estimates how many bytes the generator takes, at its peak, to evaluate one output of this size as a
    /// whole. See also [`bytes_to_sample`](Self::bytes_to_sample), which takes the [`Scale`] into account.
    pub fn bytes_per_sample(&self, height: usize, width: usize) -> u64 {
        let precision = self.generator.precision();
        self.config().bytes_per_output(precision, height, width)
    }

    /// Calls `work` with the number of samples of this size that fit into memory.
    pub(crate) fn at_once<T>(
        &self,
        height: usize,
        width: usize,
        work: impl FnMut(usize) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let bytes = self.bytes_per_sample(height, width);
        self.rows.attempt::<B, T>(&self.device, bytes, work)
    }
}

/// The samples to draw for one input.
#[derive(Clone, Copy)]
pub(crate) struct Draws {
    pub(crate) samples: usize,
    pub(crate) seed: u64,
    pub(crate) vary: Vary,
}

/// An input in the form that the generator takes.
#[derive(Debug)]
pub(crate) struct Conditioned<B: Backend> {
    /// The sizes of the input and of every level's output, after the input was extended.
    pub(crate) sizes: Sizes,
    /// The conditioning images, coarse to fine.
    pub(crate) planes: Vec<Planes>,
    /// The conditioning images as tensors of one row.
    pub(crate) tensors: Vec<Tensor<B, 4>>,
    /// The height to which outputs are cropped.
    pub(crate) height: usize,
    /// The width to which outputs are cropped.
    pub(crate) width: usize,
}

/// Opens the weights of a run's newest checkpoint, of a file of weights, or (with the feature
/// `pretrained`) of a trained model by its name.
///
/// # Errors
///
/// If `path` holds no weights, or the weights are damaged.
pub fn load_weights(path: &Path) -> Result<WeightFile, Error> {
    #[cfg(feature = "pretrained")]
    if let Some(name) = path.to_str()
        && !path.exists()
        && !name.contains(['/', '\\', '.'])
    {
        return pretrained(name);
    }
    let weights = if path.is_dir() {
        let newest = RunFolder::at(path).newest_checkpoint()?;
        newest.check_model()?;
        newest.model_path()
    } else {
        path.to_owned()
    };
    Ok(WeightFile::open(weights)?)
}

#[cfg(feature = "pretrained")]
fn pretrained(name: &str) -> Result<WeightFile, Error> {
    let model = chimle_models::find(name).ok_or_else(|| Error::UnknownModel {
        name: name.to_owned(),
        known: chimle_models::ALL.iter().map(|model| model.name).collect(),
    })?;
    Ok(WeightFile::from_safetensors(
        model.name,
        model.weights.to_vec(),
    )?)
}

/// Loads the generator of a run or of a file of weights, to train it further or to save it again.
///
/// `path` has the same meaning as in [`Model::load`]. The generator is not prepared for evaluation. `task`
/// helps to recognize a checkpoint of the authors' release, which carries no configuration.
///
/// # Errors
///
/// As [`Model::load`].
pub fn load_generator<B: Backend, G: ImageGenerator<B>>(
    path: impl AsRef<Path>,
    task: Option<&TaskHandle>,
    device: &B::Device,
) -> Result<(G, TrainedFor), Error> {
    let path = path.as_ref();
    let file = load_weights(path)?;
    let generator: G = generator_of(&file, task, device)?;
    let trained_for = match task {
        Some(task) => TrainedFor::new(task.clone()),
        None => trained_for(path, &file, generator.config())?,
    };
    Ok((generator, trained_for))
}

/// Reads the task and the image size that a run or a file of weights was trained for.
fn trained_for<C: NetworkConfig>(
    path: &Path,
    file: &WeightFile,
    config: &C,
) -> Result<TrainedFor, Error> {
    if path.is_dir() {
        return Ok((&RunFolder::at(path).read_config::<C>()?).into());
    }
    TrainedFor::of_file(file, config)
}

/// Checks that the device supports the precision.
///
/// # Errors
///
/// [`Error::Setting`] if the device does not support it.
pub fn check_precision<B: Backend>(precision: Precision, device: &B::Device) -> Result<(), Error> {
    if precision.is_supported::<B>(device) {
        return Ok(());
    }
    Err(Error::Setting {
        field: "precision",
        reason: format!("is {precision}, which {} does not support", B::name(device)),
    })
}

/// Evaluates every level and returns the last level's output, `[rows, 3, height, width]`.
///
/// The conditioning images have the shape `[examples, channels, height, width]`. `code` is called with a
/// level and the length of its codes, and returns the codes' values, `[rows, len]`. The number of rows is
/// any multiple of `examples`, and the rows of one example follow each other.
pub(crate) fn draw<B: Backend, G: ImageGenerator<B>>(
    generator: &G,
    conditioning: &[Tensor<B, 4>],
    code: impl Fn(usize, usize) -> Tensor<B, 2>,
) -> Tensor<B, 4> {
    let mut state = generator.begin(conditioning.to_vec());
    let examples = state.rows();
    let mut shown = None;
    for level in 0..generator.levels() {
        let values = code(level, generator.code_len(&state));
        if level == 0 {
            state = state.select_rows(&Selection::repeat_each(values.dims()[0] / examples));
        }
        let code = generator.code(&state, values);
        let (next, output) = generator.advance(state, code);
        state = next;
        shown = Some(output);
    }
    shown.expect("a generator has levels")
}

/// The codes of several samples of one input. Only the part of the code that [`Vary`] names differs
/// between the samples.
pub(crate) struct Varied<'a> {
    pub(crate) pool: &'a SeededPool,
    pub(crate) vary: Vary,
    /// The number of global values at the beginning of a code.
    pub(crate) global: usize,
}

impl Varied<'_> {
    pub(crate) fn codes<B: Backend>(
        &self,
        level: usize,
        samples: Range<usize>,
        len: usize,
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let draw = |index: &dyn Fn(usize) -> usize| -> Tensor<B, 2> {
            let candidates: Vec<Candidate> = samples
                .clone()
                .map(|sample| Candidate {
                    example: ExampleId(0),
                    index: index(sample),
                })
                .collect();
            self.pool.draw(level, &candidates, len, device)
        };
        let own = || draw(&|sample| sample);
        let first = || draw(&|_| 0);
        let joined = |global: Tensor<B, 2>, local: Tensor<B, 2>| {
            let global = global.narrow(1, 0, self.global);
            let local = local.narrow(1, self.global, len - self.global);
            Tensor::cat(vec![global, local], 1)
        };
        match self.vary {
            Vary::Everything => own(),
            Vary::Level(varied) if varied == level + 1 => own(),
            Vary::Level(_) => first(),
            Vary::Global => joined(own(), first()),
            Vary::Local => joined(first(), own()),
        }
    }
}

/// Extends an image at the right and bottom edges until its sides are multiples of `multiple`.
pub(crate) fn extend(image: &Planes, multiple: usize) -> Planes {
    let height = image.height.next_multiple_of(multiple);
    let width = image.width.next_multiple_of(multiple);
    continued(image, height, width)
}

/// Extends an image at the right and bottom edges to a size by repeating its last row and column.
pub(crate) fn continued(image: &Planes, height: usize, width: usize) -> Planes {
    if (height, width) == (image.height, image.width) || image.data.is_empty() {
        return image.clone();
    }
    let (last_row, last_column) = (image.height - 1, image.width - 1);
    Planes::from_fn(image.channels, height, width, |channel, row, column| {
        image.get(channel, row.min(last_row), column.min(last_column))
    })
}

/// Returns the upper left part of an image.
pub(crate) fn crop(image: &Planes, height: usize, width: usize) -> Planes {
    if (image.height, image.width) == (height, width) {
        return image.clone();
    }
    Planes::from_fn(image.channels, height, width, |channel, row, column| {
        image.get(channel, row, column)
    })
}
