//! The optional encoder: what it lets a level see, and that it is trained, saved and searched like
//! the rest of the generator.

mod small;

use burn::backend::Autodiff;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_flex::Flex;
use chimle_imle::Target;
use chimle_imle::{ExampleId, Rows, Search, SeededPool, Selection, StagedGenerator, Strategy};
use chimle_nn::{Architecture, ConfigError, Generator, GeneratorConfig, Kernels, WeightFile};
use chimle_perceptual::ImageDistance;
use small::{codes, conditioning, images_error, noise, values};

const SIDES: [usize; 2] = [4, 6];

fn config(architecture: Architecture) -> GeneratorConfig {
    GeneratorConfig {
        encoder_channels: Some(vec![7, 6, 5]),
        ..small::config(architecture, 3)
    }
}

fn generator<B: Backend>(architecture: Architecture) -> Generator<B> {
    config(architecture).init(&Default::default())
}

fn first_level<B: Kernels>(
    generator: &Generator<B>,
    inputs: Vec<Tensor<B, 4>>,
) -> Vec<Tensor<B, 4>> {
    let codes = codes(generator.config(), 1, SIDES);
    generator.forward(inputs, codes[..1].to_vec())
}

#[test]
fn the_coarsest_level_sees_the_finest_image_through_the_encoder_alone() {
    let device = Default::default();
    for architecture in [Architecture::Colorization, Architecture::ImageToImage] {
        let with = generator::<Flex>(architecture);
        let without = small::config(architecture, 3).init::<Flex>(&device);
        let inputs = conditioning::<Flex>(with.config(), 1, SIDES);
        let mut changed = inputs.clone();
        changed[2] = noise(changed[2].dims(), 99);
        let difference = |generator: &Generator<Flex>| {
            images_error(
                first_level(generator, inputs.clone()),
                first_level(generator, changed.clone()),
            )
        };
        assert_eq!(difference(&without), 0.0);
        assert!(difference(&with) > 1e-4);
    }
}

#[test]
fn super_resolution_takes_no_encoder() {
    let config = config(Architecture::SuperResolution);
    assert_eq!(config.validate(), Err(ConfigError::Encoder));
}

#[test]
fn the_encoder_has_one_width_per_level() {
    let mut config = config(Architecture::Colorization);
    config.encoder_channels = Some(vec![4, 4]);
    let error = config.validate().unwrap_err().to_string();
    assert!(error.contains("`encoder_channels` has 2"), "{error}");
    config.encoder_channels = Some(vec![4, 0, 4]);
    let error = config.validate().unwrap_err().to_string();
    assert!(
        error.contains("`encoder_channels` must be at least 1"),
        "{error}"
    );
}

#[test]
fn a_saved_encoder_is_loaded_again() {
    let architecture = Architecture::ImageToImage;
    let saved = generator::<Flex>(architecture);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    saved.save(&path).unwrap();
    let file = WeightFile::open(&path).unwrap();
    let config = GeneratorConfig::of_file(&file, None).unwrap();
    assert_eq!(&config, saved.config());
    let loaded = config
        .init::<Flex>(&Default::default())
        .load(&file)
        .unwrap();
    let images = |generator: &Generator<Flex>| {
        let inputs = conditioning(generator.config(), 1, SIDES);
        generator.forward(inputs, codes(generator.config(), 1, SIDES))
    };
    assert_eq!(images_error(images(&loaded), images(&saved)), 0.0);
    // Folding changes nothing but rounding.
    assert!(images_error(images(&loaded.fold()), images(&saved)) < 1e-5);
}

#[test]
fn every_parameter_of_the_encoder_gets_a_gradient() {
    type Diff = Autodiff<Flex>;
    let generator = generator::<Diff>(Architecture::Colorization);
    let inputs = conditioning(generator.config(), 2, SIDES);
    let images = generator.forward(inputs, codes(generator.config(), 2, SIDES));
    let loss = images.into_iter().map(|image| image.square().mean());
    let gradients = loss.reduce(|sum, term| sum + term).unwrap().backward();
    let encoder = generator.encoder.as_ref().unwrap();
    for stage in &encoder.stages {
        for conv in [&stage.enter, &stage.refine] {
            let gradient = conv.weight_v.val().grad(&gradients).unwrap();
            assert!(values(gradient.abs()).iter().any(|&g| g > 0.0));
        }
    }
    assert_eq!(encoder.num_params(), {
        let conv = |inputs: usize, outputs: usize| 9 * inputs * outputs + 2 * outputs;
        conv(1, 5) + conv(5, 5) + conv(20, 6) + conv(6, 6) + conv(24, 7) + conv(7, 7)
    });
}

#[test]
fn rows_of_states_with_different_conditioning_are_joined() {
    let generator = generator::<Flex>(Architecture::Colorization);
    let all = generator.begin(conditioning(generator.config(), 3, SIDES));
    let codes = codes::<Flex>(generator.config(), 3, SIDES);
    let part = |row: usize| {
        let images = conditioning::<Flex>(generator.config(), 3, SIDES);
        let rows = images.into_iter().map(|image| image.narrow(0, row, 1));
        generator.begin(rows.collect())
    };
    let joined = Rows::<Flex>::concat(vec![part(2), part(0)]);
    let selected = all.select_rows(&Selection::indices([2, 0]));
    let codes = small::code_rows(&codes, 1, 2);
    let (_, expected) = generator.advance(selected, codes[0].clone());
    let (_, found) = generator.advance(joined, codes[0].clone());
    assert!(small::error(found, expected) < 1e-6);
}

#[test]
fn the_search_finds_the_same_in_chunks_of_any_size() {
    let generator = generator::<Flex>(Architecture::ImageToImage);
    let (distance, pool) = (ImageDistance::L2, SeededPool::new(5));
    let targets: Vec<Tensor<Flex, 4>> = (0..3)
        .map(|level| noise([2, 3, SIDES[0] << level, SIDES[1] << level], 50 + level))
        .collect();
    let target = Target::new(&distance, targets);
    let found = |chunk: usize| {
        let strategy = Strategy::Hierarchical {
            pools: vec![7, 4, 2],
        };
        let inputs = conditioning(generator.config(), 2, SIDES);
        Search::new(strategy, chunk)
            .run(
                &generator,
                &distance,
                inputs,
                &target,
                &pool,
                &[ExampleId(3), ExampleId(8)],
            )
            .unwrap()
            .into_iter()
            .map(|chosen| chosen.candidates)
            .collect::<Vec<_>>()
    };
    let whole = found(64);
    assert_eq!(found(3), whole);
    assert_eq!(found(1), whole);
}
