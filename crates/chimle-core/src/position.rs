//! The position of a run, which a checkpoint stores.

use serde::{Deserialize, Serialize};

/// The position of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    /// The number of steps done.
    pub(crate) step: u64,
    /// The position of the current round. `None` before the first round.
    pub(crate) round: Option<RoundPosition>,
    /// The fingerprint of the data. `None` in checkpoints of older versions.
    #[serde(default)]
    pub(crate) data: Option<String>,
}

/// The position of a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoundPosition {
    /// The index of the round, from 0.
    pub(crate) index: u64,
    /// The number of steps trained on the round.
    pub(crate) steps: u64,
    /// Whether the search of the round is complete.
    pub(crate) searched: bool,
    /// For each example whose codes are found, its place in the drawing and its chosen candidates.
    pub(crate) chosen: Vec<(usize, Vec<usize>)>,
    /// The number of examples in the drawing. `None` in checkpoints of older versions, which divided a pass
    /// differently.
    #[serde(default)]
    pub(crate) drawn: Option<usize>,
}

/// The largest index of a step or a round. No run reaches it, and sums of such numbers fit into 64 bits.
const HIGHEST: u64 = 1 << 40;

impl Position {
    /// Reads a position from JSON.
    ///
    /// # Errors
    ///
    /// The reason why the JSON is not a valid position.
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
