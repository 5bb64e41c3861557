//! The U-Net of denoising diffusion (Ho et al. 2020), small enough to be trained on a CPU.

use burn::module::Module;
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig};
use burn::tensor::Tensor;
use burn::tensor::activation::{silu, softmax};
use burn::tensor::backend::Backend;
use chimle_kernels::Kernels;
use serde::{Deserialize, Serialize};

use super::conv::{Conv3x3, Pointwise};
use super::pixels::{enlarge, shuffle_pixels, stack_pixels};
use crate::config::MOST_CHANNELS;

/// The largest number of groups of a group normalization.
const GROUPS: usize = 8;
/// The longest wavelength of the time embedding, relative to the shortest.
const LONGEST_WAVE: f64 = 10_000.0;

/// The settings of a U-Net.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnetConfig {
    /// The number of channels at the finest resolution.
    pub width: usize,
    /// The channels at each resolution, as multiples of the width, fine to coarse.
    pub multipliers: Vec<usize>,
    /// The number of residual blocks at each resolution on the way down. On the way up, each resolution has one more
    /// block.
    pub blocks: usize,
    /// The number of times that 2x2 pixels are stacked as channels at the input. Each time makes the network about four
    /// times as fast. The papers' networks read single pixels, which corresponds to 0.
    pub stacked: usize,
}

impl Default for UnetConfig {
    fn default() -> Self {
        Self {
            width: 32,
            multipliers: vec![1, 2, 2],
            blocks: 1,
            stacked: 1,
        }
    }
}

/// The largest number of resolutions, of residual blocks per resolution, and of times that pixels are stacked.
const MOST_LAYERS: usize = 16;

impl UnetConfig {
    /// Checks that the numbers are possible.
    ///
    /// # Errors
    ///
    /// If a number is out of bounds. The message names the number and its bounds.
    pub fn validate(&self) -> Result<(), String> {
        let layers = [
            ("multipliers", self.multipliers.len(), 1),
            ("blocks", self.blocks, 1),
            ("stacked", self.stacked, 0),
        ];
        for (name, count, least) in layers {
            if !(least..=MOST_LAYERS).contains(&count) {
                let what = match name {
                    "multipliers" => "the number of `multipliers`".to_owned(),
                    name => format!("`{name}`"),
                };
                return Err(format!(
                    "{what} must be from {least} to {MOST_LAYERS}, not {count}"
                ));
            }
        }
        for multiplier in [1].iter().chain(&self.multipliers) {
            let channels = self.width.checked_mul(*multiplier);
            if !channels.is_some_and(|channels| (1..=MOST_CHANNELS as usize).contains(&channels)) {
                return Err(format!(
                    "`width` times a multiplier must be from 1 to {MOST_CHANNELS}, not {} times {multiplier}",
                    self.width
                ));
            }
        }
        Ok(())
    }

    /// Returns the number that must divide the sides of an image.
    pub fn multiple(&self) -> usize {
        1 << (self.stacked + self.multipliers.len().max(1) - 1)
    }

    /// Creates a network from `inputs` to `outputs` channels. Its initial output is 0.
    pub fn init<B: Backend>(&self, inputs: usize, outputs: usize, device: &B::Device) -> Unet<B> {
        let pixels = 1usize << (2 * self.stacked);
        let embedding = 4 * self.width;
        let block = |from, to| Block::new(from, to, embedding, device);
        let widths: Vec<usize> = self.multipliers.iter().map(|m| m * self.width).collect();
        let mut channels = self.width;
        let mut skipped = vec![channels];
        let (mut down, mut up) = (Vec::new(), Vec::new());
        for (k, &width) in widths.iter().enumerate() {
            for _ in 0..self.blocks {
                down.push(block(channels, width));
                channels = width;
                skipped.push(channels);
            }
            if k + 1 < widths.len() {
                skipped.push(channels);
            }
        }
        let middle = channels;
        for (k, &width) in widths.iter().enumerate().rev() {
            for _ in 0..=self.blocks {
                let skip = skipped.pop().expect("one skip connection per block");
                up.push(block(channels + skip, width));
                channels = width;
            }
            debug_assert!(k > 0 || skipped.is_empty());
        }
        let halving = |width: &usize| Conv3x3::new(4 * width, *width, device);
        let doubling = |width: &usize| Conv3x3::new(*width, *width, device);
        let coarser = widths.len() - 1;
        Unet {
            time: vec![
                LinearConfig::new(self.width, embedding).init(device),
                LinearConfig::new(embedding, embedding).init(device),
            ],
            first: Conv3x3::new(inputs * pixels, self.width, device),
            down,
            halvings: widths[..coarser].iter().map(halving).collect(),
            middle: vec![block(middle, middle), block(middle, middle)],
            attention: Attention::new(middle, device),
            up,
            doublings: widths[1..].iter().rev().map(doubling).collect(),
            norm: group_norm(channels, device),
            last: Conv3x3::scaled(channels, outputs * pixels, 0.0, device),
            blocks: self.blocks,
            stacked: self.stacked,
            width: self.width,
        }
    }
}

