//! `chimle sample`: several plausible outputs for each image.

use std::path::{Path, PathBuf};

use chimle_core::data::{DataError, InputSize, Sizes, downsample, image_size, size_within};
use chimle_core::{
    Kernels, Model, Precision, Recipe, Scale, Sheet, TaskHandle, TrainingBackend, Vary, read_rgb,
};
use chimle_show::film;
use clap::{Args, ValueEnum};
use image::{RgbImage, imageops};

use crate::device::{Command, Common, Device};
use crate::error::Failure;
use crate::inputs::{Input, Inputs};
use crate::located::Located;
use crate::progress::Counter;
use crate::{flags, free_memory, output};

/// Draws several plausible outputs for an image, or for each image of a folder.
///
/// Writes NAME-01.png, NAME-02.png, ... and a contact sheet NAME-sheet.png (the input, then the outputs, each at most
/// 512 pixels on a side) for each image. An image may have any size and shape that fits in memory. The same --seed draws the same outputs again.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Sample {
    /// A trained model (`chimle models`), the folder of a run (its newest checkpoint is used), or a model file
    #[arg(long, value_name = "NAME|RUN|FILE")]
    model: PathBuf,

    /// An image of the kind that the task takes (small, gray or color, compressed, or taken at night), or a folder of
    /// such images
    #[arg(long, value_name = "IMAGE|DIR")]
    input: PathBuf,

    /// The number of outputs per image
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = flags::count::<usize>(flags::SAMPLES))]
    samples: usize,

    /// The folder to write into; it is created if it does not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Instead of drawing outputs, reproduce the picture that this recipe of `chimle studio` describes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["samples", "vary", "size", "degrade", "film", "task"])]
    recipe: Option<PathBuf>,

    /// What varies between the outputs of an image: `global` (tone), `local` (texture), or `level:K`, where
    /// level 1 is the coarsest [default: everything]
    #[arg(long, value_name = "PART", value_parser = flags::vary)]
    vary: Option<Vary>,

    /// First downsample images whose longer side has more than this many pixels to that size
    #[arg(long, value_name = "PIXELS", value_parser = flags::count::<u32>(flags::SIDE))]
    size: Option<u32>,

    /// How to sample an image whose shorter side is more than 1.5 times that of training: `whole` (at its own size),
    /// `reduced` (at the size of training, after which the colors are enlarged; colorization only) or `tiles` (in
    /// overlapping parts of the size of training) [default: reduced for colorization, otherwise tiles]
    #[arg(long, value_name = "HOW", value_parser = flags::scale)]
    scale: Option<Scale>,

    /// The number type within dense blocks: f32, bf16 or f16
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32)]
    precision: Precision,

    /// The maximum number of outputs made in one batch [default: 64, or fewer if memory is short]
    #[arg(long, value_name = "N", default_value_t = 64, hide_default_value = true,
        value_parser = flags::count::<usize>(flags::ROWS))]
    chunk: usize,

    /// Treat the images as true photographs: make the task's inputs from them, and show the truth last on the sheet
    #[arg(long)]
    degrade: bool,

    /// Also write an animation in which the outputs dissolve into each other: NAME-film.gif (256 colors) or NAME-film.png
    /// (all colors)
    #[arg(long, value_name = "FORMAT")]
    film: Option<FilmFormat>,

    /// With --degrade: the task of a model file that does not state its task (decompression)
    #[arg(long, value_parser = flags::task, requires = "degrade")]
    task: Option<TaskHandle>,
}

/// How long an output is shown in a film, and how long it takes to turn into the next, in milliseconds.
const HOLD: u32 = 700;
const CHANGE: u32 = 300;

/// The largest side of a picture on a sheet, in pixels.
const THUMBNAIL: u32 = 512;

const EXAMPLES: &str = "\
Examples:
  chimle sample --model scenes-colorization-64 --input old-photo.jpg --out samples/
  chimle sample --model runs/color --input old-photo.jpg --samples 20 --out samples/
  chimle sample --model runs/color --input photos/ --size 256 --degrade --out samples/
  chimle sample --model runs/color --input old-photo.jpg --vary level:1 --out samples/
  chimle sample --model runs/color --input old-photo.jpg --recipe recipe-12.json --out chosen/";

/// An animation's format.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FilmFormat {
    /// Animated GIF
    Gif,
    /// Animated PNG
    Png,
}

impl FilmFormat {
    fn extension(self) -> &'static str {
        match self {
            Self::Gif => "gif",
            Self::Png => "png",
        }
    }
}

/// The input of the model, and the true output where it is known.
struct Prepared {
    input: RgbImage,
    truth: Option<RgbImage>,
}

