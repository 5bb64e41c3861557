//! Pictures that a person makes level by level. The person chooses a candidate at each level, in place of
//! the latent search.
//!
//! [`Model::draft`] begins a picture. [`Model::advance`] continues a picture by one level and returns one
//! candidate for each code. A [`Draft`] keeps the generator's state, so the levels below are not evaluated
//! again. [`Draft::recipe`] records how a picture was made, and [`Model::follow`] makes the picture again.

mod code;
mod full;
mod mask;
mod nearest;
mod recipe;

use std::sync::Arc;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use chimle_data::{
    DataError, InputSize, OutputSpace, Planes, Recoloring, Sizes, TaskHandle, downsample,
    planes_from_tensor, size_within,
};
use chimle_imle::{Rows as _, SeededPool, Selection};
use chimle_nn::State;
use image::imageops::{self, FilterType};
use image::{RgbImage, imageops::crop_imm};
use rayon::prelude::*;

use crate::error::Error;
use crate::generator::{ImageGenerator, NetworkConfig};
use crate::model::{Conditioned, Model, crop};
use crate::scale::Scale;

pub use code::Code;
use code::Values;
pub use mask::{Mask, Region};
pub use nearest::Nearest;
pub use recipe::{Layer, Recipe, RecipeInput};

/// The settings with which a picture is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DraftConfig {
    /// The seed of the drawn codes.
    pub seed: u64,
    /// The largest length of the longer side in pixels. Larger inputs are brought down to it. With `None`,
    /// inputs keep their size.
    ///
    /// In colorization, this is the size of the draft's pictures; the generator still evaluates the input
    /// at the size that the [`Scale`](crate::Scale) sets. [`Model::finish`] makes the picture at the full
    /// size of the input.
    pub largest: Option<u32>,
    /// Whether the input is a true photograph that must first be degraded to an input of the task, such as
    /// by compression. [`largest`](Self::largest) then bounds the photograph.
    pub degrade: bool,
}

/// A picture that is made level by level.
///
/// A draft is cheap to clone, because clones share the input and its conditioning. `S` is the state of the
/// generator.
#[derive(Clone, Debug)]
pub struct Draft<B: Backend, S = State<B>> {
    begun: Arc<Begun<B>>,
    /// At least one strand. The first strand makes the whole picture. Each of the others makes a region.
    strands: Vec<Strand<S>>,
    picture: Arc<RgbImage>,
}

/// The data that all drafts of one input share.
#[derive(Debug)]
struct Begun<B: Backend> {
    config: DraftConfig,
    /// The description of the input in recipes.
    input: RecipeInput,
    /// The size (width, height) to which the input was brought down, before it was degraded.
    worked: (u32, u32),
    conditioned: Conditioned<B>,
    /// The input as a picture, at the size of an output.
    shown: RgbImage,
    levels: usize,
    task: String,
    checksum: Option<String>,
}

/// A chain of codes, evaluated up to some level.
#[derive(Clone, Debug)]
struct Strand<S> {
    state: S,
    codes: Vec<Code>,
    /// The region where the strand's picture is visible. `None` for the first strand.
    region: Option<Region>,
    /// The strand's own picture, at the size of an output.
    picture: Arc<RgbImage>,
}

impl<B: Backend, S: Clone> Draft<B, S> {
    /// Returns the number of levels evaluated so far.
    pub fn level(&self) -> usize {
        self.codes().len()
    }

    /// Returns whether all levels are evaluated.
    pub fn is_finished(&self) -> bool {
        self.level() == self.begun.levels
    }

    /// Returns the code of each level evaluated so far. If the picture has regions, these are the codes of
    /// the newest region.
    pub fn codes(&self) -> &[Code] {
        &self.strands[self.strands.len() - 1].codes
    }

    /// Returns whether the picture has regions with codes of their own; see [`within`](Self::within).
    pub fn has_regions(&self) -> bool {
        self.strands.len() > 1
    }

