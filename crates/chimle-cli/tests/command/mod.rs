//! Runs the binary, and makes the inputs of the tests.

// Every test file compiles this module and uses its own part of it.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The result of running `chimle`.
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `chimle` in `folder` with arguments separated by spaces; its cache is `folder/cache`.
pub fn chimle(folder: &Path, arguments: &str) -> Ran {
    let arguments: Vec<&OsStr> = arguments.split_whitespace().map(OsStr::new).collect();
    chimle_with(folder, &arguments)
}

/// Runs `chimle` like [`chimle`], with arguments of any bytes.
pub fn chimle_with(folder: &Path, arguments: &[&OsStr]) -> Ran {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_chimle"))
        .current_dir(folder)
        .env("CHIMLE_CACHE", folder.join("cache"))
        .args(arguments)
        .output()
        .expect("the binary runs");
    // In a path that is not UTF-8, invalid bytes are shown as replacement characters.
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    Ran {
        status: output.status.code().expect("it ends by itself"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

impl Ran {
    /// Checks that the command succeeded and wrote nothing to standard error.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert_eq!(
            (self.status, self.stderr.as_str()),
            (0, ""),
            "{}",
            self.stdout
        );
        assert!(
            !self.stdout.contains('\u{1b}'),
            "escape codes for no terminal: {}",
            self.stdout
        );
        self
    }

    /// Checks that the command failed with exit status 2 and a message about a flag that contains `word`.
    #[track_caller]
    pub fn fails_with_usage(self, word: &str) {
        assert_eq!(self.status, 2, "{}{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(word), "{}", self.stderr);
    }

    /// Checks that the command failed with exit status 1 and one line that contains all `words`. Only warnings may precede
    /// that line.
    #[track_caller]
    pub fn fails_naming(self, words: &[&str]) {
        assert_eq!(self.status, 1, "{}{}", self.stdout, self.stderr);
        let errors: Vec<&str> = self
            .stderr
            .lines()
            .filter(|line| !line.starts_with("warning: "))
            .collect();
        assert!(
            matches!(errors[..], [line] if line.starts_with("error: ")),
            "{}",
            self.stderr
        );
        assert!(
            !self.stderr.contains("panicked") && !self.stderr.contains("error: internal"),
            "{}",
            self.stderr
        );
        for word in words {
            assert!(
                errors[0].contains(word),
                "{word:?} is not in {:?}",
                errors[0]
            );
        }
    }
}

/// Returns an empty folder that is removed at the end.
pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Writes an artificial photograph, in the format that its name says.
pub fn photograph(path: PathBuf, width: u32, height: u32) {
    let color = |x: u32, y: u32| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8]);
    image::RgbImage::from_fn(width, height, color)
        .save(path)
        .expect("an image is written");
}

/// Trains a tiny colorization model in `folder/run` for some steps.
pub fn train(folder: &Path, steps: usize) {
    let flags = format!(
        "train --task colourization --data procedural --size 16 --steps {steps} {SMALL} --out run"
    );
    chimle(folder, &flags).succeeds();
}

/// Flags that make a step quick.
pub const SMALL: &str = "--batch 2 --share 4 --steps-per-search 2 --pool 3,2,1";
