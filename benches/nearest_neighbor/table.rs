//! The tables, in Markdown.

use std::fmt::Write;

use crate::case::Case;
use crate::results::{Results, Times};

/// Returns a table for each dimension, with the rate of the many-query case.
pub fn markdown(results: &Results) -> String {
    let mut text = String::new();
    if let Some(machine) = results.matrix_rate {
        let gigaflops = machine * 1e-9;
        writeln!(
            text,
            "Matrix product of the machine: {gigaflops:.0} GFLOP/s.\n"
        )
        .ok();
    }
    let mut heading = None;
    for (case, structures) in &results.times {
        if heading != Some((case.d, case.intrinsic)) {
            heading = Some((case.d, case.intrinsic));
            writeln!(
                text,
                "{}### d = {}, intrinsic dimension {}\n",
                line(&text),
                case.d,
                case.intrinsic
            )
            .ok();
            text.push_str("| n | structure | build | one query | 1,000 queries | recall@1 |\n");
            text.push_str("|---:|---|---:|---:|---:|---:|\n");
        }
        for (structure, times) in structures {
            let rate = match (
                structure.as_str(),
                results.exact_rate(*case),
                results.matrix_rate,
            ) {
                ("Exact", Some(rate), Some(machine)) if case.d >= 100 => {
                    format!(" ({:.0} % of the product's rate)", 100.0 * rate / machine)
                }
                _ => String::new(),
            };
            row(&mut text, *case, structure, times, &rate);
        }
    }
    text
}

/// Returns the line break that ends a table before a heading.
fn line(text: &str) -> &'static str {
    if text.ends_with("|\n") { "\n" } else { "" }
}

fn row(text: &mut String, case: Case, structure: &str, times: &Times, rate: &str) {
    let recall = match times.recall {
        Some(recall) => format!("{recall:.3}"),
        None => "-".to_owned(),
    };
    let n = thousands(case.n);
    let (build, one) = (duration(times.build), duration(times.one_query));
    let many = duration(times.many_queries);
    writeln!(
        text,
        "| {n} | {structure} | {build} | {one} | {many}{rate} | {recall} |"
    )
    .ok();
}

/// Formats a duration with three digits and a unit.
fn duration(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else {
        return "-".to_owned();
    };
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s if s >= 1e-6 => (s * 1e6, "us"),
        s => (s * 1e9, "ns"),
    };
    let decimals = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.decimals$} {unit}")
}

fn thousands(n: usize) -> String {
    if n >= 1000 {
        format!("{},{:03}", thousands(n / 1000), n % 1000)
    } else {
        n.to_string()
    }
}
