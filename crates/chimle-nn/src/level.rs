//! One level of the chain: its local and global streams, and the three ways in which it joins.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::activation::tanh;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, backend::Backend};
use chimle_kernels::Kernels;

use crate::adain::{AdaIn, AdaInConfig};
use crate::compute::Compute;
use crate::conv::{WeightNormConv2d, WeightNormConv2dConfig};
use crate::mapping::{MappingNetwork, MappingNetworkConfig};
use crate::rrdb::{Rrdb, RrdbConfig};
use crate::state::LatentCode;

/// What the features handed up from the level below are multiplied by.
const HANDED_UP_SCALE: f64 = 0.1;

/// Configuration of a [`Level`].
#[derive(Config, Debug)]
pub struct LevelConfig {
    /// Channels of the conditioning image of this level.
    pub channels_in: usize,
    /// Channels of the features handed up from the level below; 0 at the first level.
    pub channels_below: usize,
    /// Residual channels c.
    pub residual_channels: usize,
    /// Growth channels g.
    pub growth_channels: usize,
    /// Channels of the level's raw image.
    pub channels_out: usize,
    /// Channels of the local part of a code.
    pub code_channels: usize,
    /// RRDBs in the local stream.
    pub rrdbs: usize,
    /// The global stream.
    pub mapping: MappingNetworkConfig,
}

impl LevelConfig {
    /// The level with fresh weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Level<B> {
        let c = self.residual_channels;
        let conv = |inputs, outputs| WeightNormConv2dConfig::new(inputs, outputs).init(device);
        let adain = AdaInConfig::new(self.mapping.latent, c, self.mapping.linear_scale);
        let rrdb = RrdbConfig::new(c, self.growth_channels);
        Level {
            mapping: self.mapping.init(device),
            feature: conv(
                self.channels_in + self.code_channels + self.channels_below,
                c,
            ),
            rrdbs: (0..self.rrdbs).map(|_| rrdb.init(device)).collect(),
            adains: (0..self.rrdbs).map(|_| adain.init(device)).collect(),
            chain_end: conv(c, c),
            up: vec![conv(c, c), conv(c, c)],
            out: conv(c, self.channels_out),
        }
    }
}

/// One level of the generator.
#[derive(Module, Debug)]
pub struct Level<B: Backend> {
    /// The global stream.
    pub mapping: MappingNetwork<B>,
    /// From conditioning, local code and features handed up to c channels.
    pub feature: WeightNormConv2d<B>,
    /// The RRDBs of the local stream.
    pub rrdbs: Vec<Rrdb<B>>,
    /// One modulation after each RRDB.
    pub adains: Vec<AdaIn<B>>,
    /// The convolution at the end of the chain of RRDBs.
    pub chain_end: WeightNormConv2d<B>,
    /// The two convolutions of the way up.
    pub up: Vec<WeightNormConv2d<B>>,
    /// From c channels to the raw image, before tanh.
    pub out: WeightNormConv2d<B>,
}

impl<B: Kernels> Level<B> {
    /// Both streams, up to where the ways of joining part.
    ///
    /// `base` is the level's conditioning image `[batch, channels_in, h, w]`, `handed_up` the
    /// features of the level below `[batch, channels_below, h, w]`, and `styles` the style vectors
    /// of the levels below, each `[batch, latent]`. Returns the features `[batch, c, h, w]` and
    /// this level's style `[batch, latent]`.
    pub fn streams(
        &self,
        base: Tensor<B, 4>,
        code: LatentCode<B>,
        handed_up: Option<Tensor<B, 4>>,
        styles: &[Tensor<B, 2>],
        compute: Compute,
    ) -> (Tensor<B, 4>, Tensor<B, 2>) {
        let style = self.mapping.forward(code.global, styles);
        let mut inputs = vec![base, code.local];
        inputs.extend(handed_up.map(|features| features.mul_scalar(HANDED_UP_SCALE)));
        let first = self.feature.forward(Tensor::cat(inputs, 1));
        let chain = self.rrdbs.iter().zip(&self.adains);
        let last = chain.fold(first.clone(), |x, (rrdb, adain)| {
            adain.forward(rrdb.forward(x, compute), style.clone())
        });
        (first + self.chain_end.forward(last), style)
    }

    /// Twice the side, by nearest neighbour, then the two convolutions: `[batch, c, 2h, 2w]`.
    pub fn up(&self, features: Tensor<B, 4>) -> Tensor<B, 4> {
        let [.., height, width] = features.dims();
        let nearest = InterpolateOptions::new(InterpolateMode::Nearest);
        self.refine(interpolate(features, [2 * height, 2 * width], nearest))
    }

    /// The two convolutions of the way up without the enlargement: `[batch, c, h, w]`.
    pub fn refine(&self, features: Tensor<B, 4>) -> Tensor<B, 4> {
        self.up
            .iter()
            .fold(features, |x, conv| conv.forward_leaky(x))
    }

    /// The raw image in [-1, 1], `[batch, channels_out, h, w]`.
    pub fn image(&self, features: Tensor<B, 4>) -> Tensor<B, 4> {
        tanh(self.out.forward(features))
    }

    /// The level with its weight normalization folded; see [`WeightNormConv2d::fold`].
    pub fn fold(self) -> Self {
        Self {
            mapping: self.mapping,
            feature: self.feature.fold(),
            rrdbs: self.rrdbs.into_iter().map(Rrdb::fold).collect(),
            adains: self.adains,
            chain_end: self.chain_end.fold(),
            up: self.up.into_iter().map(WeightNormConv2d::fold).collect(),
            out: self.out.fold(),
        }
    }
}
