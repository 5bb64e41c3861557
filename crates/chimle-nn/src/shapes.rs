//! The names and shapes of a generator's parameters, computed from its configuration alone.
//!
//! A file of a few bytes can claim any configuration. So a file is compared with these shapes
//! before a generator is made, and a configuration with too many parameters is refused.

use chimle_weights::{WeightFile, WeightsError};

use crate::config::{Architecture, GeneratorConfig};

/// The largest number of channels, of values of a style vector or a global code, and of RRDBs.
pub(crate) const MOST: usize = 1 << 16;

/// The largest number of levels.
pub(crate) const MOST_LEVELS: usize = 16;

/// The largest number of parameters: forty times the paper's network.
pub(crate) const MOST_PARAMETERS: u64 = 1 << 33;

/// The number of linear layers of a mapping network after the first one.
const MAPPING_LAYERS: usize = 7;
/// The number of dense blocks in an RRDB.
const BLOCKS: usize = 3;
/// The number of convolutions in a dense block.
const CONVOLUTIONS: usize = 5;

impl GeneratorConfig {
    /// Calls `see` with the name and the shape of every parameter in the authors' release.
    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, &[usize])) {
        self.for_each_of_encoder(see);
        for index in 0..self.levels() {
            self.for_each_of_level(index, see);
        }
    }

    fn for_each_of_encoder(&self, see: &mut dyn FnMut(&str, &[usize])) {
        let channels = self.encoder_channels.as_deref().unwrap_or_default();
        for (index, &outputs) in channels.iter().enumerate() {
            let stage = format!("encoder_{}", index + 1);
            // The input is the 2 x 2 blocks of the finer stage's features, or the conditioning
            // image.
            let inputs = channels.get(index + 1).map(|finer| 4 * finer);
            conv(
                see,
                &format!("{stage}.enter"),
                inputs.unwrap_or(self.in_channels),
                outputs,
            );
            conv(see, &format!("{stage}.refine"), outputs, outputs);
        }
    }

    fn for_each_of_level(&self, index: usize, see: &mut dyn FnMut(&str, &[usize])) {
        let level = format!("level_{}", index + 1);
        let channels = self.residual_channels[index];
        let growth = self.growth_channels[index];
        let below = match index.checked_sub(1) {
            Some(below) => self.residual_channels[below],
            None => 0,
        };
        let named = |name: &str| format!("{level}_{name}");

        linear(see, &named("map_0.0"), self.map_code, self.latent);
        for layer in 0..MAPPING_LAYERS {
            let inputs = if layer == 0 {
                self.latent * (index + 1)
            } else {
                self.latent
            };
            linear(
                see,
                &named(&format!("map.{}", 2 * layer)),
                inputs,
                self.latent,
            );
        }
        let encoded = self.encoder_channels.as_ref();
        let encoded = encoded.map_or(0, |channels| channels[index]);
        let inputs = self.in_channels + encoded + self.code_channels + below;
        conv(see, &named("feat.0"), inputs, channels);
        for rrdb in 0..self.rrdb_per_level.of(index) {
            for block in 1..=BLOCKS {
                for k in 0..CONVOLUTIONS {
                    let outputs = if k + 1 == CONVOLUTIONS {
                        channels
                    } else {
                        growth
                    };
                    let name = format!("style.sub.{rrdb}.RDB{block}.conv{}.0", k + 1);
                    conv(see, &named(&name), channels + k * growth, outputs);
                }
            }
            let name = format!("style.sub.transform_{rrdb}");
            linear(see, &named(&name), self.latent, 2 * channels);
        }
        conv(see, &named("style.sub.lr_conv.0"), channels, channels);
        let is_flat = self.architecture == Architecture::Colorization && index + 1 == self.levels();
        for k in 0..2 {
            let name = format!("up.{}", 2 * k + usize::from(!is_flat));
            conv(see, &named(&name), channels, channels);
        }
        conv(see, &named("out.0"), channels, self.out_channels);
    }

    /// Returns the number of parameters, or `None` if it is above the limit. The single sizes must
    /// be within their limits.
    pub(crate) fn parameters_within_limit(&self) -> Option<u64> {
        // Each RRDB has 47 named parameters. Naming the parameters of too many RRDBs would take
        // long.
        let named: usize = (0..self.levels())
            .map(|level| self.rrdb_per_level.of(level))
            .sum();
        if named > MOST {
            return None;
        }
        let mut count = 0u64;
        self.for_each_parameter(&mut |_, shape| {
            let values = shape.iter().map(|&side| side as u64).product();
            count = count.saturating_add(values);
        });
        (count <= MOST_PARAMETERS).then_some(count)
    }

    /// Checks that a file holds every parameter of the generator, in its shape.
    pub(crate) fn check_shapes(&self, file: &WeightFile) -> Result<(), WeightsError> {
        let mut checked = Ok(());
        self.for_each_parameter(&mut |name, shape| {
            if checked.is_ok() {
                checked = file.check(name, shape);
            }
        });
        checked
    }
}

/// Calls `see` with the parameters of a linear layer.
fn linear(see: &mut dyn FnMut(&str, &[usize]), name: &str, inputs: usize, outputs: usize) {
    see(&format!("{name}.weight"), &[outputs, inputs]);
    see(&format!("{name}.bias"), &[outputs]);
}

/// Calls `see` with the parameters of a weight-normalized convolution.
fn conv(see: &mut dyn FnMut(&str, &[usize]), name: &str, inputs: usize, outputs: usize) {
    see(&format!("{name}.weight_v"), &[outputs, inputs, 3, 3]);
    see(&format!("{name}.weight_g"), &[outputs, 1, 1, 1]);
    see(&format!("{name}.bias"), &[outputs]);
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, Param};
    use burn::tensor::{Tensor, backend::Backend};
    use burn_flex::Flex;

    use super::*;
    use crate::config::{Preset, RrdbCount};
    use crate::names::NamedVisitor;

    #[test]
    fn the_parameters_are_those_of_the_generator() {
        struct Found(Vec<(String, Vec<usize>)>);
        impl<B: Backend> NamedVisitor<B> for Found {
            fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
                let mut shape = param.shape().to_vec();
                // The release stores the weights of linear layers transposed.
                if D == 2 {
                    shape.reverse();
                }
                self.0.push((name.to_owned(), shape));
            }
        }
        for architecture in [
            Architecture::SuperResolution,
            Architecture::Colorization,
            Architecture::ImageToImage,
        ] {
            let mut config = GeneratorConfig::preset(Preset::Tiny, architecture);
            config.rrdb_per_level = RrdbCount::PerLevel(vec![1, 3, 2]);
            if architecture != Architecture::SuperResolution {
                config.encoder_channels = Some(vec![5, 4, 3]);
            }
            let generator = config.init::<Flex>(&Default::default());
            let mut found = Found(vec![]);
            generator.visit_named(&mut found);
            let mut expected = vec![];
            config.for_each_parameter(&mut |name, shape| {
                expected.push((name.to_owned(), shape.to_vec()));
            });
            found.0.sort();
            expected.sort();
            assert_eq!(found.0, expected, "{architecture:?}");
            let count = config.parameters_within_limit();
            assert_eq!(count, Some(generator.num_params() as u64));
        }
    }
}
