//! All results of an arena: `results.json`.

use std::collections::BTreeMap;

use chimle_core::metrics::Better;
use serde::{Deserialize, Serialize};

use crate::arena::Arena;
use crate::config::ArenaConfig;
use crate::error::Error;
use crate::job::{Entry, Job, write_json};

/// The version of the layout of `results.json`.
const FORMAT: u32 = 1;

/// All results of an arena.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The version of the layout.
    pub format: u32,
    /// The configuration.
    pub config: ArenaConfig,
    /// Every method, seed and point that was measured.
    pub entries: Vec<Entry>,
    /// The results of every method at its last point, over seeds.
    pub summary: Vec<Summary>,
    /// CHIMLE's Frechet distance compared with that of each other method, if it was measured.
    pub frechet: Vec<FrechetComparison>,
    /// The jobs that are not done.
    pub missing: Vec<String>,
}

/// The results of a method at the end of its CPU time, over its seeds, for one number of samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The name of the method.
    pub method: String,
    /// The number of samples for each input.
    pub samples: usize,
    /// The number of seeds.
    pub seeds: usize,
    /// The mean number of steps.
    pub steps: Option<f64>,
    /// The mean CPU time of one sample in seconds.
    pub cpu_seconds_per_sample: Option<f64>,
    /// The measures.
    pub figures: Vec<SummaryFigure>,
}

/// A measure over seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummaryFigure {
    /// The name of the measure.
    pub name: String,
    /// The mean over seeds.
    pub mean: f64,
    /// The smallest and the largest value over seeds.
    pub over_seeds: [f64; 2],
    /// The 95% interval over inputs. Each end is a mean over seeds.
    pub over_inputs: Option<[f64; 2]>,
    /// Whether higher or lower values are better, if either is.
    pub better: Option<Better>,
}

/// CHIMLE's Frechet distance compared with another method's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrechetComparison {
    /// The other method.
    pub method: String,
    /// The percentage by which CHIMLE's distance is below the other's. Negative if CHIMLE's is larger.
    pub percent_below: f64,
}

impl Results {
    /// Collects all measures so far. Methods named in `order` come first, in that order.
    ///
    /// # Errors
    ///
    /// If a file of measures cannot be read.
    pub fn gather<'a>(arena: &Arena, order: impl Iterator<Item = &'a str>) -> Result<Self, Error> {
        let order: Vec<&str> = order.collect();
        let (config, folder) = (&arena.config, &arena.folder);
        let mut entries: Vec<Entry> = Vec::new();
        let mut missing = Vec::new();
        for job in arena.jobs() {
            let paths = match &job {
                Job::Train { method, seed } => config
                    .points
                    .iter()
                    .map(|&point| folder.measure_path(method, *seed, point))
                    .collect(),
                Job::Foreign { name } => vec![folder.foreign_measure_path(name)],
            };
            if !job.is_done(config, folder) {
                missing.push(job.name());
            }
            for path in paths.into_iter().filter(|path| path.is_file()) {
                entries.push(Entry::read(&path)?);
            }
        }
        let rank = |entry: &Entry| {
            let kind = entry.kind.as_deref();
            let known = order.iter().position(|known| Some(*known) == kind);
            (
                known.unwrap_or(order.len()),
                entry.method.clone(),
                entry.seed,
            )
        };
        entries.sort_by_key(rank);
        let summary = summarize(&entries);
        Ok(Self {
            format: FORMAT,
            config: config.clone(),
            frechet: compare_frechet(&summary),
            entries,
            summary,
            missing,
        })
    }

    /// Writes `results.json`.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save(&self, arena: &Arena) -> Result<(), Error> {
        write_json(self, &arena.folder.results_path())
    }
}

/// Summarizes the results of every method at its last point over seeds.
fn summarize(entries: &[Entry]) -> Vec<Summary> {
    let mut methods: Vec<&str> = Vec::new();
    for entry in entries {
        if !methods.contains(&entry.method.as_str()) {
            methods.push(&entry.method);
        }
    }
    let mut all = Vec::new();
    for method in methods {
        let last: Vec<&Entry> = entries
            .iter()
            .filter(|entry| entry.method == method && entry.point == 1.0)
            .collect();
        let mut counts: Vec<usize> = last
            .iter()
            .flat_map(|entry| entry.measures.iter().map(|measures| measures.samples))
            .collect();
        counts.sort_unstable();
        counts.dedup();
        for samples in counts {
            all.push(Summary {
                method: method.to_owned(),
                samples,
                seeds: last.len(),
                steps: mean(
                    last.iter()
                        .filter_map(|entry| entry.steps.map(|steps| steps as f64)),
                ),
                cpu_seconds_per_sample: mean(
                    last.iter().filter_map(|entry| entry.cpu_seconds_per_sample),
                ),
                figures: figures_over_seeds(&last, samples),
            });
        }
    }
    all
}

