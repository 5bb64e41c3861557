//! `chimle studio`: serves a web page on which a person chooses among plausible pictures.

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

/// Serves a web page on which you choose among plausible pictures, level by level.
///
/// The page opens in the browser. Only this computer can reach it, unless --listen is given. Its address contains a
/// token, which changes each time unless --token sets it. Without --model, the page offers the trained models, and the runs in the folder `runs`
/// and in the current folder.
#[derive(Args)]
#[command(name = "studio", after_help = EXAMPLES)]
pub struct StudioCommand {
    /// A trained model (`chimle models`), the folder of a run, or a model file. Can be given several times [default: the
    /// trained models, and the runs that are found]
    #[arg(long, value_name = "NAME|RUN|FILE")]
    model: Vec<PathBuf>,

    /// The port to listen on; 0 takes any free port
    #[arg(long, value_name = "PORT", default_value_t = 7860)]
    port: u16,

    /// Do not open the page in the browser
    #[arg(long)]
    no_open: bool,

    /// The number type within dense blocks: f32, bf16 or f16
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32)]
    precision: Precision,

    /// Also serve other computers, on this address of this computer; 0.0.0.0 stands for all its addresses. Requires
    /// --token
    #[arg(long, value_name = "ADDRESS", requires = "token")]
    listen: Option<IpAddr>,

    /// The token in the page's address: 8 to 256 letters, digits, hyphens and underscores [default: a random one]
    #[arg(long, value_name = "TOKEN", value_parser = token)]
    token: Option<String>,

    /// A host name under which other computers reach this one. Can be given several times
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
/// The maximum number of models that are offered if the command line names none.
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
                // A run that the user did not name is skipped if it cannot be used.
                Err(failure) if self.model.is_empty() => {
                    output::complain("warning", format_args!("skipped: {failure}"));
                }
                Err(failure) => return Err(failure),
            }
        }
        let ip = self.listen.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let address = SocketAddr::new(ip, self.port);
        let listener = TcpListener::bind(address).map_err(|error| Failure::Flag {
            flag: "--port",
            reason: format!("{address} cannot be used ({error}); --port 0 takes a free port"),
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
                "anyone who can reach this address and knows the token can upload photographs, use the models and the \
                 processor, and see the pictures of sessions whose identifiers they know. The connection is not \
                 encrypted. On a network that you do not trust, put the studio behind a server that encrypts",
            );
        }
        output::say("Ctrl-C stops the studio.")?;
        if !self.no_open {
            open(&page);
        }
        studio
            .serve(listener)
            .map_err(Failure::file("serve", "the page"))
    }
}

impl StudioCommand {
    /// Returns the model at a path for the studio. The model is also loaded here once, so that a file that is not a model
    /// is reported at the start.
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

/// The side of an example in pixels.
const EXAMPLE_SIDE: usize = 256;

/// Returns a scene that the model has not seen, if the model was trained on procedural scenes.
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

/// Returns the name of a model: the name of its folder or file. For a file in a run's folder, returns both names.
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

/// Returns the trained models, and the runs in the folder `runs` and in the current folder.
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

/// Opens the page in the desktop's browser. Failures are ignored, because the address was printed.
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
    drop(command.spawn());
}
