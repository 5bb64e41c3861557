//! Networks from files: what has nothing to train, and how a wrong file is reported.

mod reference;

use std::fs;

use burn::backend::Autodiff;
use burn::module::Module;
use burn_flex::Flex;
use chimle_perceptual::{Lpips, Vgg16, Vgg16Config, WeightFile};
use reference::shared;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

#[test]
fn a_cut_pytorch_file_never_loads() {
    // burn-store alone would give zeros for the values past the end.
    let Some(path) = shared("weights/lpips_v0.1/vgg.pth") else {
        return;
    };
    let whole = fs::read(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.pth");
    let vgg: Vgg16<Flex> = Vgg16Config::new().init(&Default::default());
    for length in (0..whole.len()).step_by(61).chain([whole.len() - 1]) {
        fs::write(&cut, &whole[..length]).unwrap();
        let loaded = WeightFile::open(&cut)
            .and_then(|file| Lpips::weighted(vgg.clone(), &file, &Default::default()));
        assert!(loaded.is_err(), "cut at {length}");
    }
}

#[test]
fn the_network_has_nothing_to_train_or_to_store() {
    let vgg: Vgg16<Autodiff<Flex>> = Vgg16Config::new().init(&Default::default());
    assert_eq!(vgg.num_params(), 0);
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
