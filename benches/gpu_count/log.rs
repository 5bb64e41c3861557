//! The comparison with a log of CubeCL.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;

use crate::counted::{Part, short};

/// The parts that the longer log has more: two forward passes, two training steps and one search.
const TIMES: [u64; 3] = [2, 2, 1];

/// Counts the launches per kernel in a log that was written with the profiling level `minimal`.
fn launches(log: &str) -> BTreeMap<String, i64> {
    let mut launches = BTreeMap::new();
    let names = log.lines().filter_map(|line| line.split_once("Executing "));
    for (_, name) in names {
        *launches.entry(short(name)).or_default() += 1;
    }
    launches
}

/// Prints the counted and the logged launches per kernel. Fails if their sums differ.
pub fn compare(
    parts: &[(&'static str, Part)],
    fewer: &str,
    more: &str,
) -> Result<(), Box<dyn Error>> {
    let mut logged = launches(&fs::read_to_string(more)?);
    for (name, count) in launches(&fs::read_to_string(fewer)?) {
        *logged.entry(name).or_default() -= count;
    }
    let mut rows: BTreeMap<String, [i64; 2]> = BTreeMap::new();
    for ((_, part), times) in parts.iter().zip(TIMES) {
        for (name, launches) in &part.kernels {
            rows.entry(name.clone()).or_default()[0] += (times * launches.count) as i64;
        }
    }
    for (name, count) in logged {
        rows.entry(name).or_default()[1] += count;
    }
    println!("| kernel | counted | logged |\n|---|--:|--:|");
    let mut sums = [0; 2];
    for (name, [counted, logged]) in &rows {
        sums[0] += counted;
        sums[1] += logged;
        if [*counted, *logged] != [0, 0] {
            println!("| {} | {counted} | {logged} |", name);
        }
    }
    println!("| all | {} | {} |", sums[0], sums[1]);
    if sums[0] == sums[1] {
        Ok(())
    } else {
        Err("the counted launches are not the logged ones".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_counted_by_kernel() {
        let log = "Executing A | f32\n[INFO] Executing B\nother\nExecuting A | f32\n";
        let found = launches(log);
        assert_eq!(found["A"], 2);
        assert_eq!(found["B"], 1);
        assert_eq!(found.len(), 2);
    }
}
