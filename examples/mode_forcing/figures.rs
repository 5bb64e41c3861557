//! The figures of the experiment.

use std::path::Path;

use chimle_show::{Plot, Scale, Series, film};
use image::RgbImage;
use toy::{Mixture, REACH, Scatter, columns};

use crate::report::{Model, Numbers, Row, Weighted};
use crate::{Setting, grid};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Half the width of the shown part of the line and of the plane.
const SHOWN: f64 = 2.2;
/// The number of bins of a histogram.
const BARS: usize = 220;
/// The width of one panel of points in pixels.
const PANEL: u32 = 200;
/// The number of points shown in a panel.
const POINTS: usize = 3000;

const DATA: [u8; 3] = [0x00, 0x72, 0xb2];
const SAMPLES: [u8; 3] = [0xd5, 0x5e, 0x00];

/// Draws all figures into the folder `out`.
pub fn draw(numbers: &Numbers, settings: &[Setting], out: &Path) -> Result<()> {
    for setting in settings {
        let name = setting.name.replace(", ", "-");
        let rows = numbers
            .rows
            .iter()
            .filter(|row| row.setting == setting.name);
        let rows: Vec<&Row> = rows.collect();
        if setting.mixture.dimension() == 2 {
            points(&rows, &setting.mixture)?.save(out.join(format!("points-{name}.png")))?;
            continue;
        }
        densities(setting.name, &rows)?.save(out.join(format!("density-{name}.png")))?;
        bound(setting.name, &rows).save(out.join(format!("bound-{name}.png")))?;
        let weighted = numbers
            .weighted
            .iter()
            .filter(|row| row.setting == setting.name);
        let weighted: Vec<&Weighted> = weighted.collect();
        if let [least, .., most] = weighted[..] {
            trade_off(setting.name, &weighted)?.save(out.join(format!("weights-{name}.png")))?;
            first_step(setting, least, most)?.save(out.join(format!("first-step-{name}.png")))?;
        }
    }
    spurious(numbers, settings)?.save(out.join("spurious.png"))?;
    Ok(())
}

fn name_of(model: Model) -> String {
    match model {
        Model::Data => "data".into(),
        Model::Imle(pool) => format!("IMLE, m = {pool}"),
        Model::Diffusion(steps) => format!("diffusion, T = {steps}"),
    }
}

/// Returns a histogram as a curve: the density of samples on the line.
fn histogram(samples: &[f32]) -> Vec<(f64, f64)> {
    let width = 2.0 * SHOWN / BARS as f64;
    let mut counts = [0usize; BARS];
    for &sample in samples {
        let bar = ((f64::from(sample) + SHOWN) / width).floor();
        if (0.0..BARS as f64).contains(&bar) {
            counts[bar as usize] += 1;
        }
    }
    let density = |count: usize| count as f64 / (samples.len() as f64 * width);
    let middle = |bar: usize| (bar as f64 + 0.5) * width - SHOWN;
    (0..BARS)
        .map(|bar| (middle(bar), density(counts[bar])))
        .collect()
}

/// Stacks plots of the density. Each plot shows the data and one model.
fn densities(setting: &str, rows: &[&Row]) -> Result<RgbImage> {
    let data = rows
        .iter()
        .find(|row| row.model == Model::Data)
        .ok_or("no data")?;
    let data = histogram(&data.samples);
    let highest = data.iter().map(|point| point.1).fold(0.0, f64::max);
    let shown = few(rows);
    let plots = shown.iter().map(|row| {
        Ok(Plot {
            title: format!("{}: {}", setting, name_of(row.model)),
            y_label: "density".into(),
            x_range: Some((-SHOWN, SHOWN)),
            y_range: Some((0.0, 1.1 * highest)),
            series: vec![
                Series::new("data", data.iter().copied()),
                Series::new(name_of(row.model), histogram(&row.samples)),
            ],
            width: 480,
            height: 230,
            ..Plot::default()
        }
        .image(1.0)?)
    });
    Ok(columns(&plots.collect::<Result<Vec<_>>>()?, 2))
}

/// Selects IMLE with the middle pool, and diffusion with the smallest, the middle and the largest
/// number of steps.
fn few<'a>(rows: &[&'a Row]) -> Vec<&'a Row> {
    let of = |is: fn(Model) -> bool| -> Vec<&Row> {
        rows.iter().filter(|row| is(row.model)).copied().collect()
    };
    let imle = of(|model| matches!(model, Model::Imle(_)));
    let diffusion = of(|model| matches!(model, Model::Diffusion(_)));
    let mut places = vec![0, diffusion.len() / 2, diffusion.len().saturating_sub(1)];
    places.dedup();
    let diffusion = places.iter().filter_map(|&place| diffusion.get(place));
    imle.get(imle.len() / 2)
        .into_iter()
        .chain(diffusion)
        .copied()
        .collect()
}

