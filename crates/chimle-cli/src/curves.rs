//! Plots of a run's log.

use std::path::Path;

use chimle_core::Event;
use chimle_show::{Plot, Scale, Series};

use crate::error::Failure;

/// The number of steps over which the loss is smoothed.
const SPAN: f64 = 20.0;

/// Returns the plots of a run that have data, each with a name for its file.
pub fn curves(events: &[Event]) -> Vec<(&'static str, Plot)> {
    let plots = [
        ("loss", loss(events)),
        ("chosen-distance", chosen(events)),
        ("validation", validation(events)),
        ("learning-rate", learning_rate(events)),
    ];
    let mut plots = Vec::from(plots);
    plots.retain(|(_, plot)| plot.series.iter().any(|series| !series.points.is_empty()));
    plots
}

/// Writes each plot into the folder, as SVG and PNG.
pub fn save(plots: &[(&str, Plot)], folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(Failure::file("make the folder", folder))?;
    for (name, plot) in plots {
        for extension in ["svg", "png"] {
            plot.save(folder.join(format!("{name}.{extension}")))?;
        }
    }
    Ok(())
}

/// Returns the plot of the loss at each step, in total and per level.
pub fn loss(events: &[Event]) -> Plot {
    let steps = events.iter().filter_map(|event| match event {
        Event::Step {
            step, loss, levels, ..
        } => Some((*step as f64, f64::from(*loss), levels)),
        _ => None,
    });
    let steps: Vec<(f64, f64, &Vec<f32>)> = steps.collect();
    let all = steps.iter().map(|&(step, loss, _)| (step, loss));
    let mut series = vec![Series::smoothed("all levels", all, SPAN)];
    let levels = steps.first().map_or(0, |(.., levels)| levels.len());
    if levels > 1 {
        series.extend((0..levels).map(|level| {
            let of = |&(step, _, levels): &(f64, f64, &Vec<f32>)| {
                (
                    step,
                    levels.get(level).map_or(f64::NAN, |&loss| loss.into()),
                )
            };
            let mut one = Series::smoothed(level_name(level), steps.iter().map(of), SPAN);
            one.raw.clear();
            one
        }));
    }
    over_steps("Loss", "distance to the truth", Scale::Log, series)
}

fn chosen(events: &[Event]) -> Plot {
    let levels = events.iter().find_map(|event| match event {
        Event::Searched { chosen, .. } => Some(chosen.len()),
        _ => None,
    });
    let line = |name: String, level: usize, of_pool: bool| {
        let points = events.iter().filter_map(|event| match event {
            Event::Searched {
                step, chosen, pool, ..
            } => {
                let values = if of_pool { pool } else { chosen };
                Some((*step as f64, f64::from(*values.get(level)?)))
            }
            _ => None,
        });
        Series::new(name, points)
    };
    let series = (0..levels.unwrap_or(0)).flat_map(|level| {
        let name = level_name(level);
        [
            line(format!("{name}, chosen"), level, false),
            line(format!("{name}, whole pool"), level, true),
        ]
    });
    let series = series.collect();
    over_steps(
        "Distance of the chosen codes",
        "distance to the truth",
        Scale::Log,
        series,
    )
}

fn validation(events: &[Event]) -> Plot {
    let pick = |name: &str, value: fn(&Event) -> Option<(u64, f64)>| {
        let points = events.iter().filter_map(value);
        Series::new(name, points.map(|(step, value)| (step as f64, value)))
    };
    let series = vec![
        pick("nearest sample", |event| match *event {
            Event::Validated { step, best, .. } => Some((step, best)),
            _ => None,
        }),
        pick("mean over samples", |event| match *event {
            Event::Validated { step, mean, .. } => Some((step, mean)),
            _ => None,
        }),
        pick("between samples", |event| match *event {
            Event::Validated {
                step, diversity, ..
            } => Some((step, diversity)),
            _ => None,
        }),
    ];
    over_steps("Held-out inputs", "distance", Scale::Linear, series)
}

fn learning_rate(events: &[Event]) -> Plot {
    let rates = events.iter().filter_map(|event| match *event {
        Event::Step {
            step,
            learning_rate,
            ..
        } => Some((step as f64, learning_rate)),
        _ => None,
    });
    let series = vec![Series::new("learning rate", rates)];
    over_steps("Learning rate", "learning rate", Scale::Linear, series)
}

fn level_name(level: usize) -> String {
    format!("level {}", level + 1)
}

fn over_steps(title: &str, y_label: &str, y_scale: Scale, series: Vec<Series>) -> Plot {
    Plot {
        title: title.to_owned(),
        x_label: "step".to_owned(),
        y_label: y_label.to_owned(),
        y_scale,
        series,
        ..Plot::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64, levels: &[f32]) -> Event {
        Event::Step {
            step,
            loss: levels.iter().sum(),
            levels: levels.to_vec(),
            learning_rate: 0.1,
            seconds: 1.0,
        }
    }

    #[test]
    fn the_loss_has_a_line_for_all_levels_and_one_for_each() {
        let plot = loss(&[step(1, &[3.0, 1.0]), step(2, &[2.0, 1.0])]);
        let names: Vec<&str> = plot.series.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["all levels", "level 1", "level 2"]);
        assert_eq!(plot.series[0].raw, [(1.0, 4.0), (2.0, 3.0)]);
        assert_eq!(plot.series[1].points[0], (1.0, 3.0));
    }

    #[test]
    fn what_a_log_does_not_hold_is_not_plotted() {
        let names = |events: &[Event]| -> Vec<&str> {
            curves(events).into_iter().map(|(name, _)| name).collect()
        };
        assert!(names(&[]).is_empty());
        assert_eq!(names(&[step(1, &[1.0])]), ["loss", "learning-rate"]);
    }
}
