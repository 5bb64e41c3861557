//! Files of weights: the release's names, and how a wrong file is reported.

mod small;

use std::fs;

use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use chimle_nn::{Architecture, Generator, GeneratorConfig, RrdbCount, WeightFile, is_mapping};
use small::{ARCHITECTURES, codes, conditioning, config, generator, images_error};

const SIDES: [usize; 2] = [4, 6];

fn saved(generator: &Generator<Flex>) -> (tempfile::TempDir, WeightFile) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    generator.save(&path).unwrap();
    let file = WeightFile::open(&path).unwrap();
    (folder, file)
}

fn images(generator: &Generator<Flex>) -> Vec<Tensor<Flex, 4>> {
    let inputs = conditioning(generator.config(), 2, SIDES);
    generator.forward_raw(inputs, codes(generator.config(), 2, SIDES))
}

#[test]
fn parameters_have_the_release_s_names_and_shapes() {
    for architecture in ARCHITECTURES {
        let (_folder, file) = saved(&generator(architecture, 2));
        let config = config(architecture, 2);
        let (inputs, outputs) = (config.in_channels, config.out_channels);
        let shape = |name: &str| file.shape(name).unwrap();
        // The weight of a linear layer is [outputs, inputs] in the release.
        assert_eq!(shape("level_1_map_0.0.weight"), [11, 12]);
        assert_eq!(shape("level_1_map.0.weight"), [11, 11]);
        assert_eq!(shape("level_2_map.0.weight"), [11, 22]);
        assert_eq!(shape("level_2_map.12.bias"), [11]);
        assert_eq!(shape("level_1_feat.0.weight_v"), [10, inputs + 2, 3, 3]);
        assert_eq!(shape("level_2_feat.0.weight_v"), [9, inputs + 12, 3, 3]);
        assert_eq!(
            shape("level_2_style.sub.1.RDB3.conv5.0.weight_v"),
            [9, 9 + 4 * 5, 3, 3]
        );
        assert_eq!(
            shape("level_1_style.sub.0.RDB1.conv1.0.weight_g"),
            [4, 1, 1, 1]
        );
        assert_eq!(shape("level_2_style.sub.transform_1.weight"), [18, 11]);
        assert_eq!(shape("level_1_style.sub.lr_conv.0.bias"), [10]);
        assert_eq!(shape("level_2_out.0.weight_g"), [outputs, 1, 1, 1]);

        // A mapping network has 8 layers. Feature, chain end, two up and out are 5 convolutions. An
        // RRDB has 15 convolutions.
        assert_eq!(file.names().len(), 2 * (8 * 2 + 5 * 3 + 2 * (15 * 3 + 2)));
        let up = |level: usize| -> Vec<String> {
            let prefix = format!("level_{level}_up.");
            let names = file.names().into_iter();
            let numbers = names.filter_map(|name| {
                let rest = name.strip_prefix(&prefix)?;
                Some(rest.strip_suffix(".bias")?.to_owned())
            });
            numbers.collect()
        };
        assert_eq!(up(1), ["1", "3"]);
        // In colorization, the last level has no enlargement in front of its convolutions.
        match architecture {
            Architecture::Colorization => assert_eq!(up(2), ["0", "2"]),
            _ => assert_eq!(up(2), ["1", "3"]),
        }
    }
}

#[test]
fn only_the_two_parts_of_the_mapping_network_are_mapping() {
    for (name, expected) in [
        ("level_1_map_0.0.weight", true),
        ("level_4_map.12.bias", true),
        ("level_1_style.sub.transform_0.weight", false),
        ("level_1_style.sub.0.RDB1.conv1.0.weight_v", false),
        ("level_1_feat.0.bias", false),
        ("level_1_up.1.weight_g", false),
        ("level_1_out.0.weight_g", false),
    ] {
        assert_eq!(is_mapping(name), expected, "{name}");
    }
}