/// Draws panels of points: the data, IMLE, and diffusion in the order of its steps.
fn points(rows: &[&Row], mixture: &Mixture) -> Result<RgbImage> {
    let data = rows.iter().filter(|row| row.model == Model::Data).copied();
    let panels = data.chain(few(rows)).map(|row| {
        let color = if row.model == Model::Data {
            DATA
        } else {
            SAMPLES
        };
        let some = &row.samples[..row.samples.len().min(2 * POINTS)];
        let panel = Scatter::new(PANEL, SHOWN as f32)
            .circles(mixture.centers(), REACH * mixture.spread(), [200, 200, 205])
            .dots(some, 0.8, color, 0.5)
            .picture();
        let caption = match row.model {
            Model::Data => "data".to_owned(),
            model => {
                let (spurious, dropped) = (100.0 * row.counts.spurious, row.counts.dropped);
                format!(
                    "{}: spurious {spurious:.1} %, dropped {dropped}",
                    name_of(model)
                )
            }
        };
        Ok(film::beside(&[&panel], &caption)?)
    });
    let panels = panels.collect::<Result<Vec<_>>>()?;
    Ok(columns(&panels, panels.len()))
}

/// Draws the share of spurious samples, for diffusion over T and for IMLE over m.
fn spurious(numbers: &Numbers, settings: &[Setting]) -> Result<RgbImage> {
    let plot =
        |title: &str, x_label: &str, number: fn(Model) -> Option<usize>| -> Result<RgbImage> {
            let line = |setting: &Setting| {
                let rows = numbers
                    .rows
                    .iter()
                    .filter(|row| row.setting == setting.name);
                let points = rows.filter_map(|row| {
                    Some((number(row.model)? as f64, 100.0 * row.counts.spurious))
                });
                Series::new(setting.name, points)
            };
            let plot = Plot {
                title: format!("{title}: samples in regions without data"),
                x_label: x_label.into(),
                y_label: "share of samples, %".into(),
                x_scale: Scale::Log,
                y_range: Some((0.0, 100.0)),
                series: settings.iter().map(line).collect(),
                width: 480,
                height: 360,
                ..Plot::default()
            };
            Ok(plot.image(1.0)?)
        };
    let diffusion = plot("Diffusion", "diffusion steps T", |model| match model {
        Model::Diffusion(steps) => Some(steps),
        _ => None,
    })?;
    let imle = plot("IMLE", "codes m for each data point", |model| match model {
        Model::Imle(pool) => Some(pool),
        _ => None,
    })?;
    Ok(columns(&[diffusion, imle], 2))
}

/// Draws the log-likelihood, the bound, and the divergences.
fn bound(setting: &str, rows: &[&Row]) -> Plot {
    let line = |name: &str, value: fn(&crate::bound::Terms) -> f64| {
        let points = rows.iter().filter_map(|row| match (row.model, &row.terms) {
            (Model::Diffusion(steps), Some(terms)) => Some((steps as f64, value(terms))),
            _ => None,
        });
        Series::new(name, points)
    };
    Plot {
        title: format!("{setting}: the bound and its terms"),
        x_label: "diffusion steps T".into(),
        y_label: "nats".into(),
        x_scale: Scale::Log,
        series: vec![
            line("log-likelihood", |terms| terms.log_likelihood),
            line("bound", |terms| terms.bound),
            line("sum of KL", |terms| terms.kl.iter().sum()),
            line("log-likelihood of a perfect model", |terms| {
                terms.best_log_likelihood
            }),
        ],
        ..Plot::default()
    }
}

/// Draws the log-likelihood against the divergences, with the corresponding densities below.
fn trade_off(setting: &str, rows: &[&Weighted]) -> Result<RgbImage> {
    let divergence = |row: &Weighted| row.terms.kl.iter().sum::<f64>();
    let lone = rows.iter().map(|row| {
        let name = format!("λ = {}", row.weight);
        Series::new(name, [(divergence(row), row.terms.log_likelihood)])
    });
    let against = Plot {
        title: format!("{setting}: likelihood against divergences"),
        x_label: "sum of KL, nats".into(),
        y_label: "log-likelihood, nats".into(),
        x_scale: Scale::Log,
        series: lone.collect(),
        width: 480,
        height: 420,
        ..Plot::default()
    };
    let grid = grid();
    let densities = Plot {
        title: format!("{setting}: p(x_0)"),
        y_label: "density".into(),
        x_range: Some((-SHOWN, SHOWN)),
        series: rows
            .iter()
            .map(|row| {
                let density = &row.terms.marginals[0];
                let points = grid.points.iter().copied().zip(density.iter().copied());
                Series::new(format!("λ = {}", row.weight), points)
            })
            .collect(),
        width: 480,
        height: 420,
        ..Plot::default()
    };
    Ok(columns(&[against.image(1.0)?, densities.image(1.0)?], 2))
}

/// Draws the two arguments of KL_1 for one x_0, with the smallest and with the largest weight of
/// the divergences.
fn first_step(setting: &Setting, least: &Weighted, most: &Weighted) -> Result<RgbImage> {
    let grid = grid();
    let plots = [least, most].map(|row| {
        let [q, p] = &row.first_step;
        let line = |name: &str, density: &[f64]| {
            Series::new(
                name,
                grid.points.iter().copied().zip(density.iter().copied()),
            )
        };
        Ok(Plot {
            title: format!(
                "{}, λ = {}: distribution of x_1 given x_0 = -0.5",
                setting.name, row.weight
            ),
            y_label: "density".into(),
            x_range: Some((-SHOWN, SHOWN)),
            series: vec![line("q(x_1 | x_0)", q), line("p(x_1 | x_0)", p)],
            width: 480,
            height: 260,
            ..Plot::default()
        }
        .image(1.0)?)
    });
    Ok(columns(&plots.into_iter().collect::<Result<Vec<_>>>()?, 2))
}
