//! Loading of examples in advance, on worker threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chimle_data::{Colorization, Dataset, DatasetConfig, Decompression, Loader, Source};
use tempfile::TempDir;

fn scenes(count: usize) -> Dataset {
    let config = DatasetConfig::new(Colorization, 3, 32, 32);
    Dataset::open(Source::Procedural { scenes: count }, config).unwrap()
}

#[test]
fn examples_come_in_the_order_of_their_jobs_whatever_the_threads() {
    let dataset = scenes(7);
    let jobs: Vec<_> = (0..40).map(|i| (i * 5 % 7, i as u64)).collect();
    let expected: Vec<_> = jobs
        .iter()
        .map(|&(index, seed)| dataset.example(index, seed).unwrap())
        .collect();
    for (threads, ahead) in [(1, 1), (3, 2), (4, 16), (8, 100), (0, 0)] {
        let loaded: Vec<_> = Loader::new(dataset.clone(), jobs.clone(), threads, ahead)
            .map(Result::unwrap)
            .collect();
        assert!(loaded == expected, "{threads} threads, {ahead} ahead");
    }
}

#[test]
fn a_loader_dropped_early_ends_and_has_not_run_far_ahead() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let endless = (0..).map(move |i| {
        counter.fetch_add(1, Ordering::Relaxed);
        (i % 3, i as u64)
    });
    let mut loader = Loader::new(scenes(3), endless, 4, 6);
    for _ in 0..5 {
        loader.next().unwrap().unwrap();
    }
    drop(loader); // hangs if a thread does not end
    assert_eq!(asked.load(Ordering::Relaxed), 5 + 6);
}

#[test]
fn a_damaged_file_is_an_error_in_its_place_and_the_rest_follow() {
    let folder = TempDir::new().unwrap();
    for name in ["a.jpg", "b.jpg", "c.jpg"] {
        let path = folder.path().join(name);
        image::RgbImage::new(64, 64).save(&path).unwrap();
    }
    let path = folder.path().join("b.jpg");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 30]).unwrap();
    let config = DatasetConfig::new(Decompression, 2, 16, 16);
    let dataset = Dataset::open(Source::Photographs(folder.path().to_owned()), config).unwrap();
    let results: Vec<_> = Loader::new(dataset, [(0, 0), (1, 0), (2, 0), (9, 0)], 2, 4).collect();
    assert!(results[0].is_ok() && results[2].is_ok());
    assert!(
        results[1]
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("b.jpg")
    );
    assert!(results[3].is_err());
    assert_eq!(results.len(), 4);
}