#[test]
fn a_file_alone_makes_the_same_generator() {
    for architecture in ARCHITECTURES {
        let generator = generator::<Flex>(architecture, 3);
        let (_folder, file) = saved(&generator);
        let config = GeneratorConfig::of_file(&file, None).unwrap();
        assert_eq!(&config, generator.config());
        let fresh = config.init::<Flex>(&Default::default());
        let before = images_error(images(&fresh), images(&generator));
        assert!(before > 1e-3, "fresh weights would do as well: {before}");
        let loaded = fresh.load(&file).unwrap();
        assert_eq!(images_error(images(&loaded), images(&generator)), 0.0);
    }
}

/// Writes the parameters of a generator's file to a file without a configuration, like a checkpoint
/// of the authors.
fn parameters_alone(file: &WeightFile) -> (tempfile::TempDir, WeightFile) {
    let parameters: Vec<_> = file
        .names()
        .into_iter()
        .map(|name| {
            let shape = file.shape(&name).unwrap();
            let data = file.data(&name, &shape).unwrap();
            (name, data)
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alone.safetensors");
    chimle_weights::write(&path, &parameters, &[]).unwrap();
    let file = WeightFile::open(&path).unwrap();
    (folder, file)
}

#[test]
fn the_configuration_follows_from_the_parameters() {
    for architecture in ARCHITECTURES {
        for rrdbs in [RrdbCount::Same(2), RrdbCount::PerLevel(vec![1, 3])] {
            let mut config = config(architecture, 2);
            config.rrdb_per_level = rrdbs;
            // The scale of the initialization leaves no trace, so the release's is assumed.
            config.linear_scale = 0.1;
            let (_folder, file) = saved(&config.init(&Default::default()));
            let (_folder, file) = parameters_alone(&file);
            let found = GeneratorConfig::of_file(&file, Some(architecture)).unwrap();
            assert_eq!(found, config);

            // Two output channels mean colorization. The other two architectures look alike.
            let guessed = GeneratorConfig::of_file(&file, None);
            if architecture == Architecture::Colorization {
                assert_eq!(guessed.unwrap(), config);
                continue;
            }
            let message = guessed.unwrap_err().to_string();
            let expected = "import them with their task first";
            assert!(message.contains(expected), "{message}");
            let other = GeneratorConfig::of_file(&file, Some(Architecture::Colorization));
            let message = other.unwrap_err().to_string();
            let expected = "`level_1_out.0.bias` has shape [3], expected [2]";
            assert!(message.contains(expected), "{message}");
        }
    }
}

#[test]
fn levels_may_differ_in_their_number_of_rrdbs() {
    for architecture in ARCHITECTURES {
        let mut config = config(architecture, 3);
        config.rrdb_per_level = RrdbCount::PerLevel(vec![3, 1, 2]);
        let generator = config.init::<Flex>(&Default::default());
        let counts: Vec<usize> = generator.levels.iter().map(|l| l.rrdbs.len()).collect();
        assert_eq!(counts, [3, 1, 2]);
        let (_folder, file) = saved(&generator);
        assert_eq!(GeneratorConfig::of_file(&file, None).unwrap(), config);
        let fresh = config.init::<Flex>(&Default::default());
        let loaded = fresh.load(&file).unwrap();
        assert_eq!(images_error(images(&loaded), images(&generator)), 0.0);
        assert_eq!(images(&loaded).len(), 3);
    }
}

#[test]
fn image_to_image_takes_and_gives_any_number_of_channels() {
    for (in_channels, out_channels) in [(4, 3), (1, 3), (4, 4)] {
        let mut config = config(Architecture::ImageToImage, 2);
        (config.in_channels, config.out_channels) = (in_channels, out_channels);
        assert_eq!(config.validate(), Ok(()));
        let generator = config.init::<Flex>(&Default::default());
        let found = images(&generator);
        let [height, width] = SIDES;
        assert_eq!(found[0].dims(), [2, out_channels, height, width]);
        assert_eq!(found[1].dims(), [2, out_channels, 2 * height, 2 * width]);
        // Every channel of the conditioning counts.
        let codes = || codes(generator.config(), 2, SIDES);
        for channel in 0..in_channels {
            let mut inputs = conditioning(generator.config(), 2, SIDES);
            for input in &mut inputs {
                let changed = input.clone().narrow(1, channel, 1) * 0.5;
                let [rows, _, h, w] = input.dims();
                let slot = [0..rows, channel..channel + 1, 0..h, 0..w];
                *input = input.clone().slice_assign(slot, changed);
            }
            let changed = generator.forward_raw(inputs, codes());
            assert!(
                images_error(changed, found.clone()) > 1e-6,
                "channel {channel}"
            );
        }
        let (_folder, file) = saved(&generator);
        assert_eq!(GeneratorConfig::of_file(&file, None).unwrap(), config);
        let loaded = config
            .init::<Flex>(&Default::default())
            .load(&file)
            .unwrap();
        assert_eq!(images_error(images(&loaded), found), 0.0);
    }
}

#[test]
fn a_file_of_another_size_is_refused_by_parameter_and_shapes() {
    let (_folder, file) = saved(&generator(Architecture::ImageToImage, 2));
    let load = |change: fn(&mut GeneratorConfig)| {
        let mut other = config(Architecture::ImageToImage, 2);
        change(&mut other);
        let generator = other.init::<Flex>(&Default::default());
        let message = generator.load(&file).unwrap_err().to_string();
        assert!(message.contains("w.safetensors"), "{message}");
        message
    };
    for (change, expected) in [
        (
            (|c| c.map_code = 13) as fn(&mut GeneratorConfig),
            "`level_1_map_0.0.weight` has shape [11, 12], expected [11, 13]",
        ),
        (
            |c| c.code_channels = 7,
            "`level_1_feat.0.weight_v` has shape [10, 5, 3, 3], expected [10, 10, 3, 3]",
        ),
        (
            |c| c.growth_channels[1] = 8,
            "`level_2_style.sub.0.RDB1.conv1.0.weight_v` has shape [5, 9, 3, 3], expected [8, 9, 3, 3]",
        ),
        (
            |c| c.rrdb_per_level = RrdbCount::Same(3),
            "no parameter `level_1_style.sub.2.RDB1.conv1.0.weight_v`",
        ),
        (
            |c| {
                c.residual_channels.push(8);
                c.growth_channels.push(4);
            },
            "no parameter `level_3_map_0.0.weight`",
        ),
    ] {
        let message = load(change);
        assert!(message.ends_with(expected), "{message}");
    }
}

#[test]
fn the_other_architecture_s_last_level_is_missed_by_name() {
    // The last `up` of colorization is numbered differently, but the first difference found is the
    // number of input channels.
    let (_folder, file) = saved(&generator(Architecture::Colorization, 2));
    let asked = GeneratorConfig::of_file(&file, Some(Architecture::ImageToImage)).unwrap();
    assert_eq!(
        asked.architecture,
        Architecture::Colorization,
        "a file of this library names its own architecture"
    );
    let other = generator::<Flex>(Architecture::ImageToImage, 2);
    let message = other.load(&file).unwrap_err().to_string();
    let expected = "`level_1_feat.0.weight_v` has shape [10, 3, 3, 3], expected [10, 5, 3, 3]";
    assert!(message.ends_with(expected), "{message}");
}

#[test]
fn a_cut_file_never_loads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    generator::<Flex>(Architecture::Colorization, 1)
        .save(&path)
        .unwrap();
    let whole = fs::read(&path).unwrap();
    let cut = folder.path().join("cut.safetensors");
    for length in (0..whole.len()).step_by(997).chain([whole.len() - 1]) {
        fs::write(&cut, &whole[..length]).unwrap();
        let opened = WeightFile::open(&cut);
        let message = opened.err().expect("a cut file opens").to_string();
        assert!(message.contains("cut.safetensors"), "{message}");
    }
}

#[test]
fn files_that_are_no_generator_s_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let refused = |parameters: &[(&str, Vec<usize>)], config: Option<&str>| {
        let zeros = |shape: &Vec<usize>| burn::tensor::TensorData::zeros::<f32, _>(shape.clone());
        let parameters: Vec<_> = parameters
            .iter()
            .map(|(name, shape)| ((*name).to_owned(), zeros(shape)))
            .chain([("another".to_owned(), zeros(&vec![1]))])
            .collect();
        let metadata: Vec<_> = config
            .map(|json| ("chimle.generator", json.to_owned()))
            .into_iter()
            .collect();
        chimle_weights::write(&path, &parameters, &metadata).unwrap();
        let file = WeightFile::open(&path).unwrap();
        let error = GeneratorConfig::of_file(&file, Some(Architecture::Colorization));
        let message = error.unwrap_err().to_string();
        assert!(message.contains("w.safetensors"), "{message}");
        message
    };
    let no_parameter = "no parameter `level_1_map_0.0.weight`";
    assert!(refused(&[], None).contains(no_parameter));
    let flat = refused(&[("level_1_map_0.0.weight", vec![4])], None);
    assert!(
        flat.contains("`level_1_map_0.0.weight` has shape [4]"),
        "{flat}"
    );
    let no_level = refused(&[("level_1_map_0.0.weight", vec![4, 4])], None);
    assert!(
        no_level.contains("no parameter `level_1_out.0.bias`"),
        "{no_level}"
    );
    assert!(refused(&[], Some("{}")).contains("missing field `architecture`"));

    let mut config = config(Architecture::Colorization, 1);
    config.latent = 0;
    let json = serde_json::to_string(&config).unwrap();
    let empty = refused(&[], Some(&json));
    assert!(empty.contains("`latent` must be at least 1"), "{empty}");
}