    /// Returns the picture of the newest level, at the size of the finished picture.
    ///
    /// The output of a coarse level is enlarged. In colorization, its colors are combined with the lightness
    /// of the input at the size of the finished picture. Before the first level, the picture is the input.
    pub fn picture(&self) -> &RgbImage {
        &self.picture
    }

    /// Returns the input as a picture, at the size of the finished picture.
    pub fn input(&self) -> &RgbImage {
        &self.begun.shown
    }

    /// Returns the settings with which the draft was begun.
    pub fn config(&self) -> DraftConfig {
        self.begun.config
    }

    /// Replaces a region of the picture with the same region of `other`. All pixels outside the region keep
    /// their values exactly.
    ///
    /// [`Code::within`] alone cannot do this. If only the local codes of a region change, the network's
    /// picture also changes a little outside the region: instance normalization takes its mean over the
    /// whole picture, and convolutions reach across the edge of the region. This function therefore
    /// composites two complete pictures, with a soft edge that lies inside the region. The recipe records
    /// the region and the codes of both pictures.
    ///
    /// When the draft is advanced, both pictures are advanced.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the two drafts have different inputs or levels, if no level is evaluated yet,
    /// if the picture already has 63 regions, or if the region does not fit the picture.
    pub fn within(&self, region: Region, other: &Self) -> Result<Self, Error> {
        let setting = |reason: &str| {
            Err(Error::Setting {
                field: "region",
                reason: reason.to_owned(),
            })
        };
        if self.begun.input != other.begun.input || self.begun.config != other.begun.config {
            return setting("cannot be filled with a picture of another input");
        }
        if self.level() != other.level() || self.level() == 0 {
            return setting("must be filled with a picture of the same level");
        }
        if self.strands.len() >= MOST_REGIONS {
            return setting("cannot be added: a picture has at most 63 regions");
        }
        region.validate(self.picture.width(), self.picture.height())?;
        let newest = &other.strands[other.strands.len() - 1];
        let picture = region.composite(&self.picture, &newest.picture);
        let mut strands = self.strands.clone();
        strands.push(Strand {
            region: Some(region),
            ..newest.clone()
        });
        Ok(Self {
            begun: self.begun.clone(),
            strands,
            picture: Arc::new(picture),
        })
    }

    /// Returns a recipe, which records how the picture was made.
    pub fn recipe(&self) -> Recipe {
        Recipe::new(&self.begun, self.layers())
    }

    /// Returns the layers of the recipe: first the whole picture, then its regions.
    pub fn layers(&self) -> Vec<Layer> {
        let layer = |strand: &Strand<S>| Layer {
            codes: strand.codes.clone(),
            region: strand.region.clone(),
        };
        self.strands.iter().map(layer).collect()
    }
}

/// The largest number of layers: the whole picture and its regions.
const MOST_REGIONS: usize = 64;

/// The draft type of a model.
type DraftOf<B, G> = Draft<B, <G as chimle_imle::StagedGenerator<B>>::State>;

