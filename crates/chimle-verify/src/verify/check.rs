//! The result of a check, and the list of results.

use std::fmt;

/// One comparison of this build's numbers with reference numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What is compared, as in "tim_generic: outputs, level 3".
    pub name: String,
    /// The result.
    pub outcome: Outcome,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All numbers are as close as they must be.
    Passed {
        /// The largest difference.
        largest: f64,
        /// The largest difference allowed.
        limit: f64,
    },
    /// At least one number is too far off.
    Failed {
        /// The largest difference. It is NaN if a number is not finite, or if there are no numbers to
        /// compare.
        largest: f64,
        /// The largest difference allowed.
        limit: f64,
        /// The place of the number with the largest difference, the found number and the expected one.
        place: String,
    },
    /// The check was not made, because a file is missing.
    Absent {
        /// The missing file.
        file: String,
    },
}

impl Check {
    /// Returns whether the check was made and failed.
    pub fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed { .. })
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Passed { largest, limit } => {
                write!(
                    f,
                    "passed  {}: {largest:.1e} (limit {limit:.1e})",
                    self.name
                )
            }
            Outcome::Failed {
                largest,
                limit,
                place,
            } => write!(
                f,
                "FAILED  {}: {largest:.1e} (limit {limit:.1e}), {place}",
                self.name
            ),
            Outcome::Absent { file } => write!(f, "absent  {}: no {file}", self.name),
        }
    }
}

/// The checks made so far.
pub(super) struct Report<'a> {
    each: &'a mut dyn FnMut(&Check),
    checks: Vec<Check>,
}

impl<'a> Report<'a> {
    /// Starts an empty report. `each` is called with every check as soon as it is made.
    pub(super) fn new(each: &'a mut dyn FnMut(&Check)) -> Self {
        Self {
            each,
            checks: Vec::new(),
        }
    }

    /// Adds a check.
    pub(super) fn push(&mut self, name: impl Into<String>, outcome: Outcome) {
        let name = name.into();
        let check = Check { name, outcome };
        (self.each)(&check);
        self.checks.push(check);
    }

    /// Adds a check that cannot be made, because `file` is missing.
    pub(super) fn absent(&mut self, name: impl Into<String>, file: impl Into<String>) {
        self.push(name, Outcome::Absent { file: file.into() });
    }

    /// Returns all checks.
    pub(super) fn into_checks(self) -> Vec<Check> {
        self.checks
    }
}
