//! `chimle studio`: a page on which a person chooses among plausible pictures.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};

use chimle_core::data::Sizes;
use chimle_core::{DataSource, Kernels, Model, Precision, TrainingBackend, models};
use chimle_studio::{Limits, ModelSource, Studio, is_token};
use clap::Args;
use image::RgbImage;

use crate::device::{Command, Common};
use crate::error::Failure;
use crate::evaluate::FIRST_UNSEEN_SCENE;
use crate::located::{Located, run_at};
use crate::{free_memory, output};

/// Serves a page on which a person chooses among plausible pictures, level by level.
///
/// The page opens in the browser. It is for this computer alone, and its address holds a token that changes
/// each time. Without --model it offers the trained models, and the runs in the folder `runs` and in the current folder.
#[derive(Args)]
#[command(name = "studio", after_help = EXAMPLES)]
pub struct StudioCommand {
    /// A trained model (`chimle models`), the folder of a run, or a model file. Can be given several times [default: the
    /// trained models, and the runs that are found]
    #[arg(long, value_name = "NAME|RUN|FILE")]
    model: Vec<PathBuf>,

    /// The port; 0 takes any that is free
    #[arg(long, value_name = "PORT", default_value_t = 7860)]
    port: u16,

    /// Do not open the browser
    #[arg(long)]
    no_open: bool,

    /// The type within dense blocks: f32, bf16 or f16
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32)]
    precision: Precision,

    /// Serve other computers too, on this address of this one; 0.0.0.0 is all of them. Needs --token
    #[arg(long, value_name = "ADDRESS", requires = "token")]
    listen: Option<IpAddr>,

    /// The token that the page's address holds: at least 8 letters and digits [default: a random one]
    #[arg(long, value_name = "TOKEN", value_parser = token)]
    token: Option<String>,

    /// A name by which other computers call this one. Can be given several times
    #[arg(long, value_name = "NAME", requires = "listen")]
    host: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  chimle studio
  chimle studio --model scenes-colorization-64
  chimle studio --model runs/color --model runs/decompress/best.safetensors
  chimle studio --listen 192.168.0.10 --token SomeLongSecret --no-open";

fn token(text: &str) -> Result<String, String> {
    match is_token(text) {
        true => Ok(text.to_owned()),
        false => Err("must be 8 to 256 letters, digits, hyphens and underscores".to_owned()),
    }
}

/// A folder in which runs are looked for.
const RUNS: &str = "runs";
/// The most runs that are offered without being named.
const MOST_FOUND: usize = 24;

impl Command for StudioCommand {
    fn run<B: TrainingBackend>(self, device: B::Device, common: Common) -> Result<(), Failure> {
        let paths = match self.model.is_empty() {
            true => found(),
            false => self.model.clone(),
        };
        let mut sources = Vec::new();
        for path in paths {
            match self.source::<B>(&path, &device, common.memory) {
                Ok(source) => sources.push(source),
                // A run that was not named and cannot be used is no reason to do nothing.
                Err(failure) if self.model.is_empty() => {
                    output::complain("warning", format_args!("skipped: {failure}"));
                }
                Err(failure) => return Err(failure),
            }
        }
        if sources.is_empty() {
            return Err(Failure::Flag {
                flag: "--model",
                reason: format!(
                    "is needed: there is no run in `{RUNS}` or here. `chimle quickstart` makes one in a minute or two"
                ),
            });
        }
        let ip = self.listen.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let address = SocketAddr::new(ip, self.port);
        let listener = TcpListener::bind(address).map_err(|error| Failure::Flag {
            flag: "--port",
            reason: format!("{address} cannot be used ({error}); --port 0 takes a free one"),
        })?;
        let listening = listener
            .local_addr()
            .map_err(Failure::file("listen on", "the port"))?;

        let limits = Limits {
            memory_bytes: free_memory::available() / 2,
            ..Limits::default()
        };
        let mut studio = Studio::new(sources).with_limits(limits);
        if let Some(token) = self.token {
            studio = studio.with_token(token);
        }
        for host in self.host {
            studio = studio.with_host(host);
        }
        let page = studio.address(listening);
        output::say(format_args!("The studio is at {page}"))?;
        if !ip.is_loopback() {
            output::complain(
                "note",
                "whoever reaches this address and knows the token can bring photographs, use the models and the \
                 processor, and see the pictures of sessions whose identifiers they know. The connection is not \
                 encrypted: put it behind a server that is, on a network that you do not trust",
            );
        }
        output::say("Ctrl-C ends it.")?;
        if !self.no_open {
            open(&page);
        }
        studio
            .serve(listener)
            .map_err(Failure::file("serve", "the page"))
    }
}