impl<B: Backend, G: ImageGenerator<B>> Model<B, G> {
    /// Begins a picture for an input. No level is evaluated yet.
    ///
    /// `input` is an input of the task, as in [`sample`](Self::sample). With [`DraftConfig::degrade`] it is
    /// a true photograph.
    ///
    /// # Errors
    ///
    /// As [`sample`](Self::sample); also if the input is so small that the coarsest level would have a
    /// single pixel, or if `degrade` is set for a task whose inputs cannot be made from photographs.
    ///
    /// # Examples
    ///
    /// Eight candidates for the coarsest level, and eight continuations of the third candidate:
    ///
    /// ```
    /// use burn_flex::Flex;
    /// use chimle_core::{Architecture, Code, Colorization, DraftConfig, GeneratorConfig, Model, Preset};
    ///
    /// # fn main() -> Result<(), chimle_core::Error> {
    /// let config = GeneratorConfig::preset(Preset::Tiny, Architecture::Colorization);
    /// let model = Model::new(config.init::<Flex>(&Default::default()), Colorization);
    ///
    /// let gray = image::RgbImage::from_fn(40, 24, |x, y| image::Rgb([(5 * x + y) as u8; 3]));
    /// let draft = model.draft(&gray, DraftConfig::default())?;
    /// let codes: Vec<Code> = (0..8).map(Code::Drawn).collect();
    /// let first = model.advance(&draft, &codes)?;
    /// let second = model.advance(&first[2], &codes)?;
    /// assert_eq!((second.len(), second[0].level()), (8, 2));
    /// assert_eq!(second[0].picture().dimensions(), (40, 24));
    /// # Ok(())
    /// # }
    /// ```
    pub fn draft(
        &self,
        input: &RgbImage,
        config: DraftConfig,
    ) -> Result<Draft<B, G::State>, Error> {
        let work = match config.largest {
            Some(largest) => brought_down(input, largest)?,
            None => input.clone(),
        };
        let worked = work.dimensions();
        let given = match config.degrade {
            true => self.degraded(&work)?,
            false => self.task().input_of_picture(&work)?,
        };
        self.check_size(&given)?;
        let (conditioned, shown) = match self.scale_of_input(&given)? {
            Scale::Reduced => (
                self.condition(&self.reduced(&given)?)?,
                self.picture_of(&given)?,
            ),
            _ => {
                let conditioned = self.condition(&given)?;
                let shown = self.task().picture_of_input(&conditioned.planes).to_rgb();
                let (height, width) = conditioned.sizes.output();
                let shown = enlarged(&shown, (width as u32, height as u32));
                let shown = cropped(&shown, &conditioned);
                (conditioned, shown)
            }
        };
        let state = self.generator().begin(conditioned.tensors.clone());
        let picture = Arc::new(shown.clone());
        let begun = Begun {
            config,
            input: RecipeInput::new(input, config),
            worked,
            conditioned,
            shown,
            levels: self.config().levels(),
            task: self.task().name().to_owned(),
            checksum: self.checksum().map(str::to_owned),
        };
        Ok(Draft {
            begun: Arc::new(begun),
            strands: vec![Strand {
                state,
                codes: Vec::new(),
                region: None,
                picture: picture.clone(),
            }],
            picture,
        })
    }

    /// Continues a picture by one level and returns one draft for each code. The levels below are not
    /// evaluated again.
    ///
    /// If the code of every level is `Drawn(k)`, the finished picture equals output k of
    /// [`sample`](Self::sample) with the same seed, bit for bit.
    ///
    /// # Errors
    ///
    /// - [`Error::Setting`] if the draft is finished.
    /// - [`Error::Recipe`] if a code is not [valid](Code::validate).
    /// - [`Error::OutOfMemory`] if the device cannot hold a single candidate.
    pub fn advance(
        &self,
        draft: &Draft<B, G::State>,
        codes: &[Code],
    ) -> Result<Vec<Draft<B, G::State>>, Error> {
        if draft.is_finished() {
            return Err(Error::Setting {
                field: "draft",
                reason: "is finished: no level is left".to_owned(),
            });
        }
        codes.iter().try_for_each(Code::validate)?;
        let mut drafts = vec![Vec::with_capacity(draft.strands.len()); codes.len()];
        for strand in &draft.strands {
            let continued = self.advance_strand(&draft.begun, strand, codes)?;
            for (strands, strand) in drafts.iter_mut().zip(continued) {
                strands.push(strand);
            }
        }
        let of_strands = |strands: Vec<Strand<G::State>>| {
            let mut picture = strands[0].picture.clone();
            for strand in &strands[1..] {
                let region = strand.region.as_ref().expect("all but the first have one");
                picture = Arc::new(region.composite(&picture, &strand.picture));
            }
            Draft {
                begun: draft.begun.clone(),
                strands,
                picture,
            }
        };
        Ok(drafts.into_iter().map(of_strands).collect())
    }