#[test]
#[should_panic(expected = "load a generator before folding it")]
fn a_folded_generator_loads_nothing() {
    let generator = generator::<Flex>(Architecture::ImageToImage, 1);
    let (_folder, file) = saved(&generator);
    let _ = generator.fold().load(&file);
}

#[test]
#[should_panic(expected = "save a generator before folding it")]
fn a_folded_generator_is_not_saved() {
    saved(&generator::<Flex>(Architecture::ImageToImage, 1).fold());
}

/// A file of 1 kB must not make the program allocate what its metadata claim.
#[test]
fn a_configuration_that_the_file_does_not_hold_is_refused_before_it_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let open = |change: &dyn Fn(&mut GeneratorConfig)| {
        let mut config = config(Architecture::ImageToImage, 2);
        change(&mut config);
        let json = serde_json::to_string(&config).unwrap();
        let one = ("bias".to_owned(), TensorData::from([1.0f32]));
        chimle_weights::write(&path, &[one], &[("chimle.generator", json)]).unwrap();
        assert!(fs::metadata(&path).unwrap().len() < 1200);
        let file = WeightFile::open(&path).unwrap();
        GeneratorConfig::of_file(&file, None)
            .unwrap_err()
            .to_string()
    };
    type Change<'a> = &'a dyn Fn(&mut GeneratorConfig);
    let cases: [(Change, &str); 8] = [
        (
            &|c| c.residual_channels[1] = 1 << 40,
            "`residual_channels` must be at most 65536",
        ),
        (
            &|c| c.growth_channels[0] = usize::MAX,
            "`growth_channels` must be at most 65536",
        ),
        (&|c| c.latent = 1 << 40, "`latent` must be at most 65536"),
        (
            &|c| c.map_code = 1 << 40,
            "`map_code` must be at most 65536",
        ),
        (
            &|c| c.rrdb_per_level = RrdbCount::Same(1 << 40),
            "`rrdb_per_level` must be at most",
        ),
        (
            &|c| c.residual_channels = vec![1; 17],
            "`levels` must be at most 16",
        ),
        (
            &|c| c.residual_channels = vec![65_536; 2],
            "more than 8589934592 parameters",
        ),
        // A valid configuration is compared with the file.
        (
            &|c| c.latent = 4096,
            "hold no parameter `level_1_map_0.0.weight`",
        ),
    ];
    for (change, expected) in cases {
        let message = open(change);
        assert!(message.contains(expected), "{message}");
        assert!(message.contains("w.safetensors"), "{message}");
    }
}
