//! Writes the tables and the plot of `docs/nearest-neighbour.md` from the results of the bench
//! `nearest_neighbor`:
//!
//!     cargo run --release -p chimle-benches --bin nearest_neighbor_report

mod case;
mod plot;
mod results;
mod table;

use std::error::Error;
use std::path::Path;

use results::Results;

/// The text between these two lines of the page is replaced.
const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

fn main() -> Result<(), Box<dyn Error>> {
    let results = Results::read(&case::criterion_folder(), &case::records())?;
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");

    let page = docs.join("nearest-neighbour.md");
    let text = std::fs::read_to_string(&page)?;
    let (before, rest) = text
        .split_once(BEGIN)
        .ok_or("the page has no begin marker")?;
    let (_, after) = rest.split_once(END).ok_or("the page has no end marker")?;
    let tables = table::markdown(&results);
    std::fs::write(&page, format!("{before}{BEGIN}\n\n{tables}\n{END}{after}"))?;

    let image = docs.join("images/nearest-neighbour.svg");
    plot::draw(&results, &image)?;
    println!("wrote {} and {}", page.display(), image.display());
    Ok(())
}
