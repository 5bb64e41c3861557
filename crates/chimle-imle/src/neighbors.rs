//! The setting that says how the nearest of a pool is found.

use chimle_knn::{KnnError, PrioritizedDciConfig};
use serde::{Deserialize, Serialize};

use crate::error::SearchError;

/// How the candidate nearest to an observed output is found in a pool that has been evaluated.
///
/// Evaluating a candidate costs far more than measuring its distance, so [`Exact`](Self::Exact) is
/// the default. The other two do what the authors' release does, where many outputs share a pool.
/// They need a distance that is a squared Euclidean distance between features: one with an
/// [embedding](crate::Distance::embed).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Neighbors {
    /// Measures the distance of every candidate to every observed output.
    #[default]
    Exact,
    /// Projects the features onto random directions, shortlists the nearest by their projections,
    /// and measures only these. (They are evaluated once more.)
    Projected(Shortlist),
    /// The same as `Projected`, with a shortlist made by Prioritized DCI.
    PrioritizedDci {
        /// The projection.
        shortlist: Shortlist,
        /// The index of projected candidates.
        index: PrioritizedDciConfig,
    },
}

/// Which candidates of a pool are measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shortlist {
    /// Random directions onto which features are projected, at least 1 (1000 in the authors'
    /// release). Their matrix takes 4 bytes for each direction and feature: 0.5 GB at 64 px with
    /// LPIPS on VGG16 and 256 directions, so that larger images call for fewer.
    pub directions: usize,
    /// Candidates measured for each observed output, at least 1.
    pub measured: usize,
    /// What the directions are drawn from.
    pub seed: u64,
}

impl Neighbors {
    pub(crate) fn validate(&self) -> Result<(), SearchError> {
        match self.shortlist() {
            Some(Shortlist { measured: 0, .. }) => return Err(SearchError::NothingMeasured),
            Some(Shortlist { directions: 0, .. }) => Err(KnnError::ZeroDimension)?,
            _ => (),
        }
        if let Self::PrioritizedDci { index, .. } = self {
            index.validate()?;
        }
        Ok(())
    }

    pub(crate) fn shortlist(&self) -> Option<&Shortlist> {
        match self {
            Self::Exact => None,
            Self::Projected(shortlist) | Self::PrioritizedDci { shortlist, .. } => Some(shortlist),
        }
    }
}
