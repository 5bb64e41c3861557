//! One level of the chain: its two streams, the enlargement of its features, and its image.
//! [`Generator`](crate::Generator) joins the levels.

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

/// The factor by which the features handed up from the level below are multiplied.
const HANDED_UP_SCALE: f64 = 0.1;

/// Configuration of a [`Level`].
#[derive(Config, Debug)]
pub struct LevelConfig {
    /// The number of channels of the conditioning image of this level.
    pub channels_in: usize,
    /// The number of channels of the features handed up from the level below; 0 at the first level.
    pub channels_below: usize,
    /// The number c of residual channels.
    pub residual_channels: usize,
    /// The number g of growth channels.
    pub growth_channels: usize,
    /// The number of channels of the level's raw image.
    pub channels_out: usize,
    /// The number of channels of the local part of a code.
    pub code_channels: usize,
    /// The number of RRDBs in the local stream.
    pub rrdbs: usize,
    /// The global stream.
    pub mapping: MappingNetworkConfig,
}

impl LevelConfig {
    /// Creates a level with fresh weights.
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
    /// The first convolution, from conditioning, local code and features handed up to c channels.
    pub feature: WeightNormConv2d<B>,
    /// The RRDBs of the local stream.
    pub rrdbs: Vec<Rrdb<B>>,
    /// One modulation after each RRDB.
    pub adains: Vec<AdaIn<B>>,
    /// The convolution at the end of the chain of RRDBs.
    pub chain_end: WeightNormConv2d<B>,
    /// The two convolutions of [`up`](Self::up) and [`refine`](Self::refine).
    pub up: Vec<WeightNormConv2d<B>>,
    /// The convolution from c channels to the raw image, before tanh.
    pub out: WeightNormConv2d<B>,
}

impl<B: Kernels> Level<B> {
    /// Evaluates both streams and returns the level's features and style vector. This part is the
    /// same for every architecture.
    ///
    /// # Shapes
    ///
    /// - `base`, the level's conditioning image: `[batch, channels_in, h, w]`
    /// - `handed_up`, the features of the level below: `[batch, channels_below, h, w]`
    /// - `styles`, the style vectors of the levels below: `[batch, latent]` each
    /// - features: `[batch, c, h, w]`
    /// - style vector: `[batch, latent]`
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

    /// Doubles the side of the features by nearest neighbor, then applies the two convolutions:
    /// `[batch, c, h, w]` to `[batch, c, 2h, 2w]`.
    pub fn up(&self, features: Tensor<B, 4>) -> Tensor<B, 4> {
        let [.., height, width] = features.dims();
        let nearest = InterpolateOptions::new(InterpolateMode::Nearest);
        self.refine(interpolate(features, [2 * height, 2 * width], nearest))
    }

    /// Applies the two convolutions of [`up`](Self::up) without the enlargement: `[batch, c, h, w]`
    /// to the same shape.
    pub fn refine(&self, features: Tensor<B, 4>) -> Tensor<B, 4> {
        self.up
            .iter()
            .fold(features, |x, conv| conv.forward_leaky(x))
    }

    /// Computes the raw image in [-1, 1]: `[batch, c, h, w]` to `[batch, channels_out, h, w]`.
    pub fn image(&self, features: Tensor<B, 4>) -> Tensor<B, 4> {
        tanh(self.out.forward(features))
    }

    /// Computes the weight normalizations once; see [`WeightNormConv2d::fold`].
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
