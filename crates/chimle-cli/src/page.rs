//! `chimle page`: what a run has learned, to look at.

use std::path::{Path, PathBuf};

use chimle_core::data::{Example, Planes};
use chimle_core::{
    DataSource, Event, Kernels, Model, Report, RunConfig, Strategy, TrainingBackend, read_log,
};
use chimle_show::{Input, Measure, Page as Html};
use clap::Args;

use crate::curves::{curves, save};
use crate::device::{Command, Common};
use crate::error::Failure;
use crate::progress::Counter;
use crate::{flags, output};

/// Inputs on a page, and samples of each, if nothing else is said.
pub const INPUTS: usize = 16;
pub const SAMPLES: usize = 8;

/// The page's name in a run's folder, and that of its plots.
const PAGE: &str = "page.html";
const PLOTS: &str = "plots";

/// Writes a page on which a run can be looked at, and its curves.
///
/// One HTML file that needs no network: samples for each held-out input, the truth hidden until it is asked for; the
/// curves, the settings and the measures. A favorite among the samples can be marked and saved. The curves are written
/// into `plots/` too, as SVG and PNG.
#[derive(Args)]
#[command(after_help = "Example:\n  chimle page runs/color --samples 12")]
pub struct Page {
    /// The run's folder
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Samples for each input
    #[arg(long, value_name = "N", default_value_t = SAMPLES, value_parser = flags::at_least_one::<usize>)]
    samples: usize,

    /// Inputs shown
    #[arg(long, value_name = "N", default_value_t = INPUTS, value_parser = flags::at_least_one::<usize>)]
    inputs: usize,

    /// Where to write the page [default: page.html in the run's folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Command for Page {
    fn run<B: TrainingBackend>(self, device: B::Device, common: Common) -> Result<(), Failure> {
        let config = RunConfig::read(&self.run.join("config.toml"))?;
        let model = Model::<B::InnerBackend>::load(&self.run, &device)?
            .with_precision(config.training.precision)?
            .with_at_once(config.search.chunk, common.memory);
        let mut examples = config.held_out()?;
        let several = examples.chunk_by(same_input).take(self.inputs);
        let count = several.map(<[Example]>::len).sum();
        examples.truncate(count);
        let subject = Subject {
            run: &self.run,
            config: &config,
            model: &model,
            examples: &examples,
            samples: self.samples,
            seed: common.seed.unwrap_or(config.seed),
            report: None,
        };
        let page = subject.write(self.out.as_deref())?;
        output::say(format_args!("open {} in a browser", page.display()))
    }
}

/// What a page is about.
pub struct Subject<'a, B: Kernels> {
    /// The run's folder.
    pub run: &'a Path,
    pub config: &'a RunConfig,
    pub model: &'a Model<B>,
    /// Inputs that the model has not seen; those that have the same input follow each other.
    pub examples: &'a [Example],
    /// Samples for each input.
    pub samples: usize,
    pub seed: u64,
    /// Measures, if there are any beyond what the log has.
    pub report: Option<&'a Report>,
}

impl<B: Kernels> Subject<'_, B> {
    /// Writes the page and the plots; where the page is.
    pub fn write(&self, out: Option<&Path>) -> Result<PathBuf, Failure> {
        let events = read_log(self.run)?;
        let plots = curves(&events);
        save(&plots, &self.run.join(PLOTS))?;
        let page = Html {
            title: format!("{}: {}", self.config.task, name(self.run)),
            settings: settings(self.config),
            inputs: self.inputs()?,
            curves: plots.into_iter().map(|(_, plot)| plot).collect(),
            measures: match self.report {
                Some(report) => measures(report),
                None => last_validation(&events),
            },
        };
        let path = out.map_or_else(|| self.run.join(PAGE), Path::to_owned);
        output::save(page.html()?.as_bytes(), &path)?;
        Ok(path)
    }

    fn inputs(&self) -> Result<Vec<Input>, Failure> {
        let mut counter = Counter::new("inputs sampled");
        let groups: Vec<&[Example]> = self.examples.chunk_by(same_input).collect();
        let inputs = groups.iter().enumerate().map(|(index, group)| {
            counter.at(index, groups.len());
            let example = &group[0];
            let conditioning = example.input_picture().to_rgb();
            let seed = self.seed.wrapping_add(index as u64);
            let truths = match example.modes.as_slice() {
                [] => group
                    .iter()
                    .map(Example::truth)
                    .map(Planes::to_rgb)
                    .collect(),
                modes => modes.iter().map(Planes::to_rgb).collect(),
            };
            Ok(Input {
                name: example.name.clone(),
                samples: self.model.sample(&conditioning, self.samples, seed)?,
                conditioning,
                truths,
            })
        });
        let inputs = inputs.collect::<Result<_, Failure>>();
        counter.clear();
        inputs
    }
}

/// Whether two examples are observed outputs of one input.
fn same_input(a: &Example, b: &Example) -> bool {
    a.conditioning == b.conditioning
}

fn name(run: &Path) -> String {
    let name = run.file_name().unwrap_or(run.as_os_str());
    name.to_string_lossy().into_owned()
}

fn settings(config: &RunConfig) -> Vec<(String, String)> {
    let data = match &config.data.source {
        DataSource::Folder(folder) => folder.display().to_string(),
        DataSource::Pairs { input, output } => {
            format!("{} to {}", input.display(), output.display())
        }
        DataSource::Procedural { scenes } => format!("{scenes} made-up scenes"),
    };
    let search = match &config.search.strategy {
        Strategy::Hierarchical { pools } => {
            let pools: Vec<String> = pools.iter().map(usize::to_string).collect();
            format!("hierarchical, {} candidates", pools.join("/"))
        }
        Strategy::Flat { candidates } => format!("flat, {candidates} candidates"),
    };
    let training = &config.training;
    let rows = [
        ("task", config.task.to_string()),
        ("data", data),
        (
            "output",
            format!("{} x {}", config.data.width, config.data.height),
        ),
        ("distance", config.distance.name()),
        ("search", search),
        ("levels", config.generator.levels().to_string()),
        ("steps", training.steps.to_string()),
        ("batch", training.batch.to_string()),
        ("inputs to a search", training.share.to_string()),
        ("steps to a search", training.steps_per_search.to_string()),
        ("learning rate", training.learning_rate.to_string()),
        ("precision", training.precision.to_string()),
        ("seed", config.seed.to_string()),
    ];
    rows.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

fn measures(report: &Report) -> Vec<Measure> {
    let figures = report.figures().into_iter();
    let measures = figures.map(|(name, figure)| {
        let [low, high] = figure.interval.map(digits);
        Measure::new(name, digits(figure.value), format!("{low} to {high}"))
    });
    measures.collect()
}

fn last_validation(events: &[Event]) -> Vec<Measure> {
    let last = events.iter().rev().find_map(|event| match event {
        Event::Validated {
            samples,
            best,
            mean,
            diversity,
            ..
        } => Some((samples, best, mean, diversity)),
        _ => None,
    });
    let Some((samples, best, mean, diversity)) = last else {
        return Vec::new();
    };
    vec![
        Measure::new(format!("distance, best of {samples}"), digits(*best), ""),
        Measure::new("distance, mean", digits(*mean), ""),
        Measure::new("diversity", digits(*diversity), ""),
    ]
}

fn digits(value: f64) -> String {
    format!("{value:.4}")
}