fn figures_over_seeds(entries: &[&Entry], samples: usize) -> Vec<SummaryFigure> {
    let mut names: Vec<&str> = Vec::new();
    let mut found: BTreeMap<&str, Vec<&crate::measure::MeasuredFigure>> = BTreeMap::new();
    let measures = entries.iter().flat_map(|entry| &entry.measures);
    for figure in measures
        .filter(|measures| measures.samples == samples)
        .flat_map(|measures| &measures.figures)
    {
        if !names.contains(&figure.name.as_str()) {
            names.push(&figure.name);
        }
        found.entry(&figure.name).or_default().push(figure);
    }
    let summary = |name: &str| {
        let figures = &found[name];
        let values: Vec<f64> = figures.iter().filter_map(|figure| figure.value).collect();
        let end = |k: usize| mean(figures.iter().filter_map(|figure| figure.interval[k]));
        Some(SummaryFigure {
            name: name.to_owned(),
            mean: mean(values.iter().copied())?,
            over_seeds: [
                values.iter().copied().fold(f64::INFINITY, f64::min),
                values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            ],
            over_inputs: end(0).zip(end(1)).map(|(low, high)| [low, high]),
            better: figures[0].better,
        })
    };
    names.into_iter().filter_map(summary).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The name of the Frechet distance in reports, if its features are not those of Inception-v3.
pub(crate) const FRECHET: &str = "Frechet distance";

/// Compares CHIMLE's Frechet distance, for the smallest number of samples, with that of every other method.
fn compare_frechet(summary: &[Summary]) -> Vec<FrechetComparison> {
    let Some(samples) = summary.iter().map(|summary| summary.samples).min() else {
        return Vec::new();
    };
    let of = |method: &str| {
        let found = summary
            .iter()
            .find(|summary| summary.method == method && summary.samples == samples)?;
        let figure = found.figures.iter().find(|figure| figure.name == FRECHET)?;
        Some(figure.mean)
    };
    let Some(own) = of("chimle") else {
        return Vec::new();
    };
    let others = summary
        .iter()
        .filter(|summary| summary.samples == samples && summary.method != "chimle");
    others
        .filter_map(|summary| {
            Some(FrechetComparison {
                method: summary.method.clone(),
                percent_below: 100.0 * (1.0 - own / of(&summary.method)?),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{MeasuredFigure, Measures};

    fn entry(method: &str, seed: u64, point: f64, value: f64) -> Entry {
        Entry {
            method: method.to_owned(),
            kind: Some(method.to_owned()),
            seed: Some(seed),
            point,
            cpu_seconds: Some(60.0 * point),
            steps: Some(10 + seed),
            cpu_seconds_per_sample: Some(0.5),
            costs: None,
            samples: "samples".into(),
            measures: vec![Measures {
                samples: 8,
                inputs: 4,
                figures: vec![MeasuredFigure {
                    name: FRECHET.to_owned(),
                    value: Some(value),
                    interval: [Some(value - 1.0), Some(value + 1.0)],
                    better: Some(Better::Lower),
                }],
                notes: Vec::new(),
            }],
        }
    }

    #[test]
    fn a_summary_is_of_the_last_point_over_seeds() {
        let entries = [
            entry("chimle", 0, 0.5, 100.0),
            entry("chimle", 0, 1.0, 4.0),
            entry("chimle", 1, 1.0, 8.0),
            entry("cimle", 0, 1.0, 8.0),
        ];
        let summary = summarize(&entries);
        assert_eq!(summary.len(), 2);
        assert_eq!((summary[0].seeds, summary[0].steps), (2, Some(10.5)));
        let figure = &summary[0].figures[0];
        assert_eq!((figure.mean, figure.over_seeds), (6.0, [4.0, 8.0]));
        assert_eq!(figure.over_inputs, Some([5.0, 7.0]));
        let compared = compare_frechet(&summary);
        assert_eq!(compared.len(), 1);
        assert_eq!(
            (compared[0].method.as_str(), compared[0].percent_below),
            ("cimle", 25.0)
        );
    }
}
