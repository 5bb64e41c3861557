//! Trained CHIMLE models, as data.
//!
//! Each [`TrainedModel`] is a file of weights with its model card. This crate contains only data, so it depends on no
//! other crate and cannot run a model. To load and sample a model by its name, use `chimle-core` with its feature
//! `pretrained`:
//!
//! ```ignore
//! let model = chimle_core::Model::<burn_flex::Flex>::pretrained("scenes-colorization-64", &Default::default())?;
//! let colorings = model.sample(&photograph, 8, 0)?;
//! ```
//!
//! On the command line, `chimle models` lists the models, and `--model NAME` selects one.
//!
//! [`find`] returns a model by its name, and [`ALL`] lists all models:
//!
//! ```
//! let model = chimle_models::find("scenes-colorization-64").expect("the crate holds it");
//! println!("{}", model.card);
//! assert!(model.weights.len() < 2_500_000);
//! ```

#![no_std]

/// A trained model.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TrainedModel {
    /// The name of the model: its data set, its task, and the side of its training images in pixels.
    pub name: &'static str,
    /// What the model does, as a phrase such as "colors gray photographs of flowers".
    pub summary: &'static str,
    /// The model card, in Markdown. It states the data, the license, the training, the measures, and what the model is
    /// not good for.
    pub card: &'static str,
    /// The weights, as a safetensors file of 16-bit floats. Its metadata contain the configuration of the generator and
    /// the task.
    pub weights: &'static [u8],
}

macro_rules! trained {
    ($name:literal, $summary:literal) => {
        TrainedModel {
            name: $name,
            summary: $summary,
            card: include_str!(concat!("../models/", $name, ".md")),
            weights: include_bytes!(concat!("../models/", $name, ".safetensors")),
        }
    };
}

/// All models of the crate.
pub const ALL: &[TrainedModel] = &[
    trained!(
        "scenes-colorization-64",
        "colors gray photographs of landscapes, buildings and streets"
    ),
    trained!(
        "flowers-colorization-64",
        "colors gray photographs of flowers"
    ),
];

/// Returns the model with a name, or `None` if there is no such model.
pub fn find(name: &str) -> Option<&'static TrainedModel> {
    ALL.iter().find(|model| model.name == name)
}
