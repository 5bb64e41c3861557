//! Writes lines to the terminal, and pictures and text to files.

use std::fmt::Display;
use std::fs;
use std::io::{Cursor, ErrorKind, Write};
use std::path::Path;

use image::{ImageFormat, RgbImage};

use crate::error::Failure;

/// Prints a line on standard output. If the reader has closed the pipe (`chimle train ... | head`), the line is dropped
/// without an error, because the work itself is done.
///
/// # Errors
/// If the line cannot be written, for example because the disk is full.
pub fn say(line: impl Display) -> Result<(), Failure> {
    let line = harmless(&line.to_string());
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Failure::file("write", "standard output")),
    }
}

/// The longest line on standard error, in characters. A path can have 4,096 bytes; a name in a file can be
/// as long as the file.
const LONGEST: usize = 10_000;

/// Prints one line on standard error, as in `warning: photo.jpg is truncated`.
pub fn complain(kind: &str, message: impl Display) {
    // If standard error is closed, there is nowhere left to report it.
    let _ = writeln!(std::io::stderr(), "{kind}: {}", one_line(message));
}

/// Returns a message as one line without control characters. If the line is longer than [`LONGEST`], its middle is
/// left out.
fn one_line(message: impl Display) -> String {
    let message = message.to_string();
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = harmless(&line);
    let length = line.chars().count();
    if length <= LONGEST {
        return line;
    }
    // The end is kept, because it often says what to do.
    let start: String = line.chars().take(LONGEST / 2).collect();
    let end: String = line.chars().skip(length - LONGEST / 2).collect();
    format!("{start} ... {end}")
}

/// Escapes the characters that a terminal obeys instead of showing: control characters, and characters that reverse the
/// order of text. The name of a file can contain them. Line ends and tabs stay.
pub fn harmless(text: &str) -> String {
    let is_obeyed = |character: char| {
        let is_order = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        is_order || (character.is_control() && !matches!(character, '\n' | '\t'))
    };
    let shown = |character: char| match is_obeyed(character) {
        true => character.escape_unicode().to_string(),
        false => character.to_string(),
    };
    text.chars().map(shown).collect()
}

/// Creates a folder and checks that files can be written into it, so that errors appear before any work is done.
pub fn prepare_folder(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(Failure::file("make the folder", folder))?;
    let probe = folder.join(".chimle-probe");
    fs::write(&probe, b"chimle").map_err(Failure::file("write into", folder))?;
    fs::remove_file(&probe).map_err(Failure::file("write into", folder))
}

/// Writes a picture as PNG, whole or not at all.
pub fn save_png(picture: &RgbImage, path: &Path) -> Result<(), Failure> {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|e| Failure::File {
            action: "write",
            path: path.to_owned(),
            source: std::io::Error::other(e),
        })?;
    save(bytes.get_ref(), path)
}

/// Writes a file, whole or not at all: if anything fails, the previous file at `path` stays.
pub fn save(bytes: &[u8], path: &Path) -> Result<(), Failure> {
    chimle_files::write(path, bytes).map_err(Failure::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, harmless, one_line};

    #[test]
    fn a_message_has_one_line_of_bounded_length() {
        assert_eq!(one_line("a\n  b\u{7}"), "a b\\u{7}");
        let usual = "ü".repeat(LONGEST);
        assert_eq!(one_line(&usual), usual);
        let long = one_line(format!("begin{usual}end"));
        assert!(long.starts_with("beginü") && long.ends_with("üend"));
        assert!(long.chars().count() < LONGEST + 10);
    }

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        let usual = "grün, 写真.jpg\n\tnext";
        assert_eq!(harmless(usual), usual);
        assert_eq!(
            harmless("a\u{1b}[2Jb\r\u{7}\u{9b}"),
            "a\\u{1b}[2Jb\\u{d}\\u{7}\\u{9b}"
        );
        assert_eq!(harmless("gpj.\u{202e}exe"), "gpj.\\u{202e}exe");
    }
}
