//! `chimle evaluate`: measures a model's samples, or the images of any program, against true images.

use std::path::{Path, PathBuf};

use chimle_core::data::{Dataset, DatasetConfig};
use chimle_core::evaluation::{
    Evaluation, EvaluationConfig, Instruments, RealImages, Report, SetMeasuresConfig, evaluate,
    evaluate_folders,
};
use chimle_core::metrics::{Statistics, Subsets};
use chimle_core::perceptual::{Extractor, ImageDistance, InceptionV3, Vgg16};
use chimle_core::{
    DataSource, DistanceConfig, Kernels, Model, Precision, RunConfig, TaskHandle, TrainingBackend,
};
use clap::Args;

use crate::device::{Command, Common};
use crate::error::Failure;
use crate::located::Located;
use crate::lpips::BackboneName;
use crate::page::{self, INPUTS, PAGE};
use crate::progress::Counter;
use crate::{flags, located, lpips, output, weights};

/// The number of the first procedural scene for evaluation. No run's training set reaches it.
pub const FIRST_UNSEEN_SCENE: u64 = 1 << 32;

/// The names of the files that are written into the folder `--out`.
const REPORT_JSON: &str = "report.json";
const REPORT_MARKDOWN: &str = "report.md";

/// Measures a model, or two folders of images.
///
/// With --model, the largest central square of every image of the data is downsampled to the output's size, degraded as
/// the task requires, and sampled. The tables show every figure with its 95% bootstrap interval over images. The column
/// `baseline` is measured with the input itself as the output.
///
/// With --folders, the images of the two folders are compared as sets, each image at its own size. An image of FAKE that
/// has the name and size of an image of REAL is also compared with it. The samples of NAME.jpg may also be called
/// NAME-1.png, NAME-2.png and so on; then their diversity is measured too.
///
/// FID and KID are measured with --fid-weights. Without this flag, but with VGG16's weights, they are computed on
/// features of VGG16 instead. Their values are then not comparable with FID and KID.
#[derive(Args)]
#[command(override_usage = USAGE, after_help = EXAMPLES)]
pub struct Evaluate {
    /// A trained model (`chimle models`), the folder of a run (its newest checkpoint is used), or a model file
    #[arg(
        long,
        value_name = "NAME|RUN|FILE",
        required_unless_present = "folders"
    )]
    model: Option<PathBuf>,

    /// A folder of photographs (for a paired task, of pairs) that the model has not seen, or `procedural`
    #[arg(long, value_name = "DIR|procedural", requires = "model", required_unless_present_any = ["folders", "pairs"])]
    data: Option<PathBuf>,

    /// For a paired task: the folder of inputs and the folder of outputs, matched by file name
    #[arg(long, num_args = 2, value_names = ["INPUT", "OUTPUT"], requires = "model", conflicts_with = "data")]
    pairs: Option<Vec<PathBuf>>,

    /// Compare the images of the folder FAKE, made by any program, with the true images of the folder REAL
    ///
    /// REAL can also be a file of statistics that --save-stats wrote.
    #[arg(long, num_args = 2, value_names = ["REAL", "FAKE"],
        conflicts_with_all = ["model", "data", "pairs", "task", "size", "samples", "stats"])]
    folders: Option<Vec<PathBuf>>,

    /// The task of a model file that does not state its task (decompression or night-to-day)
    #[arg(long, value_parser = flags::task)]
    task: Option<TaskHandle>,

    /// The side of the square output in pixels [default: the size of training, if the model states it]
    #[arg(long, value_name = "PIXELS", value_parser = flags::count::<usize>(flags::SIDE))]
    size: Option<usize>,

    /// The number of samples per image; at least 2
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = flags::count::<usize>(flags::SAMPLES))]
    samples: usize,

    /// Measure only the first N images
    #[arg(long, value_name = "N", value_parser = flags::count::<usize>(flags::MANY))]
    limit: Option<usize>,

    /// Measure LPIPS. The value is a file with the weights of its network, or a name of weights that `chimle weights` has
    /// downloaded [default: the run's distance if its weights are found, else the Laplacian pyramid]
    #[arg(long, value_name = "FILE|NAME")]
    perceptual: Option<PathBuf>,

    /// The network of --perceptual
    #[arg(long, value_enum, default_value_t = BackboneName::Vgg16, requires = "perceptual")]
    backbone: BackboneName,

    /// The learned weights of LPIPS 0.1 for the network of --perceptual; without them, all features have the same weight
    #[arg(long, value_name = "FILE|NAME", requires = "perceptual")]
    lpips: Option<PathBuf>,

    /// The weights of the Inception-v3 that FID is defined on: pytorch-fid's pt_inception-2015-12-05-*.pth, or the name
    /// `inception` if `chimle weights` has downloaded them
    #[arg(long, value_name = "FILE|NAME")]
    fid_weights: Option<PathBuf>,

    /// Compare the set of samples with the statistics in this file instead of with the true images of the data
    #[arg(long, value_name = "FILE")]
    stats: Option<PathBuf>,

    /// Write the true images' statistics to this file, for --stats or --folders
    #[arg(long, value_name = "FILE", conflicts_with = "stats")]
    save_stats: Option<PathBuf>,

    /// The number of nearest neighbors for precision, recall, density and coverage
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = flags::count::<usize>(flags::MANY))]
    neighbors: usize,

    /// Compute KID as the mean over this many random subsets (usually 100) [default: on the whole sets]
    #[arg(long, value_name = "N", value_parser = flags::count::<usize>(flags::MANY))]
    kid_subsets: Option<usize>,

    /// The number of true images, and of samples, in a subset
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        requires = "kid_subsets",
        value_parser = flags::count::<usize>(flags::MANY)
    )]
    kid_subset_size: usize,

    /// The number of resamples for the intervals of FID and KID; each one costs as much as FID
    #[arg(long, value_name = "N", default_value_t = SetMeasuresConfig::default().resamples,
        value_parser = flags::count::<usize>(flags::ROWS))]
    set_resamples: usize,

    /// The number type within the model's dense blocks: f32, bf16 or f16
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32, conflicts_with = "folders")]
    precision: Precision,

    /// The maximum number of samples made in one batch [default: 64, or fewer if memory is short]
    #[arg(long, value_name = "N", default_value_t = 64, hide_default_value = true,
        value_parser = flags::count::<usize>(flags::ROWS))]
    chunk: usize,

    /// Also write report.json and report.md into this folder and, if a model is measured, page.html, which shows the
    /// samples of the first 16 inputs in a browser
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