impl Command for Sample {
    fn run<B: TrainingBackend>(self, device: B::Device, common: Common) -> Result<(), Failure> {
        if let Some(recipe) = &self.recipe {
            return self.follow::<B::InnerBackend>(recipe, &device);
        }
        let inputs = Inputs::find(&self.input)?;
        let located = Located::<B::InnerBackend>::load(&self.model, self.task.as_ref(), &device)?;
        let model = located
            .model
            .with_precision(self.precision)?
            .with_scale(self.scale.unwrap_or_default())
            .with_at_once(self.chunk, common.memory);
        if self.degrade && model.task().is_paired() {
            let reason = format!(
                "inputs of {} cannot be made from outputs; name another task with --task",
                model.task()
            );
            return Err(Failure::Flag {
                flag: "--degrade",
                reason,
            });
        }
        output::prepare_folder(&self.out)?;

        let (total, mut done, mut skipped) = (inputs.images.len(), 0, 0);
        let mut progress = Counter::new("images");
        for (index, input) in inputs.images.iter().enumerate() {
            progress.at(index, total);
            match self.sample(&model, input, common) {
                Ok(()) => done += 1,
                // In a folder, an image that cannot be read or does not fit in memory is skipped. An error of writing
                // would affect every image, so it ends the command.
                Err(
                    failure @ (Failure::Core(chimle_core::Error::Data(_)) | Failure::Memory { .. }),
                ) if self.input.is_dir() => {
                    progress.warn(format_args!("skipped: {failure}"));
                    skipped += 1;
                }
                Err(failure) => {
                    progress.clear();
                    return Err(failure);
                }
            }
        }
        progress.clear();
        if done == 0 {
            return Err(Failure::NothingSampled {
                folder: self.input,
                count: skipped,
            });
        }
        let beside = if skipped > 0 {
            format!(", {skipped} skipped")
        } else {
            String::new()
        };
        output::say(format_args!(
            "{done} image{} sampled{beside}: {}",
            if done == 1 { "" } else { "s" },
            self.out.display()
        ))
    }
}

/// The largest recipe file in bytes. Masks take most of the space.
const RECIPE_BYTES: u64 = 64 << 20;

impl Sample {
    /// Makes the picture of a recipe.
    fn follow<B: Kernels>(&self, path: &Path, device: &B::Device) -> Result<(), Failure> {
        let recipe = read_recipe(path)?;
        let located = Located::<B>::load(&self.model, None, device)?;
        let model = located.model.with_precision(self.precision)?;
        let input = read_rgb(&self.input)?;
        output::prepare_folder(&self.out)?;
        let picture = model.follow(&recipe, &input).map_err(|error| match error {
            chimle_core::Error::Recipe { reason } => {
                let path = path.to_owned();
                Failure::Recipe { path, reason }
            }
            error => error.into(),
        })?;
        let name = self.input.file_stem().unwrap_or_default();
        let mut file = name.to_owned();
        file.push("-recipe.png");
        let path = self.out.join(file);
        output::save_png(&picture, &path)?;
        output::say(format_args!(
            "the picture of the recipe: {}",
            path.display()
        ))
    }

    fn sample<B: Kernels>(
        &self,
        model: &Model<B>,
        input: &Input,
        common: Common,
    ) -> Result<(), Failure> {
        let on_cpu = common.device == Device::Cpu;
        if on_cpu {
            self.check_memory(model, input)?;
        }
        let Prepared {
            input: shown,
            truth,
        } = self.prepare(model, &input.path)?;
        let vary = self.vary.unwrap_or_default();
        let samples = model.vary(&shown, self.samples, common.seed.unwrap_or(0), vary)?;

        let name = self.out.join(&input.name);
        if let Some(folder) = name.parent() {
            std::fs::create_dir_all(folder).map_err(Failure::file("make the folder", folder))?;
        }
        let file = |what: &str| {
            let mut path = name.clone().into_os_string();
            path.push(format!("-{what}"));
            PathBuf::from(path)
        };
        let digits = self.samples.to_string().len().max(2);
        for (k, sample) in samples.iter().enumerate() {
            output::save_png(sample, &file(&format!("{:0digits$}.png", k + 1)))?;
        }
        if let Some(format) = self.film {
            let frames = film::dissolve(&samples, HOLD, CHANGE);
            film::save(&frames, file(&format!("film.{}", format.extension())))?;
        }
        let first = picture_of_input(model, &shown)?;
        let mut sheet = Sheet::new();
        let row = [first].into_iter().chain(samples).chain(truth);
        sheet.push(row.map(thumbnail).collect::<Result<_, _>>()?);
        output::save_png(&sheet.picture(), &file("sheet.png"))
    }

