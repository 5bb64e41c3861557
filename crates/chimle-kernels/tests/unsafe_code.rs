//! Every use of `unsafe` in the workspace is listed in `docs/reliability.md` with the reason why it
//! is sound.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Collects the files with the extension `rs` below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Counts the uses of the keyword in a source file.
fn uses(source: &str) -> usize {
    let code = source
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    let keyword = ["unsafe {", "unsafe impl", "unsafe fn"];
    code.map(|line| {
        keyword
            .iter()
            .map(|keyword| line.matches(keyword).count())
            .sum::<usize>()
    })
    .sum()
}

#[test]
fn every_unsafe_block_is_listed_with_its_argument() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = BTreeMap::new();
    for folder in ["benches", "crates", "examples", "fuzz", "tests"] {
        let mut files = Vec::new();
        sources(&root.join(folder), &mut files);
        for file in files {
            let below = file
                .strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .replace('\\', "/");
            // This file contains the keyword as text. Build folders are not part of the repository.
            if below.ends_with("tests/unsafe_code.rs") || below.contains("/target/") {
                continue;
            }
            let count = uses(&fs::read_to_string(&file).unwrap());
            if count > 0 {
                found.insert(below, count);
            }
        }
    }
    let text = fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [file, count, argument] = cells[..] else {
            return None;
        };
        let file = file.strip_prefix('`')?.strip_suffix('`')?;
        let is_source = file.ends_with(".rs") && argument.len() > 40;
        is_source.then(|| (file.to_owned(), count.parse().unwrap()))
    };
    let listed: BTreeMap<String, usize> = text.lines().filter_map(row).collect();
    assert_eq!(found, listed);
}
