//! Tests of runs on several workers: they agree with one worker, can be resumed, and end when a worker fails.

mod run;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use burn::backend::Autodiff;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_flex::Flex;
use chimle_core::imle::{Distance, TrainingDistance};
use chimle_core::nn::{Generator, WeightFile};
use chimle_core::perceptual::{Features, ImageDistance};
use chimle_core::{Colorization, DistanceConfig, Error, Event, RunConfig, Silent, Trainer};
use run::small;

type B = Autodiff<Flex>;

/// Returns the configuration of a run whose rounds and batches do not divide evenly among workers.
fn uneven() -> RunConfig {
    let mut config = small(Colorization);
    config.search.chunk = 4;
    config.training.round = 7;
    config.training.batch = 5;
    config
}

fn trainer(folder: &Path, workers: usize) -> Trainer<B> {
    let mut trainer = match folder.exists() {
        false => Trainer::create(uneven(), folder, Default::default()).unwrap(),
        true => Trainer::resume(folder, Default::default()).unwrap(),
    };
    for _ in 1..workers {
        trainer
            .add_worker(Default::default(), ImageDistance::LaplacianPyramid)
            .unwrap();
    }
    trainer
}

/// Trains to the end. Returns the chosen distances of every search, and the loss of every step.
fn numbers(trainer: &mut Trainer<B>) -> (Vec<Vec<f32>>, Vec<f32>) {
    let (mut chosen, mut losses) = (Vec::new(), Vec::new());
    trainer
        .run(&mut |event: &Event| match event {
            Event::Searched { chosen: found, .. } => chosen.push(found.clone()),
            Event::Step { loss, .. } => losses.push(*loss),
            _ => {}
        })
        .unwrap();
    (chosen, losses)
}

fn weights(folder: &Path) -> Vec<f32> {
    let path = folder.join("checkpoints/step-00000012/generator.safetensors");
    let file = WeightFile::open(path).unwrap();
    let config = uneven().generator;
    let generator: Generator<Flex> = config.init(&Default::default()).load(&file).unwrap();
    let level = &generator.levels[0];
    let values = [level.feature.weight(), level.out.weight()];
    let values = values.into_iter().map(|weight| weight.into_data());
    values
        .flat_map(|data| data.iter::<f32>().collect::<Vec<_>>())
        .collect()
}

#[test]
fn several_workers_do_what_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = |workers: usize| folder.path().join(workers.to_string());
    let (chosen, losses) = numbers(&mut trainer(&path(1), 1));
    assert_eq!((chosen.len(), losses.len()), (3, 12));
    for workers in [2, 4] {
        let (found, computed) = numbers(&mut trainer(&path(workers), workers));
        let pairs = found.iter().flatten().zip(chosen.iter().flatten());
        let pairs = pairs.chain(computed.iter().zip(&losses));
        for (found, expected) in pairs {
            assert!(
                (found - expected).abs() < 1e-4 * expected,
                "{found} {expected}"
            );
        }
        let pairs = weights(&path(workers)).into_iter().zip(weights(&path(1)));
        let largest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(largest < 1e-3, "{workers} workers: {largest}");
    }
}

#[test]
fn a_run_of_two_workers_is_resumed_bit_for_bit_and_by_one_worker_too() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, broken, alone] = ["whole", "broken", "alone"].map(|name| folder.path().join(name));
    trainer(&whole, 2).run(&mut Silent).unwrap();
    for folder in [&broken, &alone] {
        let stops = AtomicUsize::new(0);
        let stop = || stops.fetch_add(1, Ordering::Relaxed) == 9;
        trainer(folder, 2).run_until(&stop, &mut Silent).unwrap();
    }
    let mut resumed = trainer(&broken, 2);
    assert!(resumed.step() > 0 && resumed.step() < 12);
    resumed.run(&mut Silent).unwrap();
    let bytes = |folder: &Path| {
        fs::read(folder.join("checkpoints/step-00000012/generator.safetensors")).unwrap()
    };
    assert!(bytes(&whole) == bytes(&broken));
    trainer(&alone, 1).run(&mut Silent).unwrap();
    let pairs = weights(&whole).into_iter().zip(weights(&alone));
    let largest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest < 1e-3, "{largest}");
}

#[test]
fn more_workers_than_examples_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = trainer(&folder.path().join("run"), 5);
    let error = trainer.add_worker(Default::default(), ImageDistance::LaplacianPyramid);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("training.batch") && error.contains('6'),
        "{error}"
    );
}

/// A distance that panics after a number of calls.
#[derive(Clone)]
struct Failing {
    calls_left: std::sync::Arc<AtomicUsize>,
}

impl<B: Backend + chimle_core::nn::Kernels> Distance<B> for Failing {
    type Output = Tensor<B, 4>;
    type Features = Features<B>;

    fn features(&self, output: Tensor<B, 4>) -> Features<B> {
        let left = self.calls_left.fetch_sub(1, Ordering::Relaxed);
        assert!(left > 0, "the distance gave up");
        Features(vec![output])
    }

    fn compare(&self, candidates: &Features<B>, targets: &Features<B>) -> Tensor<B, 1> {
        ImageDistance::L2.compare(candidates, targets)
    }
}

impl TrainingDistance<B> for Failing {
    type Valid = Failing;

    fn valid(&self) -> Failing {
        self.clone()
    }

    fn constants(features: Features<Flex>) -> Features<B> {
        Features::from_inner(features)
    }
}

#[test]
fn a_worker_that_fails_ends_the_run_with_its_name_and_the_others_do_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = uneven();
    config.distance = DistanceConfig::Custom("failing".to_owned());
    let distance = |calls: usize| Failing {
        calls_left: std::sync::Arc::new(AtomicUsize::new(calls)),
    };
    let path = folder.path().join("run");
    let mut trainer: Trainer<B, Generator<B>, Failing> =
        Trainer::create_with(config, distance(usize::MAX), &path, Default::default()).unwrap();
    trainer
        .add_worker(Default::default(), distance(30))
        .unwrap();
    let begun = Instant::now();
    let error = trainer.run(&mut Silent).unwrap_err();
    assert!(begun.elapsed().as_secs() < 60);
    let Error::Worker { worker, reason } = &error else {
        panic!("{error}");
    };
    assert_eq!(*worker, 2);
    assert!(reason.contains("the distance gave up"), "{reason}");
}
