//! A plot as SVG.

use std::fmt::{Display, Write};

use super::axis::{Axis, Tick};
use super::{Plot, Series, line};
use crate::escape::markup;
use crate::raster::CHARACTER_WIDTH;

/// Okabe and Ito's palette (2008) without its yellow and black, in the order in which neighbors differ most.
const COLORS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00",
];

/// The dash pattern of each pass over [`COLORS`].
const DASHES: [&str; 3] = ["none", "7 5", "2 4.5"];

const FONT_SIZE: f64 = 12.0;
const TITLE_SIZE: f64 = 15.0;
const LEGEND_ROW: f64 = 20.0;
const SWATCH: f64 = 18.0;

/// The desired distance between ticks, in CSS pixels.
const X_TICK_DISTANCE: f64 = 70.0;
const Y_TICK_DISTANCE: f64 = 50.0;

/// The distance by which lines may extend beyond the axes, in CSS pixels: the radius of a dot at the end of
/// a line.
const BLEED: f64 = 4.0;

/// The largest number of points of a line whose points are drawn as dots.
const MOST_MARKED: usize = 24;

#[derive(Clone, Copy)]
enum Line {
    Faint,
    Main,
    Dots,
}

/// The rectangle in which the lines are drawn.
struct Area {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

/// A name in the legend.
struct Entry {
    index: usize,
    x: f64,
    row: usize,
}

/// Returns the two axes. The horizontal axis ends at the smallest and the largest value, and the vertical
/// axis at round values.
pub(super) fn axes(plot: &Plot) -> (Axis, Axis) {
    let points = || {
        plot.series
            .iter()
            .flat_map(|series| series.points.iter().chain(&series.raw))
    };
    let horizontal = plot.x_range.map_or_else(
        || Axis::covering(plot.x_scale, points().map(|point| point.0)),
        |range| Axis::between(plot.x_scale, range),
    );
    let vertical = plot.y_range.map_or_else(
        || {
            Axis::covering(plot.y_scale, points().map(|point| point.1))
                .rounded(tick_count(f64::from(plot.height), Y_TICK_DISTANCE))
        },
        |range| Axis::between(plot.y_scale, range),
    );
    (horizontal, vertical)
}

pub(super) fn draw(plot: &Plot) -> String {
    let (width, height) = (
        f64::from(plot.width.max(160)),
        f64::from(plot.height.max(120)),
    );
    let (horizontal, vertical) = axes(plot);
    let y_ticks = vertical.ticks(tick_count(height, Y_TICK_DISTANCE));
    let legend = legend(&plot.series, width);
    let area = area(plot, (width, height), &legend, &y_ticks);
    let x_ticks = horizontal.ticks(tick_count(area.width, X_TICK_DISTANCE));

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" role=\"img\" aria-label=\"{}\" \
         viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" color=\"#222226\" \
         font-family=\"system-ui, sans-serif\" font-size=\"{FONT_SIZE}\">\n\
         <rect class=\"paper\" width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
        markup(&description(plot)),
    );
    if !plot.title.is_empty() {
        let room = (width - 24.0) / (TITLE_SIZE * CHARACTER_WIDTH);
        let attributes = format!("class=\"title\" font-size=\"{TITLE_SIZE}\" font-weight=\"600\"");
        text(
            &mut svg,
            (12.0, 21.0),
            &attributes,
            &shortened(&plot.title, room),
        );
    }
    draw_legend(&mut svg, &plot.series, &legend, title_height(plot));
    draw_axes(
        &mut svg,
        plot,
        &area,
        (&horizontal, &x_ticks),
        (&vertical, &y_ticks),
    );

