//! `chimle models`: the trained models that come with the program.

use chimle_core::models::{ALL, find};
use clap::Args;

use crate::error::Failure;
use crate::output;

/// Lists the trained models that come with chimle, or shows the card of one model.
///
/// Every command that takes a model also accepts these names: --model NAME, --init NAME. A model's card says which
/// photographs it was trained on, how good it is, and what it is not good for.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Models {
    /// Show the card of this model
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  chimle models
  chimle models scenes-colorization-64
  chimle sample --model scenes-colorization-64 --input photo.jpg --out samples/";

impl Models {
    pub fn run(self) -> Result<(), Failure> {
        let Some(name) = self.name else {
            let longest = ALL.iter().map(|model| model.name.len()).max().unwrap_or(0);
            for model in ALL {
                let (name, summary) = (model.name, model.summary);
                output::say(format_args!("{name:<longest$}  {summary}"))?;
            }
            return Ok(());
        };
        match find(&name) {
            Some(model) => output::say(model.card.trim_end()),
            None => Err(chimle_core::Error::UnknownModel {
                name,
                known: ALL.iter().map(|model| model.name).collect(),
            }
            .into()),
        }
    }
}