    /// Reads an image and downsamples it to --size. With --degrade, also makes the task's input from it.
    fn prepare<B: Kernels>(&self, model: &Model<B>, path: &Path) -> Result<Prepared, Failure> {
        let mut image = read_rgb(path)?;
        let (width, height) = self.target_size(image.dimensions());
        if (width, height) != image.dimensions() {
            image = downsample(&image, width, height)?;
        }
        let task = model.task();
        // Instance normalization leaves nothing of a single pixel at the coarsest level.
        let multiple = model.multiple() as u32;
        let coarsest = match task.input_size() {
            InputSize::Reduced if !self.degrade => 1,
            _ => multiple,
        };
        if width <= coarsest && height <= coarsest {
            let (path, needed) = (path.to_owned(), coarsest + 1);
            return Err(DataError::TooSmall {
                path,
                width,
                height,
                needed_width: needed,
                needed_height: needed,
            }
            .into());
        }
        if !self.degrade {
            return Ok(Prepared {
                input: image,
                truth: None,
            });
        }
        let whole = |side: u32| side / multiple * multiple;
        if whole(width) == 0 || whole(height) == 0 {
            let (path, needed) = (path.to_owned(), multiple);
            return Err(DataError::TooSmall {
                path,
                width,
                height,
                needed_width: needed,
                needed_height: needed,
            }
            .into());
        }
        let truth = imageops::crop_imm(&image, 0, 0, whole(width), whole(height)).to_image();
        let (height, width) = (truth.height() as usize, truth.width() as usize);
        let sizes = Sizes::new(&**task, model.config().levels(), height, width)?;
        let degraded = task.degrade(&truth, &sizes, 0)?;
        Ok(Prepared {
            input: degraded.to_rgb(),
            truth: Some(truth),
        })
    }

    /// Checks that an image of this size, and one sample of it, fit the memory that is free. Only the header is read, so
    /// an image that is too large is rejected before it is decoded.
    fn check_memory<B: Kernels>(&self, model: &Model<B>, input: &Input) -> Result<(), Failure> {
        let size = image_size(&input.path)?;
        let (width, height) = self.target_size(size);
        let scale = if self.degrade {
            1
        } else {
            model.enlargement() as u32
        };
        let (width, height) = (width.saturating_mul(scale), height.saturating_mul(scale));
        // The decoded image, and its copy in 8 bits.
        let decoded = 2 * 3 * u64::from(size.0) * u64::from(size.1);
        let sample = model.bytes_to_sample(height as usize, width as usize);
        // All outputs are held until they are written, 3 bytes per pixel.
        let pixels = u64::from(width).saturating_mul(u64::from(height));
        let outputs = pixels.saturating_mul(3 * self.samples as u64);
        let needed = decoded.saturating_add(sample).saturating_add(outputs);
        let available = free_memory::available();
        if needed <= available {
            return Ok(());
        }
        let path = input.path.clone();
        Err(Failure::Memory {
            path,
            width,
            height,
            needed_mib: needed >> 20,
            available_mib: available >> 20,
        })
    }

    /// Returns the size of an image after --size.
    fn target_size(&self, size: (u32, u32)) -> (u32, u32) {
        self.size.map_or(size, |limit| size_within(size, limit))
    }
}

/// Brings a picture down to at most [`THUMBNAIL`] pixels on a side.
fn thumbnail(picture: RgbImage) -> Result<RgbImage, Failure> {
    let (width, height) = size_within(picture.dimensions(), THUMBNAIL);
    if (width, height) == picture.dimensions() {
        return Ok(picture);
    }
    Ok(downsample(&picture, width, height)?)
}

/// Reads a recipe.
fn read_recipe(path: &Path) -> Result<Recipe, Failure> {
    let error = |reason: String| {
        let path = path.to_owned();
        Failure::Recipe { path, reason }
    };
    let bytes = std::fs::metadata(path)
        .map_err(Failure::file("read", path))?
        .len();
    if bytes > RECIPE_BYTES {
        return Err(error(format!(
            "its {bytes} bytes are too many for a recipe"
        )));
    }
    let text = std::fs::read(path).map_err(Failure::file("read", path))?;
    serde_json::from_slice(&text).map_err(|e| error(format!("it is no recipe: {e}")))
}

/// Returns the model's input for an image, as a picture.
fn picture_of_input<B: Kernels>(model: &Model<B>, image: &RgbImage) -> Result<RgbImage, Failure> {
    let task = model.task();
    let (height, width) = (image.height() as usize, image.width() as usize);
    // At the picture's own size, without the sizes of the coarser levels.
    let sizes = Sizes::of_input(&**task, 1, height, width)?;
    let conditioning = task.conditioning(&task.input_of_picture(image)?, &sizes)?;
    Ok(task.picture_of_input(&conditioning).to_rgb())
}