    /// Continues a picture by one level for each code.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    pub fn advance_by(
        &self,
        draft: &Draft<B, G::State>,
        codes: &[Code],
    ) -> Result<Draft<B, G::State>, Error> {
        let mut draft = draft.clone();
        for code in codes {
            let mut next = self.advance(&draft, std::slice::from_ref(code))?;
            draft = next.remove(0);
        }
        Ok(draft)
    }

    fn advance_strand(
        &self,
        begun: &Begun<B>,
        strand: &Strand<G::State>,
        codes: &[Code],
    ) -> Result<Vec<Strand<G::State>>, Error> {
        let level = strand.codes.len();
        let (height, width) = begun.conditioned.sizes.output();
        let len = self.generator().code_len(&strand.state);
        let values = Values::<B> {
            pool: SeededPool::new(begun.config.seed),
            level,
            len,
            global: self.generator().config().global_values(),
            map: map_size(self.task().input_size(), &begun.conditioned.sizes, level),
            device: self.device(),
        };
        let mut strands = Vec::with_capacity(codes.len());
        while strands.len() < codes.len() {
            let start = strands.len();
            let (states, outputs) = self.at_once(height, width, |rows| {
                let part = &codes[start..(start + rows).min(codes.len())];
                let mut data = Vec::with_capacity(part.len() * len);
                for code in part {
                    data.extend(values.of(code)?);
                }
                let data = TensorData::new(data, [part.len(), len]);
                let state = strand
                    .state
                    .select_rows(&Selection::repeat_each(part.len()));
                let code = Tensor::from_data(data, self.device());
                let code = self.generator().code(&state, code);
                let (state, output) = self.generator().advance(state, code);
                let states = (0..part.len())
                    .map(|row| state.select_rows(&Selection::indices([row])))
                    .collect::<Vec<_>>();
                Ok((states, planes_from_tensor(output)))
            })?;
            let showing = Showing::new(self.task(), &begun.conditioned, &begun.shown);
            let pictures: Vec<RgbImage> = outputs
                .into_par_iter()
                .map(|output| showing.picture(level, output))
                .collect();
            for (state, picture) in states.into_iter().zip(pictures) {
                let mut codes_so_far = strand.codes.clone();
                codes_so_far.push(codes[strands.len()].clone());
                strands.push(Strand {
                    state,
                    codes: codes_so_far,
                    region: strand.region.clone(),
                    picture: Arc::new(picture),
                });
            }
        }
        Ok(strands)
    }

    /// Degrades a photograph to an input of the task.
    fn degraded(&self, photograph: &RgbImage) -> Result<Planes, Error> {
        let task = self.task();
        if task.is_paired() {
            return Err(Error::Setting {
                field: "degrade",
                reason: format!("cannot be used: inputs of {task} are not made from photographs"),
            });
        }
        let multiple = self.multiple() as u32;
        let whole = |side: u32| side / multiple * multiple;
        let (width, height) = (whole(photograph.width()), whole(photograph.height()));
        if width == 0 || height == 0 {
            return Err(too_small(photograph.dimensions(), multiple));
        }
        let photograph = crop_imm(photograph, 0, 0, width, height).to_image();
        let levels = self.config().levels();
        let sizes = Sizes::new(&**task, levels, height as usize, width as usize)?;
        let degraded = task.degrade(&photograph, &sizes, self.degradation_seed())?;
        // Rounded to 8 bits, like a degraded picture that is read from a file.
        Ok(task.input_of_picture(&degraded.to_rgb())?)
    }

    /// Returns the seed of random degradations. It is constant, so an input is always degraded in the same
    /// way, which is also the way of `chimle sample --degrade`.
    fn degradation_seed(&self) -> u64 {
        0
    }

    /// Checks that the coarsest level has more than one pixel. Instance normalization turns a single pixel
    /// into 0.
    fn check_size(&self, input: &Planes) -> Result<(), Error> {
        let coarsest = match self.task().input_size() {
            InputSize::Reduced => 1,
            InputSize::SameAsOutput => self.multiple(),
        };
        if input.width <= coarsest && input.height <= coarsest {
            let size = (input.width as u32, input.height as u32);
            return Err(too_small(size, coarsest as u32 + 1));
        }
        Ok(())
    }
}

