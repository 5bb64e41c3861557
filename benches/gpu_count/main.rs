//! Counts what a forward pass, a training step and a search cost on a GPU, on a computer without one.
//!
//! ```text
//! gpu_count CONFIG [--task TASK] [--like hopper|vulkan] [--batch N] [--side N] [--pool N,N,..]
//!           [--chunk N] [--precision f32|bf16] [--perceptual FILE] [--all] [--log FEWER MORE]
//! ```
//!
//! CONFIG describes a network, as for `chimle bench`. The same code as in `chimle bench` is run on a
//! device that computes nothing (see [`counted`]). The output is one Markdown table per part: the
//! launches, the bytes read and written, and the time that an H200 needs at least.
//!
//! Kernels that cannot be expanded for the imitated device are counted too. Each one prints a message on
//! the standard error.
//!
//! With `--log`, the launches are compared with two logs of CubeCL, written by `chimle bench --device
//! wgpu` with `--repeat 2` and `--repeat 4`. The difference of the two logs has two forward passes, two
//! training steps and one search.

mod counted;
mod log;
mod model;
mod table;

use std::error::Error;
use std::path::PathBuf;

use burn::backend::Autodiff;
use burn_cubecl::CubeBackend;
use burn_fusion::Fusion;
use chimle_core::DistanceConfig;
use chimle_core::nn::{Architecture, Compute, Precision};
use chimle_core::perceptual::Backbone;
use chimle_verify::{BenchConfig, bench, count, read_network};

use counted::{Counted, CountedDevice, Part};
use model::Model;
use table::Rates;

type Backend = Fusion<CubeBackend<Counted, f32, i32, u8>>;

/// The number of timed runs of the bench. The last one is counted, because fusion and autotuning
/// have made their choices by then.
const REPEAT: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().ok_or("usage: gpu_count CONFIG [flags]")?);
    let mut architecture = Architecture::Colorization;
    let mut like = Model::Hopper;
    let (mut batch, mut side, mut chunk) = (1, 32, 64);
    let mut pools = Vec::new();
    let mut precision = Precision::F32;
    let mut perceptual = None;
    let mut logs: Option<[String; 2]> = None;
    let mut all = false;
    while let Some(flag) = arguments.next() {
        if flag == "--all" {
            all = true;
            continue;
        }
        let value = arguments.next().ok_or("a flag has no value")?;
        match flag.as_str() {
            "--task" => {
                architecture = match value.as_str() {
                    "super-resolution" => Architecture::SuperResolution,
                    "colorization" => Architecture::Colorization,
                    "image-to-image" => Architecture::ImageToImage,
                    other => return Err(format!("{other} is not a task").into()),
                };
            }
            "--like" => {
                like = match value.as_str() {
                    "hopper" => Model::Hopper,
                    "vulkan" => Model::Vulkan,
                    other => return Err(format!("{other} is not a device").into()),
                };
            }
            "--batch" => batch = value.parse()?,
            "--side" => side = value.parse()?,
            "--chunk" => chunk = value.parse()?,
            "--pool" => {
                pools = value.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            "--precision" => precision = value.parse()?,
            "--perceptual" => perceptual = Some(PathBuf::from(value)),
            "--log" => logs = Some([value, arguments.next().ok_or("--log has two values")?]),
            other => return Err(format!("{other} is not a flag").into()),
        }
    }
    like.choose();
    let config = BenchConfig {
        network: read_network(&path, architecture)?,
        batch,
        side,
        pools,
        loss: distance(perceptual),
        repeat: REPEAT,
        chunk,
        compute: Compute {
            precision,
            recompute: false,
        },
    };
    bench::<Autodiff<Backend>>(&config, &CountedDevice)?;
    let parts = last_of_each(&config)?;
    if let Some([fewer, more]) = logs {
        return log::compare(&parts, &fewer, &more);
    }
    let work = count(&config, config.loss != DistanceConfig::L2);
    let macs = [work.forward_macs, work.step_macs, work.search_macs];
    let rates = Rates::of(precision);
    for (((name, part), macs), limit) in parts.iter().zip(macs).zip([!all; 3]) {
        println!("{}", table::table(name, part, macs, &rates, limit));
    }
    Ok(())
}

fn distance(perceptual: Option<PathBuf>) -> DistanceConfig {
    match perceptual {
        None => DistanceConfig::L2,
        Some(weights) => DistanceConfig::Lpips {
            backbone: Backbone::Vgg16,
            weights,
            linear: None,
        },
    }
}

/// Returns the last forward pass, the last training step and, if there are pools, the last search.
///
/// The bench synchronizes the device before and after each run. What is launched before the first
/// run, such as the random weights, belongs to no run.
fn last_of_each(config: &BenchConfig) -> Result<Vec<(&'static str, Part)>, Box<dyn Error>> {
    let searches = if config.pools.is_empty() {
        0
    } else {
        1 + (REPEAT / 2).max(1)
    };
    let runs = [
        ("forward pass", 1 + REPEAT),
        ("training step", 1 + REPEAT),
        ("search", searches),
    ];
    let parts = counted::parts();
    let expected: usize = runs.iter().map(|(_, runs)| runs).sum();
    let Some(before) = parts.len().checked_sub(expected) else {
        return Err(format!("{} parts instead of {expected}", parts.len()).into());
    };
    let mut end = before;
    let mut last = Vec::new();
    for (name, runs) in runs {
        end += runs;
        if runs > 0 {
            last.push((name, parts[end - 1].clone()));
        }
    }
    Ok(last)
}
