//! Tests a page in Chromium with `browser/check.mjs`. The test is skipped if Chromium, Node or the
//! driver is absent.

mod scenes;

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn a_person_can_look_through_compare_mark_and_save() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let chromium = std::env::var_os("CHROMIUM")
        .map_or_else(|| PathBuf::from("/usr/bin/chromium"), PathBuf::from);
    let node = Command::new("node").arg("--version").output().is_ok();
    if !node || !chromium.exists() || !folder.join("node_modules/puppeteer-core").exists() {
        println!("absent: node, chromium or tests/browser/node_modules");
        return;
    }
    let out = tempfile::tempdir().expect("a folder");
    let path = out.path().join("page.html");
    scenes::page().save(&path).expect("a page");
    let output = Command::new("node")
        .arg(folder.join("check.mjs"))
        .arg(&path)
        .env("CHROMIUM", &chromium)
        .output()
        .expect("node");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
