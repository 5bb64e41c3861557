//! Tests of a whole arena: jobs that are stopped and resumed, foreign samples, results and the
//! page.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_arena::{Arena, ArenaConfig, Error, Job, Methods, Results, report};

type B = Autodiff<Flex>;

const TINY: &str = r#"
task = "tiles"
seeds = [0]
cpu_minutes = 1.0
points = [0.5, 1.0]
at_once = 2

[data]
train = { procedural = { scenes = 24 } }
test = { procedural = { scenes = 9 } }
size = 16

[measure]
inputs = 3
samples = [2, 3]
shown = 2
shown_samples = 2

[backbone]
residual_channels = [6, 6]
growth_channels = [4, 4]
rrdb_per_level = 1

[methods.mean]
steps = 6
batch = 2

[methods.bicycle-gan]
steps = 4
batch = 2
discriminator = { width = 4, scales = 1 }
encoder = { width = 4, blocks = 1 }

[methods.chimle]
steps = 4
pools = [3, 2]
schedule = { round = 4, steps_per_search = 2, batch = 2 }
"#;

fn config(folder: &Path, text: &str) -> ArenaConfig {
    let path = folder.join("tiny.toml");
    fs::write(&path, text).unwrap();
    ArenaConfig::read(&path).unwrap()
}

fn run(arena: &Arena, job: &Job, stop: &dyn Fn() -> bool) -> Result<(), Error> {
    let methods = Methods::<B>::built_in();
    job.run(
        &arena.config,
        &arena.folder,
        &methods,
        &Default::default(),
        stop,
    )
}

fn train(method: &str) -> Job {
    Job::Train {
        method: method.to_owned(),
        seed: 0,
    }
}

