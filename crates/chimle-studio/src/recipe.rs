//! Opens recipes: begins a session whose tree leads to the picture of a recipe.

use std::sync::Arc;

use chimle_core::{Code, Draft, Error, Kernels, Layer, Model, Recipe};
use image::RgbImage;
use serde_json::Value;

use crate::app::App;
use crate::error::ApiError;
use crate::make::{Effort, png, with_png};
use crate::session::{FIRST_EDIT, Kind, Session};

/// The maximum number of pixels of all masks of a recipe.
const MASK_PIXELS: u64 = 1 << 28;
/// The maximum number of codes that a recipe consists of.
const MOST_CODES: usize = 20_000;

impl<B: Kernels> App<B> {
    /// Begins a session with the pictures of a recipe: one for each level, and one for each region. The last
    /// picture is chosen.
    ///
    /// # Errors
    ///
    /// If the recipe is damaged, if it belongs to another model or photograph, or if it exceeds the limits.
    pub(crate) fn open_recipe(
        &self,
        recipe: &Value,
        model: Option<usize>,
        photograph: Arc<RgbImage>,
    ) -> Result<Session<B>, ApiError> {
        let recipe = read(recipe)?;
        let id = match model {
            Some(id) => id,
            None => self.model_of(&recipe)?,
        };
        let entry = self.entry(id)?;
        let longer = photograph.width().max(photograph.height());
        let side = recipe.input.largest.unwrap_or(longer).min(longer);
        let most = self.largest(entry.task(), recipe.input.degrade);
        if side > most {
            let reason = format!(
                "has previews of {side} pixels, but the studio makes previews of at most {most}: use `chimle sample --recipe`"
            );
            return Err(ApiError::field("recipe", reason));
        }
        if recipe.layers.len() + recipe.layers[0].codes.len() + 1 > self.limits.pictures {
            return Err(ApiError::field("recipe", "has too many regions"));
        }
        let (model, start) = self.in_turn(|| -> Result<_, ApiError> {
            let model = entry.model()?;
            let start = model.begin_recipe(&recipe, &photograph)?;
            Ok((model, start))
        })?;
        let input = png(start.picture(), Effort::Fast)?;
        let session = Session::new(model.clone(), id, photograph, start.clone(), input);
        self.add_layers(&session, &model, &start, &recipe.layers)?;
        session.tree().reserve_indices(last_index(&recipe.layers));
        Ok(session)
    }

    /// Makes the pictures of a recipe's layers, adds them to the tree, and chooses the last one.
    fn add_layers(
        &self,
        session: &Session<B>,
        model: &Model<B>,
        start: &Draft<B>,
        layers: &[Layer],
    ) -> Result<(), ApiError> {
        let mut parent = 0;
        let mut whole = start.clone();
        let add = |parent: &mut usize, (kind, number), draft: &Draft<B>| {
            let made = with_png(draft.clone())?;
            *parent = session.tree().add(*parent, kind, number, None, made).id;
            Ok::<(), ApiError>(())
        };
        for layer in layers {
            match &layer.region {
                None => {
                    for code in &layer.codes {
                        whole =
                            self.in_turn(|| model.advance_by(&whole, std::slice::from_ref(code)))?;
                        add(&mut parent, kind_of(code), &whole)?;
                    }
                }
                Some(region) => {
                    whole = self.in_turn(|| -> Result<_, Error> {
                        let new = model.advance_by(start, &layer.codes)?;
                        whole.within(region.clone(), &new)
                    })?;
                    add(&mut parent, (Kind::Region, None), &whole)?;
                }
            }
        }
        session.tree().choose(parent);
        Ok(())
    }

    /// Returns the number of the model that made a recipe.
    fn model_of(&self, recipe: &Recipe) -> Result<usize, ApiError> {
        let mut is_known_task = false;
        for (id, entry) in self.models.iter().enumerate() {
            if entry.task().name() != recipe.task {
                continue;
            }
            is_known_task = true;
            // A model that cannot be loaded did not make the recipe.
            let Ok(model) = self.in_turn(|| entry.model()) else {
                continue;
            };
            if recipe.model.is_none() || recipe.model.as_deref() == model.checksum() {
                return Ok(id);
            }
        }
        Err(ApiError::field(
            "recipe",
            match is_known_task {
                true => format!(
                    "was made with another model: no model of this studio has a file with the SHA-256 {}",
                    recipe.model.as_deref().unwrap_or_default()
                ),
                false => format!(
                    "is for {:?}, but no model of this studio is for this task",
                    recipe.task
                ),
            },
        ))
    }
}

/// Reads a recipe. Checks its size first, because masks take more memory than their text.
fn read(recipe: &Value) -> Result<Recipe, ApiError> {
    if mask_pixels(recipe) > MASK_PIXELS {
        return Err(ApiError::field(
            "recipe",
            "has too many or too large regions",
        ));
    }
    let damaged = |error: serde_json::Error| {
        ApiError::field("recipe", format!("is not a recipe of the studio: {error}"))
    };
    let recipe: Recipe = serde::Deserialize::deserialize(recipe).map_err(damaged)?;
    // The number of levels is checked when the model is known.
    recipe.validate(usize::MAX)?;
    let mut codes = 0;
    for code in recipe.layers.iter().flat_map(|layer| &layer.codes) {
        code.each(&mut |_| codes += 1);
    }
    match codes {
        0..=MOST_CODES => Ok(recipe),
        _ => Err(ApiError::field("recipe", "consists of too many codes")),
    }
}

/// Returns the number of pixels of all masks.
fn mask_pixels(value: &Value) -> u64 {
    let within: u64 = match value {
        Value::Array(values) => values.iter().map(mask_pixels).fold(0, u64::saturating_add),
        Value::Object(fields) => fields
            .values()
            .map(mask_pixels)
            .fold(0, u64::saturating_add),
        _ => 0,
    };
    let side = |name: &str| value.get(name).and_then(Value::as_u64);
    let own = match (value.get("runs"), side("width"), side("height")) {
        (Some(_), Some(width), Some(height)) => width.saturating_mul(height),
        _ => 0,
    };
    within.saturating_add(own)
}

/// Returns the kind of a picture that continues another one with a code, and the candidate's number.
fn kind_of(code: &Code) -> (Kind, Option<u64>) {
    let kind = match code {
        Code::Drawn(index) => {
            let number = (*index < FIRST_EDIT).then(|| index + 1);
            return (Kind::Continue, number);
        }
        Code::Parts { .. } => Kind::Parts,
        Code::Region { .. } => Kind::Region,
        Code::Between { .. } => Kind::Between,
        Code::Mixed { .. } => Kind::Like,
    };
    (kind, None)
}

/// Returns the largest candidate index of all layers.
fn last_index(layers: &[Layer]) -> u64 {
    let mut last = 0;
    for code in layers.iter().flat_map(|layer| &layer.codes) {
        code.each(&mut |code| {
            if let Code::Drawn(index) = code {
                last = last.max(*index);
            }
        });
    }
    last
}
