//! Recipes: records of how a picture was made, from which it can be made again.

use burn::tensor::backend::Backend;
use image::RgbImage;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::code::Code;
use super::mask::Region;
use super::{Begun, Draft, DraftConfig, MOST_REGIONS};
use crate::error::Error;
use crate::generator::{ImageGenerator, NetworkConfig};
use crate::model::Model;

/// The format of recipes that this version writes and reads.
const FORMAT: u32 = 1;

/// A record of how a picture was made: the model, the input, and the code of each level.
///
/// A recipe is plain data, such as a JSON file of a few kilobytes. [`Model::follow`] makes the same picture
/// from the recipe and the input. On the CPU, the picture is the same bit for bit.
///
/// # Examples
///
/// ```
/// use burn_flex::Flex;
/// use chimle_core::{Architecture, Code, Colorization, DraftConfig, GeneratorConfig, Model, Preset, Recipe};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = GeneratorConfig::preset(Preset::Tiny, Architecture::Colorization);
/// let model = Model::new(config.init::<Flex>(&Default::default()), Colorization);
/// let gray = image::RgbImage::from_fn(40, 24, |x, y| image::Rgb([(5 * x + y) as u8; 3]));
///
/// let draft = model.draft(&gray, DraftConfig::default())?;
/// let finished = model.advance_by(&draft, &[4, 0, 7].map(Code::Drawn))?;
/// let json = serde_json::to_string(&finished.recipe())?;
///
/// let recipe: Recipe = serde_json::from_str(&json)?;
/// assert_eq!(&model.follow(&recipe, &gray)?, finished.picture());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The format of the recipe, 1.
    pub format: u32,
    /// The SHA-256 of the model's file in hexadecimal, if it was known.
    pub model: Option<String>,
    /// The name of the task.
    pub task: String,
    /// The input of the picture.
    pub input: RecipeInput,
    /// The seed of the drawn codes.
    pub seed: u64,
    /// The layers, in the order in which they are composited. The first layer makes the whole picture. Each
    /// of the others makes a region.
    pub layers: Vec<Layer>,
}

/// The input of a recipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeInput {
    /// The SHA-256, in hexadecimal, of the decoded pixels: three bytes per pixel, row by row.
    pub sha256: String,
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    /// The value of [`DraftConfig::largest`].
    pub largest: Option<u32>,
    /// The value of [`DraftConfig::degrade`].
    pub degrade: bool,
}

impl RecipeInput {
    pub(super) fn new(input: &RgbImage, config: DraftConfig) -> Self {
        Self {
            sha256: checksum_of_pixels(input),
            width: input.width(),
            height: input.height(),
            largest: config.largest,
            degrade: config.degrade,
        }
    }

    /// Returns whether an image has the size of the input.
    pub(super) fn has_size(&self, (width, height): (u32, u32)) -> bool {
        (self.width, self.height) == (width, height)
    }
}

/// One layer of a recipe: the whole picture, or a region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// How the code of each level is made, coarse to fine.
    pub codes: Vec<Code>,
    /// The region where the layer is visible. The first layer has no region and covers the whole picture.
    pub region: Option<Region>,
}

impl Recipe {
    pub(super) fn new<B: Backend>(begun: &Begun<B>, layers: Vec<Layer>) -> Self {
        Self {
            format: FORMAT,
            model: begun.checksum.clone(),
            task: begun.task.clone(),
            input: begun.input.clone(),
            seed: begun.config.seed,
            layers,
        }
    }

    /// Checks that the recipe is complete and fits a model with `levels` levels.
    ///
    /// # Errors
    ///
    /// [`Error::Recipe`] with the reason.
    pub fn validate(&self, levels: usize) -> Result<(), Error> {
        let refused = |reason: String| Err(Error::Recipe { reason });
        if self.format != FORMAT {
            return refused(format!(
                "its format is {}, but this version reads format {FORMAT}",
                self.format
            ));
        }
        if self.layers.is_empty() || self.layers.len() > MOST_REGIONS {
            return refused(format!(
                "it has {} layers, but must have 1 to {MOST_REGIONS}",
                self.layers.len()
            ));
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let found = layer.codes.len();
            if found == 0 || found > levels || found != self.layers[0].codes.len() {
                return refused(format!(
                    "layer {} has codes of {found} levels: all layers must have the same number of levels, \
                     from 1 to the model's {levels}",
                    index + 1
                ));
            }
            if layer.region.is_some() != (index > 0) {
                return refused(format!(
                    "layer {}: every layer except the first must have a region, and the first must not",
                    index + 1
                ));
            }
            layer.codes.iter().try_for_each(Code::validate)?;
        }
        Ok(())
    }
}

