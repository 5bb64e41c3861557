//! Decoded images that are kept in memory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use image::RgbImage;

use crate::DataError;
use crate::read::read_rgb;

/// Keeps decoded images up to a number of bytes.
///
/// An image that is in the cache stays there: a run visits every image once per pass, so no image is
/// more likely to be needed next than another.
#[derive(Debug)]
pub(crate) struct ImageCache {
    bytes: u64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: u64,
    images: HashMap<PathBuf, Arc<RgbImage>>,
}

impl ImageCache {
    /// Creates an empty cache of at most `bytes` bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        Self {
            bytes,
            kept: Mutex::default(),
        }
    }

    /// Returns the image in a file, as [`read_rgb`] decodes it.
    pub(crate) fn read(&self, path: &Path) -> Result<Arc<RgbImage>, DataError> {
        if let Some(image) = self.lock().images.get(path) {
            return Ok(image.clone());
        }
        let image = Arc::new(read_rgb(path)?);
        let size = image.as_raw().len() as u64;
        let mut kept = self.lock();
        if kept.bytes + size <= self.bytes && !kept.images.contains_key(path) {
            kept.bytes += size;
            kept.images.insert(path.to_owned(), image.clone());
        }
        Ok(image)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_kept_as_far_as_the_memory_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a.png", "b.png"] {
            RgbImage::new(10, 10).save(path(name)).unwrap();
        }
        let cache = ImageCache::new(400); // one image of 300 bytes
        for name in ["a.png", "b.png"] {
            cache.read(&path(name)).unwrap();
            std::fs::remove_file(path(name)).unwrap();
        }
        assert_eq!(cache.read(&path("a.png")).unwrap().dimensions(), (10, 10));
        assert!(cache.read(&path("b.png")).is_err());
    }
}
