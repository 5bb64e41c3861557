//! The page with all results.

use std::path::PathBuf;

use chimle_core::data::read_rgb;
use chimle_core::evaluation::format_figure;
use chimle_core::metrics::Better;
use chimle_show::{Compared, Comparison, Plot, Series, Table};
use image::RgbImage;

use crate::arena::Arena;
use crate::error::Error;
use crate::job::Entry;
use crate::results::{FRECHET, Results, Summary, SummaryFigure};

/// The general-purpose rivals in the paper's comparison, without the IMLE family.
const GENERAL_RIVALS: [&str; 6] = ["bicycle-gan", "msgan", "divco", "monce", "ndm", "ddrm"];

/// Collects the results, writes `results.json` and the page, and returns the path of the page.
///
/// # Errors
///
/// If measures or samples cannot be read, or a file cannot be written.
pub fn report<'a>(arena: &Arena, order: impl Iterator<Item = &'a str>) -> Result<PathBuf, Error> {
    let results = Results::gather(arena, order)?;
    results.save(arena)?;
    let path = arena.folder.page_path();
    page(arena, &results)?.save(&path)?;
    Ok(path)
}

fn page(arena: &Arena, results: &Results) -> Result<Comparison, Error> {
    let config = &results.config;
    let mut counts: Vec<usize> = results
        .summary
        .iter()
        .map(|summary| summary.samples)
        .collect();
    counts.sort_unstable();
    counts.dedup();
    let mut tables: Vec<Table> = counts
        .iter()
        .map(|&samples| table_of(results, samples))
        .collect();
    tables.push(costs_of(results));
    Ok(Comparison {
        title: format!("Arena: {} at {} pixels", config.task, config.data.size),
        summary: introduction(results),
        curves: curves(results),
        tables,
        inputs: compared(arena, results)?,
        notes: notes(results),
    })
}

/// Returns the introductory paragraphs of the page.
fn introduction(results: &Results) -> Vec<String> {
    let config = &results.config;
    let inputs = results
        .entries
        .iter()
        .flat_map(|entry| &entry.measures)
        .map(|measures| measures.inputs)
        .max()
        .unwrap_or(0);
    let seeds = config.seeds.len();
    let plural = if seeds == 1 { "" } else { "s" };
    let mut text = vec![format!(
        "Each method was trained for {} minutes of CPU time with each of {seeds} seed{plural}, on the same images \
         (the table of costs has the times and steps). All methods sampled the same {inputs} unseen inputs. In a table, the \
         first line of a cell is the mean over seeds with its 95% interval over inputs. If there are several seeds, the \
         second line has the smallest and the largest value over seeds.",
        config.cpu_minutes,
    )];
    if let Some(own) = results.frechet.iter().find(|found| found.method == "cimle") {
        text.push(format!(
            "CHIMLE's Frechet distance on VGG16 features is {} cIMLE's. In the paper, CHIMLE's FID is 36.9 % below cIMLE's, on \
             average over its four tasks at 256 to 512 pixels.",
            below(own.percent_below)
        ));
    }
    let best = results
        .frechet
        .iter()
        .filter(|found| GENERAL_RIVALS.contains(&found.method.as_str()))
        .min_by(|a, b| a.percent_below.total_cmp(&b.percent_below));
    if let Some(best) = best {
        text.push(format!(
            "CHIMLE's Frechet distance is {} that of {}, the best general-purpose rival here. In the paper, CHIMLE's FID is \
             27.5 % below that of the best general-purpose rival.",
            below(best.percent_below),
            best.method
        ));
    }
    if !results.missing.is_empty() {
        text.push(format!(
            "Some jobs are not done yet. Missing: {}.",
            results.missing.join("; ")
        ));
    }
    text
}

fn below(percent: f64) -> String {
    if percent >= 0.0 {
        format!("{percent:.1} % below")
    } else {
        format!("{:.1} % above", -percent)
    }
}

