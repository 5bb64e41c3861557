//! The plot of time over the number of points, with one column per dimension.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::case::Case;
use crate::results::{Results, Times};

/// The size of one panel in pixels, and the height of the legend below the panels.
const PANEL: (u32, u32) = (320, 280);
const LEGEND: u32 = 40;

/// The colors of the structures, which are the same in all panels.
const COLORS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(255, 127, 14),
    RGBColor(127, 127, 127),
];

/// Points of a curve: the number of points and the time in seconds.
type Series = Vec<(f64, f64)>;

/// A function that selects one of the times.
type Which = fn(&Times) -> Option<f64>;

pub fn draw(results: &Results, path: &Path) -> Result<(), Box<dyn Error>> {
    let mut columns: Vec<(usize, usize)> = results
        .times
        .keys()
        .map(|case| (case.d, case.intrinsic))
        .collect();
    columns.dedup();
    let mut names: Vec<&str> = (results.times.values())
        .flat_map(|structures| structures.keys().map(String::as_str))
        .collect();
    names.sort_unstable();
    names.dedup();

    let size = (PANEL.0 * columns.len().max(1) as u32, 2 * PANEL.1 + LEGEND);
    let area = SVGBackend::new(path, size).into_drawing_area();
    area.fill(&WHITE)?;
    let (panels, legend) = area.split_vertically(2 * PANEL.1);
    let rows: [(&str, Which); 2] = [
        ("one query", |times| times.one_query),
        ("1,000 queries", |times| times.many_queries),
    ];
    let panels = panels.split_evenly((rows.len(), columns.len().max(1)));
    for (row, (what, time)) in rows.into_iter().enumerate() {
        for (column, &(d, intrinsic)) in columns.iter().enumerate() {
            let cases = (results.times.iter())
                .filter(|(case, _)| (case.d, case.intrinsic) == (d, intrinsic));
            let caption = format!("{what}, d = {d}, intrinsic {intrinsic}");
            let panel = &panels[row * columns.len() + column];
            draw_panel(panel, &caption, &series(cases, time), &names)?;
        }
    }
    for (at, name) in names.iter().enumerate() {
        let x = 20 + 220 * at as i32;
        legend.draw(&PathElement::new(
            [(x, 18), (x + 30, 18)],
            COLORS[at % COLORS.len()].stroke_width(3),
        ))?;
        legend.draw(&Text::new(
            (*name).to_owned(),
            (x + 36, 10),
            ("sans-serif", 15),
        ))?;
    }
    area.present()?;
    Ok(())
}

fn series<'a>(
    cases: impl Iterator<Item = (&'a Case, &'a BTreeMap<String, Times>)>,
    time: Which,
) -> BTreeMap<&'a str, Series> {
    let mut series: BTreeMap<&str, Series> = BTreeMap::new();
    for (case, structures) in cases {
        for (name, times) in structures {
            if let Some(seconds) = time(times) {
                series
                    .entry(name)
                    .or_default()
                    .push((case.n as f64, seconds));
            }
        }
    }
    series
}

fn draw_panel(
    area: &DrawingArea<SVGBackend, plotters::coord::Shift>,
    caption: &str,
    series: &BTreeMap<&str, Series>,
    names: &[&str],
) -> Result<(), Box<dyn Error>> {
    let seconds = || series.values().flatten().map(|(_, seconds)| *seconds);
    // The axis covers whole decades, because the labels of a logarithmic axis are there.
    let low = 10f64.powf(seconds().fold(1.0, f64::min).log10().floor());
    let high = 10f64.powf(seconds().fold(1e-6, f64::max).log10().ceil());
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 14))
        .margin(6)
        .x_label_area_size(34)
        .y_label_area_size(52)
        .build_cartesian_2d((80.0..1.25e6).log_scale(), (low..high).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("points")
        .y_desc("seconds")
        .x_label_formatter(&|n: &f64| format!("1e{:.0}", n.log10()))
        .y_label_formatter(&|seconds: &f64| format!("1e{:.0}", seconds.log10()))
        .draw()?;
    for (name, points) in series {
        let at = names.iter().position(|other| other == name).unwrap_or(0);
        let color = COLORS[at % COLORS.len()];
        chart.draw_series(LineSeries::new(
            points.iter().copied(),
            color.stroke_width(2),
        ))?;
        let dots = points
            .iter()
            .map(|&point| Circle::new(point, 3, color.filled()));
        chart.draw_series(dots)?;
    }
    Ok(())
}