/// Returns all files below a folder with their contents.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let images = chimle_core::data::list_images(folder).unwrap();
    let name = |path: &Path| path.strip_prefix(folder).unwrap().display().to_string();
    images
        .files
        .iter()
        .map(|path| (name(path), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn a_run_that_was_stopped_ends_with_the_samples_of_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), TINY);
    let whole = Arena::create(config.clone(), folder.path().join("whole")).unwrap();
    let parts = Arena::create(config, folder.path().join("parts")).unwrap();
    for method in ["mean", "bicycle-gan"] {
        let job = train(method);
        run(&whole, &job, &|| false).unwrap();
        // `stop` is called once per step and once per input. Every third call stops the job, so
        // each attempt stops at a different place.
        let mut attempts = 0;
        loop {
            attempts += 1;
            assert!(attempts < 40, "it never ends");
            let left = Cell::new(3 + attempts);
            let stop = || {
                left.set(left.get() - 1);
                left.get() == 0
            };
            match run(&parts, &job, &stop) {
                Err(Error::Stopped) => assert!(!job.is_done(&parts.config, &parts.folder)),
                Ok(()) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(attempts > 2, "{attempts}");
        assert!(job.is_done(&parts.config, &parts.folder));
        for point in [0.5, 1.0] {
            let samples = |arena: &Arena| files(&arena.folder.samples_path(method, 0, point));
            let found = samples(&whole);
            assert_eq!(found.len(), 3 * 3, "three samples of three inputs");
            assert!(found == samples(&parts), "{method} at {point}");
        }
    }
}

#[test]
fn foreign_samples_are_measured_like_others_and_the_report_shows_all() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("arena");
    let methods = Methods::<B>::built_in();
    let arena = Arena::create(config(folder.path(), TINY), &out).unwrap();
    arena.prepare(&methods, &Default::default()).unwrap();
    assert_eq!(files(&out.join("inputs")).len(), 3);
    for method in ["chimle", "mean"] {
        run(&arena, &train(method), &|| false).unwrap();
    }

    // The copied samples stand for those of another program.
    let copied = arena.folder.samples_path("chimle", 0, 1.0);
    let text = format!(
        "{TINY}\n[foreign]\nother-program = {:?}\n",
        copied.display().to_string()
    );
    let arena = Arena::create(config(folder.path(), &text), &out).unwrap();
    let other = Job::Foreign {
        name: "other-program".to_owned(),
    };
    run(&arena, &other, &|| false).unwrap();

    let page = report(&arena, methods.names()).unwrap();
    let json = fs::read_to_string(arena.folder.results_path()).unwrap();
    let results: Results = serde_json::from_str(&json).unwrap();
    assert_eq!(results.missing, ["bicycle-gan, seed 0"]);
    let of = |name: &str| {
        let mut found = results.entries.iter().filter(|entry| entry.method == name);
        found.next_back().unwrap().measures.clone()
    };
    assert_eq!(of("chimle"), of("other-program"));
    let counts: Vec<usize> = of("chimle")
        .iter()
        .map(|measures| measures.samples)
        .collect();
    assert_eq!(counts, [2, 3]);
    for name in [
        "modes covered of 4",
        "distance to the nearest mode",
        "PSNR (dB), mean",
    ] {
        let found = of("mean");
        assert!(
            found[0].figures.iter().any(|figure| figure.name == name),
            "{name}"
        );
    }
    let diversity = |name: &str| {
        let measures = of(name);
        let figure = measures[1]
            .figures
            .iter()
            .find(|figure| figure.name == "diversity");
        figure.unwrap().value.unwrap()
    };
    assert_eq!(diversity("mean"), 0.0);
    assert!(diversity("chimle") > 0.0);
    let html = fs::read_to_string(page).unwrap();
    // There are two inputs. Each has one strip for itself and its truth, and one strip for each of
    // three methods.
    assert_eq!(html.matches("data:image/png;base64,").count(), 2 * 4);
    assert!(html.contains("Missing: bicycle-gan, seed 0."));

    // Measuring the samples again gives the same results.
    fs::remove_file(arena.folder.results_path()).unwrap();
    arena.measure_again::<Flex>(&Default::default()).unwrap();
    report(&arena, methods.names()).unwrap();
    assert_eq!(
        fs::read_to_string(arena.folder.results_path()).unwrap(),
        json
    );

    // The error names a missing sample.
    let gone = copied.join(format!("{}/1.png", first_input(&out)));
    fs::remove_file(gone).unwrap();
    let error = arena
        .measure_again::<Flex>(&Default::default())
        .unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("1.png") && message.contains("chimle"),
        "{message}"
    );
}

fn first_input(out: &Path) -> String {
    let name = files(&out.join("inputs"))[0].0.clone();
    name.trim_end_matches(".png").to_owned()
}

#[test]
fn an_arena_goes_on_with_its_configuration_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("arena");
    Arena::create(config(folder.path(), TINY), &out).unwrap();
    let more = format!("{TINY}\n[methods.cimle]\nsteps = 2\n");
    Arena::create(config(folder.path(), &more), &out).unwrap();
    for (from, to) in [("size = 16", "size = 32"), ("steps = 6", "steps = 7")] {
        let other = config(folder.path(), &more.replace(from, to));
        let error = Arena::create(other, &out).unwrap_err().to_string();
        assert!(
            error.contains("arena.toml") && error.contains("differs"),
            "{error}"
        );
    }
}

#[test]
fn a_method_that_cannot_be_made_is_named_before_anything_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let methods = Methods::<B>::built_in();
    for (section, expected) in [
        ("[methods.monce]", "weights.vgg16"),
        ("[methods.ddrm]", "ddrm does not apply to tiles"),
        ("[methods.gan]", "`methods.gan` is not a method"),
        ("[methods.cimle]\nrate = 1.0", "unknown field `rate`"),
    ] {
        let text = format!("{TINY}\n{section}\n");
        let out = folder.path().join("arena");
        let arena = Arena::create(config(folder.path(), &text), &out).unwrap();
        let error = arena.prepare(&methods, &Default::default()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        fs::remove_dir_all(out).unwrap();
    }
}