/// Returns the table of all methods' measures for one number of samples. The best mean of a column
/// is marked.
fn table_of(results: &Results, samples: usize) -> Table {
    let rows: Vec<&Summary> = results
        .summary
        .iter()
        .filter(|summary| summary.samples == samples)
        .collect();
    let mut names: Vec<&str> = Vec::new();
    for figure in rows.iter().flat_map(|summary| &summary.figures) {
        let is_of_input = figure.name.ends_with("of the input");
        if !is_of_input && !names.contains(&figure.name.as_str()) {
            names.push(&figure.name);
        }
    }
    let find = |summary: &Summary, name: &str| -> Option<SummaryFigure> {
        summary
            .figures
            .iter()
            .find(|figure| figure.name == name)
            .cloned()
    };
    let best = |name: &str| -> Option<f64> {
        let found: Vec<SummaryFigure> = rows.iter().filter_map(|row| find(row, name)).collect();
        let means = found.iter().map(|figure| figure.mean);
        match found.first()?.better? {
            Better::Lower => means.reduce(f64::min),
            Better::Higher => means.reduce(f64::max),
        }
    };
    let head = names.iter().map(|name| {
        let better = rows.iter().find_map(|row| find(row, name)?.better);
        let arrow = match better {
            Some(Better::Lower) => " ↓",
            Some(Better::Higher) => " ↑",
            None => "",
        };
        format!("{name}{arrow}")
    });
    let mut lines: Vec<Vec<String>> = rows
        .iter()
        .map(|summary| {
            let cells = names.iter().map(|name| match find(summary, name) {
                Some(figure) => cell(&figure, best(name) == Some(figure.mean), summary.seeds),
                None => String::new(),
            });
            [summary.method.clone()].into_iter().chain(cells).collect()
        })
        .collect();
    lines.extend(input_line(&rows, &names));
    Table {
        title: format!("{samples} samples for each input"),
        head: ["method".to_owned()].into_iter().chain(head).collect(),
        rows: lines,
    }
}

/// Returns the row of the baseline, in which the input itself is the output, if the measures
/// include it.
fn input_line(rows: &[&Summary], names: &[&str]) -> Option<Vec<String>> {
    let figures = &rows.first()?.figures;
    let cells = names.iter().map(|name| {
        let of_input = name
            .strip_suffix(", mean")
            .map(|base| format!("{base}, of the input"));
        let found = of_input.and_then(|name| figures.iter().find(|figure| figure.name == name));
        found.map_or(String::new(), |figure| format_figure(figure.mean))
    });
    let line = ["(the input itself)".to_owned()].into_iter().chain(cells);
    Some(line.collect())
}

fn cell(figure: &SummaryFigure, is_best: bool, seeds: usize) -> String {
    let mark = if is_best { "★ " } else { "" };
    let mut text = format!("{mark}{}", format_figure(figure.mean));
    if let Some([low, high]) = figure.over_inputs {
        text += &format!(" [{}, {}]", format_figure(low), format_figure(high));
    }
    if seeds > 1 {
        let [low, high] = figure.over_seeds;
        text += &format!("\nseeds {} to {}", format_figure(low), format_figure(high));
    }
    text
}

/// Returns the table of the methods' costs.
fn costs_of(results: &Results) -> Table {
    let head = [
        "method",
        "parameters",
        "parameters for training only",
        "evaluations per sample",
        "CPU seconds per sample",
        "steps",
        "CPU minutes of training",
    ];
    let mut rows: Vec<Vec<String>> = Vec::new();
    let last = results.entries.iter().filter(|entry| entry.point == 1.0);
    for entry in last {
        let number = |value: Option<f64>| value.map(|value| format!("{value:.4}"));
        let costs = entry.costs;
        let name = match entry.seed {
            Some(seed) => format!("{}, seed {seed}", entry.method),
            None => format!("{} (measured only)", entry.method),
        };
        let cells = [
            Some(name),
            costs.map(|costs| costs.parameters.to_string()),
            costs.map(|costs| costs.training_parameters.to_string()),
            costs.map(|costs| {
                let once = costs.evaluations_per_sample.to_string();
                if costs.is_stochastic {
                    once
                } else {
                    format!("{once} (one output per input)")
                }
            }),
            number(entry.cpu_seconds_per_sample),
            entry.steps.map(|steps| steps.to_string()),
            entry
                .cpu_seconds
                .map(|seconds| format!("{:.2}", seconds / 60.0)),
        ];
        rows.push(cells.into_iter().map(Option::unwrap_or_default).collect());
    }
    Table {
        title: "Costs".to_owned(),
        head: head.map(str::to_owned).to_vec(),
        rows,
    }
}

