//! Downloads one file from its publisher into the cache.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::http::Response;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::catalog::Published;
use crate::error::Failure;
use crate::progress::Counter;

/// The time limit for reaching the server, for its answer, and for each part that it sends.
const PATIENCE: Duration = Duration::from_secs(30);
/// The lowest average speed in bytes per second. A slower download is stopped. It continues when the command is run again.
const SLOWEST: u64 = 20_000;
const BUFFER: usize = 1 << 16;

/// Checks that a file has the published checksum.
pub fn check(published: &Published, path: &Path) -> Result<(), Failure> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(Failure::file("read", path))?;
    copy(&mut file, |part| {
        hash.update(part);
        Ok(())
    })
    .map_err(Failure::file("read", path))?;
    let found = hexadecimal(hash);
    if found == published.sha256 {
        return Ok(());
    }
    Err(Failure::Checksum {
        path: path.to_owned(),
        name: published.name,
        expected: published.sha256,
        found,
        remedy: "remove it and run this command again",
    })
}

/// Downloads a file to `path`, where it appears only when it is complete and checked. An interrupted download is kept
/// next to it and continued.
pub fn fetch(published: &Published, url: &str, path: &Path) -> Result<(), Failure> {
    let part = path.with_added_extension("part");
    let mut download = Download::open(published, &part)?;
    let finished = download.finish(url);
    // The file is closed first, because not every system can rename or remove an open file.
    let Download {
        file, hash, held, ..
    } = download;
    let sync = file.sync_all();
    drop(file);
    if let Err(reason) = finished {
        if held == 0 {
            fs::remove_file(&part).map_err(Failure::file("remove", &part))?;
        }
        return Err(Failure::Download {
            url: url.to_owned(),
            reason,
            kept: held,
            path: path.to_owned(),
        });
    }
    sync.map_err(Failure::file("write", &part))?;
    let found = hexadecimal(hash);
    if found != published.sha256 {
        fs::remove_file(&part).map_err(Failure::file("remove", &part))?;
        return Err(Failure::Checksum {
            path: url.into(),
            name: published.name,
            expected: published.sha256,
            found,
            remedy: "the download was discarded",
        });
    }
    fs::rename(&part, path)
        .and_then(|()| chimle_files::sync_folder(path.parent().unwrap_or(path)))
        .map_err(Failure::file("write", path))
}

/// A download, of which a part may already exist.
struct Download<'a> {
    published: &'a Published,
    file: File,
    /// The hash of the bytes held.
    hash: Sha256,
    held: u64,
}

impl<'a> Download<'a> {
    fn open(published: &'a Published, part: &Path) -> Result<Self, Failure> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(part);
        let mut file = file.map_err(Failure::file("write", part))?;
        file.try_lock().map_err(|error| {
            let reason = match error {
                TryLockError::WouldBlock => io::Error::other("another chimle is downloading it"),
                TryLockError::Error(error) => error,
            };
            Failure::file("lock", part)(reason)
        })?;
        let (mut hash, mut held) = (Sha256::new(), 0);
        copy(&mut file, |bytes| {
            hash.update(bytes);
            held += bytes.len() as u64;
            Ok(())
        })
        .map_err(Failure::file("read", part))?;
        Ok(Self {
            published,
            file,
            hash,
            held,
        })
    }

    /// Downloads what is missing.
    fn finish(&mut self, url: &str) -> Result<(), String> {
        if self.held == self.published.bytes {
            return Ok(());
        }
        // A part that is longer than the file cannot be its beginning.
        if self.held > self.published.bytes {
            self.restart().map_err(|error| error.to_string())?;
        }
        let missing = self.published.bytes - self.held;
        let limit = PATIENCE + Duration::from_secs(missing / SLOWEST);
        let response = get(url, self.held, limit).map_err(|error| match error {
            ureq::Error::StatusCode(status) => format!("the server answers {status}"),
            ureq::Error::Io(error) => error.to_string(),
            error => error.to_string(),
        })?;
        // A server that does not know of parts sends everything (200 instead of 206).
        if self.held > 0 && response.status() != 206 {
            self.restart().map_err(|error| error.to_string())?;
        }
        let (published, mut counter) = (self.published, Counter::of_bytes(self.published.name));
        let mut body = response.into_body().into_reader();
        let received = copy(&mut body, |bytes| {
            self.file.write_all(bytes)?;
            self.hash.update(bytes);
            self.held += bytes.len() as u64;
            counter.at(self.held as usize, published.bytes as usize);
            if self.held > published.bytes {
                return Err(io::Error::other(
                    "the download is longer than the published file",
                ));
            }
            Ok(())
        });
        counter.clear();
        if self.held > self.published.bytes {
            // The part must not block the next attempt.
            self.restart().map_err(|error| error.to_string())?;
        }
        received.map_err(|error| error.to_string())
    }

    fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.hash = Sha256::new();
        self.held = 0;
        Ok(())
    }
}

/// Requests a file from byte `from` on. The whole answer must arrive within `limit`. The certificates of the system are
/// trusted, or Mozilla's if the system has none (as in small containers).
fn get(url: &str, from: u64, limit: Duration) -> Result<Response<Body>, ureq::Error> {
    match request(url, from, limit, RootCerts::PlatformVerifier) {
        Err(ureq::Error::Rustls(_)) => request(url, from, limit, RootCerts::WebPki),
        answered => answered,
    }
}

fn request(
    url: &str,
    from: u64,
    limit: Duration,
    certificates: RootCerts,
) -> Result<Response<Body>, ureq::Error> {
    let tls = TlsConfig::builder().root_certs(certificates).build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_per_read(Some(PATIENCE))
        .timeout_global(Some(limit))
        .build();
    let request = config.new_agent().get(url);
    let request = match from {
        0 => request,
        _ => request.header("range", format!("bytes={from}-")),
    };
    request.call()
}

/// Reads `from` to its end, and passes each part to `to`.
fn copy(from: &mut impl Read, mut to: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hexadecimal(hash: Sha256) -> String {
    let digest = hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
