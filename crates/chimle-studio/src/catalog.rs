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

/// A model that the studio can offer, and how to load it.
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
    /// A model of this name for this task. `load` is called when the model is first used, and at most
    /// once if it succeeds.
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

    /// Sets the picture that the page offers as an example for this model. Otherwise it is a drawn scene.
    pub fn with_example(self, example: RgbImage) -> Self {
        let example = Some(example);
        Self { example, ..self }
    }
}

/// A model of the list, loaded or not.
pub(crate) struct Entry<B: Backend> {
    source: ModelSource<B>,
    loaded: OnceLock<Arc<Model<B>>>,
}

/// A model as the page is told of it.
#[derive(Serialize)]
pub(crate) struct Card {
    id: usize,
    name: String,
    task: String,
    /// What the model does with a photograph.
    does: String,
    description: String,
    /// Whether inputs can be made from true photographs.
    degrades: bool,
    /// Whether the photograph must be small, or be made so.
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

    /// Returns the model, and loads it first if it is not loaded.
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

/// Whether inputs of the task are made from photographs, and look different from them.
pub(crate) fn is_degradable(task: &TaskHandle) -> bool {
    !task.is_paired() && task.output_space() == OutputSpace::Rgb
}

/// Whether outputs are larger than inputs.
pub(crate) fn is_enlarging(task: &TaskHandle) -> bool {
    task.input_size() == InputSize::Reduced
}

/// What a model of a task does with a photograph.
fn does(task: &TaskHandle) -> &'static str {
    match task.name() {
        "colorization" => "Colors it. Only the lightness of the photograph is used.",
        "super-resolution" => "Enlarges it. A large photograph is brought down first.",
        "decompression" => "Cleans it: removes the blocks and stains of strong JPEG compression.",
        "night-to-day" => "Turns it into its counterpart, as by day what was taken by night.",
        _ => "Completes it.",
    }
}
