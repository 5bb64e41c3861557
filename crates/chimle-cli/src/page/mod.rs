//! `chimle page`: writes a page that shows what a run has learned. Training and evaluation end with the same page.

mod content;

use std::path::{Path, PathBuf};

use chimle_core::data::{Example, Planes};
use chimle_core::evaluation::{Evaluation, Report, SampledInput};
use chimle_core::{
    DataSource, GeneratorConfig, Kernels, Model, RunConfig, RunFolder, TrainingBackend,
};
use chimle_show::{Input, Page as Html};
use clap::Args;

use crate::curves::{curves, save};
use crate::device::{Command, Common};
use crate::error::Failure;
use crate::progress::Counter;
use crate::{flags, output, run_log};

/// The default number of inputs on a page, and of samples per input.
pub const INPUTS: usize = 16;
pub const SAMPLES: usize = 8;

/// The name of an evaluation's page.
pub const PAGE: &str = "page.html";

/// Writes an HTML page that shows the samples and curves of a run.
///
/// The page is one file that needs no network. It shows samples of held-out inputs, the curves, the settings and the
/// measures. The truth is hidden until you ask for it. Favorite samples can be marked and saved. The curves are also
/// written into `plots/`, as SVG and PNG.
#[derive(Args)]
#[command(after_help = "Example:\n  chimle page runs/color --samples 12")]
pub struct Page {
    /// The run's folder
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// The number of samples per input
    #[arg(long, value_name = "N", default_value_t = SAMPLES, value_parser = flags::count::<usize>(flags::SAMPLES))]
    samples: usize,

    /// The number of inputs shown
    #[arg(long, value_name = "N", default_value_t = INPUTS, value_parser = flags::count::<usize>(flags::SAMPLES))]
    inputs: usize,

    /// The file to write [default: page.html in the run's folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Command for Page {
    fn run<B: TrainingBackend>(self, device: B::Device, common: Common) -> Result<(), Failure> {
        let config = RunFolder::at(&self.run).read_config::<GeneratorConfig>()?;
        let model = Model::<B::InnerBackend>::load(&self.run, &device)?
            .with_precision(config.training.precision)?
            .with_at_once(config.search.chunk, common.memory);
        let mut examples = config.held_out()?;
        let several = examples.chunk_by(same_input).take(self.inputs);
        let count = several.map(<[Example]>::len).sum();
        examples.truncate(count);
        let seed = common.seed.unwrap_or(config.seed);
        let inputs = sampled(&model, &examples, self.samples, seed)?;
        let page = of_run(
            &RunFolder::at(&self.run),
            &config,
            inputs,
            None,
            self.out.as_deref(),
        )?;
        output::say(format_args!("open {} in a browser", page.display()))
    }
}

/// Writes the page and the plots of a run, and returns the path of the page. Without `out`, the page is written into
/// the run's folder.
///
/// The measures are those of `report`, else those of the last validation.
pub fn of_run(
    run: &RunFolder,
    config: &RunConfig,
    inputs: Vec<Input>,
    report: Option<&Report>,
    out: Option<&Path>,
) -> Result<PathBuf, Failure> {
    let events = run_log::events(run);
    let plots = curves(&events);
    save(&plots, &run.plots_path())?;
    let page = Html {
        title: format!("{}: {}", config.task, content::name(run.path())),
        settings: content::settings(config),
        inputs,
        curves: plots.into_iter().map(|(_, plot)| plot).collect(),
        measures: match report {
            Some(report) => content::measures(report),
            None => content::last_validation(&events),
        },
    };
    let path = out.map_or_else(|| run.page_path(), Path::to_owned);
    output::save(page.html()?.as_bytes(), &path)?;
    Ok(path)
}

/// Writes the page of a model's evaluation. `data` is the data that the model was measured on. For the model of a run,
/// the page also has the settings and curves of its training.
pub fn of_evaluation(
    model: &Path,
    run: Option<&RunConfig>,
    data: &DataSource,
    found: &Evaluation,
    path: &Path,
) -> Result<(), Failure> {
    let curves = match run {
        Some(_) => curves(&run_log::events(&RunFolder::at(model))),
        None => Vec::new(),
    };
    let mut settings = content::measured(model, data, &found.report);
    settings.extend(run.into_iter().flat_map(content::settings_of_training));
    let page = Html {
        title: format!("Evaluation of {}", content::name(model)),
        settings,
        inputs: found.kept.iter().map(shown).collect(),
        curves: curves.into_iter().map(|(_, plot)| plot).collect(),
        measures: content::measures(&found.report),
    };
    output::save(page.html()?.as_bytes(), path)
}

/// Converts an input of an evaluation for a page.
pub fn shown(kept: &SampledInput) -> Input {
    Input {
        name: kept.name.clone(),
        conditioning: kept.input.clone(),
        truths: kept.truths.clone(),
        samples: kept.samples.clone(),
    }
}

/// Samples the inputs of some examples. Examples that have the same input must follow each other.
pub fn sampled<B: Kernels>(
    model: &Model<B>,
    examples: &[Example],
    samples: usize,
    seed: u64,
) -> Result<Vec<Input>, Failure> {
    let mut counter = Counter::new("inputs sampled");
    let groups: Vec<&[Example]> = examples.chunk_by(same_input).collect();
    let inputs = groups.iter().enumerate().map(|(index, group)| {
        counter.at(index, groups.len());
        let example = &group[0];
        let picture = model.task().picture_of_input(&example.conditioning);
        let conditioning = picture.to_rgb();
        let seed = seed.wrapping_add(index as u64);
        let truths = group.iter().flat_map(Example::truths);
        Ok(Input {
            name: example.name.clone(),
            samples: model.sample(&conditioning, samples, seed)?,
            conditioning,
            truths: truths.map(Planes::to_rgb).collect(),
        })
    });
    let inputs = inputs.collect::<Result<_, Failure>>();
    counter.clear();
    inputs
}

/// Returns whether two examples are observed outputs of one input.
fn same_input(a: &Example, b: &Example) -> bool {
    a.input == b.input
}
