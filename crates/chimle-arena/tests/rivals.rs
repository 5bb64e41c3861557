//! Tests that every method learns a task on which it should succeed: a mixture in two dimensions, drawn as tiny images,
//! or procedural scenes with one mode. A comparison with a broken rival would prove nothing.
//!
//! Each test also saves the method, loads it into a new instance, and compares their samples.

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_arena::{
    BackboneConfig, BicycleGan, BicycleGanSettings, ChimleSettings, CimleSettings, Context, Ddrm,
    DdrmSettings, DiscriminatorConfig, Divco, DivcoSettings, Dncnn, DncnnSettings, EncoderConfig,
    Feed, Imle, InstColorization, InstColorizationSettings, Mean, MeanSettings, Method, Monce,
    MonceSettings, Msgan, MsganSettings, Ndm, NdmSettings, OneMode, RfbEsrgan, RfbEsrganSettings,
    Schedule, Tiles, UnetConfig,
};
use chimle_core::data::{Dataset, DatasetConfig, Example, Planes, Source, downsample_planes};
use chimle_core::metrics::{mode_coverage, mode_radius};
use chimle_core::nn::RrdbCount;
use chimle_core::perceptual::{Vgg16, Vgg16Config};
use chimle_core::{Colorization, Decompression, DistanceConfig, SuperResolution, TaskHandle};

type B = Autodiff<Flex>;

/// The number of the first held-out scene.
const UNSEEN: u64 = 1 << 32;
const HELD_OUT: usize = 6;
const SAMPLES: usize = 16;

/// Procedural scenes to train on, held-out scenes, and the context of a method.
struct Arena {
    training: Dataset,
    held_out: Vec<Example>,
    context: Context<B>,
}

impl Arena {
    fn new(task: impl Into<TaskHandle>, side: usize, levels: usize) -> Self {
        let task = task.into();
        let mut config = DatasetConfig::new(task.clone(), levels, side, side);
        let training = Dataset::open(Source::Procedural { scenes: 96 }, config.clone()).unwrap();
        config.first_scene = UNSEEN;
        let sizes = config.sizes().unwrap();
        let unseen = Dataset::open(Source::Procedural { scenes: HELD_OUT }, config).unwrap();
        Self {
            training,
            held_out: (0..HELD_OUT)
                .map(|index| unseen.example(index, 0).unwrap())
                .collect(),
            context: Context {
                task,
                sizes,
                backbone: BackboneConfig {
                    residual_channels: vec![12; levels],
                    growth_channels: vec![6; levels],
                    rrdb_per_level: RrdbCount::Same(1),
                    latent: 16,
                    average: Some(0.95),
                    ..BackboneConfig::default()
                },
                distance: DistanceConfig::L2,
                vgg16: None,
                device: Default::default(),
                seed: 0,
            },
        }
    }

    fn tiles() -> Self {
        Self::new(Tiles, 16, 3)
    }

    fn with_one_mode(task: impl Into<TaskHandle>, side: usize, levels: usize) -> Self {
        Self::new(OneMode(task.into()), side, levels)
    }

    fn sample(&self, method: &dyn Method) -> Vec<Vec<Planes>> {
        let inputs: Vec<&Example> = self.held_out.iter().collect();
        let drawn = method.sample(&inputs, SAMPLES, 5).unwrap();
        assert!(drawn.iter().all(|samples| samples.len() == SAMPLES));
        drawn
    }

    /// Trains a method, and checks that a saved and loaded copy draws the same samples. Returns the means before and after
    /// training.
    fn train<M: Method>(&self, make: impl Fn() -> M, steps: u32) -> [Found; 2] {
        let mut method = make();
        let before = self.found(&self.sample(&method));
        let mut feed = Feed::new(self.training.clone(), 1);
        for step in 0..steps {
            let progress = f64::from(step) / f64::from(steps);
            let loss = method.step(&mut feed, progress).unwrap();
            assert!(loss.is_finite(), "step {step}: {loss}");
        }
        let drawn = self.sample(&method);
        let folder = tempfile::tempdir().unwrap();
        method.save(folder.path()).unwrap();
        let mut loaded = make();
        loaded.load(folder.path()).unwrap();
        assert_eq!(self.sample(&loaded), drawn);
        loaded.step(&mut feed, 1.0).unwrap();

        let differs = drawn.iter().any(|samples| samples[0] != samples[1]);
        assert_eq!(differs, method.costs().is_stochastic);
        assert!(method.costs().parameters > 0);
        let after = self.found(&drawn);
        println!("{before:?}\n{after:?}");
        [before, after]
    }

