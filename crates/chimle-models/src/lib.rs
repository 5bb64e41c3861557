//! Trained CHIMLE models, as data.
//!
//! Each [`TrainedModel`] is a file of weights with its model card. The crate holds the bytes and nothing that
//! computes, so it depends on no other crate. `chimle-core` with its feature `pretrained` loads a model by its name:
//!
//! ```ignore
//! let model = chimle_core::Model::<burn_flex::Flex>::pretrained("scenes-colorization-64", &Default::default())?;
//! let colorings = model.sample(&photograph, 8, 0)?;
//! ```
//!
//! On the command line, `chimle models` lists them, and `--model NAME` takes one.
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
    /// The name by which it is found: data set, task, and the side of its training images in pixels.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// The model card, in Markdown: data, license, training, measures, and what the model is not good for.
    pub card: &'static str,
    /// The weights: a safetensors file of 16-bit floats with the configuration of the generator and the task in its
    /// metadata.
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

/// Finds a model by its name.
pub fn find(name: &str) -> Option<&'static TrainedModel> {
    ALL.iter().find(|model| model.name == name)
}
