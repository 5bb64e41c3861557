//! A series as an SVG path.

use std::fmt::Write;

/// Returns the data of a `<path>` through points on the canvas. `None` is a gap.
///
/// If several points fall into one column of pixels, only the first, the lowest, the highest and the last are
/// kept. The line looks the same, and the size of the data is bounded by the width of the plot. A point between
/// two gaps becomes a line of length 0, which round caps show as a dot.
pub(super) fn path(points: impl Iterator<Item = Option<(f64, f64)>>) -> String {
    let mut path = String::new();
    let mut run = Vec::new();
    for point in points.chain([None]) {
        match point {
            Some(point) => run.push(point),
            None => {
                write_run(&mut path, &thinned(&run));
                run.clear();
            }
        }
    }
    path
}

fn write_run(path: &mut String, run: &[(f64, f64)]) {
    for (index, (x, y)) in run.iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        // Writing to a string cannot fail.
        let _ = write!(path, "{command}{x:.1} {y:.1}");
    }
    if run.len() == 1 {
        path.push_str("h0");
    }
}

fn thinned(run: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut kept = Vec::new();
    for column in run.chunk_by(|one, other| one.0.floor() == other.0.floor()) {
        if column.len() <= 4 {
            kept.extend_from_slice(column);
            continue;
        }
        let by_height = |one: &&(f64, f64), other: &&(f64, f64)| one.1.total_cmp(&other.1);
        let position = |point: Option<&(f64, f64)>| {
            column
                .iter()
                .position(|other| Some(other) == point)
                .unwrap_or(0)
        };
        let mut indices = [
            0,
            position(column.iter().min_by(by_height)),
            position(column.iter().max_by(by_height)),
            column.len() - 1,
        ];
        indices.sort_unstable();
        let mut last = None;
        for index in indices {
            if last != Some(index) {
                kept.push(column[index]);
            }
            last = Some(index);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_part_a_line_and_leave_lone_points_as_dots() {
        let points = [
            Some((0.0, 1.0)),
            Some((10.0, 2.0)),
            None,
            Some((20.0, 3.0)),
            None,
            None,
        ];
        assert_eq!(path(points.into_iter()), "M0.0 1.0L10.0 2.0M20.0 3.0h0");
        assert_eq!(path(std::iter::empty()), "");
    }

    #[test]
    fn a_column_of_many_points_keeps_its_ends_and_extremes() {
        let column = [5.0, 4.0, 9.0, 3.0, 1.0, 2.0].map(|y| (0.5, y));
        assert_eq!(
            thinned(&column),
            [(0.5, 5.0), (0.5, 9.0), (0.5, 1.0), (0.5, 2.0)]
        );
        let many: Vec<_> = (0..1_000_000)
            .map(|k| (f64::from(k) / 2000.0, f64::from(k % 7)))
            .collect();
        assert!(thinned(&many).len() <= 4 * 500);
    }
}