/// A U-Net that is conditioned on the time, with residual blocks, group normalization, SiLU, and self-attention at the
/// coarsest resolution.
#[derive(Module, Debug)]
pub struct Unet<B: Backend> {
    time: Vec<Linear<B>>,
    first: Conv3x3<B>,
    down: Vec<Block<B>>,
    halvings: Vec<Conv3x3<B>>,
    middle: Vec<Block<B>>,
    attention: Attention<B>,
    up: Vec<Block<B>>,
    doublings: Vec<Conv3x3<B>>,
    norm: GroupNorm<B>,
    last: Conv3x3<B>,
    blocks: usize,
    stacked: usize,
    width: usize,
}

impl<B: Kernels> Unet<B> {
    /// Evaluates the network.
    ///
    /// # Shapes
    ///
    /// - `images`: `[n, inputs, h, w]`
    /// - `times`: `[n]`, in [0, 1000]
    /// - output: `[n, outputs, h, w]`
    pub fn forward(&self, images: Tensor<B, 4>, times: Tensor<B, 1>) -> Tensor<B, 4> {
        let embedding = self.embedding(times);
        let stacked = (0..self.stacked).fold(images, |map, _| stack_pixels(map));
        let mut map = self.first.forward(stacked);
        let mut skipped = vec![map.clone()];
        let mut down = self.down.iter();
        let sides = self.halvings.len() + 1;
        for side in 0..sides {
            for block in down.by_ref().take(self.blocks) {
                map = block.forward(map, embedding.clone());
                skipped.push(map.clone());
            }
            if let Some(halving) = self.halvings.get(side) {
                map = halving.forward(stack_pixels(map));
                skipped.push(map.clone());
            }
        }
        map = self.middle[0].forward(map, embedding.clone());
        map = self.attention.forward(map);
        map = self.middle[1].forward(map, embedding.clone());
        let mut up = self.up.iter();
        for side in 0..sides {
            for block in up.by_ref().take(self.blocks + 1) {
                let skip = skipped.pop().expect("one skip connection per block");
                map = block.forward(Tensor::cat(vec![map, skip], 1), embedding.clone());
            }
            if let Some(doubling) = self.doublings.get(side) {
                map = doubling.forward(enlarge(map));
            }
        }
        let last = self.last.forward(silu(self.norm.forward(map)));
        (0..self.stacked).fold(last, |map, _| shuffle_pixels(map))
    }

    /// Computes sines and cosines of the time (Vaswani et al. 2017), then applies two layers: `[n]` to `[n, 4 width]`.
    fn embedding(&self, times: Tensor<B, 1>) -> Tensor<B, 2> {
        let device = times.device();
        let half = self.width / 2;
        let frequencies: Vec<f32> = (0..half)
            .map(|k| LONGEST_WAVE.powf(-(k as f64) / half as f64) as f32)
            .collect();
        let frequencies = Tensor::<B, 1>::from_floats(frequencies.as_slice(), &device);
        let angles = times.unsqueeze_dim::<2>(1) * frequencies.unsqueeze::<2>();
        let mut waves = vec![angles.clone().sin(), angles.cos()];
        let rows = waves[0].dims()[0];
        if self.width % 2 == 1 {
            waves.push(Tensor::zeros([rows, 1], &device));
        }
        let first = silu(self.time[0].forward(Tensor::cat(waves, 1)));
        silu(self.time[1].forward(first))
    }
}

