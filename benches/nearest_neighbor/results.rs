//! The results of the bench: criterion's estimates and the records.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use serde::Deserialize;
use walkdir::WalkDir;

use crate::case::{
    BUILD, Case, MANY_QUERIES, MATRIX_PRODUCT, MATRIX_SIDE, ONE_QUERY, QUERIES, Record,
};

/// The times of one structure for one case, in seconds. A time that was not measured is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    pub build: Option<f64>,
    pub one_query: Option<f64>,
    pub many_queries: Option<f64>,
    pub recall: Option<f64>,
}

pub struct Results {
    /// The times by case and structure.
    pub times: BTreeMap<Case, BTreeMap<String, Times>>,
    /// The rate of the matrix product in floating-point operations per second, if it was measured.
    pub matrix_rate: Option<f64>,
}

impl Results {
    pub fn read(criterion: &Path, records: &Path) -> Result<Self, Box<dyn Error>> {
        let mut results = Self {
            times: BTreeMap::new(),
            matrix_rate: None,
        };
        let text = std::fs::read_to_string(records)
            .map_err(|error| format!("{}: {error}", records.display()))?;
        // Criterion stores only the name of a case. The records contain the case.
        let mut cases = BTreeMap::new();
        for line in text.lines() {
            let record: Record = serde_json::from_str(line)?;
            cases.insert(record.case.name(), record.case);
            let times = results.times_of(record.case, &record.structure);
            times.build = Some(record.build_seconds);
            times.recall = Some(record.recall);
        }
        for entry in WalkDir::new(criterion) {
            let entry = entry?;
            if !entry.path().ends_with("new/benchmark.json") {
                continue;
            }
            let benchmark: Benchmark = parse(entry.path())?;
            let estimates: Estimates = parse(&entry.path().with_file_name("estimates.json"))?;
            let seconds = estimates.median.point_estimate * 1e-9;
            if benchmark.group_id == MATRIX_PRODUCT {
                results.matrix_rate = Some(2.0 * (MATRIX_SIDE as f64).powi(3) / seconds);
            }
            let case = benchmark
                .value_str
                .and_then(|name| cases.get(&name).copied());
            let (Some(structure), Some(case)) = (benchmark.function_id, case) else {
                continue;
            };
            let times = results.times_of(case, &structure);
            match benchmark.group_id.as_str() {
                BUILD => times.build = Some(seconds),
                ONE_QUERY => times.one_query = Some(seconds),
                MANY_QUERIES => times.many_queries = Some(seconds),
                _ => {}
            }
        }
        Ok(results)
    }

    fn times_of(&mut self, case: Case, structure: &str) -> &mut Times {
        let structures = self.times.entry(case).or_default();
        structures.entry(structure.to_owned()).or_default()
    }

    /// Returns the rate of `Exact` on many queries, in floating-point operations per second. Only
    /// the operations of the matrix product are counted.
    pub fn exact_rate(&self, case: Case) -> Option<f64> {
        let seconds = self.times.get(&case)?.get("Exact")?.many_queries?;
        Some(2.0 * (case.n * case.d * QUERIES) as f64 / seconds)
    }
}

/// The part of criterion's `benchmark.json` that names the measured case.
#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: Option<String>,
    value_str: Option<String>,
}

/// The part of criterion's `estimates.json` that is used.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    /// The estimate in nanoseconds.
    point_estimate: f64,
}

fn parse<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, Box<dyn Error>> {
    let text = std::fs::read_to_string(path)?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()).into())
}
