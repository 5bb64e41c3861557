//! The work of a generator, counted from its configuration: multiply-adds, parameters, and the bytes that
//! devices exchange.

use chimle_core::nn::{Architecture, GeneratorConfig};
use serde::Serialize;

use crate::bench::BenchConfig;

/// The convolutions of VGG16 up to relu5_3: input channels, output channels, and the number of times
/// the image was halved before.
const VGG16: [(u64, u64, u32); 13] = [
    (3, 64, 0),
    (64, 64, 0),
    (64, 128, 1),
    (128, 128, 1),
    (128, 256, 2),
    (256, 256, 2),
    (256, 256, 2),
    (256, 512, 3),
    (512, 512, 3),
    (512, 512, 3),
    (512, 512, 4),
    (512, 512, 4),
    (512, 512, 4),
];

/// The smallest side of an image for VGG16. Smaller images are enlarged to it.
const VGG16_SIDE: u64 = 16;

/// The work of one forward pass, one training step and one search. Multiply-adds of convolutions and
/// linear layers are counted; everything else is small next to them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Work {
    /// The multiply-adds of the generator for one example, per level.
    pub level_macs: Vec<u64>,
    /// The multiply-adds of LPIPS on VGG16 for one image, per level. They are 0 if `perceptual` of
    /// [`count`] is false.
    pub distance_macs: Vec<u64>,
    /// The multiply-adds of a forward pass of the batch.
    pub forward_macs: u64,
    /// The multiply-adds of a training step: the forward pass, twice as many for the gradients with
    /// respect to inputs and weights, and the distance with its gradient and the targets' features.
    pub step_macs: u64,
    /// The multiply-adds of the search for the batch. Each candidate takes one level and one distance.
    pub search_macs: u64,
    /// The bytes of the f32 gradients, which devices exchange in every step.
    pub gradient_bytes: u64,
}

/// Counts the work of a configuration. `perceptual` says whether the distance is LPIPS on VGG16.
///
/// The `side` of the configuration is the side of the coarsest conditioning image. Multiply-adds are those
/// of direct convolution. Winograd's algorithm needs fewer.
pub fn count(config: &BenchConfig, perceptual: bool) -> Work {
    let (network, batch) = (&config.network, config.batch as u64);
    let levels = network.levels();
    let sides: Vec<u64> = (0..levels)
        .map(|level| (config.side as u64) << level)
        .collect();
    let encoder = encoder_macs(network, sides[levels - 1]);
    let mut level_macs: Vec<u64> = (0..levels)
        .map(|level| level_work(network, level, sides[level]))
        .collect();
    let shown = |level: usize| match network.architecture {
        Architecture::SuperResolution => 2 * sides[level],
        Architecture::Colorization | Architecture::ImageToImage => sides[level],
    };
    let distance_macs: Vec<u64> = (0..levels)
        .map(|level| {
            if perceptual {
                vgg16_macs(shown(level))
            } else {
                0
            }
        })
        .collect();
    let candidates = config.pools.iter().zip(&level_macs).zip(&distance_macs);
    let searched: u64 = candidates
        .map(|((&pool, &level), &distance)| pool as u64 * (level + distance))
        .sum();
    // The encoder is evaluated once per input, before the first level.
    level_macs[0] += encoder;
    let forward: u64 = level_macs.iter().sum();
    let distance: u64 = distance_macs.iter().sum();
    Work {
        forward_macs: batch * forward,
        step_macs: batch * (3 * forward + 3 * distance),
        search_macs: batch * (searched + encoder),
        gradient_bytes: 4 * parameters(network),
        level_macs,
        distance_macs,
    }
}

/// Counts the multiply-adds of one level whose conditioning image has this side.
fn level_work(network: &GeneratorConfig, level: usize, side: u64) -> u64 {
    let pixels = side * side;
    let (c, g) = (
        network.residual_channels[level] as u64,
        network.growth_channels[level] as u64,
    );
    let rrdbs = network.rrdb_per_level.of(level) as u64;
    let conv = |inputs: u64, outputs: u64| 9 * inputs * outputs;
    let dense: u64 = (0..4).map(|k| conv(c + k * g, g)).sum::<u64>() + conv(c + 4 * g, c);
    let at_side = conv(network.level_channels_in(level) as u64, c) + 3 * rrdbs * dense + conv(c, c);
    let last = level + 1 == network.levels();
    let out = conv(c, network.out_channels as u64);
    let up = 2 * conv(c, c);
    let joined = match network.architecture {
        Architecture::SuperResolution => 4 * (up + out),
        Architecture::Colorization | Architecture::ImageToImage if !last => 4 * up + out,
        Architecture::Colorization => up + out,
        Architecture::ImageToImage => out,
    };
    pixels * (at_side + joined) + linear_parameters(network, level)
}

/// Counts the weights of a level's linear layers. Each weight is used once per example.
fn linear_parameters(network: &GeneratorConfig, level: usize) -> u64 {
    let (code, latent) = (network.map_code as u64, network.latent as u64);
    let mapping = code * latent + (level as u64 + 1) * latent * latent + 6 * latent * latent;
    let rrdbs = network.rrdb_per_level.of(level) as u64;
    mapping + rrdbs * latent * 2 * network.residual_channels[level] as u64
}

