//! Networks from files have nothing to train, and wrong files are reported.

mod rule;

use std::fs;
use std::path::Path;

use burn::backend::Autodiff;
use burn::module::Module;
use burn_flex::Flex;
use chimle_perceptual::{
    AlexNet, Backbone, InceptionV3, Lpips, SqueezeNet, Vgg16, Vgg16Config, WeightFile,
};
use rule::{Expected, Weights};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

#[test]
fn a_cut_pytorch_file_never_loads() {
    let alexnet = Weights::of("alexnet", &Expected::read().alexnet);
    let alexnet = AlexNet::<Flex>::load(&alexnet.path, &Default::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.pth");
    for name in ["linear_alexnet.pth", "linear_alexnet_legacy.pth"] {
        let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected");
        let whole = fs::read(expected.join(name)).unwrap();
        let load = |length: usize| {
            fs::write(&cut, &whole[..length]).unwrap();
            WeightFile::open(&cut)
                .and_then(|file| Lpips::weighted(alexnet.clone(), &file, &Default::default()))
        };
        assert!(load(whole.len()).is_ok(), "{name}");
        for length in (0..whole.len()).step_by(61).chain([whole.len() - 1]) {
            assert!(load(length).is_err(), "{name}, cut at {length}");
        }
    }
}

#[test]
fn a_network_has_nothing_to_train_or_to_store() {
    let vgg: Vgg16<Autodiff<Flex>> = Vgg16Config::new().init(&Default::default());
    assert_eq!(vgg.num_params(), 0);
}

#[test]
fn the_weights_of_another_network_are_refused() {
    let expected = Expected::read();
    let squeezenet = Weights::of("squeezenet", &expected.squeezenet);
    let alexnet = Weights::of("alexnet", &expected.alexnet);
    let for_vgg = Weights::linear(&[64, 128, 256, 512, 512]);
    let device = Default::default();
    let lpips = |linear: &Weights| {
        Lpips::<Flex>::load_on(
            Backbone::AlexNet,
            &alexnet.path,
            Some(&linear.path),
            &device,
        )
    };
    assert!(lpips(&Weights::linear(&[64, 192, 384, 256, 256])).is_ok());
    let cases = [
        (
            AlexNet::<Flex>::load(&squeezenet.path, &device).err(),
            "`features.0.weight` has shape [64, 3, 3, 3], expected [64, 3, 11, 11]",
        ),
        (
            SqueezeNet::<Flex>::load(&alexnet.path, &device).err(),
            "`features.0.weight` has shape [64, 3, 11, 11], expected [64, 3, 3, 3]",
        ),
        (
            InceptionV3::<Flex>::load(&alexnet.path, &device).err(),
            "hold no parameter `Conv2d_1a_3x3.bn.weight`",
        ),
        (
            lpips(&for_vgg).err(),
            "`lin1.model.1.weight` has shape [1, 128, 1, 1], expected [1, 192, 1, 1]",
        ),
    ];
    for (error, expected) in cases {
        let message = error.unwrap().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_configuration_names_a_backbone_in_lower_case() {
    for (backbone, name) in [
        (Backbone::Vgg16, "\"vgg16\""),
        (Backbone::AlexNet, "\"alexnet\""),
        (Backbone::SqueezeNet, "\"squeezenet\""),
    ] {
        assert_eq!(serde_json::to_string(&backbone).unwrap(), name);
        assert_eq!(serde_json::from_str::<Backbone>(name).unwrap(), backbone);
    }
}

#[test]
fn vgg_of_other_widths_is_refused_by_shape() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let view = TensorView::new(Dtype::F32, vec![2, 2], &[1; 16]).unwrap();
    serialize_to_file([("features.0.weight", view)], None, &path).unwrap();
    let message = Vgg16::<Flex>::load(&path, &Default::default())
        .unwrap_err()
        .to_string();
    let expected = "`features.0.weight` has shape [2, 2], expected [64, 3, 3, 3]";
    assert!(message.contains(expected), "{message}");
}
