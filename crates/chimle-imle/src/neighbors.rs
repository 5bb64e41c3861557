//! The ways to find the nearest candidate of a pool.

use chimle_knn::{KnnError, PrioritizedDciConfig};
use serde::{Deserialize, Serialize};

use crate::error::SearchError;

/// How the candidate nearest to an observed output is found in a pool that has been evaluated.
///
/// Evaluating a candidate costs far more than measuring its distance, so [`Exact`](Self::Exact) is
/// the default. The other two work like the authors' release and pay off when many outputs share
/// one large pool. They need a distance with an [embedding](crate::Distance::embed), which means
/// that it is a squared Euclidean distance between features.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Neighbors {
    /// Measures the distance of every candidate to every observed output.
    #[default]
    Exact,
    /// Projects the features onto random directions, shortlists the candidates with the nearest
    /// projections, and measures only these. The shortlisted candidates are evaluated a second
    /// time.
    Projected(Shortlist),
    /// The same as `Projected`, with a shortlist made by Prioritized DCI.
    PrioritizedDci {
        /// The projection and the length of the shortlist.
        shortlist: Shortlist,
        /// The settings of the index over the projected candidates.
        index: PrioritizedDciConfig,
    },
}

/// The settings of a shortlist: the candidates of a pool whose distances are measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shortlist {
    /// The number of random directions onto which features are projected: at least 1, and 1000 in
    /// the authors' release. The matrix of directions takes 4 bytes per direction and feature. With
    /// LPIPS on VGG16, images of 64 pixels and 256 directions, this is 0.5 GB. Larger images need
    /// fewer directions.
    pub directions: usize,
    /// The number of candidates measured for each observed output, at least 1.
    pub measured: usize,
    /// The seed from which the directions are drawn.
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