fn encoder_macs(network: &GeneratorConfig, side: u64) -> u64 {
    let Some(channels) = &network.encoder_channels else {
        return 0;
    };
    let levels = channels.len();
    let stages = channels.iter().enumerate().map(|(level, &outputs)| {
        let inputs = channels
            .get(level + 1)
            .map_or(network.in_channels, |finer| 4 * finer);
        let side = side >> (levels - 1 - level);
        9 * side * side * (outputs * (inputs + outputs)) as u64
    });
    stages.sum()
}

fn vgg16_macs(side: u64) -> u64 {
    let side = side.max(VGG16_SIDE);
    let layers = VGG16.iter().map(|&(inputs, outputs, halved)| {
        let side = side >> halved;
        9 * inputs * outputs * side * side
    });
    layers.sum()
}

/// Counts the parameters of a generator.
fn parameters(network: &GeneratorConfig) -> u64 {
    // A convolution has weights and, for each output channel, a length and a bias.
    let conv = |inputs: u64, outputs: u64| 9 * inputs * outputs + 2 * outputs;
    let levels = (0..network.levels()).map(|level| {
        let (c, g) = (
            network.residual_channels[level] as u64,
            network.growth_channels[level] as u64,
        );
        let rrdbs = network.rrdb_per_level.of(level) as u64;
        let dense: u64 = (0..4).map(|k| conv(c + k * g, g)).sum::<u64>() + conv(c + 4 * g, c);
        let local = conv(network.level_channels_in(level) as u64, c)
            + 3 * rrdbs * dense
            + 3 * conv(c, c)
            + conv(c, network.out_channels as u64);
        let biases = 8 * network.latent as u64 + rrdbs * 2 * c;
        local + linear_parameters(network, level) + biases
    });
    let encoder = network.encoder_channels.iter().flat_map(|channels| {
        channels.iter().enumerate().map(|(level, &outputs)| {
            let inputs = channels
                .get(level + 1)
                .map_or(network.in_channels, |finer| 4 * finer);
            conv(inputs as u64, outputs as u64) + conv(outputs as u64, outputs as u64)
        })
    });
    levels.sum::<u64>() + encoder.sum::<u64>()
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, Param};
    use burn::tensor::Tensor;
    use burn_flex::Flex;
    use chimle_core::DistanceConfig;
    use chimle_core::nn::{Compute, NamedVisitor, Preset};

    use super::*;

    fn config(network: GeneratorConfig) -> BenchConfig {
        BenchConfig {
            network,
            batch: 1,
            side: 4,
            pools: vec![],
            loss: DistanceConfig::L2,
            repeat: 1,
            chunk: 1,
            compute: Compute::default(),
        }
    }

    fn networks() -> Vec<GeneratorConfig> {
        let mut networks: Vec<_> = [
            Architecture::SuperResolution,
            Architecture::Colorization,
            Architecture::ImageToImage,
        ]
        .into_iter()
        .map(|architecture| GeneratorConfig::preset(Preset::Tiny, architecture))
        .collect();
        networks.push(GeneratorConfig {
            encoder_channels: Some(vec![12, 8, 4]),
            ..GeneratorConfig::preset(Preset::Tiny, Architecture::Colorization)
        });
        networks
    }

    #[test]
    fn parameters_are_those_of_the_network() {
        for network in networks() {
            let made = network.init::<Flex>(&Default::default());
            assert_eq!(
                parameters(&network),
                made.num_params() as u64,
                "{network:?}"
            );
        }
    }

    /// Each weight of a convolution is used once per pixel of its output.
    #[test]
    fn multiply_adds_are_weights_times_the_pixels_that_they_are_used_for() {
        struct Macs {
            architecture: Architecture,
            levels: u32,
            total: u64,
        }
        impl NamedVisitor<Flex> for Macs {
            fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<Flex, D>>) {
                let shape = param.val().dims();
                let (level, part) = match name.split_once('_') {
                    Some(("level", rest)) => rest.split_once('_').unwrap(),
                    Some(("encoder", rest)) => rest.split_once('.').unwrap(),
                    _ => panic!("{name}"),
                };
                let level: u32 = level.parse().unwrap();
                let last = level == self.levels;
                let side = 4u64 << (level - 1);
                let weights = shape.iter().product::<usize>() as u64;
                let doubled = match self.architecture {
                    Architecture::SuperResolution => {
                        part.starts_with("up") || part.starts_with("out")
                    }
                    _ => part.starts_with("up") && !last,
                };
                let unused = self.architecture == Architecture::ImageToImage
                    && part.starts_with("up")
                    && last;
                self.total += match D {
                    4 if name.ends_with("weight_v") && !unused => {
                        weights * side * side * if doubled { 4 } else { 1 }
                    }
                    2 => weights,
                    _ => 0,
                };
            }
        }
        for network in networks() {
            let made = network.init::<Flex>(&Default::default());
            let mut macs = Macs {
                architecture: network.architecture,
                levels: network.levels() as u32,
                total: 0,
            };
            made.visit_named(&mut macs);
            assert_eq!(count(&config(network), false).forward_macs, macs.total);
        }
    }

    #[test]
    fn vgg16_has_the_15_3_billion_multiply_adds_that_are_quoted_for_its_convolutions() {
        assert_eq!(vgg16_macs(224) / 10_000_000, 1534);
    }
}
