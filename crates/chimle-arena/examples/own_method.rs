//! Your own method in the arena: the nearest neighbor.
//!
//! `cargo run --release -p chimle-arena --example own_method`
//!
//! The method stores the training images. Its samples for an input are the true outputs of the nearest training inputs. The
//! program compares this method with regression (the mean) on procedural scenes, and prints the path of the report. For each
//! job, [`Arena::run`] starts this program again as a worker.

use std::path::Path;

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_arena::{
    Arena, ArenaConfig, Costs, Error, Feed, Job, Method, Methods, report, stop_with_parent,
};
use chimle_core::data::{Example, Planes};
use std::sync::atomic::Ordering;

type B = Autodiff<Flex>;

/// The training images seen so far: the inputs at the finest level (lightness images) and the true outputs.
struct NearestNeighbor {
    side: usize,
    seen: Vec<(Planes, Planes)>,
}

/// The name of the file with the images in a checkpoint.
const SEEN: &str = "seen.f32";

/// Returns the finest conditioning image of an example.
fn input_of(example: &Example) -> &Planes {
    &example.conditioning[example.conditioning.len() - 1]
}

impl Method for NearestNeighbor {
    fn step(&mut self, feed: &mut Feed, _: f64) -> Result<f32, Error> {
        let example = feed.next(1)?.swap_remove(0);
        self.seen
            .push((input_of(&example).clone(), example.truth().clone()));
        Ok(0.0)
    }

    fn sample(
        &self,
        inputs: &[&Example],
        samples: usize,
        _: u64,
    ) -> Result<Vec<Vec<Planes>>, Error> {
        let nearest = inputs.iter().map(|example| {
            let mut all = Vec::with_capacity(self.seen.len());
            for (input, truth) in &self.seen {
                let apart = input.mean_squared_distance(input_of(example))?;
                all.push((apart, truth));
            }
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            Ok(all
                .iter()
                .cycle()
                .take(samples)
                .map(|(_, truth)| (*truth).clone())
                .collect())
        });
        nearest.collect()
    }

    fn costs(&self) -> Costs {
        Costs {
            is_stochastic: true,
            ..Costs::default()
        }
    }

    /// Writes all values, image by image.
    fn save(&self, folder: &Path) -> Result<(), Error> {
        let values = self
            .seen
            .iter()
            .flat_map(|(input, truth)| input.data.iter().chain(&truth.data));
        let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
        let path = folder.join(SEEN);
        std::fs::write(&path, bytes).map_err(|source| Error::File {
            action: "write",
            path,
            source,
        })
    }

    fn load(&mut self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(SEEN);
        let bytes = std::fs::read(&path).map_err(|source| Error::File {
            action: "read",
            path,
            source,
        })?;
        let (values, _) = bytes.as_chunks::<4>();
        let values: Vec<f32> = values
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        let (side, pixels) = (self.side, self.side * self.side);
        let pairs = values.chunks_exact(4 * pixels).map(|pair| {
            let planes =
                |channels, values: &[f32]| Planes::new(channels, side, side, values.to_vec());
            Ok((planes(1, &pair[..pixels])?, planes(3, &pair[pixels..])?))
        });
        self.seen = pairs.collect::<Result<_, Error>>()?;
        Ok(())
    }
}

const CONFIG: &str = r#"
task = "colorization"
seeds = [0]
cpu_minutes = 0.2

[data]
train = { procedural = { scenes = 256 } }
test = { procedural = { scenes = 16 } }
size = 32

[measure]
inputs = 16
samples = [8]

[backbone]
residual_channels = [16, 12, 8]
growth_channels = [8, 6, 4]
rrdb_per_level = 1

[methods.mean]
[methods.nearest-neighbor]
steps = 256
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let methods = Methods::<B>::built_in().with("nearest-neighbor", |_, context| {
        Ok(Box::new(NearestNeighbor {
            side: context.side(),
            seen: Vec::new(),
        }))
    });
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [folder, method, seed] = &arguments[..] {
        // This process is a worker, which runs one job.
        let arena = Arena::open(folder)?;
        let job = Job::Train {
            method: method.clone(),
            seed: seed.parse()?,
        };
        let flag = stop_with_parent();
        let stop = || flag.load(Ordering::SeqCst);
        job.run(
            &arena.config,
            &arena.folder,
            &methods,
            &Default::default(),
            &stop,
        )?;
        return Ok(());
    }
    let out = Path::new("runs/own-method");
    std::fs::create_dir_all(out)?;
    let path = out.join("config.toml");
    std::fs::write(&path, CONFIG)?;
    let arena = Arena::create(ArenaConfig::read(&path)?, out.join("arena"))?;
    arena.prepare(&methods, &Default::default())?;
    let program = std::env::current_exe()?;
    let command = |job: &Job| {
        let mut command = std::process::Command::new(&program);
        if let Job::Train { method, seed } = job {
            command
                .arg(arena.folder.path())
                .arg(method)
                .arg(seed.to_string());
        }
        command
    };
    arena.run(&command, &|| false, &mut |notice| println!("{notice:?}"))?;
    println!("the report: {}", report(&arena, methods.names())?.display());
    Ok(())
}