/// Computes the SHA-256 of an image's pixels.
fn checksum_of_pixels(image: &RgbImage) -> String {
    let digest = Sha256::digest(image.as_raw());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl<B: Backend, G: ImageGenerator<B>> Model<B, G> {
    /// Makes the picture of a recipe at full size, as [`finish`](Self::finish) does.
    ///
    /// On the CPU, the picture is the same bit for bit. On a GPU, values can differ by rounding.
    ///
    /// # Errors
    ///
    /// [`Error::Recipe`] if the recipe is damaged, or belongs to a different model or input; otherwise as
    /// [`finish`](Self::finish).
    pub fn follow(&self, recipe: &Recipe, input: &RgbImage) -> Result<RgbImage, Error> {
        let draft = self.draft_of(recipe, input)?;
        self.finish(&draft, input, u64::MAX, &mut |_, _| true)
    }

    /// Makes the draft of a recipe, which can be inspected or continued.
    ///
    /// # Errors
    ///
    /// As [`follow`](Self::follow).
    pub fn draft_of(&self, recipe: &Recipe, input: &RgbImage) -> Result<Draft<B, G::State>, Error> {
        let start = self.begin_recipe(recipe, input)?;
        self.remake(&start, &recipe.layers)
    }

    /// Begins the picture of a recipe. No level is evaluated yet.
    ///
    /// Use this function to show or keep the picture after each level of the recipe.
    /// [`draft_of`](Self::draft_of) makes all levels.
    ///
    /// # Errors
    ///
    /// As [`follow`](Self::follow).
    pub fn begin_recipe(
        &self,
        recipe: &Recipe,
        input: &RgbImage,
    ) -> Result<Draft<B, G::State>, Error> {
        let refused = |reason: String| Err(Error::Recipe { reason });
        recipe.validate(self.config().levels())?;
        if recipe.task != self.task().name() {
            let task = self.task();
            return refused(format!(
                "it is for {}, but the model is for {task}",
                recipe.task
            ));
        }
        match (&recipe.model, self.checksum()) {
            (Some(needed), Some(found)) if needed != found => {
                return refused(format!(
                    "it was made with another model: the SHA-256 of that model's file is {needed}, but \
                     that of this model's file is {found}"
                ));
            }
            _ => {}
        }
        if !recipe.input.has_size(input.dimensions()) {
            let ((width, height), needed) = (input.dimensions(), &recipe.input);
            return refused(format!(
                "it was made from another input: that input has {}x{} pixels, but this one has \
                 {width}x{height}",
                needed.width, needed.height
            ));
        }
        let found = checksum_of_pixels(input);
        if found != recipe.input.sha256 {
            return refused(format!(
                "it was made from another input: the SHA-256 of its pixels is {}, but that of this input \
                 is {found}",
                recipe.input.sha256
            ));
        }
        let config = DraftConfig {
            seed: recipe.seed,
            largest: recipe.input.largest,
            degrade: recipe.input.degrade,
        };
        self.draft(input, config)
    }

    /// Makes a draft again from its layers, beginning at `start`. A program can thus free the memory of
    /// drafts that it keeps, and make them again when they are needed.
    ///
    /// # Errors
    ///
    /// [`Error::Recipe`] if there are no layers; otherwise as [`advance`](Self::advance) and
    /// [`within`](Draft::within).
    pub fn remake(
        &self,
        start: &Draft<B, G::State>,
        layers: &[Layer],
    ) -> Result<Draft<B, G::State>, Error> {
        let mut whole: Option<Draft<B, G::State>> = None;
        for layer in layers {
            let made = self.advance_by(start, &layer.codes)?;
            whole = Some(match (whole, &layer.region) {
                (Some(below), Some(region)) => below.within(region.clone(), &made)?,
                _ => made,
            });
        }
        whole.ok_or_else(|| Error::Recipe {
            reason: "it has 0 layers".to_owned(),
        })
    }
}