    // A nested `<svg>` clips the lines at the axes. A clip path would need an id that is unique in the
    // page.
    put(
        &mut svg,
        format_args!(
            "<svg x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" overflow=\"hidden\" fill=\"none\" \
             stroke-linejoin=\"round\" stroke-linecap=\"round\">\n",
            area.left - BLEED,
            area.top - BLEED,
            area.width + 2.0 * BLEED,
            area.height + 2.0 * BLEED,
        ),
    );
    let place = |&(x, y): &(f64, f64)| {
        let (x, y) = (horizontal.place(x)?, vertical.place(y)?);
        // Coordinates far outside are clamped, because large values would lose precision.
        let (x, y) = (x.clamp(-50.0, 50.0), y.clamp(-50.0, 50.0));
        Some((BLEED + x * area.width, BLEED + (1.0 - y) * area.height))
    };
    let mut empty = true;
    for faint in [true, false] {
        for (index, series) in plot.series.iter().enumerate() {
            let points = if faint { &series.raw } else { &series.points };
            let path = line::path(points.iter().map(place));
            if path.is_empty() {
                continue;
            }
            empty = false;
            let kind = if faint { Line::Faint } else { Line::Main };
            draw_line(&mut svg, index, &path, kind);
            if !faint && points.len() <= MOST_MARKED {
                let lone = points.iter().map(place).flat_map(|point| [point, None]);
                draw_line(&mut svg, index, &line::path(lone), Line::Dots);
            }
        }
    }
    svg.push_str("</svg>\n");
    if empty {
        let middle = (area.left + area.width / 2.0, area.top + area.height / 2.0);
        text(
            &mut svg,
            middle,
            "text-anchor=\"middle\" opacity=\"0.6\"",
            "no data",
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn tick_count(length: f64, distance: f64) -> usize {
    ((length / distance) as usize).clamp(2, 12)
}

fn title_height(plot: &Plot) -> f64 {
    if plot.title.is_empty() { 8.0 } else { 32.0 }
}

/// Returns the description of the plot for screen readers.
fn description(plot: &Plot) -> String {
    let names: Vec<_> = plot
        .series
        .iter()
        .map(|series| series.name.as_str())
        .filter(|name| !name.is_empty())
        .collect();
    let axes = match (plot.y_label.as_str(), plot.x_label.as_str()) {
        ("", "") => String::new(),
        (y, "") => y.to_owned(),
        ("", x) => format!("against {x}"),
        (y, x) => format!("{y} against {x}"),
    };
    [plot.title.as_str(), &axes, &names.join(", ")]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(": ")
}

/// Places the names of the legend in rows, from the left, with as many names per row as fit.
fn legend(series: &[Series], width: f64) -> Vec<Entry> {
    if series.len() < 2 {
        return Vec::new();
    }
    let (mut x, mut row) = (0.0, 0);
    series
        .iter()
        .enumerate()
        .map(|(index, series)| {
            let length = SWATCH + 22.0 + text_width(&series.name);
            if x > 0.0 && x + length > width - 24.0 {
                (x, row) = (0.0, row + 1);
            }
            let entry = Entry { index, x, row };
            x += length;
            entry
        })
        .collect()
}

fn area(plot: &Plot, size: (f64, f64), legend: &[Entry], y_ticks: &[Tick]) -> Area {
    let rows = legend.last().map_or(0, |entry| entry.row + 1);
    let y_label = if plot.y_label.is_empty() { 0.0 } else { 22.0 };
    let top = title_height(plot) + LEGEND_ROW * rows as f64 + y_label + 6.0;
    let bottom = if plot.x_label.is_empty() { 28.0 } else { 48.0 };
    let left = y_ticks
        .iter()
        .map(|tick| text_width(&tick.label))
        .fold(16.0, f64::max)
        + 16.0;
    Area {
        left,
        top,
        width: (size.0 - left - 20.0).max(40.0),
        height: (size.1 - top - bottom).max(30.0),
    }
}

fn draw_legend(svg: &mut String, series: &[Series], legend: &[Entry], top: f64) {
    for entry in legend {
        let (x, y) = (
            12.0 + entry.x,
            top + LEGEND_ROW * entry.row as f64 + LEGEND_ROW / 2.0,
        );
        draw_line(
            svg,
            entry.index,
            &format!("M{x:.1} {y:.1}h{SWATCH}"),
            Line::Main,
        );
        text(
            svg,
            (x + SWATCH + 6.0, y + 4.0),
            "",
            &series[entry.index].name,
        );
    }
}

fn draw_axes(
    svg: &mut String,
    plot: &Plot,
    area: &Area,
    (horizontal, x_ticks): (&Axis, &[Tick]),
    (vertical, y_ticks): (&Axis, &[Tick]),
) {
    let bottom = area.top + area.height;
    let right = area.left + area.width;
    for tick in y_ticks {
        let Some(place) = vertical.place(tick.value) else {
            continue;
        };
        let y = bottom - place * area.height;
        put(
            svg,
            format_args!(
                "<path class=\"grid\" d=\"M{:.1} {y:.1}H{right:.1}\" stroke=\"currentColor\" stroke-opacity=\"0.13\"/>\n",
                area.left
            ),
        );
        let attributes = "class=\"tick\" text-anchor=\"end\" opacity=\"0.75\"";
        text(svg, (area.left - 8.0, y + 4.0), attributes, &tick.label);
    }
    put(
        svg,
        format_args!(
            "<path class=\"axis\" d=\"M{:.1} {bottom:.1}H{right:.1}\" stroke=\"currentColor\" stroke-opacity=\"0.6\"/>\n",
            area.left
        ),
    );
    for tick in x_ticks {
        let Some(place) = horizontal.place(tick.value) else {
            continue;
        };
        let x = area.left + place * area.width;
        put(
            svg,
            format_args!(
                "<path class=\"axis\" d=\"M{x:.1} {bottom:.1}v5\" stroke=\"currentColor\" stroke-opacity=\"0.6\"/>\n"
            ),
        );
        // Labels near the right edge are moved to the left, so that they are not cut off.
        let half = text_width(&tick.label) / 2.0;
        let x = x.min(right + 18.0 - half);
        let attributes = "class=\"tick\" text-anchor=\"middle\" opacity=\"0.75\"";
        text(svg, (x, bottom + 19.0), attributes, &tick.label);
    }
    if !plot.y_label.is_empty() {
        let room = right / (FONT_SIZE * CHARACTER_WIDTH);
        text(
            svg,
            (12.0, area.top - 14.0),
            "opacity=\"0.75\"",
            &shortened(&plot.y_label, room),
        );
    }
    if !plot.x_label.is_empty() {
        let room = area.width / (FONT_SIZE * CHARACTER_WIDTH);
        let attributes = "text-anchor=\"end\" opacity=\"0.75\"";
        text(
            svg,
            (right, bottom + 39.0),
            attributes,
            &shortened(&plot.x_label, room),
        );
    }
}

fn draw_line(svg: &mut String, index: usize, path: &str, kind: Line) {
    let class = index % COLORS.len();
    let color = COLORS[class];
    let dash = DASHES[(index / COLORS.len()) % DASHES.len()];
    let (width, opacity, dash) = match kind {
        Line::Faint => (1.0, 0.3, "none"),
        Line::Main => (2.0, 1.0, dash),
        Line::Dots => (6.0, 1.0, "none"),
    };
    put(
        svg,
        format_args!(
            "<path class=\"series series-{class}\" d=\"{path}\" stroke=\"{color}\" stroke-width=\"{width}\" \
             stroke-opacity=\"{opacity}\" stroke-dasharray=\"{dash}\"/>\n"
        ),
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), attributes: &str, content: &str) {
    let content = markup(content);
    put(
        svg,
        format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"currentColor\" {attributes}>{content}</text>\n"
        ),
    );
}

fn text_width(text: &str) -> f64 {
    FONT_SIZE * CHARACTER_WIDTH * text.chars().count() as f64
}

/// Shortens `text` to at most `room` characters.
fn shortened(text: &str, room: f64) -> String {
    let room = room.max(1.0) as usize;
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room - 1).collect();
    kept + "…"
}

fn put(svg: &mut String, content: impl Display) {
    // Writing to a string cannot fail.
    let _ = write!(svg, "{content}");
}
