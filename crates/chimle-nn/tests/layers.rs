//! The layers, compared with numbers computed by hand.

mod small;

use burn::module::{Param, ParamId};
use burn::nn::Linear;
use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use chimle_nn::{
    AdaIn, AdaInConfig, Compute, DenseBlockConfig, LatentCode, Level, LevelConfig,
    MappingNetworkConfig, Rrdb, WeightNormConv2d, WeightNormConv2dConfig,
};
use small::{error, noise, normalized, values};

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        let close = (f - e).abs() <= 1e-5 * e.abs().max(1.0);
        assert!(close, "{found:?}, expected {expected:?}");
    }
}

fn param<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<Flex, D>> {
    let value = Tensor::from_data(TensorData::new(values, shape), &Default::default());
    Param::initialized(ParamId::new(), value)
}

/// Sets the convolution to the constant `bias`.
fn constant(conv: &mut WeightNormConv2d<Flex>, bias: Vec<f32>) {
    let length = conv.weight_g.as_ref().unwrap().val();
    conv.weight_g = Some(param(vec![0.0; bias.len()], length.dims()));
    let channels = bias.len();
    conv.bias = param(bias, [channels]);
}

/// Sets the convolution to copy channel `picks[k]` of its input to channel `k`.
fn copy(conv: &mut WeightNormConv2d<Flex>, picks: &[usize]) {
    let [out, channels, ..] = conv.weight_v.dims();
    assert_eq!(out, picks.len());
    let mut v = vec![0.0; out * channels * 9];
    for (k, pick) in picks.iter().enumerate() {
        v[(k * channels + pick) * 9 + 4] = 7.0; // the middle; any length will do
    }
    conv.weight_v = param(v, [out, channels, 3, 3]);
    conv.weight_g = Some(param(vec![1.0; out], [out, 1, 1, 1]));
    conv.bias = param(vec![0.0; out], [out]);
}

#[test]
fn a_convolution_sums_its_neighbourhood_and_pads_with_zeros() {
    let mut conv = WeightNormConv2dConfig::new(1, 1).init::<Flex>(&Default::default());
    // ||v|| = sqrt(9 * 2^2) = 6, so with g = 3 every weight is 1.
    conv.weight_v = param(vec![2.0; 9], [1, 1, 3, 3]);
    conv.weight_g = Some(param(vec![3.0], [1, 1, 1, 1]));
    conv.bias = param(vec![-20.0], [1]);
    let input = param(vec![1., 2., 3., 4., 5., 6.], [1, 1, 2, 3]).val();
    let sums = [12., 21., 16., 12., 21., 16.];
    let expected = sums.map(|s| s - 20.);
    assert_close(&values(conv.forward(input.clone())), &expected);
    let leaky = expected.map(|v| if v < 0.0 { 0.2 * v } else { v });
    assert_close(&values(conv.forward_leaky(input)), &leaky);
}

#[test]
fn only_the_direction_of_v_counts_and_g_scales() {
    let device = Default::default();
    let mut conv = WeightNormConv2dConfig::new(3, 4).init::<Flex>(&device);
    conv.bias = param(vec![0.3; 4], [4]);
    let input: Tensor<Flex, 4> = normalized([2, 3, 5, 6], 1);
    let before = conv.forward(input.clone());

    let mut longer = conv.clone();
    longer.weight_v = conv.weight_v.clone().map(|v| v * 37.5);
    assert!(error(longer.forward(input.clone()), before.clone()) < 1e-5);

    let mut scaled = conv.clone();
    let factors: Tensor<Flex, 4> = param(vec![0.0, -1.0, 2.0, 3.0], [4, 1, 1, 1]).val();
    scaled.weight_g = conv
        .weight_g
        .clone()
        .map(|g| g.map(|g| g * factors.clone()));
    let expected = (before.clone() - 0.3) * factors.swap_dims(0, 1) + 0.3;
    assert!(error(scaled.forward(input.clone()), expected) < 1e-5);
    assert!(
        error(
            scaled.clone().fold().forward(input.clone()),
            scaled.forward(input)
        ) < 1e-5
    );
    assert!(scaled.fold().weight_g.is_none());
}

