//! What is measured: sets of points, structures, and what is recorded besides the times.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Queries in a set, and in one call of the many-query case.
pub const QUERIES: usize = 1000;

/// Criterion's groups.
pub const BUILD: &str = "nearest neighbor, build";
pub const ONE_QUERY: &str = "nearest neighbor, one query";
pub const MANY_QUERIES: &str = "nearest neighbor, 1000 queries";
pub const MATRIX_PRODUCT: &str = "nearest neighbor, matrix product";

/// Side of the square matrices whose product is the measure of the machine.
pub const MATRIX_SIDE: usize = 2048;

/// A set of `n` points of dimension `d` on clusters of the given intrinsic dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Case {
    pub d: usize,
    pub intrinsic: usize,
    pub n: usize,
}

impl Case {
    /// The case as criterion names it.
    pub fn name(&self) -> String {
        format!("d={} intrinsic={} n={}", self.d, self.intrinsic, self.n)
    }
}

/// What one structure gave for one set of points, beside criterion's times.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub structure: String,
    pub case: Case,
    /// Of a single build.
    pub build_seconds: f64,
    /// Part of the queries whose nearest point was found.
    pub recall: f64,
}

/// Where criterion writes, and [`records`] lie.
pub fn criterion_folder() -> PathBuf {
    let target = || match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
    };
    let home = std::env::var_os("CRITERION_HOME").map(PathBuf::from);
    home.unwrap_or_else(|| target().join("criterion"))
}

/// The file of [`Record`]s, one JSON object a line; of several for the same case the last counts.
pub fn records() -> PathBuf {
    criterion_folder().join("nearest-neighbor-records.jsonl")
}