/// Returns plots of quality over CPU time, for the largest number of samples.
fn curves(results: &Results) -> Vec<Plot> {
    let measured = results.entries.iter().flat_map(|entry| &entry.measures);
    let Some(samples) = measured.map(|measures| measures.samples).max() else {
        return Vec::new();
    };
    let mut names: Vec<&str> = Vec::new();
    let first = results.entries.iter().flat_map(|entry| &entry.measures);
    for figure in first
        .filter(|measures| measures.samples == samples)
        .flat_map(|measures| &measures.figures)
    {
        let name = figure.name.as_str();
        let is_plotted = name == FRECHET
            || name == "diversity"
            || name.starts_with("modes covered")
            || name.starts_with("distance to the nearest mode")
            || (name.starts_with("LPIPS") || name.starts_with("Laplacian"))
                && !name.ends_with("of the input");
        if is_plotted && !names.contains(&name) {
            names.push(name);
        }
    }
    let mut methods: Vec<&str> = Vec::new();
    for entry in results.entries.iter().filter(|entry| entry.seed.is_some()) {
        if !methods.contains(&entry.method.as_str()) {
            methods.push(&entry.method);
        }
    }
    let plot = |name: &&str| {
        let series = methods
            .iter()
            .map(|method| Series::new(*method, points(results, method, samples, name)));
        Plot {
            title: format!("{name} ({samples} samples)"),
            x_label: "CPU minutes of training".to_owned(),
            y_label: (*name).to_owned(),
            series: series.collect(),
            ..Plot::default()
        }
    };
    names.iter().map(plot).collect()
}

/// Returns the mean of a measure over seeds at each point, as (CPU minutes, value).
fn points(results: &Results, method: &str, samples: usize, name: &str) -> Vec<(f64, f64)> {
    let value = |entry: &Entry| {
        let measures = entry
            .measures
            .iter()
            .find(|found| found.samples == samples)?;
        measures
            .figures
            .iter()
            .find(|figure| figure.name == name)?
            .value
    };
    let of_point = |&point: &f64| {
        let found: Vec<(f64, f64)> = results
            .entries
            .iter()
            .filter(|entry| entry.method == method && entry.point == point)
            .filter_map(|entry| Some((entry.cpu_seconds? / 60.0, value(entry)?)))
            .collect();
        let count = found.len() as f64;
        let sum = found
            .into_iter()
            .reduce(|(x, y), (more_x, more_y)| (x + more_x, y + more_y))?;
        Some((sum.0 / count, sum.1 / count))
    };
    results.config.points.iter().filter_map(of_point).collect()
}

/// Returns samples of all methods side by side, from the first seed, for inputs spread evenly over
/// the measured inputs.
fn compared(arena: &Arena, results: &Results) -> Result<Vec<Compared>, Error> {
    let names = input_names(arena)?;
    let shown = results.config.measure.shown.min(names.len());
    let mut methods: Vec<&Entry> = Vec::new();
    for entry in results.entries.iter().filter(|entry| entry.point == 1.0) {
        if methods.iter().all(|known| known.method != entry.method) {
            methods.push(entry);
        }
    }
    let mut inputs = Vec::with_capacity(shown);
    for place in 0..shown {
        let name = &names[place * names.len() / shown];
        let read = |path: PathBuf| -> Result<RgbImage, Error> { Ok(read_rgb(path)?) };
        let mut rows = Vec::new();
        for entry in &methods {
            let folder = arena.folder.path().join(&entry.samples).join(name);
            let deterministic = entry.costs.is_some_and(|costs| !costs.is_stochastic);
            let count = if deterministic {
                1
            } else {
                results
                    .config
                    .measure
                    .shown_samples
                    .min(results.config.most_samples())
            };
            let samples = (0..count).map(|k| read(folder.join(format!("{k}.png"))));
            rows.push((
                entry.method.clone(),
                samples.collect::<Result<Vec<_>, _>>()?,
            ));
        }
        inputs.push(Compared {
            name: name.clone(),
            conditioning: read(arena.folder.input_path(name))?,
            truth: read(arena.folder.truth_path(name))?,
            rows,
        });
    }
    Ok(inputs)
}

/// Returns the names of the measured inputs, sorted.
fn input_names(arena: &Arena) -> Result<Vec<String>, Error> {
    let folder = arena.folder.path().join("truths");
    let files = chimle_core::data::list_images(&folder)?;
    let names = files.files.iter().filter_map(|file| {
        let below = file.strip_prefix(&folder).ok()?.with_extension("");
        let parts: Vec<_> = below
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        Some(parts.join("/"))
    });
    Ok(names.collect())
}

fn notes(results: &Results) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    let of_measures = results.entries.iter().flat_map(|entry| &entry.measures);
    for note in of_measures.flat_map(|measures| &measures.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    notes.push(
        "Faithfulness-weighted variance is a sum over samples, so compare it only between methods with the same number of \
         samples. A method with one output per input has diversity 0 by construction."
            .to_owned(),
    );
    if results.config.task.name() == "simulated-night-to-day" {
        notes.push(
            "The nights are simulated: daytime photographs that were darkened, tinted and made noisy.".to_owned(),
        );
    }
    notes
}