#[test]
fn convolutions_start_uniform_within_pytorch_s_bound() {
    let (inputs, outputs) = (24, 200);
    let conv = WeightNormConv2dConfig::new(inputs, outputs).init::<Flex>(&Default::default());
    let bound = 1.0 / ((inputs * 9) as f32).sqrt();
    let v = values(conv.weight_v.val());
    let largest = v.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(largest <= bound && largest > 0.999 * bound, "{largest}");
    let (mean, variance) = moments(&v);
    assert!(mean.abs() < 0.02 * bound, "{mean}");
    assert!(
        (variance / (bound * bound / 3.0) - 1.0).abs() < 0.02,
        "{variance}"
    );
    // g = ||v||, so the effective weight is v itself.
    assert!(error(conv.weight(), conv.weight_v.val()) < 1e-6);
    assert_eq!(values(conv.bias.val()), vec![0.0; outputs]);
}

fn moments(values: &[f32]) -> (f32, f32) {
    let n = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let squares = values.iter().map(|v| (f64::from(*v) - mean).powi(2));
    (mean as f32, (squares.sum::<f64>() / n) as f32)
}

#[test]
fn linear_layers_start_kaiming_normal_by_fan_in_and_scaled() {
    let device = Default::default();
    let check = |layer: &Linear<Flex>, inputs: usize, scale: f32| {
        let weight = values(layer.weight.val());
        let expected = scale * (2.0 / inputs as f32).sqrt();
        let (mean, variance) = moments(&weight);
        assert!(
            (variance.sqrt() / expected - 1.0).abs() < 0.05,
            "{variance}"
        );
        assert!(mean.abs() < 0.05 * expected);
        // The fourth moment of a normal distribution is 3, and that of a uniform one is 1.8.
        let fourth = weight.iter().map(|w| (w / expected).powi(4)).sum::<f32>();
        assert!((fourth / weight.len() as f32 - 3.0).abs() < 0.6);
        let bias = values(layer.bias.as_ref().unwrap().val());
        assert!(bias.iter().all(|b| *b == 0.0));
    };
    for scale in [0.1, 1.0] {
        let mapping = MappingNetworkConfig::new(40, 128, 2, scale).init::<Flex>(&device);
        let scale = scale as f32;
        check(&mapping.input, 40, scale);
        assert_eq!(mapping.layers.len(), 7);
        check(&mapping.layers[0], 3 * 128, scale);
        check(&mapping.layers[6], 128, scale);
        let adain = AdaInConfig::new(50, 60, f64::from(scale)).init::<Flex>(&device);
        check(&adain.affine, 50, scale);
    }
}

#[test]
fn adain_is_gain_first_then_bias_of_each_sample_s_style() {
    let adain = AdaIn {
        affine: Linear {
            // With one style value s, gamma = [s, 0] and beta = [0, 10 s]. The bias adds 1 to each.
            weight: param(vec![1.0, 0.0, 0.0, 10.0], [1, 4]),
            bias: Some(param(vec![1.0; 4], [4])),
        },
    };
    let map = param([[-1.0f32, 1.0]; 4].concat(), [2, 2, 1, 2]).val();
    let style = param(vec![1.0, 2.0], [2, 1]).val();
    let unit = 1.0 / 1.00001f32.sqrt();
    let expected = [[3.0, 1.0], [2.0, 11.0], [4.0, 1.0], [2.0, 21.0]]
        .map(|[gain, bias]| [bias - gain * unit, bias + gain * unit]);
    assert_close(&values(adain.forward(map, style)), expected.as_flattened());
}

#[test]
fn blocks_without_weights_add_a_fifth_of_their_biases() {
    let device = Default::default();
    let block = |bias: f32| {
        let mut block = DenseBlockConfig::new(3, 2).init::<Flex>(&device);
        for (k, conv) in block.convs.iter_mut().enumerate() {
            let channels = conv.bias.dims()[0];
            constant(conv, vec![if k == 4 { bias } else { 100.0 }; channels]);
        }
        block
    };
    let x: Tensor<Flex, 4> = normalized([2, 3, 4, 5], 1);
    // Only the last convolution reads the inner ones, and its weights are zero.
    let dense = block(5.0).forward(x.clone());
    assert!(error(dense, x.clone() + 0.2 * 5.0) < 1e-6);
    let rrdb = Rrdb {
        blocks: vec![block(1.0), block(2.0), block(3.0)],
    };
    let expected = x.clone() + (x.clone() + 0.2 * 6.0) * 0.2;
    assert!(error(rrdb.forward(x, Compute::default()), expected) < 1e-6);
}

#[test]
fn a_dense_block_sees_its_input_first_and_then_each_map_in_order() {
    let mut block = DenseBlockConfig::new(1, 1).init::<Flex>(&Default::default());
    for (conv, bias) in block.convs.iter_mut().zip([-1.0, 2.0, 3.0, 4.0]) {
        constant(conv, vec![bias]);
    }
    let x = param(vec![0.5], [1, 1, 1, 1]).val();
    for (pick, seen) in [0.5, -0.2, 2.0, 3.0, 4.0].into_iter().enumerate() {
        copy(&mut block.convs[4], &[pick]);
        assert_close(&values(block.forward(x.clone())), &[0.5 + 0.2 * seen]);
    }
}

