//! Where a run stands, as a checkpoint remembers it.

use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    /// The number of steps done.
    pub(crate) step: u64,
    /// The round at hand. `None` before the first one.
    pub(crate) round: Option<RoundPosition>,
    /// The fingerprint of the data. `None` in checkpoints of older versions.
    #[serde(default)]
    pub(crate) data: Option<String>,
}

/// Where a round stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoundPosition {
    /// The number of the round, from 0.
    pub(crate) index: u64,
    /// The number of steps trained on it.
    pub(crate) steps: u64,
    /// Whether its search is complete.
    pub(crate) searched: bool,
    /// The examples whose codes are found: the place of each in the drawing, and its candidates.
    pub(crate) chosen: Vec<(usize, Vec<usize>)>,
}