const USAGE: &str = "\
chimle evaluate --model RUN|FILE --data DIR|procedural [OPTIONS]
       chimle evaluate --model RUN|FILE --pairs INPUT OUTPUT [OPTIONS]
       chimle evaluate --folders REAL FAKE [OPTIONS]";

const EXAMPLES: &str = "\
Examples:
  chimle evaluate --model runs/color --data other-photos/ --samples 8
  chimle evaluate --model runs/color --data other-photos/ --perceptual vgg16 --lpips lpips-vgg16 \\
    --fid-weights inception --limit 100 --out reports/color
  chimle evaluate --folders photos/ made-by-another-program/ --fid-weights inception";

impl Command for Evaluate {
    fn run<B: TrainingBackend>(self, device: B::Device, common: Common) -> Result<(), Failure> {
        let config = self.config(common)?;
        let written = self.save_stats.as_deref().and_then(Path::parent);
        let folders = [self.out.as_deref(), written];
        for folder in folders.into_iter().flatten() {
            if folder != Path::new("") {
                output::prepare_folder(folder)?;
            }
        }
        let found = match (&self.model, self.folders.as_deref()) {
            (_, Some([real, fake])) => {
                self.of_folders::<B::InnerBackend>(real, fake, &config, &device)?
            }
            (Some(model), _) => {
                self.of_model::<B::InnerBackend>(model, &config, common.memory, &device)?
            }
            (None, _) => {
                return Err(Failure::Flag {
                    flag: "--model",
                    reason: "is needed".to_owned(),
                });
            }
        };
        self.write(&found)
    }
}

