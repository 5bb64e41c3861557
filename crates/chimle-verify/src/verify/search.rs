//! The check of the latent search.

use burn::module::AutodiffModule;
use burn::tensor::Tensor;
use chimle_core::imle::{ExampleId, GivenPool, Search, SearchError, Strategy, Target};
use chimle_core::nn::TrainingBackend;
use chimle_core::perceptual::{ImageDistance, TrainingDistance};

use super::case::Case;
use super::check::{Outcome, Report};
use super::comparison::{Comparison, absolute, relative};
use super::folder::floats;
use super::numbers::Numbers;
use crate::error::Error;

/// The largest relative difference allowed of a candidate's distance.
const LIMIT: f64 = 1e-3;

/// The number of candidates in one batch. It is smaller than the pools, so they are searched in several
/// chunks, like large pools.
const CHUNK: usize = 4;

/// Checks the hierarchical search over the stored pools.
pub(super) fn check<B: TrainingBackend>(
    case: &Case<B>,
    distance: &ImageDistance<B>,
    report: &mut Report,
) -> Result<(), Error> {
    let inner = |images: &[Tensor<B, 4>]| images.iter().cloned().map(Tensor::inner).collect();
    let generator = case.generator.valid().fold();
    let distance = distance.valid();
    let target = Target::new(&distance, inner(&case.targets));
    let pool = GivenPool {
        levels: case.pools.iter().cloned().map(Tensor::inner).collect(),
    };
    let examples: Vec<ExampleId> = (0..case.setup.batch as u64).map(ExampleId).collect();
    let pools = case.setup.pools.clone();
    let (levels, largest) = (pools.len(), pools.iter().copied().max().unwrap_or(0));
    let search = Search::new(Strategy::Hierarchical { pools }, CHUNK);
    let conditioning = inner(&case.conditioning);

    let name = |what: &str| format!("{}: search, {what}", case.setup.name());
    let found = match search.run(
        &generator,
        &distance,
        conditioning,
        &target,
        &pool,
        &examples,
    ) {
        Ok(found) => found,
        Err(error @ SearchError::NotFinite { .. }) => {
            let outcome = Outcome::Failed {
                largest: f64::NAN,
                limit: LIMIT,
                place: error.to_string(),
            };
            report.push(name("distances"), outcome);
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };

    let batch = found.len();
    let chosen = Numbers::open(case.io.path())?.integers("search.selected", &[batch, levels])?;
    let stored = floats(&case.io, "search.distance", &[batch, levels, largest])?;
    let mut choices = Comparison::new(0.0);
    let mut distances = Comparison::new(LIMIT);
    for (example, found) in found.iter().enumerate() {
        for (level, (&candidate, found)) in
            found.candidates.iter().zip(&found.distances).enumerate()
        {
            let row = example * levels + level;
            let expected = chosen[row];
            choices.add(absolute(candidate as f64, expected as f64), || {
                format!(
                    "example {example}, level {}: candidate {candidate} in place of {expected}",
                    level + 1
                )
            });
            // A row is as long as the largest pool. A smaller pool fills only its beginning.
            let expected = &stored[row * largest..][..found.len()];
            let row = format!("search.distance[{example}, {level}]");
            distances.add_all(&row, &[found.len()], found, expected, relative);
        }
    }
    report.push(name("chosen candidates"), choices.outcome());
    report.push(name("distances"), distances.outcome());
    Ok(())
}
