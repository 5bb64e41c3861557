//! Times convolutions that could be the layers of a discriminator, forward and backward.
//!
//! `cargo run --release -p chimle-arena --example convolutions`
//!
//! Each layer halves the side of a map. PatchGAN's layer is a 4x4 convolution of stride 2, computed by Burn. The other
//! layers are 3x3 convolutions, followed by a mean over 2x2 pixels, or applied to a map whose 2x2 pixels were stacked as
//! channels. The times are CPU time of the process.

use burn::backend::Autodiff;
use burn::tensor::module::{avg_pool2d, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Distribution, Tensor};
use burn_flex::Flex;
use chimle_kernels::conv3x3;
use cpu_time::ProcessTime;

type B = Autodiff<Flex>;

/// The number of times that each layer is run.
const TIMES: u32 = 10;

fn stack_pixels(map: Tensor<B, 4>) -> Tensor<B, 4> {
    let [n, c, h, w] = map.dims();
    map.reshape([n, c, h / 2, 2, w / 2, 2])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([n, 4 * c, h / 2, w / 2])
}

fn main() {
    let device = Default::default();
    let random = |shape: [usize; 4]| {
        Tensor::<B, 4>::random(shape, Distribution::Normal(0.0, 0.1), &device).require_grad()
    };
    println!(
        "| map | 4x4 stride 2, Burn (ms) | 3x3, Burn, then mean | 3x3, kernel, then mean | stacked pixels, then 3x3 kernel |"
    );
    println!("|---|---|---|---|---|");
    for (channels, outputs, side) in [(3, 32, 64), (32, 64, 32), (64, 128, 16), (32, 32, 64)] {
        let map = random([8, channels, side, side]);
        let (four, three) = (
            random([outputs, channels, 4, 4]),
            random([outputs, channels, 3, 3]),
        );
        let stacked = random([outputs, 4 * channels, 3, 3]);
        let bias = Tensor::<B, 1>::zeros([outputs], &device).require_grad();
        let halved = |map| avg_pool2d(map, [2, 2], [2, 2], [0, 0], true, false);
        let layers: [&dyn Fn() -> Tensor<B, 4>; 4] = [
            &|| {
                let options = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
                conv2d(map.clone(), four.clone(), Some(bias.clone()), options)
            },
            &|| {
                let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
                halved(conv2d(
                    map.clone(),
                    three.clone(),
                    Some(bias.clone()),
                    options,
                ))
            },
            &|| halved(conv3x3(map.clone(), three.clone(), bias.clone())),
            &|| conv3x3(stack_pixels(map.clone()), stacked.clone(), bias.clone()),
        ];
        let times = layers.map(|layer| {
            layer().square().sum().backward();
            let begun = ProcessTime::now();
            for _ in 0..TIMES {
                layer().square().sum().backward();
            }
            let each = begun.elapsed() / TIMES;
            format!("{:.1}", 1000.0 * each.as_secs_f64())
        });
        println!(
            "| 8 x {channels} x {side} x {side} to {outputs} | {} |",
            times.join(" | ")
        );
    }
}