#[test]
fn a_mapping_network_sees_its_own_code_first_then_the_styles_below_in_order() {
    let mut mapping = MappingNetworkConfig::new(1, 1, 2, 1.0).init::<Flex>(&Default::default());
    mapping.input.weight = param(vec![1.0], [1, 1]);
    for layer in &mut mapping.layers {
        layer.weight = param(vec![1.0], [1, 1]);
    }
    mapping.layers[0].weight = param(vec![1.0, 10.0, 100.0], [3, 1]);
    let one = |v: f32| param(vec![v], [1, 1]).val();
    let style = mapping.forward(one(1.0), &[one(2.0), one(3.0)]);
    assert_close(&values(style), &[321.0]);
    // The style vectors are read unchanged. The code's layer and every other layer end with a
    // LeakyReLU.
    let style = mapping.forward(one(-1.0), &[one(-2.0), one(0.0)]);
    assert_close(&values(style), &[-20.2 * 0.2f32.powi(7)]);
    let style = mapping.forward(one(-1.0), &[one(0.0), one(0.0)]);
    assert_close(&values(style), &[-(0.2f32.powi(8))]);
}

fn level(channels_below: usize) -> Level<Flex> {
    LevelConfig {
        channels_in: 1,
        channels_below,
        residual_channels: 2,
        growth_channels: 2,
        channels_out: 3,
        code_channels: 2,
        rrdbs: 1,
        mapping: MappingNetworkConfig::new(12, 11, 0, 1.0),
    }
    .init(&Default::default())
}

#[test]
fn a_level_reads_conditioning_code_and_a_tenth_of_what_is_handed_up() {
    let mut level = level(2);
    constant(&mut level.chain_end, vec![0.0; 2]);
    let code = LatentCode {
        global: normalized([2, 12], 3),
        local: normalized([2, 2, 4, 6], 4),
    };
    let base: Tensor<Flex, 4> = noise([2, 1, 4, 6], 1);
    let below: Tensor<Flex, 4> = normalized([2, 2, 4, 6], 2);
    let inputs = Tensor::cat(
        vec![base.clone(), code.local.clone(), below.clone() * 0.1],
        1,
    );
    for pick in 0..5 {
        copy(&mut level.feature, &[pick, 4 - pick]);
        let seen = [pick, 4 - pick].map(|k| inputs.clone().narrow(1, k, 1));
        let (features, _) = level.streams(
            base.clone(),
            code.clone(),
            Some(below.clone()),
            &[],
            Compute::default(),
        );
        assert!(
            error(features, Tensor::cat(seen.to_vec(), 1)) < 1e-6,
            "{pick}"
        );
    }

    // The shortcut goes around the chain: the output of the chain's last convolution is added.
    let (before, _) = level.streams(
        base.clone(),
        code.clone(),
        Some(below.clone()),
        &[],
        Compute::default(),
    );
    constant(&mut level.chain_end, vec![0.5, -2.0]);
    let (after, _) = level.streams(base, code, Some(below), &[], Compute::default());
    let added = param(vec![0.5, -2.0], [1, 2, 1, 1]).val();
    assert!(error(after, before + added) < 1e-6);
}

#[test]
fn up_repeats_pixels_and_refine_does_not() {
    let mut level = level(0);
    for conv in &mut level.up {
        copy(conv, &[1, 0]);
    }
    let map = param(vec![1., -2., 3., 4., 5., 6.], [1, 2, 1, 3]).val();
    // A negative value passes two LeakyReLUs.
    let leaky = -2.0 * 0.04;
    let refined = [1., leaky, 3., 4., 5., 6.];
    assert_close(&values(level.refine(map.clone())), &refined);
    let row = |v: &[f32]| -> Vec<f32> { v.iter().flat_map(|v| [*v, *v]).collect() };
    let expected: Vec<f32> = refined
        .chunks(3)
        .flat_map(|channel| [row(channel), row(channel)].concat())
        .collect();
    let up = level.up(map);
    assert_eq!(up.dims(), [1, 2, 2, 6]);
    assert_close(&values(up), &expected);

    constant(&mut level.out, vec![0.0, 1.0, -50.0]);
    let image = level.image(param(vec![9.0; 2], [1, 2, 1, 1]).val());
    assert_close(&values(image), &[0.0, 1f32.tanh(), -1.0]);
}
