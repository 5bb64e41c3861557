//! The measured cases, and the values that are recorded in addition to the times.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The number of queries of a set, and of one call in the many-query case.
pub const QUERIES: usize = 1000;

/// The names of criterion's groups.
pub const BUILD: &str = "nearest neighbor, build";
pub const ONE_QUERY: &str = "nearest neighbor, one query";
pub const MANY_QUERIES: &str = "nearest neighbor, 1000 queries";
pub const MATRIX_PRODUCT: &str = "nearest neighbor, matrix product";

/// The side of the square matrices whose product measures the machine.
pub const MATRIX_SIDE: usize = 2048;

/// A set of `n` points of dimension `d` in clusters of the given intrinsic dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Case {
    pub d: usize,
    pub intrinsic: usize,
    pub n: usize,
}

impl Case {
    /// Returns the name of the case in criterion.
    pub fn name(&self) -> String {
        format!("d={} intrinsic={} n={}", self.d, self.intrinsic, self.n)
    }
}

/// The values of one structure for one set of points, in addition to criterion's times.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub structure: String,
    pub case: Case,
    /// The time of a single build in seconds.
    pub build_seconds: f64,
    /// The share of the queries whose nearest point was found.
    pub recall: f64,
}

/// Returns the folder of criterion's results and of [`records`].
pub fn criterion_folder() -> PathBuf {
    let target = || match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
    };
    let home = std::env::var_os("CRITERION_HOME").map(PathBuf::from);
    home.unwrap_or_else(|| target().join("criterion"))
}

/// Returns the path of the file of [`Record`]s, with one JSON object per line. If a case has
/// several records, the last one counts.
pub fn records() -> PathBuf {
    criterion_folder().join("nearest-neighbor-records.jsonl")
}
