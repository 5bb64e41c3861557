//! Configurations: presets, what is refused, and how they are written.

mod small;

use burn::module::Module;
use burn_flex::Flex;
use chimle_nn::{Architecture, ConfigError, GeneratorConfig, Preset, RrdbCount};
use small::{ARCHITECTURES, config};

#[test]
#[ignore = "fills 840 MB with random numbers, which takes four seconds"]
fn the_paper_s_colorization_network_has_210_6_million_parameters() {
    let config = GeneratorConfig::preset(Preset::Paper, Architecture::Colorization);
    let generator = config.init::<Flex>(&Default::default());
    let parameters = generator.num_params();
    println!("{parameters}");
    assert_eq!((parameters as f64 / 1e5).round(), 2106.0, "{parameters}");
}

#[test]
fn presets_are_valid_for_every_architecture() {
    for architecture in ARCHITECTURES {
        for (preset, levels) in [(Preset::Tiny, 3), (Preset::Small, 4), (Preset::Paper, 4)] {
            let config = GeneratorConfig::preset(preset, architecture);
            assert_eq!(config.validate(), Ok(()));
            assert_eq!(config.levels(), levels);
        }
    }
}

#[test]
fn what_is_refused_names_the_field() {
    type Change = fn(&mut GeneratorConfig);
    let zeros: [(Change, &str); 10] = [
        (|c| c.in_channels = 0, "in_channels"),
        (|c| c.out_channels = 0, "out_channels"),
        (|c| c.code_channels = 0, "code_channels"),
        (|c| c.rrdb_per_level = RrdbCount::Same(0), "rrdb_per_level"),
        (
            |c| c.rrdb_per_level = RrdbCount::PerLevel(vec![1, 0]),
            "rrdb_per_level",
        ),
        (
            |c| c.rrdb_per_level = RrdbCount::PerLevel(vec![]),
            "rrdb_per_level",
        ),
        (|c| c.map_code = 0, "map_code"),
        (|c| c.latent = 0, "latent"),
        (|c| c.residual_channels = vec![], "residual_channels"),
        (|c| c.growth_channels[1] = 0, "growth_channels"),
    ];
    let others: [(Change, &str); 7] = [
        (
            |c| c.growth_channels.truncate(1),
            "`residual_channels` has 2 levels but `growth_channels` has 1",
        ),
        (
            |c| c.rrdb_per_level = RrdbCount::PerLevel(vec![1, 2, 3]),
            "`residual_channels` has 2 levels but `rrdb_per_level` has 3",
        ),
        (
            |c| c.in_channels = 3,
            "`in_channels` and `out_channels` must be 1 and 2 for Colorization, not 3 and 2",
        ),
        (
            |c| c.out_channels = 3,
            "`in_channels` and `out_channels` must be 1 and 2 for Colorization, not 1 and 3",
        ),
        (
            |c| c.linear_scale = f64::NAN,
            "`linear_scale` must be a positive number, not NaN",
        ),
        (
            |c| c.linear_scale = 0.0,
            "`linear_scale` must be a positive number, not 0",
        ),
        (
            |c| c.linear_scale = f64::INFINITY,
            "`linear_scale` must be a positive number, not inf",
        ),
    ];
    let error = |change: Change| -> ConfigError {
        let mut config = config(Architecture::Colorization, 2);
        assert_eq!(config.validate(), Ok(()));
        change(&mut config);
        config.validate().unwrap_err()
    };
    let mut unequal = config(Architecture::SuperResolution, 2);
    unequal.in_channels = 4;
    let message = unequal.validate().unwrap_err().to_string();
    let expected = "must be equal for SuperResolution, not 4 and 3";
    assert!(message.ends_with(expected), "{message}");
    unequal.out_channels = 4;
    assert_eq!(unequal.validate(), Ok(()));
    for (change, field) in zeros {
        assert_eq!(error(change), ConfigError::Zero { field });
        let message = error(change).to_string();
        assert!(message.contains(&format!("`{field}` must be at least 1")));
    }
    for (change, expected) in others {
        let message = error(change).to_string();
        assert!(message.ends_with(expected), "{message}");
    }
}

#[test]
fn the_number_of_rrdbs_is_one_number_or_one_per_level() {
    // A configuration from before levels could have different numbers of RRDBs.
    let json = r#"{
        "architecture": "image-to-image",
        "in_channels": 3,
        "out_channels": 3,
        "code_channels": 5,
        "residual_channels": [32, 24],
        "growth_channels": [16, 12],
        "rrdb_per_level": 2,
        "map_code": 16,
        "latent": 32,
        "linear_scale": 0.1
    }"#;
    let config: GeneratorConfig = serde_json::from_str(json).unwrap();
    assert_eq!(config.rrdb_per_level, RrdbCount::Same(2));
    assert_eq!([0, 1].map(|level| config.rrdb_per_level.of(level)), [2, 2]);
    let written = serde_json::to_value(&config).unwrap();
    assert_eq!(
        written,
        serde_json::from_str::<serde_json::Value>(json).unwrap()
    );

    let json = json.replace("\"rrdb_per_level\": 2", "\"rrdb_per_level\": [4, 1]");
    let config: GeneratorConfig = serde_json::from_str(&json).unwrap();
    assert_eq!([0, 1].map(|level| config.rrdb_per_level.of(level)), [4, 1]);
    assert_eq!(config.validate(), Ok(()));
    let back = serde_json::to_string(&config).unwrap();
    assert_eq!(
        serde_json::from_str::<GeneratorConfig>(&back).unwrap(),
        config
    );
}

#[test]
fn a_written_configuration_reads_back_and_unknown_fields_are_refused() {
    for architecture in ARCHITECTURES {
        let config = config(architecture, 2);
        let mut json = serde_json::to_value(&config).unwrap();
        let back: GeneratorConfig = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(back, config);

        // If no scale is given, it is the release's.
        json.as_object_mut().unwrap().remove("linear_scale");
        let back: GeneratorConfig = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(back.linear_scale, 0.1);

        json["residual_chanels"] = 3.into();
        let error = serde_json::from_value::<GeneratorConfig>(json).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("residual_chanels"), "{message}");
    }
    let name = |a: Architecture| serde_json::to_value(a).unwrap();
    assert_eq!(
        ARCHITECTURES.map(name),
        ["colorization", "super-resolution", "image-to-image"]
    );
}