/// A residual block that is conditioned on the time.
#[derive(Module, Debug)]
struct Block<B: Backend> {
    norms: Vec<GroupNorm<B>>,
    first: Conv3x3<B>,
    time: Linear<B>,
    second: Conv3x3<B>,
    shortcut: Option<Pointwise<B>>,
}

impl<B: Backend> Block<B> {
    fn new(from: usize, to: usize, embedding: usize, device: &B::Device) -> Self {
        Self {
            norms: vec![group_norm(from, device), group_norm(to, device)],
            first: Conv3x3::new(from, to, device),
            time: LinearConfig::new(embedding, to).init(device),
            second: Conv3x3::scaled(to, to, 0.0, device),
            shortcut: (from != to).then(|| Pointwise::scaled(from, to, 1.0, device)),
        }
    }
}

impl<B: Kernels> Block<B> {
    fn forward(&self, map: Tensor<B, 4>, embedding: Tensor<B, 2>) -> Tensor<B, 4> {
        let inner = self.first.forward(silu(self.norms[0].forward(map.clone())));
        let time = self.time.forward(embedding);
        let [n, c] = time.dims();
        let inner = inner + time.reshape([n, c, 1, 1]);
        let inner = self.second.forward(silu(self.norms[1].forward(inner)));
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.forward(map),
            None => map,
        };
        shortcut + inner
    }
}

/// Self-attention with one head over all positions.
#[derive(Module, Debug)]
struct Attention<B: Backend> {
    norm: GroupNorm<B>,
    parts: Vec<Pointwise<B>>,
    last: Pointwise<B>,
}

impl<B: Backend> Attention<B> {
    fn new(channels: usize, device: &B::Device) -> Self {
        let part = |_| Pointwise::scaled(channels, channels, 1.0, device);
        Self {
            norm: group_norm(channels, device),
            parts: (0..3).map(part).collect(),
            last: Pointwise::scaled(channels, channels, 0.0, device),
        }
    }

    fn forward(&self, map: Tensor<B, 4>) -> Tensor<B, 4> {
        let [n, c, h, w] = map.dims();
        let normalized = self.norm.forward(map.clone());
        let part = |k: usize| {
            let part: &Pointwise<B> = &self.parts[k];
            part.forward(normalized.clone()).reshape([n, c, h * w])
        };
        let (query, key, value) = (part(0), part(1), part(2));
        let scores = query.swap_dims(1, 2).matmul(key) / (c as f64).sqrt();
        let attended = value.matmul(softmax(scores, 2).swap_dims(1, 2));
        map + self.last.forward(attended.reshape([n, c, h, w]))
    }
}

fn group_norm<B: Backend>(channels: usize, device: &B::Device) -> GroupNorm<B> {
    let groups = (1..=GROUPS.min(channels)).rev();
    let mut groups = groups.filter(|groups| channels.is_multiple_of(*groups));
    GroupNormConfig::new(groups.next().unwrap_or(1), channels).init(device)
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn_flex::Flex;

    use super::*;

    #[test]
    fn the_network_keeps_the_size_starts_at_zero_and_has_a_gradient_for_every_parameter() {
        type B = Autodiff<Flex>;
        let device = Default::default();
        for stacked in [0, 1] {
            let config = UnetConfig {
                width: 6,
                multipliers: vec![1, 2],
                blocks: 2,
                stacked,
            };
            let network: Unet<B> = config.init(5, 3, &device);
            let images = Tensor::ones([2, 5, 8, 8], &device);
            let times = Tensor::from_floats([3.0, 700.0], &device);
            let output = network.forward(images, times);
            assert_eq!(output.dims(), [2, 3, 8, 8]);
            assert_eq!(output.clone().abs().max().into_scalar(), 0.0);
            let gradients = (output - 1.0).square().sum().backward();
            let found = burn::optim::GradientsParams::from_grads(gradients, &network);
            assert!(found.len() > 20, "{}", found.len());
        }
    }
}
