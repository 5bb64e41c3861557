//! A reference network with its parameters and inputs.

use burn::tensor::{Tensor, backend::Backend};
use chimle_core::nn::{Architecture, Generator, GeneratorConfig, LatentCode, WeightFile};

use super::folder::name_of;
use super::setup::{INPUTS, PARAMETERS, Setup};
use crate::error::Error;

/// A reference network on a device.
pub(super) struct Case<B: Backend> {
    pub(super) setup: Setup,
    pub(super) generator: Generator<B>,
    /// The file of inputs and expected outputs.
    pub(super) io: WeightFile,
    pub(super) conditioning: Vec<Tensor<B, 4>>,
    pub(super) codes: Vec<LatentCode<B>>,
    /// The true image at each level, `[batch, 3, h, w]`.
    pub(super) targets: Vec<Tensor<B, 4>>,
    /// The candidates of each level, `[batch, candidates, code]`.
    pub(super) pools: Vec<Tensor<B, 3>>,
}

impl Setup {
    /// Reads the network and its inputs onto a device.
    pub(super) fn open<B: Backend>(self, device: &B::Device) -> Result<Case<B>, Error> {
        let network = &self.network;
        let parameters = WeightFile::open(self.file(PARAMETERS))?;
        // The shapes are compared before the network is created, because a damaged configuration may
        // describe a huge network.
        if &GeneratorConfig::of_file(&parameters, Some(network.architecture))? != network {
            let name = name_of(parameters.path());
            return Err(Error::Contents {
                path: self.json,
                reason: format!("describes a different network than {name}"),
            });
        }
        let generator = network.init(device).load(&parameters)?;

        let io = WeightFile::open(self.file(INPUTS))?;
        let image = |name: String, channels, side| {
            io.tensor::<B, 4>(&name, [self.batch, channels, side, side], device)
        };
        let conditioning = (0..network.conditioning_images())
            .map(|i| image(format!("input.{i}"), network.in_channels, self.side << i))
            .collect::<Result<_, _>>()?;
        // In super-resolution, a level's image has twice the level's side.
        let shown = usize::from(network.architecture == Architecture::SuperResolution);
        let targets = (0..network.levels())
            .map(|i| image(format!("target.{i}"), 3, self.side << (i + shown)))
            .collect::<Result<_, _>>()?;

        let (mut codes, mut pools) = (Vec::new(), Vec::new());
        for i in 0..network.levels() {
            let size = [self.side << i; 2];
            let len = network.map_code + network.code_channels * size[0] * size[1];
            let code = io.tensor(&format!("code.{i}"), [self.batch, len], device)?;
            codes.push(split(network, code, size));
            let shape = [self.batch, self.pools[i], len];
            pools.push(io.tensor(&format!("search.pool.{i}"), shape, device)?);
        }
        Ok(Case {
            generator,
            io,
            conditioning,
            codes,
            targets,
            pools,
            setup: self,
        })
    }
}

/// Splits a flat code `[batch, code]` into its global part and its local part of the given size.
fn split<B: Backend>(
    network: &GeneratorConfig,
    code: Tensor<B, 2>,
    [height, width]: [usize; 2],
) -> LatentCode<B> {
    let [batch, len] = code.dims();
    let local = code
        .clone()
        .narrow(1, network.map_code, len - network.map_code);
    LatentCode {
        global: code.narrow(1, 0, network.map_code),
        local: local.reshape([batch, network.code_channels, height, width]),
    }
}