impl Evaluate {
    fn config(&self, common: Common) -> Result<EvaluationConfig, Failure> {
        let refused = |flag, least| {
            Err(Failure::Flag {
                flag,
                reason: format!("must be at least {least}, or there is nothing to compare"),
            })
        };
        if self.samples < 2 {
            return refused("--samples", 2);
        }
        if self.kid_subset_size < 2 {
            return refused("--kid-subset-size", 2);
        }
        let seed = common.seed.unwrap_or(0);
        let subsets = self.kid_subsets.map(|count| Subsets {
            count,
            size: self.kid_subset_size,
            seed,
        });
        let mut config = EvaluationConfig::new(self.samples, seed);
        config.limit = self.limit;
        config.keep = if self.out.is_some() { INPUTS } else { 0 };
        config.sets = SetMeasuresConfig {
            neighbors: self.neighbors,
            subsets,
            resamples: self.set_resamples,
        };
        Ok(config)
    }

    fn of_model<B: Kernels>(
        &self,
        path: &Path,
        config: &EvaluationConfig,
        memory: u64,
        device: &B::Device,
    ) -> Result<Evaluation, Failure> {
        let Located { model, run } = Located::<B>::load(path, self.task.as_ref(), device)?;
        let model = model
            .with_precision(self.precision)?
            .with_at_once(self.chunk, memory);
        let dataset = self.dataset(path, run.as_ref(), &model)?;
        let of_run = run.as_ref().map(|run| &run.distance);
        let (distance, named) = self.distance::<B>(of_run, device)?;
        let extractor = self.extractor(&named, device)?;
        let reference = self.stats.as_deref().map(load_statistics).transpose()?;
        for skipped in dataset.skipped() {
            output::complain("warning", format_args!("skipped: {}", skipped.reason));
        }
        let instruments = Instruments {
            distance: &distance,
            distance_name: &named.name(),
            extractor: extractor.as_ref(),
        };
        let mut counter = Counter::new("images");
        let show = &mut |done, of| counter.at(done, of);
        let found = evaluate(
            &model,
            &dataset,
            &instruments,
            reference.as_ref(),
            config,
            show,
        );
        counter.clear();
        Ok(found?)
    }

    fn of_folders<B: Kernels>(
        &self,
        real: &Path,
        fake: &Path,
        config: &EvaluationConfig,
        device: &B::Device,
    ) -> Result<Evaluation, Failure> {
        let (distance, named) = self.distance::<B>(None, device)?;
        let extractor = self.extractor(&named, device)?;
        let instruments = Instruments {
            distance: &distance,
            distance_name: &named.name(),
            extractor: extractor.as_ref(),
        };
        let real = RealImages::at(real);
        let mut counter = Counter::new("images");
        let show = &mut |done, of| counter.at(done, of);
        let found = evaluate_folders(&real, fake, &instruments, config, device, show);
        counter.clear();
        Ok(found?)
    }

    fn write(&self, found: &Evaluation) -> Result<(), Failure> {
        let Report { skipped, .. } = &found.report;
        for reason in skipped {
            output::complain("warning", format_args!("skipped: {reason}"));
        }
        if let Some(folder) = &self.out {
            self.write_page(found, &folder.join(PAGE))?;
            let json = serde_json::to_string_pretty(&found.report).expect("numbers are plain data");
            output::save(json.as_bytes(), &folder.join(REPORT_JSON))?;
            let markdown = found.report.to_markdown();
            output::save(markdown.as_bytes(), &folder.join(REPORT_MARKDOWN))?;
        }
        if let Some(path) = &self.save_stats {
            let Some(statistics) = &found.statistics else {
                output::say(&found.report)?;
                return Err(self.no_statistics());
            };
            statistics.save(path).map_err(chimle_core::Error::from)?;
        }
        output::say(&found.report)
    }

