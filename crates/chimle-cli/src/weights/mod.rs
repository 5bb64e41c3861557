//! `chimle weights`: downloads published networks to a cache. Other commands find files of weights here, by path or by
//! name.

mod catalog;
mod download;

use std::path::{Path, PathBuf};

use clap::Args;

use crate::error::Failure;
use crate::{flags, output};
use catalog::{CATALOG, Published, find, size};

/// The environment variable that names a folder to use instead of the user's cache.
const CACHE_VARIABLE: &str = "CHIMLE_CACHE";

/// Downloads the weights of published networks, for LPIPS and FID.
///
/// Each file is checked by its SHA-256 and kept in a cache: the folder `chimle` in the user's cache folder, or the folder
/// that the environment variable CHIMLE_CACHE names. The path of each file is printed. --perceptual, --lpips and
/// --fid-weights accept the name instead of the path. Without names, the command lists all files.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Weights {
    /// What to download: vgg16, alexnet, squeezenet, lpips-vgg16, lpips-alexnet, lpips-squeezenet or inception
    #[arg(value_name = "NAME", value_parser = catalog::parse)]
    names: Vec<&'static Published>,

    /// Download from this address instead of from the publishers; the files there have the same names as in the cache
    #[arg(long, value_name = "URL", requires = "names")]
    mirror: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  chimle weights
  chimle weights vgg16 lpips-vgg16
  chimle train --task colorization --data photos/ --perceptual vgg16 --lpips lpips-vgg16 --out runs/color";

impl Weights {
    pub fn run(self) -> Result<(), Failure> {
        let folder = cache()?;
        if self.names.is_empty() {
            return list(&folder);
        }
        output::prepare_folder(&folder)?;
        for published in self.names {
            let path = folder.join(published.file);
            let url = match &self.mirror {
                Some(mirror) => format!("{}/{}", mirror.trim_end_matches('/'), published.file),
                None => published.url.to_owned(),
            };
            if path.is_file() {
                download::check(published, &path)?;
            } else {
                output::complain(
                    "download",
                    format_args!(
                        "{}, {} from {url}; license: {}",
                        published.name,
                        size(published.bytes),
                        published.license
                    ),
                );
                download::fetch(published, &url, &path)?;
            }
            output::say(path.display())?;
        }
        Ok(())
    }
}

fn list(folder: &Path) -> Result<(), Failure> {
    for published in &CATALOG {
        let state = if folder.join(published.file).is_file() {
            "here"
        } else {
            "-"
        };
        output::say(format_args!(
            "{:<17} {:>6}  {state:<4}  {} (license: {})",
            published.name,
            size(published.bytes),
            published.purpose,
            published.license
        ))?;
    }
    output::say(format_args!("\nThe cache is {}", folder.display()))
}

/// Returns the file that a flag names: a path, or the name of weights in the cache.
///
/// # Errors
/// If the flag gives the name of weights that are not in the cache.
pub fn named(flag: &'static str, given: &Path) -> Result<PathBuf, Failure> {
    let published = given.to_str().and_then(find);
    let Some(published) = published.filter(|_| !given.exists()) else {
        return flags::absolute(given);
    };
    let path = cache()?.join(published.file);
    if path.is_file() {
        return Ok(path);
    }
    let reason = format!(
        "{0} is not in the cache ({1}): fetch it with `chimle weights {0}`",
        published.name,
        path.display()
    );
    Err(Failure::Flag { flag, reason })
}

fn cache() -> Result<PathBuf, Failure> {
    match std::env::var_os(CACHE_VARIABLE) {
        Some(folder) if !folder.is_empty() => flags::absolute(Path::new(&folder)),
        _ => dirs::cache_dir()
            .map(|folder| folder.join("chimle"))
            .ok_or(Failure::NoCache {
                variable: CACHE_VARIABLE,
            }),
    }
}