    fn found(&self, drawn: &[Vec<Planes>]) -> Found {
        let mut found = Found::default();
        for (example, samples) in self.held_out.iter().zip(drawn) {
            let truths = example.truths();
            let nearest: Vec<(usize, f64)> = samples
                .iter()
                .map(|sample| {
                    let distances = truths.iter().map(|truth| apart(truth, sample)).enumerate();
                    distances.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
                })
                .collect();
            let mut between = Vec::new();
            for (k, truth) in truths.iter().enumerate() {
                between.extend(truths[..k].iter().map(|other| apart(truth, other)));
            }
            let covered = mode_coverage(&nearest, truths.len(), mode_radius(between)).unwrap();
            let sum: f64 = nearest.iter().map(|(_, distance)| distance).sum();
            let input = self.context.task.picture_of_input(&example.conditioning);
            let truth = example.truth();
            let input = downsample_planes(&input, truth.height, truth.width).unwrap();
            let scenes = self.held_out.len() as f64;
            found.covered += covered as f64 / scenes;
            found.distance += sum / samples.len() as f64 / scenes;
            found.of_input += apart(&input, truth) / scenes;
        }
        found
    }
}

/// Means over held-out scenes.
#[derive(Debug, Default)]
struct Found {
    /// The number of modes that the samples cover.
    covered: f64,
    /// The distance of a sample from the nearest mode.
    distance: f64,
    /// The distance of the input from the truth.
    of_input: f64,
}

/// The distance between the mean of all modes of the mixture and each mode. Every tile differs from the frame by 64 of
/// 255, and the tiles cover 3/4 x 3/4 of the image.
const OF_MEAN: f64 = 64.0 / 255.0 * 0.75;

/// Checks that samples cover several modes of the mixture, and are nearer to them than the mean of all modes and than the
/// samples before training.
fn reaches_modes(before: &Found, after: &Found) {
    assert!(after.covered >= 2.0, "{after:?}");
    assert!(after.distance < 0.8 * OF_MEAN, "{after:?}");
    assert!(
        after.distance < 0.8 * before.distance,
        "{before:?} {after:?}"
    );
}

/// Returns the root mean square difference.
fn apart(a: &Planes, b: &Planes) -> f64 {
    f64::from(a.mean_squared_distance(b).unwrap()).sqrt()
}

/// Creates VGG16 with few channels and random weights, because tests have no files of weights.
fn small_vgg16() -> Vgg16<B> {
    let config = Vgg16Config::new().with_widths([8, 8, 16, 16, 16]);
    config.init(&Default::default())
}

fn small_discriminator() -> DiscriminatorConfig {
    DiscriminatorConfig {
        width: 16,
        scales: 1,
    }
}

fn small_encoder() -> EncoderConfig {
    EncoderConfig {
        width: 12,
        blocks: 2,
    }
}

fn small_unet() -> UnetConfig {
    UnetConfig {
        width: 16,
        multipliers: vec![1, 2],
        blocks: 1,
        stacked: 1,
    }
}

fn short_rounds() -> Schedule {
    Schedule {
        round: 24,
        steps_per_search: 12,
        batch: 8,
        rate: 4e-3,
    }
}

#[test]
fn chimle_covers_all_modes_of_the_mixture() {
    let arena = Arena::tiles();
    let settings = ChimleSettings {
        pools: vec![12, 3, 1],
        schedule: short_rounds(),
    };
    let make = || Imle::chimle(&arena.context, settings.clone()).unwrap();
    let [before, after] = arena.train(make, 160);
    assert!(after.covered >= 3.0, "{after:?}");
    assert!(
        after.distance < 0.5 * before.distance,
        "{before:?} {after:?}"
    );
}