impl StudioCommand {
    /// The model at a path. It is loaded once, so that a file that is none is an error at once.
    fn source<B: TrainingBackend>(
        &self,
        path: &Path,
        device: &B::Device,
        memory: u64,
    ) -> Result<ModelSource<B::InnerBackend>, Failure> {
        let located = Located::<B::InnerBackend>::load(path, None, device)?;
        let task = located.model.task().clone();
        let trained = path.to_str().and_then(models::find);
        let description = match trained {
            Some(model) => format!("A trained model: {}.", model.summary),
            None => format!("{} levels", located.model.config().levels()),
        };
        let example = example(&located);
        let name = name(path);
        let (path, device, precision) = (path.to_owned(), device.clone(), self.precision);
        let source = ModelSource::new(name, task, move || {
            let model = Model::load(&path, &device)?.with_precision(precision)?;
            Ok(model.with_at_once(64, memory))
        });
        let source = source.with_description(description);
        Ok(match example {
            Some(example) => source.with_example(example),
            None => source,
        })
    }
}

/// Pixels on a side of an example.
const EXAMPLE_SIDE: usize = 256;

/// A scene that a model which was trained on made-up scenes has not seen.
fn example<B: Kernels>(located: &Located<B>) -> Option<RgbImage> {
    let run = located.run.as_ref()?;
    if !matches!(run.data.source, DataSource::Procedural { .. }) {
        return None;
    }
    let (task, levels) = (located.model.task(), located.model.config().levels());
    let sizes = Sizes::new(&**task, levels, EXAMPLE_SIDE, EXAMPLE_SIDE).ok()?;
    let scene = task.scene(&sizes, FIRST_UNSEEN_SCENE).ok()?;
    scene.input.or_else(|| scene.outputs.into_iter().next())
}

/// What a model is called: the name of its folder, and that of a file within a run.
fn name(path: &Path) -> String {
    let text = |part: Option<&std::ffi::OsStr>| {
        part.map(|part| output::harmless(&part.to_string_lossy()))
            .unwrap_or_default()
    };
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let own = text(absolute.file_name());
    let folder = absolute.parent();
    match folder.filter(|folder| !path.is_dir() && folder.join("config.toml").is_file()) {
        Some(run) => format!("{}, {}", text(run.file_name()), text(absolute.file_stem())),
        None => own,
    }
}

/// The trained models, and the runs in the folder of runs and in the current folder.
fn found() -> Vec<PathBuf> {
    let trained = models::ALL.iter().map(|model| PathBuf::from(model.name));
    let mut found: Vec<PathBuf> = trained.collect();
    for folder in [RUNS, "."] {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut runs: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| run_at(path).is_ok_and(|run| run.is_some()))
            .collect();
        runs.sort();
        found.extend(runs);
    }
    found.truncate(MOST_FOUND);
    found
}

/// Opens the page in the browser of this desktop. If there is none, the address was printed.
fn open(page: &str) {
    let (program, arguments): (&str, &[&str]) = match std::env::consts::OS {
        "macos" => ("open", &[]),
        "windows" => ("rundll32", &["url.dll,FileProtocolHandler"]),
        _ => ("xdg-open", &[]),
    };
    let mut command = Program::new(program);
    command.args(arguments).arg(page);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // A program that is not there opens nothing.
    drop(command.spawn());
}
