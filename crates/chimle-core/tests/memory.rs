//! Comparison of the memory estimates with the memory that is taken.

use burn::tensor::{Distribution, Tensor};
use burn_flex::Flex;
use chimle_core::imle::StagedGenerator;
use chimle_core::perceptual::{Backbone, Distance, ImageDistance, Lpips, Vgg16, Vgg16Config};
use chimle_core::{
    Architecture, DistanceConfig, GeneratorConfig, NetworkConfig, Precision, Preset,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Measures the peak memory of `work` in bytes, without the memory that was in use before.
fn taken<T>(work: impl Fn() -> T) -> f64 {
    // The first call fills the buffers that threads keep for later tasks. They are not counted.
    drop(work());
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    drop(work());
    (MEMORY.peak_usage() - before) as f64
}

/// There is only one test, because the memory of the whole process is counted.
#[test]
fn the_estimates_are_no_less_than_what_is_taken_and_at_most_twice_that() {
    let device = Default::default();
    for (architecture, preset, side) in [
        (Architecture::Colorization, Preset::Tiny, 256),
        (Architecture::Colorization, Preset::Small, 256),
        (Architecture::SuperResolution, Preset::Small, 256),
        (Architecture::ImageToImage, Preset::Small, 128),
    ] {
        let config = GeneratorConfig::preset(preset, architecture);
        let generator = config.init::<Flex>(&device).fold();
        let levels = config.levels();
        let coarsest = match architecture {
            Architecture::SuperResolution => side >> levels,
            _ => side >> (levels - 1),
        };
        let rows = 2;
        let conditioning: Vec<Tensor<Flex, 4>> = (0..config.conditioning_images())
            .map(|level| {
                let side = coarsest << level;
                let shape = [rows, config.in_channels, side, side];
                Tensor::random(shape, Distribution::Uniform(0.0, 1.0), &device)
            })
            .collect();
        let found = taken(|| {
            // Each image is dropped before the next level, as the search and the sampler do.
            let mut state = generator.begin(conditioning.clone());
            let mut shown = None;
            for _ in 0..levels {
                let len = generator.code_len(&state);
                let normal = Distribution::Normal(0.0, 1.0);
                let code = generator.code(&state, Tensor::random([rows, len], normal, &device));
                let (next, image) = generator.advance(state, code);
                (state, shown) = (next, Some(image));
            }
            shown
        });
        let expected = rows as f64 * config.bytes_per_output(Precision::F32, side, side) as f64;
        let ratio = expected / found;
        println!("{architecture:?} {preset:?} at {side} px: {ratio:.2} of {found:.0} bytes");
        assert!((1.0..2.0).contains(&ratio), "{architecture:?}: {ratio:.2}");
    }

    let side = 128;
    let image = |seed: f32| Tensor::<Flex, 4>::full([2, 3, side, side], seed, &device);
    let vgg16: Vgg16<Flex> = Vgg16Config::new().init(&device);
    let lpips = DistanceConfig::Lpips {
        backbone: Backbone::Vgg16,
        weights: "unused".into(),
        linear: None,
    };
    for (config, distance) in [
        (DistanceConfig::L1, ImageDistance::<Flex>::L1),
        (DistanceConfig::L2, ImageDistance::L2),
        (
            DistanceConfig::LaplacianPyramid,
            ImageDistance::LaplacianPyramid,
        ),
        (lpips, ImageDistance::Lpips(Lpips::unweighted(vgg16))),
    ] {
        let name = config.name();
        let target = distance.features(image(0.5));
        let found = taken(|| distance.distance(image(0.2), &target));
        let ratio = 2.0 * config.bytes_per_image(side, side) as f64 / found;
        println!("{name}: {ratio:.2} of {found:.0} bytes");
        assert!((1.0..3.0).contains(&ratio), "{name}: {ratio:.2}");
    }
}
