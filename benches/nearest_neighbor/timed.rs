//! Times a structure on points from a file, next to another program that takes turns with this one.
//!
//! `nearest_neighbor_timed STRUCTURE FILE N D`, where STRUCTURE is `exact` or `kd-tree`. FILE contains
//! N points and then any number of queries as little-endian `f32` values, D per row. For each line on
//! the standard input, the program answers all queries once (k = 1), and prints the seconds and the
//! indices of the nearest points as JSON.

use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

use chimle_knn::{Exact, KdTree, NearestNeighbors, Points};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [structure, file, n, d] = &arguments[..] else {
        return Err("usage: nearest_neighbor_timed exact|kd-tree FILE N D".into());
    };
    let (n, d): (usize, usize) = (n.parse()?, d.parse()?);
    let bytes = std::fs::read(file)?;
    let mut points: Vec<f32> = bytes
        .chunks_exact(4)
        .map(|value| f32::from_le_bytes(value.try_into().expect("a chunk has four bytes")))
        .collect();
    let values = n.checked_mul(d).filter(|&values| values < points.len());
    let queries = points.split_off(values.ok_or("the file has no queries")?);
    let (points, queries) = (Points::new(&points, d)?, Points::new(&queries, d)?);
    let index: Box<dyn NearestNeighbors + '_> = match structure.as_str() {
        "exact" => Box::new(Exact::new(points)),
        "kd-tree" => Box::new(KdTree::new(points)?),
        other => return Err(format!("{other} is not a structure").into()),
    };
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        line?;
        let start = Instant::now();
        let answers = index.query_many(queries, 1)?;
        let seconds = start.elapsed().as_secs_f64();
        let nearest: Vec<usize> = answers.iter().map(|nearest| nearest[0].index).collect();
        let answer = serde_json::json!({ "seconds": seconds, "nearest": nearest });
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
