//! The models that the studio offers.

use std::sync::{Arc, OnceLock};

use burn::tensor::backend::Backend;
use chimle_core::data::{InputSize, OutputSpace};
use chimle_core::{Error, Kernels, Model, TaskHandle};
use image::RgbImage;
use serde::Serialize;

use crate::error::ApiError;

/// Loads a model when it is first used.
type Loader<B> = Box<dyn Fn() -> Result<Model<B>, Error> + Send + Sync>;

/// A model that the studio offers, and the function that loads it.
///
/// # Examples
///
/// ```
/// use burn_flex::Flex;
/// use chimle_core::{Colorization, Model};
/// use chimle_studio::ModelSource;
///
/// let source = ModelSource::<Flex>::new("flowers", Colorization, || {
///     Model::load("runs/flowers", &Default::default())
/// })
/// .with_description("Trained on 6,000 photographs of flowers.");
/// ```
pub struct ModelSource<B: Backend> {
    name: String,
    task: TaskHandle,
    description: String,
    example: Option<RgbImage>,
    load: Loader<B>,
}

impl<B: Kernels> ModelSource<B> {
    /// Creates a source of a model for a task. `load` is called when the model is first used. It is not called
    /// again once it has succeeded.
    pub fn new(
        name: impl Into<String>,
        task: impl Into<TaskHandle>,
        load: impl Fn() -> Result<Model<B>, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            task: task.into(),
            description: String::new(),
            example: None,
            load: Box::new(load),
        }
    }

    /// Sets what the page says about the model, for example what it was trained on.
    pub fn with_description(self, description: impl Into<String>) -> Self {
        let description = description.into();
        Self {
            description,
            ..self
        }
    }

    /// Sets the example photograph that the page offers for this model. By default, it is a procedural scene.
    pub fn with_example(self, example: RgbImage) -> Self {
        let example = Some(example);
        Self { example, ..self }
    }
}

/// A model that the studio offers, which may not be loaded yet.
pub(crate) struct Entry<B: Backend> {
    source: ModelSource<B>,
    loaded: OnceLock<Arc<Model<B>>>,
}

/// The description of a model that clients receive.
#[derive(Serialize)]
pub(crate) struct Card {
    id: usize,
    name: String,
    task: String,
    /// What the model does with a photograph.
    does: String,
    description: String,
    /// Whether the task's inputs can be made from true photographs.
    degrades: bool,
    /// Whether the outputs are larger than the inputs. The photograph must then be small or be downsampled.
    enlarges: bool,
}

impl<B: Kernels> Entry<B> {
    pub(crate) fn new(source: ModelSource<B>) -> Self {
        Self {
            source,
            loaded: OnceLock::new(),
        }
    }

    pub(crate) fn task(&self) -> &TaskHandle {
        &self.source.task
    }

    pub(crate) fn example(&self) -> Option<&RgbImage> {
        self.source.example.as_ref()
    }

    /// Returns the model. Loads it first if necessary.
    pub(crate) fn model(&self) -> Result<Arc<Model<B>>, ApiError> {
        if let Some(model) = self.loaded.get() {
            return Ok(model.clone());
        }
        let model = (self.source.load)()
            .map_err(|error| ApiError::field("model", format!("cannot be loaded: {error}")))?;
        Ok(self.loaded.get_or_init(|| Arc::new(model)).clone())
    }

    pub(crate) fn card(&self, id: usize) -> Card {
        let task = self.task();
        Card {
            id,
            name: self.source.name.clone(),
            task: task.name().to_owned(),
            does: does(task).to_owned(),
            description: self.source.description.clone(),
            degrades: is_degradable(task),
            enlarges: is_enlarging(task),
        }
    }
}

/// Returns whether the task's inputs are made from photographs and look different from them.
pub(crate) fn is_degradable(task: &TaskHandle) -> bool {
    !task.is_paired() && task.output_space() == OutputSpace::Rgb
}

/// Returns whether the task's outputs are larger than its inputs.
pub(crate) fn is_enlarging(task: &TaskHandle) -> bool {
    task.input_size() == InputSize::Reduced
}

/// Describes what a model of a task does with a photograph.
fn does(task: &TaskHandle) -> &'static str {
    match task.name() {
        "colorization" => "Colors it. Only the lightness of the photograph is used.",
        "super-resolution" => {
            "Enlarges it. The previews of a large photograph enlarge a small version of it."
        }
        "decompression" => "Cleans it: removes the blocks and stains of strong JPEG compression.",
        "night-to-day" => {
            "Turns it into its counterpart, for example a photograph taken at night into one by day."
        }
        _ => "Completes it.",
    }
}
