//! The properties of a generator that training needs: its gradients, and the identities of its
//! parameters.

mod small;

use std::collections::BTreeSet;

use burn::backend::Autodiff;
use burn::module::{Module, Param, ParamId, list_param_ids};
use burn::tensor::Tensor;
use burn_flex::Flex;
use chimle_nn::{Architecture, Generator, NamedVisitor, WeightFile, is_mapping};
use small::{ARCHITECTURES, codes, conditioning, config, generator, values};

type B = Autodiff<Flex>;

const SIDES: [usize; 2] = [4, 6];

/// Returns the names of the parameters that get no gradient from a loss on all images, and checks
/// that all other gradients are finite.
fn without_gradient(generator: &Generator<B>) -> BTreeSet<String> {
    struct Check<'a> {
        gradients: &'a <B as burn::tensor::backend::AutodiffBackend>::Gradients,
        without: BTreeSet<String>,
    }
    impl NamedVisitor<B> for Check<'_> {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
            match param.val().grad(self.gradients) {
                None => assert!(self.without.insert(name.to_owned())),
                Some(gradient) => {
                    assert_eq!(gradient.dims(), param.val().dims(), "{name}");
                    let gradient = values(gradient);
                    assert!(gradient.iter().all(|v| v.is_finite()), "{name}");
                    // A bias in front of an instance normalization changes nothing.
                    let counts = !name.ends_with("bias");
                    assert!(!counts || gradient.iter().any(|v| *v != 0.0), "{name}");
                }
            }
        }
    }
    let inputs = conditioning(generator.config(), 2, SIDES);
    let images = generator.forward_raw(inputs, codes(generator.config(), 2, SIDES));
    let loss = images.into_iter().map(|image| image.square().mean());
    let gradients = loss.reduce(|a, b| a + b).unwrap().backward();
    let mut check = Check {
        gradients: &gradients,
        without: BTreeSet::new(),
    };
    generator.visit_named(&mut check);
    check.without
}

/// Returns the parameters that are not used. In image to image, the `up` of the last level exists
/// among the weights but is not used.
fn unused(architecture: Architecture) -> BTreeSet<String> {
    let parts = ["weight_v", "weight_g", "bias"];
    let names = |k| parts.map(|part| format!("level_3_up.{k}.{part}"));
    match architecture {
        Architecture::ImageToImage => [1, 3].into_iter().flat_map(names).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn every_parameter_in_use_has_a_finite_gradient() {
    for architecture in ARCHITECTURES {
        let generator = generator::<B>(architecture, 3);
        assert_eq!(without_gradient(&generator), unused(architecture));
    }
}

#[test]
fn fresh_and_loaded_weights_are_trained_alike() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    for architecture in ARCHITECTURES {
        let fresh = config(architecture, 3).init::<B>(&Default::default());
        assert_eq!(without_gradient(&fresh), unused(architecture));
        fresh.save(&path).unwrap();
        let loaded = config(architecture, 3)
            .init::<B>(&Default::default())
            .load(&WeightFile::open(&path).unwrap())
            .unwrap();
        assert_eq!(without_gradient(&loaded), unused(architecture));
    }
}

#[test]
fn parameters_keep_their_identity_when_built_anew_or_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let device = Default::default();
    for architecture in ARCHITECTURES {
        let config = config(architecture, 2);
        let first = config.init::<B>(&device);
        let ids: Vec<ParamId> = list_param_ids(&first);
        let different: BTreeSet<u64> = ids.iter().map(ParamId::val).collect();
        assert_eq!(different.len(), ids.len());
        first.save(&path).unwrap();
        let second = config.init::<B>(&device);
        assert_eq!(list_param_ids(&second), ids);
        let loaded = second.load(&WeightFile::open(&path).unwrap()).unwrap();
        assert_eq!(list_param_ids(&loaded), ids);
    }
}

#[test]
fn the_mapping_networks_are_told_by_name() {
    let mut count = 0;
    struct Count<'a>(&'a mut usize);
    impl NamedVisitor<B> for Count<'_> {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
            if is_mapping(name) {
                *self.0 += param.val().shape().num_elements();
            }
        }
    }
    let generator = generator::<B>(Architecture::Colorization, 3);
    generator.visit_named(&mut Count(&mut count));
    let expected = generator
        .levels
        .iter()
        .map(|level| level.mapping.num_params());
    assert_eq!(count, expected.sum::<usize>());
}
