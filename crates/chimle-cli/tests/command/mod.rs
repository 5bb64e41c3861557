//! Running the binary, and what the tests give it.

// Every test file compiles this module and uses its own part of it.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// What a run of `chimle` left.
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

/// As [`chimle`], with arguments of any bytes.
pub fn chimle_with(folder: &Path, arguments: &[&OsStr]) -> Ran {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_chimle"))
        .current_dir(folder)
        .env("CHIMLE_CACHE", folder.join("cache"))
        .args(arguments)
        .output()
        .expect("the binary runs");
    // A path that is not UTF-8 is shown with signs in the place of its bytes.
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    Ran {
        status: output.status.code().expect("it ends by itself"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

impl Ran {
    /// That it went well, without a word on standard error.
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

    /// That it failed with exit status 2 because a flag's value cannot be, and said why.
    #[track_caller]
    pub fn fails_with_usage(self, word: &str) {
        assert_eq!(self.status, 2, "{}{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(word), "{}", self.stderr);
    }

    /// That it failed with exit status 1 and one line that names all of `words`, after warnings at most.
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

/// An empty folder that is removed in the end.
pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A photograph of sorts, in the format that its name says.
pub fn photograph(path: PathBuf, width: u32, height: u32) {
    let color = |x: u32, y: u32| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8]);
    image::RgbImage::from_fn(width, height, color)
        .save(path)
        .expect("an image is written");
}

/// A run of a tiny colorization model in `folder/run`, of so many steps.
pub fn train(folder: &Path, steps: usize) {
    let flags = format!(
        "train --task colourization --data procedural --size 16 --steps {steps} {SMALL} --out run"
    );
    chimle(folder, &flags).succeeds();
}

/// Flags that make a step quick.
pub const SMALL: &str = "--batch 2 --share 4 --steps-per-search 2 --pool 3,2,1";
