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

/// The highest number of a step or a round. No run gets there, and sums of such numbers fit.
const HIGHEST: u64 = 1 << 40;

impl Position {
    /// Reads a position from JSON.
    ///
    /// # Errors
    ///
    /// Says what is wrong.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, String> {
        let position: Self = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        let round = position.round.as_ref();
        let numbers = [
            ("step", position.step),
            ("round.index", round.map_or(0, |round| round.index)),
            ("round.steps", round.map_or(0, |round| round.steps)),
        ];
        match numbers.into_iter().find(|&(_, number)| number > HIGHEST) {
            Some((field, number)) => Err(format!("`{field}` is {number}, which is impossible")),
            None => Ok(position),
        }
    }
}