    /// Writes a page with the first measured inputs, if a model was measured.
    fn write_page(&self, found: &Evaluation, path: &Path) -> Result<(), Failure> {
        let Some(model) = &self.model else {
            return Ok(());
        };
        let (run, data) = (located::run_at(model)?, self.source()?);
        page::of_evaluation(model, run.as_ref(), &data, found, path)
    }

    fn no_statistics(&self) -> Failure {
        Failure::Flag {
            flag: "--save-stats",
            reason:
                "there are no statistics to save: they need true images, and --fid-weights or VGG16 with --perceptual"
                    .to_owned(),
        }
    }

    fn source(&self) -> Result<DataSource, Failure> {
        flags::data(self.data.as_deref(), self.pairs.as_deref())
    }

    fn dataset<B: Kernels>(
        &self,
        path: &Path,
        run: Option<&RunConfig>,
        model: &Model<B>,
    ) -> Result<Dataset, Failure> {
        let task = model.task();
        let given = self.size.map(|side| (side, side));
        let Some((height, width)) = given.or(model.trained_size()) else {
            let reason = format!(
                "is needed, because {} does not state the size of its training",
                path.display()
            );
            return Err(Failure::Flag {
                flag: "--size",
                reason,
            });
        };
        let mut config = DatasetConfig::new(task.clone(), model.config().levels(), height, width);
        config.first_scene = FIRST_UNSEEN_SCENE;
        let source = self.source()?;
        if run.is_some_and(|run| {
            run.data.source == source && !matches!(source, DataSource::Procedural { .. })
        }) {
            output::complain(
                "warning",
                "the model was trained on these images, so the numbers say nothing about other images",
            );
        }
        Ok(Dataset::open(source.resolve(&**task)?, config)?)
    }

    /// Returns the distance asked for, else the run's if its weights are found, else the Laplacian pyramid.
    fn distance<B: Kernels>(
        &self,
        of_run: Option<&DistanceConfig>,
        device: &B::Device,
    ) -> Result<(ImageDistance<B>, DistanceConfig), Failure> {
        let asked = lpips::distance(
            self.backbone,
            self.perceptual.as_deref(),
            self.lpips.as_deref(),
        )?;
        if let Some(asked) = asked {
            return Ok((asked.load(device)?, asked));
        }
        let run = of_run.cloned().unwrap_or(DistanceConfig::LaplacianPyramid);
        Ok(match run.load(device) {
            Ok(distance) => (distance, run),
            Err(error) => {
                output::complain(
                    "warning",
                    format_args!("{error}; measuring with the Laplacian pyramid instead"),
                );
                (
                    ImageDistance::LaplacianPyramid,
                    DistanceConfig::LaplacianPyramid,
                )
            }
        })
    }

    /// Returns Inception-v3 if its weights are named, else the distance's VGG16 if it has one.
    fn extractor<B: Kernels>(
        &self,
        distance: &DistanceConfig,
        device: &B::Device,
    ) -> Result<Option<Extractor<B>>, Failure> {
        if let Some(path) = &self.fid_weights {
            let path = weights::named("--fid-weights", path)?;
            let network = InceptionV3::load(path, device)?;
            return Ok(Some(Extractor::InceptionV3(network)));
        }
        let Some(weights) = distance.vgg16_weights() else {
            return match self.save_stats {
                Some(_) => Err(self.no_statistics()),
                None => Ok(None),
            };
        };
        Ok(Some(Extractor::Vgg16(Vgg16::load(weights, device)?)))
    }
}

fn load_statistics(path: &Path) -> Result<Statistics, Failure> {
    let statistics = Statistics::load(path).map_err(chimle_core::Error::from)?;
    Ok(statistics)
}