/// The conversion of a level's outputs to pictures.
struct Showing<'a> {
    task: &'a TaskHandle,
    /// The conditioning images.
    planes: &'a [Planes],
    /// (height, width) of an output of the last level.
    output: (usize, usize),
    /// (height, width) to which outputs are cropped.
    cut: (usize, usize),
    /// The input at the size of the picture.
    input: &'a RgbImage,
}

impl<'a> Showing<'a> {
    fn new<B: Backend>(
        task: &'a TaskHandle,
        conditioned: &'a Conditioned<B>,
        input: &'a RgbImage,
    ) -> Self {
        Self {
            task,
            planes: &conditioned.planes,
            output: conditioned.sizes.output(),
            cut: (conditioned.height, conditioned.width),
            input,
        }
    }

    /// Converts an output of a level to a picture at the size of the finished picture. Levels are counted
    /// from 0.
    fn picture(&self, level: usize, output: Planes) -> RgbImage {
        // The task is given only the conditioning images up to this level.
        let seen = match self.task.input_size() {
            InputSize::Reduced => self.planes,
            InputSize::SameAsOutput => &self.planes[..=level],
        };
        let shown = self.task.show(seen, output);
        // The part of a coarse output that corresponds to the cropped picture.
        let part = |side: usize, cut: usize, all: usize| (side * cut).div_ceil(all).max(1);
        let small = crop(
            &shown,
            part(shown.height, self.cut.0, self.output.0),
            part(shown.width, self.cut.1, self.output.1),
        );
        let small = small.to_rgb();
        if small.dimensions() == self.input.dimensions() {
            return small;
        }
        match self.task.output_space() {
            OutputSpace::Lab => Recoloring::new(self.input, &small).whole(),
            OutputSpace::Rgb => enlarged(&small, self.input.dimensions()),
        }
    }
}

fn too_small((width, height): (u32, u32), needed: u32) -> Error {
    let path = "the input".into();
    let (needed_width, needed_height) = (needed, needed);
    Error::Data(DataError::TooSmall {
        path,
        width,
        height,
        needed_width,
        needed_height,
    })
}

/// Returns the height and the width of a level's local code. Levels are counted from 0.
fn map_size(input_size: InputSize, sizes: &Sizes, level: usize) -> (usize, usize) {
    let (height, width) = sizes.targets()[level];
    match input_size {
        InputSize::Reduced => (height / 2, width / 2),
        InputSize::SameAsOutput => (height, width),
    }
}
/// Brings a picture down until its longer side is at most `largest`.
fn brought_down(picture: &RgbImage, largest: u32) -> Result<RgbImage, Error> {
    let (width, height) = size_within(picture.dimensions(), largest.max(1));
    if (width, height) == picture.dimensions() {
        return Ok(picture.clone());
    }
    Ok(downsample(picture, width, height)?)
}

/// Resizes a picture with a smooth filter.
fn enlarged(picture: &RgbImage, (width, height): (u32, u32)) -> RgbImage {
    if picture.dimensions() == (width, height) {
        return picture.clone();
    }
    imageops::resize(picture, width, height, FilterType::CatmullRom)
}

fn cropped<B: Backend>(picture: &RgbImage, conditioned: &Conditioned<B>) -> RgbImage {
    let (width, height) = (conditioned.width as u32, conditioned.height as u32);
    crop_imm(picture, 0, 0, width, height).to_image()
}
