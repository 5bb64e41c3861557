//! Decoded images that are kept in memory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use image::RgbImage;

use crate::DataError;
use crate::read::with_rgb;

/// Keeps decoded images up to a number of bytes.
///
/// A cached image is never evicted. A run visits every image once per pass, so all images are equally
/// likely to be needed next.
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

    /// Calls `work` with the image in a file, as [`read_rgb`](crate::read_rgb) decodes it. `work` must
    /// not read another image.
    pub(crate) fn with<T>(
        &self,
        path: &Path,
        work: impl FnOnce(&RgbImage) -> T,
    ) -> Result<T, DataError> {
        let kept = self.lock().images.get(path).cloned();
        if let Some(image) = kept {
            return Ok(work(&image));
        }
        with_rgb(path, |image| {
            let result = work(&image);
            self.keep(path, image);
            result
        })
    }

    fn keep(&self, path: &Path, image: RgbImage) {
        let size = image.as_raw().len() as u64;
        let mut kept = self.lock();
        if kept.bytes + size <= self.bytes && !kept.images.contains_key(path) {
            kept.bytes += size;
            kept.images.insert(path.to_owned(), Arc::new(image));
        }
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
            cache.with(&path(name), |_| ()).unwrap();
            std::fs::remove_file(path(name)).unwrap();
        }
        let size = cache.with(&path("a.png"), RgbImage::dimensions);
        assert_eq!(size.unwrap(), (10, 10));
        assert!(cache.with(&path("b.png"), |_| ()).is_err());
    }
}
