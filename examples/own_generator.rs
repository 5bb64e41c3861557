//! Colors gray pictures with your own network, a small U-Net in two levels.
//!
//! `cargo run --release --example own_generator -- --data photos/ --steps 2000`
//!
//! The network is written with Burn's modules. The search needs the trait [`StagedGenerator`]. The
//! trainer and the sampler also need [`ImageGenerator`] and a [`NetworkConfig`]. If a run was
//! stopped, repeat the command to continue it. `own_generator.png` shows gray pictures and eight
//! colorings of each.

use std::path::{Path, PathBuf};

use burn::backend::Autodiff;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::{sigmoid, silu};
use burn::tensor::module::{avg_pool2d, interpolate};
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, backend::Backend};
use burn_flex::Flex;
use chimle_core::data::{InputSize, Planes};
use chimle_core::imle::StagedGenerator;
use chimle_core::{
    Colorization, DataSource, Error, Event, ImageGenerator, Model, NetworkConfig, Observer, Preset,
    RunConfig, RunFolder, Sheet, Strategy, Task, Trainer,
};
use clap::Parser;
use serde::{Deserialize, Serialize};

type Training = Autodiff<Flex>;

/// The number of levels.
const LEVELS: usize = 2;

#[derive(Parser)]
struct Args {
    /// A folder of photographs. Without it, the model learns from procedural scenes
    #[arg(long)]
    data: Option<PathBuf>,
    /// The total number of training steps
    #[arg(long, default_value_t = 400)]
    steps: u64,
    /// The seed of all random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder to write
    #[arg(long, default_value = "runs/example-own-generator")]
    out: PathBuf,
}

/// The configuration of a [`UNet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UNetConfig {
    /// The number of channels of a conditioning image.
    inputs: usize,
    /// The number of channels at full resolution.
    channels: usize,
    /// The number of values in the code of one level.
    code: usize,
}

impl NetworkConfig for UNetConfig {
    fn levels(&self) -> usize {
        LEVELS
    }

    fn validate(&self, task: &dyn Task) -> Result<(), Error> {
        let fits = task.conditioning_channels() == self.inputs;
        if fits && task.input_size() == InputSize::SameAsOutput {
            return Ok(());
        }
        Err(Error::Setting {
            field: "generator.inputs",
            reason: format!("must have the channels and the size of {}", task.name()),
        })
    }
}

/// A chain of two U-Nets, one per level. The second one also reads the enlarged output of the
/// first.
#[derive(Module, Debug)]
struct UNet<B: Backend> {
    levels: Vec<Level<B>>,
    #[module(skip)]
    config: UNetConfig,
}

/// A U-Net that halves its maps twice. The code scales and shifts the coarsest maps.
#[derive(Module, Debug)]
struct Level<B: Backend> {
    down: [Conv2d<B>; 2],
    style: Linear<B>,
    middle: Conv2d<B>,
    up: [Conv2d<B>; 2],
    exit: Conv2d<B>,
}

impl<B: Backend> Level<B> {
    fn new(config: &UNetConfig, device: &B::Device) -> Self {
        let conv = |from, to| {
            let config = Conv2dConfig::new([from, to], [3, 3]);
            config.with_padding(PaddingConfig2d::Same).init(device)
        };
        let (inputs, c) = (config.inputs + 3, config.channels);
        Self {
            down: [conv(inputs, c), conv(c, 2 * c)],
            style: LinearConfig::new(config.code, 4 * c).init(device),
            middle: conv(2 * c, 2 * c),
            up: [conv(4 * c, c), conv(2 * c, c)],
            exit: conv(c, 3),
        }
    }

    /// Maps images `[n, inputs + 3, h, w]` and codes `[n, code]` to RGB `[n, 3, h, w]` in [0, 1].
    fn forward(&self, images: Tensor<B, 4>, code: Tensor<B, 2>) -> Tensor<B, 4> {
        let mut maps = images;
        let mut skipped = Vec::new();
        for conv in &self.down {
            maps = silu(conv.forward(maps));
            skipped.push(maps.clone());
            maps = avg_pool2d(maps, [2, 2], [2, 2], [0, 0], true, false);
        }
        let style: Tensor<B, 4> = self.style.forward(code).unsqueeze_dims(&[2, 3]);
        let [scale, shift] = style.chunk(2, 1).try_into().expect("two halves");
        maps = silu(self.middle.forward(maps) * (scale + 1.0) + shift);
        for (conv, skipped) in self.up.iter().zip(skipped.into_iter().rev()) {
            let enlarged = resized_as(maps, &skipped);
            maps = silu(conv.forward(Tensor::cat(vec![enlarged, skipped], 1)));
        }
        sigmoid(self.exit.forward(maps))
    }
}

/// Resizes images to the size of other images.
fn resized_as<B: Backend>(images: Tensor<B, 4>, others: &Tensor<B, 4>) -> Tensor<B, 4> {
    let [_, _, height, width] = others.dims();
    let options = InterpolateOptions::new(InterpolateMode::Nearest);
    interpolate(images, [height, width], options)
}