#[test]
fn cimle_covers_all_modes_of_the_mixture() {
    let arena = Arena::tiles();
    let settings = CimleSettings {
        candidates: Some(8),
        schedule: short_rounds(),
        ..CimleSettings::default()
    };
    let make = || Imle::cimle(&arena.context, settings.clone()).unwrap();
    let [before, after] = arena.train(make, 160);
    assert!(after.covered >= 3.0, "{after:?}");
    assert!(
        after.distance < 0.5 * before.distance,
        "{before:?} {after:?}"
    );
}

fn train_mean(arena: &Arena) -> [Found; 2] {
    let settings = MeanSettings {
        rate: 4e-3,
        ..MeanSettings::default()
    };
    arena.train(|| Mean::new(&arena.context, settings.clone()), 120)
}

#[test]
fn the_mean_learns_one_mode_and_of_several_modes_their_mean() {
    let [before, after] = train_mean(&Arena::with_one_mode(Tiles, 16, 3));
    assert!(
        after.distance < 0.3 * before.distance,
        "{before:?} {after:?}"
    );
    let [_, after] = train_mean(&Arena::tiles());
    assert!((after.distance - OF_MEAN).abs() < 0.02, "{after:?}");
    assert!(after.covered < 0.5, "{after:?}");
}

#[test]
fn bicycle_gan_reaches_modes_of_the_mixture() {
    let arena = Arena::tiles();
    let settings = BicycleGanSettings {
        rate: 2e-3,
        discriminator: small_discriminator(),
        encoder: small_encoder(),
        ..BicycleGanSettings::default()
    };
    let make = || BicycleGan::new(&arena.context, settings.clone());
    let [before, after] = arena.train(make, 250);
    reaches_modes(&before, &after);
}

#[test]
fn msgan_reaches_modes_of_the_mixture() {
    let arena = Arena::tiles();
    let settings = MsganSettings {
        rate: 2e-3,
        discriminator: small_discriminator(),
        ..MsganSettings::default()
    };
    let make = || Msgan::new(&arena.context, settings.clone());
    let [before, after] = arena.train(make, 250);
    reaches_modes(&before, &after);
}

#[test]
fn divco_reaches_modes_of_the_mixture() {
    let arena = Arena::tiles();
    let settings = DivcoSettings {
        rate: 2e-3,
        negatives: 2,
        discriminator: small_discriminator(),
        encoder: small_encoder(),
        ..DivcoSettings::default()
    };
    let make = || Divco::new(&arena.context, settings.clone()).unwrap();
    let [before, after] = arena.train(make, 250);
    reaches_modes(&before, &after);
}

#[test]
fn monce_reaches_modes_of_the_mixture() {
    let arena = Arena::tiles();
    let settings = MonceSettings {
        rate: 2e-3,
        discriminator_rate: 2e-3,
        discriminator: small_discriminator(),
        encoder: small_encoder(),
        ..MonceSettings::default()
    };
    let make = || Monce::new(&arena.context, settings.clone(), small_vgg16());
    let [before, after] = arena.train(make, 250);
    reaches_modes(&before, &after);
}

/// Trains NDM on images of 8 pixels. Its U-Net reads single pixels.
fn train_ndm(task: impl Into<TaskHandle>, steps: u32, average: f64) -> [Found; 2] {
    let arena = Arena::new(task, 8, 2);
    let settings = NdmSettings {
        batch: 16,
        rate: 4e-3,
        warm_up: 20,
        average,
        times: 24,
        unet: UnetConfig {
            width: 24,
            stacked: 0,
            ..small_unet()
        },
        ..NdmSettings::default()
    };
    arena.train(
        || Ndm::new(&arena.context, settings.clone()).unwrap(),
        steps,
    )
}

#[test]
fn ndm_learns_one_mode() {
    let [before, after] = train_ndm(OneMode(Tiles.into()), 400, 0.98);
    assert!(after.distance < 0.8 * after.of_input, "{after:?}");
    assert!(
        after.distance < 0.5 * before.distance,
        "{before:?} {after:?}"
    );
}

#[test]
#[ignore = "takes minutes: cargo test --release -p chimle-arena --test rivals -- --ignored"]
fn ndm_covers_modes_of_the_mixture() {
    let [before, after] = train_ndm(Tiles, 5000, 0.998);
    assert!(after.covered >= 2.0, "{after:?}");
    assert!(
        after.distance < 0.45 * before.distance,
        "{before:?} {after:?}"
    );
}

