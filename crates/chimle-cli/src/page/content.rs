//! The text and the numbers of a page.

use std::path::Path;

use chimle_core::evaluation::{Report, Subject, format_figure};
use chimle_core::{DataSource, Event, RunConfig, Strategy};
use chimle_show::Measure;

/// Returns the last part of a path.
pub(super) fn name(run: &Path) -> String {
    let name = run.file_name().unwrap_or(run.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Returns the settings of a run.
pub(super) fn settings(config: &RunConfig) -> Vec<(String, String)> {
    let mut rows = rows([
        ("task", config.task.to_string()),
        ("output", size(config.data.height, config.data.width)),
    ]);
    rows.extend(settings_of_training(config));
    rows
}

/// Returns the settings of a run that concern only its training.
pub(super) fn settings_of_training(config: &RunConfig) -> Vec<(String, String)> {
    let search = match &config.search.strategy {
        Strategy::Hierarchical { pools } => {
            let joined = |numbers: &[usize]| {
                let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
                numbers.join("/")
            };
            let pools = joined(pools);
            match &config.search.locals[..] {
                [] => format!("hierarchical, {pools} candidates"),
                locals => {
                    let locals = joined(locals);
                    format!(
                        "hierarchical, {pools} candidates, in groups of {locals} with the same global code"
                    )
                }
            }
        }
        Strategy::Flat { candidates } => format!("flat, {candidates} candidates"),
    };
    let training = &config.training;
    rows([
        ("trained on", source(&config.data.source)),
        ("distance in training", config.distance.name()),
        ("search", search),
        ("levels", config.generator.levels().to_string()),
        ("steps", training.steps.to_string()),
        ("batch", training.batch.to_string()),
        ("inputs in a round", training.round.to_string()),
        ("steps per search", training.steps_per_search.to_string()),
        ("learning rate", training.learning_rate.to_string()),
        ("precision", training.precision.to_string()),
        ("seed", config.seed.to_string()),
    ])
}

/// Returns the settings of an evaluation.
pub(super) fn measured(model: &Path, data: &DataSource, report: &Report) -> Vec<(String, String)> {
    let mut told = vec![
        ("model", model.display().to_string()),
        ("measured on", source(data)),
        ("images", report.images.to_string()),
        ("samples per image", report.samples.to_string()),
        ("distance measured", report.distance.clone()),
    ];
    if let Subject::Model {
        task,
        size: [height, width],
    } = &report.measured
    {
        told.insert(1, ("task", task.clone()));
        told.insert(2, ("output", size(*height, *width)));
    }
    rows(told)
}

fn source(source: &DataSource) -> String {
    match source {
        DataSource::Folder(folder) => folder.display().to_string(),
        DataSource::Pairs { input, output } => {
            format!("{} to {}", input.display(), output.display())
        }
        DataSource::Procedural { scenes } => format!("{scenes} procedural scenes"),
    }
}

fn size(height: usize, width: usize) -> String {
    format!("{width} x {height}")
}

fn rows<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> Vec<(String, String)> {
    let rows = rows.into_iter();
    rows.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns every figure of a report.
pub(super) fn measures(report: &Report) -> Vec<Measure> {
    let figures = report.figures().into_iter();
    let measures = figures.map(|(name, figure)| {
        let [low, high] = figure.interval.map(format_figure);
        Measure::new(
            name,
            format_figure(figure.value),
            format!("{low} to {high}"),
        )
    });
    measures.collect()
}

/// Returns the figures of the last validation in a run's log.
pub(super) fn last_validation(events: &[Event]) -> Vec<Measure> {
    let last = events.iter().rev().find_map(|event| match event {
        Event::Validated {
            samples,
            best,
            mean,
            diversity,
            ..
        } => Some((samples, best, mean, diversity)),
        _ => None,
    });
    let Some((samples, best, mean, diversity)) = last else {
        return Vec::new();
    };
    vec![
        Measure::new(
            format!("distance, best of {samples}"),
            format_figure(*best),
            "",
        ),
        Measure::new("distance, mean", format_figure(*mean), ""),
        Measure::new("diversity", format_figure(*diversity), ""),
    ]
}