impl<B: Backend> StagedGenerator<B> for UNet<B> {
    type Conditioning = Vec<Tensor<B, 4>>;
    /// The image of the previous level, and the conditioning of the remaining levels.
    type State = (Tensor<B, 4>, Vec<Tensor<B, 4>>);
    type Code = Tensor<B, 2>;
    type Output = Tensor<B, 4>;

    fn levels(&self) -> usize {
        LEVELS
    }

    fn device(&self) -> B::Device {
        self.levels[0].exit.weight.device()
    }

    fn begin(&self, conditioning: Vec<Tensor<B, 4>>) -> Self::State {
        let [n, _, height, width] = conditioning[0].dims();
        let nothing = Tensor::zeros([n, 3, height, width], &self.device());
        (nothing, conditioning)
    }

    fn code_len(&self, _: &Self::State) -> usize {
        self.config.code
    }

    fn code(&self, _: &Self::State, values: Tensor<B, 2>) -> Tensor<B, 2> {
        values
    }

    fn advance(
        &self,
        (made, mut to_come): Self::State,
        code: Tensor<B, 2>,
    ) -> (Self::State, Tensor<B, 4>) {
        let level = &self.levels[LEVELS - to_come.len()];
        let given = to_come.remove(0);
        let made = resized_as(made, &given);
        let image = level.forward(Tensor::cat(vec![given, made], 1), code);
        ((image.clone(), to_come), image)
    }
}

impl<B: Backend> ImageGenerator<B> for UNet<B> {
    type Config = UNetConfig;

    fn from_config(config: &UNetConfig, device: &B::Device) -> Self {
        Self {
            levels: (0..LEVELS).map(|_| Level::new(config, device)).collect(),
            config: config.clone(),
        }
    }

    fn config(&self) -> &UNetConfig {
        &self.config
    }
}

/// Returns the configuration of a run of the U-Net on procedural scenes.
fn configuration(steps: u64) -> RunConfig<UNetConfig> {
    let mut config = RunConfig::new(Colorization, Preset::Tiny).with_generator(UNetConfig {
        inputs: Colorization.conditioning_channels(),
        channels: 16,
        code: 8,
    });
    let pools = vec![16, 4]; // candidates per level
    config.search.strategy = Strategy::Hierarchical { pools };
    config.training.set_steps(steps);
    config
}

/// Trains a run in `out` to the end of its schedule. An existing run is resumed.
fn train(
    config: RunConfig<UNetConfig>,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<Trainer<Training, UNet<Training>>, Error> {
    let (steps, device) = (config.training.steps, Default::default());
    let distance = config.distance.load(&device)?;
    let mut trainer = if RunFolder::at(out).holds_run() {
        Trainer::resume_with(distance, out, device)?
    } else {
        Trainer::create_with(config, distance, out, device)?
    };
    trainer.set_steps(steps.max(trainer.step()))?;
    trainer.run(observer)?;
    Ok(trainer)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let mut config = configuration(args.steps);
    config.seed = args.seed;
    if let Some(folder) = args.data {
        config.data.source = DataSource::Folder(folder);
    }
    let trainer = train(config, &args.out, &mut |event: &Event| {
        if let Event::Validated { step, best, .. } = event {
            println!("step {step}: best of 4 samples {best:.4}");
        }
    })?;

    // A separate program would start here. It needs the run's folder and the type of the network.
    let model = Model::<Flex, UNet<Flex>>::load_as(&args.out, &Default::default())?;
    let mut sheet = Sheet::new().at_least(96);
    for example in trainer.held_out().iter().take(5) {
        let gray = model.task().picture_of_input(&example.conditioning);
        let gray = Planes::to_rgb(&gray);
        let colored = model.sample(&gray, 8, args.seed)?;
        sheet.push([gray].into_iter().chain(colored).collect());
    }
    let picture = args.out.join("own_generator.png");
    sheet.save(&picture)?;
    println!("gray pictures, eight colorings: {}", picture.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colorings_come_near_the_truth_and_a_stopped_run_continues() {
        let mut config = configuration(60);
        (config.data.height, config.data.width) = (16, 16);
        config.data.source = DataSource::Procedural { scenes: 80 };
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let mut best = Vec::new();
        let mut observer = |event: &Event| {
            if let Event::Validated { best: now, .. } = event {
                best.push(*now);
            }
        };
        let stopped = train(config.clone(), &out, &mut observer).unwrap();
        assert_eq!(stopped.step(), 60);
        drop(stopped); // two trainers cannot hold one run
        config.training.set_steps(80);
        let resumed = train(config, &out, &mut observer).unwrap();

        assert!(best[best.len() - 1] < 0.8 * best[0], "{best:?}");
        assert_eq!(resumed.step(), 80);
        let begins = |event: &Event| matches!(event, Event::Started { step: 60, .. });
        assert!(
            resumed
                .folder()
                .read_log()
                .unwrap()
                .events
                .iter()
                .any(begins)
        );
        let loaded = Model::<Flex, UNet<Flex>>::load_as(&out, &Default::default()).unwrap();
        let gray = image::RgbImage::from_pixel(13, 10, image::Rgb([128; 3]));
        let sample = |model: &Model<Flex, UNet<Flex>>| model.sample(&gray, 2, 0).unwrap();
        assert_eq!(sample(&loaded), sample(&resumed.model()));
    }
}