/// Trains DDRM on scenes with one mode.
fn train_ddrm(task: impl Into<TaskHandle>, steps: u32) -> [Found; 2] {
    let arena = Arena::with_one_mode(task, 16, 2);
    let settings = DdrmSettings {
        rate: 4e-3,
        average: 0.98,
        unet: small_unet(),
        ..DdrmSettings::default()
    };
    arena.train(
        || Ddrm::new(&arena.context, settings.clone()).unwrap(),
        steps,
    )
}

#[test]
fn ddrm_colors_scenes_with_one_mode() {
    let [before, after] = train_ddrm(Colorization, 400);
    assert!(after.distance < 0.7 * after.of_input, "{after:?}");
    assert!(
        after.distance < 0.5 * before.distance,
        "{before:?} {after:?}"
    );
}

#[test]
#[ignore = "takes minutes: cargo test --release -p chimle-arena --test rivals -- --ignored"]
fn ddrm_enlarges_and_removes_compression_of_scenes_with_one_mode() {
    // A sample of the posterior is sqrt(2) times as far from the truth as the best estimate. Little of the information
    // that JPEG removes can be predicted, so for JPEG a sample is about as far from the truth as the input is.
    for (task, of_input) in [
        (TaskHandle::new(SuperResolution), 0.7),
        (TaskHandle::new(Decompression), 1.2),
    ] {
        let name = task.to_string();
        let [before, after] = train_ddrm(task, 4000);
        assert!(
            after.distance < of_input * after.of_input,
            "{name}: {after:?}"
        );
        assert!(
            after.distance < 0.45 * before.distance,
            "{name}: {before:?} {after:?}"
        );
    }
}

#[test]
fn rfb_esrgan_enlarges_scenes_with_one_mode() {
    let arena = Arena::with_one_mode(SuperResolution, 16, 2);
    let settings = RfbEsrganSettings {
        pretraining_rate: 4e-3,
        rrdbs: 1,
        rrfdbs: 1,
        width: 16,
        growth: 8,
        discriminator: small_discriminator(),
        ..RfbEsrganSettings::default()
    };
    let make = || RfbEsrgan::new(&arena.context, settings.clone(), small_vgg16()).unwrap();
    let [before, after] = arena.train(make, 200);
    assert!(after.distance < 0.8 * after.of_input, "{after:?}");
    assert!(
        after.distance < 0.5 * before.distance,
        "{before:?} {after:?}"
    );
}

#[test]
fn inst_colorization_colors_scenes_with_one_mode() {
    let arena = Arena::with_one_mode(Colorization, 16, 2);
    let settings = InstColorizationSettings {
        rate: 4e-3,
        ..InstColorizationSettings::default()
    };
    let make = || InstColorization::new(&arena.context, settings.clone()).unwrap();
    let [before, after] = arena.train(make, 200);
    assert!(after.distance < 0.7 * after.of_input, "{after:?}");
    assert!(
        after.distance < 0.7 * before.distance,
        "{before:?} {after:?}"
    );
}

#[test]
fn dncnn_removes_compression_of_scenes_with_one_mode() {
    let arena = Arena::with_one_mode(Decompression, 16, 2);
    let settings = DncnnSettings {
        rate: 4e-3,
        depth: 6,
        width: 16,
        ..DncnnSettings::default()
    };
    let make = || Dncnn::new(&arena.context, settings.clone()).unwrap();
    let [before, after] = arena.train(make, 400);
    assert!(after.distance < 0.85 * after.of_input, "{after:?}");
    assert!(
        after.distance < 0.85 * before.distance,
        "{before:?} {after:?}"
    );
}

#[test]
fn methods_of_one_task_refuse_others() {
    let arena = Arena::tiles();
    let context = &arena.context;
    let refusals = [
        Ddrm::new(context, DdrmSettings::default()).err(),
        RfbEsrgan::new(context, RfbEsrganSettings::default(), small_vgg16()).err(),
        InstColorization::new(context, InstColorizationSettings::default()).err(),
    ];
    for refusal in refusals {
        let message = refusal.expect("a refusal").to_string();
        assert!(message.contains("does not apply to tiles"), "{message}");
    }
}
