//! Every error is one line that names the file or flag, with exit status 1.

mod command;

use std::fs;

use command::{SMALL, chimle, folder, photograph, train};

/// Flags of a run on the folder `photos`.
const TRAIN: &str = "train --task colorization --data photos --size 16 --steps 1 --out run";

#[test]
fn a_folder_without_images() {
    let folder = folder();
    fs::create_dir(folder.path().join("photos")).unwrap();
    chimle(folder.path(), TRAIN).fails_naming(&["photos", "no images"]);
    chimle(folder.path(), &TRAIN.replace("photos", "nowhere")).fails_naming(&["nowhere"]);
    assert!(!folder.path().join("run").exists());
}

#[test]
fn files_that_are_no_images_or_too_small() {
    let folder = folder();
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).unwrap();
    fs::write(photos.join("text.jpg"), "not a photograph").unwrap();
    chimle(folder.path(), TRAIN).fails_naming(&["text.jpg"]);
    fs::remove_file(photos.join("text.jpg")).unwrap();
    photograph(photos.join("dot.png"), 1, 1);
    chimle(folder.path(), TRAIN).fails_naming(&["dot.png", "1x1"]);

    train(folder.path(), 0);
    let sample = |input: &str| {
        chimle(
            folder.path(),
            &format!("sample --model run --input {input} --out out"),
        )
    };
    fs::write(photos.join("text.jpg"), "not a photograph").unwrap();
    sample("photos/text.jpg").fails_naming(&["text.jpg"]);
    sample("photos/dot.png").fails_naming(&["dot.png", "1x1"]);
    sample("photos/absent.png").fails_naming(&["absent.png"]);
    sample("photos").fails_naming(&["photos"]);
}

#[test]
fn a_truncated_photograph() {
    let folder = folder();
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).unwrap();
    photograph(photos.join("cut.jpg"), 64, 64);
    let whole = fs::read(photos.join("cut.jpg")).unwrap();
    fs::write(photos.join("cut.jpg"), &whole[..whole.len() / 2]).unwrap();
    chimle(folder.path(), TRAIN).fails_naming(&["cut.jpg", "truncated"]);
    train(folder.path(), 0);
    let sample = "sample --model run --input photos/cut.jpg --out out";
    chimle(folder.path(), sample).fails_naming(&["cut.jpg", "truncated"]);

    // Among usable images, it is skipped.
    for name in ["a.png", "b.png", "c.png"] {
        photograph(photos.join(name), 32, 32);
    }
    let ran = chimle(folder.path(), &format!("{TRAIN}2 {SMALL}"));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(
        ran.stderr
            .lines()
            .all(|line| line.starts_with("warning: ") && line.contains("cut.jpg")),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_image_larger_than_memory() {
    let folder = folder();
    train(folder.path(), 0);
    // The header alone says that the image is too large: 60000 x 60000 pixels of 1 bit.
    let mut bmp = b"BM".to_vec();
    bmp.extend(
        [62u32, 0, 62, 40, 60_000, 60_000]
            .iter()
            .flat_map(|v| v.to_le_bytes()),
    );
    bmp.extend([1u16, 1].iter().flat_map(|v| v.to_le_bytes()));
    bmp.extend([0u32, 0, 0, 0, 2, 0].iter().flat_map(|v| v.to_le_bytes()));
    bmp.extend([0, 0, 0, 0, 255, 255, 255, 0]);
    fs::write(folder.path().join("vast.bmp"), bmp).unwrap();
    let sample = "sample --model run --input vast.bmp --out out";
    chimle(folder.path(), sample).fails_naming(&["vast.bmp", "60000x60000", "MiB"]);
}

#[test]
fn pairs_without_partners() {
    let folder = folder();
    for (side, names) in [("night", ["a.png", "b.png"]), ("day", ["a.png", "c.png"])] {
        fs::create_dir(folder.path().join(side)).unwrap();
        for name in names {
            photograph(folder.path().join(side).join(name), 32, 32);
        }
    }
    let flags = "train --task night-to-day --pairs night day --size 16 --steps 1 --out run";
    chimle(folder.path(), flags).fails_naming(&["night", "day", "b, c"]);
    chimle(
        folder.path(),
        &flags.replace("night-to-day", "colorization"),
    )
    .fails_naming(&["colorization", "photographs"]);
}

#[test]
fn settings_that_cannot_work() {
    let folder = folder();
    let train = |flags: &str| {
        chimle(
            folder.path(),
            &format!("train --task colorization --data procedural --steps 1 --out run {flags}"),
        )
    };
    train("--size 18").fails_naming(&["--size", "18", "multiple of 4"]);
    train("--pool 4,2").fails_naming(&["2 levels", "3"]);
    train("--pool 4,0,1").fails_naming(&["level 2"]);
    train("--learning-rate=-1").fails_naming(&["learning_rate"]);
    train("--perceptual absent.safetensors").fails_naming(&["absent.safetensors"]);
    assert!(!folder.path().join("run").exists());
}

#[test]
fn weights_that_cannot_be_had() {
    let folder = folder();
    let path = folder.path();
    let unknown = chimle(path, "weights vgg19");
    assert_eq!(unknown.status, 2, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("vgg16"), "{}", unknown.stderr);

    // Nobody listens on this port after it is dropped.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", port.local_addr().unwrap());
    drop(port);
    let refused = chimle(path, &format!("weights lpips-vgg16 --mirror {address}/"));
    assert_eq!((refused.status, refused.stdout.as_str()), (1, ""));
    let reason = refused.stderr.lines().last().unwrap();
    let url = format!("{address}/lpips_v0.1_vgg.pth");
    let place = path.join("cache").join("lpips_v0.1_vgg.pth");
    for word in [&url, place.to_str().unwrap()] {
        assert!(reason.contains(word), "{word:?} is not in {reason:?}");
    }

    fs::write(&place, b"damaged").unwrap();
    chimle(path, "weights lpips-vgg16").fails_naming(&["lpips_v0.1_vgg.pth", "SHA-256", "remove"]);
    let list = chimle(path, "weights").succeeds();
    let here: Vec<&str> = list
        .stdout
        .lines()
        .filter(|line| line.contains("here"))
        .collect();
    assert!(
        matches!(here[..], [line] if line.starts_with("lpips-vgg16")),
        "{}",
        list.stdout
    );

    let train =
        "train --task colorization --data procedural --steps 1 --out run --perceptual vgg16";
    chimle(path, train).fails_naming(&["--perceptual", "chimle weights vgg16"]);
}

#[test]
fn a_configuration_with_an_unknown_or_missing_key() {
    let folder = folder();
    train(folder.path(), 0);
    let text = fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    let with = |text: String| {
        fs::write(folder.path().join("changed.toml"), text).unwrap();
        chimle(
            folder.path(),
            "train --config changed.toml --steps 1 --out other",
        )
    };
    with(text.replace("learning_rate", "learnig_rate"))
        .fails_naming(&["changed.toml", "learnig_rate"]);
    with(text.replace("batch = 2", "")).fails_naming(&["changed.toml", "batch"]);
    with(text.replace("batch = 2", "batch = 0")).fails_naming(&["changed.toml", "batch"]);
    with(text.replace("batch = 2", "batch =")).fails_naming(&["changed.toml", "line"]);
    with(text).succeeds();
}

#[test]
fn checkpoints_cut_short_or_of_another_configuration() {
    let folder = folder();
    let path = folder.path();
    train(path, 2);
    let newest = path.join("run/checkpoints/step-00000002");
    photograph(path.join("photo.png"), 16, 16);

    let config = fs::read_to_string(path.join("run/config.toml")).unwrap();
    fs::write(
        path.join("run/config.toml"),
        config.replace("latent = 32", "latent = 40"),
    )
    .unwrap();
    chimle(path, "train --resume run").fails_naming(&["generator.safetensors", "32", "40"]);
    fs::write(path.join("run/config.toml"), config).unwrap();

    for name in ["generator.safetensors", "adam.mpk", "position.json"] {
        let whole = fs::read(newest.join(name)).unwrap();
        fs::write(newest.join(name), &whole[..whole.len() / 2]).unwrap();
        if name == "generator.safetensors" {
            chimle(path, "sample --model run --input photo.png --out out").fails_naming(&[name]);
            chimle(path, "evaluate --model run --data procedural").fails_naming(&[name]);
            chimle(path, "export --model run --out model.safetensors").fails_naming(&[name]);
        }
        // The run resumes from the checkpoint before it, and writes it again.
        let resumed = chimle(path, "train --resume run");
        assert_eq!(resumed.status, 0, "{}", resumed.stderr);
        let warning = resumed.stderr.strip_prefix("warning: ").unwrap();
        assert!(
            warning.contains(name) && warning.contains("from step 0"),
            "{warning}"
        );
        chimle(path, "train --resume run").succeeds();
    }
    for step in [0, 2] {
        let checkpoint = path.join(format!("run/checkpoints/step-0000000{step}"));
        fs::write(checkpoint.join("adam.mpk"), "").unwrap();
    }
    chimle(path, "train --resume run").fails_naming(&["step-00000002", "adam.mpk"]);
}

#[test]
fn folders_that_cannot_be_written_or_hold_a_run() {
    let folder = folder();
    train(folder.path(), 0);
    fs::write(folder.path().join("file"), "").unwrap();
    photograph(folder.path().join("photo.png"), 16, 16);
    let run = |flags: &str| chimle(folder.path(), flags);
    run("train --task colorization --data procedural --steps 1 --out file/run")
        .fails_naming(&["file/run"]);
    run("train --task colorization --data procedural --steps 1 --out run")
        .fails_naming(&["run", "already"]);
    run("sample --model run --input photo.png --out file/out").fails_naming(&["file/out"]);
    run("evaluate --model run --data procedural --out file/numbers.json").fails_naming(&["file"]);
    run("export --model run --out file/model.safetensors").fails_naming(&["file"]);
    run("export --model run --out model.pth").fails_naming(&["--out", "model.pth"]);
    run("quickstart --out file/quick").fails_naming(&["file/quick"]);
}

#[test]
fn folders_that_hold_no_run() {
    let folder = folder();
    photograph(folder.path().join("photo.png"), 16, 16);
    fs::create_dir(folder.path().join("bare")).unwrap();
    chimle(folder.path(), "train --resume bare").fails_naming(&["bare"]);
    chimle(
        folder.path(),
        "sample --model bare --input photo.png --out out",
    )
    .fails_naming(&["bare"]);
    chimle(
        folder.path(),
        "sample --model absent --input photo.png --out out",
    )
    .fails_naming(&["absent"]);
    chimle(
        folder.path(),
        "sample --model photo.png --input photo.png --out out",
    )
    .fails_naming(&["photo.png"]);
}

#[test]
fn a_folder_without_reference_numbers() {
    let folder = folder();
    fs::create_dir(folder.path().join("bare")).unwrap();
    fs::write(folder.path().join("bare/metrics.json"), "{}").unwrap();
    chimle(folder.path(), "verify --reference bare").fails_naming(&["nothing was checked", "bare"]);
}

#[cfg(not(any(feature = "cuda", feature = "wgpu")))]
#[test]
fn devices_that_are_not_compiled_in() {
    let folder = folder();
    for device in ["cuda", "wgpu"] {
        let flags = format!("quickstart --device {device}");
        chimle(folder.path(), &flags).fails_naming(&["--device", &format!("--features {device}")]);
    }
}

#[test]
fn a_wrong_command_line_is_another_status() {
    let folder = folder();
    for flags in [
        "train --task colour --data procedural --out run",
        "train --resume run --batch 3",
        "sample",
        "dream",
    ] {
        assert_eq!(chimle(folder.path(), flags).status, 2, "{flags}");
    }
}

#[test]
fn numbers_that_are_too_large_get_an_error_that_names_the_bounds() {
    let folder = folder();
    let path = folder.path();
    train(path, 1);
    photograph(path.join("photo.png"), 16, 16);
    let config = fs::read_to_string(path.join("run/config.toml")).unwrap();
    let of_flags = [
        (
            "sample --model run --input photo.png --out out --samples 1000000000000000",
            "10000",
        ),
        (
            "sample --model run --input photo.png --out out --samples 1e15",
            "10000",
        ),
        (
            "sample --model run --input photo.png --out out --size 99999",
            "65535",
        ),
        (
            "evaluate --model run --data procedural --samples 1000000000000000",
            "10000",
        ),
        (
            "evaluate --model run --data procedural --set-resamples 1000000000",
            "65536",
        ),
        ("page run --samples 1000000000000", "10000"),
        (
            "train --task colorization --data procedural --out new --batch 1000000000000",
            "65536",
        ),
        (
            "train --task colorization --data procedural --out new --share 1000000000000",
            "1000000000",
        ),
        (
            "train --task colorization --data procedural --out new --chunk 1000000000",
            "65536",
        ),
        (
            "train --task colorization --data procedural --out new --minutes 1e300",
            "0 or more",
        ),
    ];
    for (flags, bound) in of_flags {
        let ran = chimle(path, flags);
        assert_eq!(ran.status, 2, "{flags}: {}", ran.stderr);
        assert!(ran.stderr.contains(bound), "{flags}: {}", ran.stderr);
    }
    let most = u64::MAX;
    let new = "train --task colorization --data procedural --out new";
    for (flags, words) in [
        (
            format!("{new} --steps {most}"),
            ["training.steps", "1000000000000"],
        ),
        (
            format!("train --resume run --steps {most}"),
            ["training.steps", "1000000000000"],
        ),
        (format!("{new} --pool 4,2,{most}"), ["pools", "10000000"]),
        (
            format!("{new} --share 1000000000"),
            ["training.round", "10000000"],
        ),
        (
            format!("orchestrate --listen 127.0.0.1:0 --nodes {most}"),
            ["nodes", "1024"],
        ),
    ] {
        chimle(path, &flags).fails_naming(&words);
    }
    for (setting, hostile, words) in [
        (
            "scenes = 512",
            format!("scenes = {}", 1u64 << 60),
            ["scenes", "10000000"],
        ),
        (
            "scenes = 512",
            "scenes = 0".to_owned(),
            ["scenes", "from 1"],
        ),
        (
            "threads = ",
            "threads = 1000000 #".to_owned(),
            ["data.threads", "1024"],
        ),
        (
            "latent = 32",
            "latent = 1099511627776".to_owned(),
            ["latent", "65536"],
        ),
        (
            "batch = 2",
            "batch = 1000000000000".to_owned(),
            ["training.batch", "65536"],
        ),
        (
            "steps = 1\n",
            format!("steps = {}\n", i64::MAX),
            ["training.steps", "1000000000000"],
        ),
        (
            "checkpoint_every = ",
            format!("checkpoint_every = {} #", i64::MAX),
            ["checkpoint_every", "1000000000000"],
        ),
        (
            "chunk = ",
            "chunk = 100000000 #".to_owned(),
            ["search.chunk", "65536"],
        ),
        (
            "height = 16",
            "height = 1099511627776".to_owned(),
            ["height", "65535"],
        ),
        ("held_out = ", "held_out = -1 #".to_owned(), ["line", "-1"]),
    ] {
        assert!(config.contains(setting), "{setting} is not in config.toml");
        fs::write(path.join("hostile.toml"), config.replace(setting, &hostile)).unwrap();
        let run = chimle(path, "train --config hostile.toml --out new");
        run.fails_naming(&["hostile.toml", words[0], words[1]]);
    }
    assert!(!path.join("new").exists());

    let newest = path.join("run/checkpoints/step-00000001");
    fs::remove_dir_all(path.join("run/checkpoints/step-00000000")).unwrap();
    fs::remove_file(newest.join("SHA256SUMS")).unwrap();
    let round = r#"{"index":0,"steps":1,"searched":true,"chosen":[[0,[]]]}"#;
    let position = format!(r#"{{"step":1,"round":{round}}}"#);
    fs::write(newest.join("position.json"), position).unwrap();
    chimle(path, "train --resume run --steps 2").fails_naming(&["step-00000001", "position.json"]);
}

#[test]
fn a_model_file_that_claims_what_it_does_not_hold() {
    let folder = folder();
    let path = folder.path();
    train(path, 0);
    photograph(path.join("photo.png"), 16, 16);
    // The file has one number, but its configuration asks for too many channels.
    for (channels, words) in [("1099511627776", "65536"), ("2000", "level_")] {
        let config = format!(
            r#"{{"architecture":"colorization","in_channels":1,"out_channels":2,"code_channels":5,"residual_channels":[{channels},24,16],"growth_channels":[16,12,8],"rrdb_per_level":1,"map_code":16,"latent":32,"linear_scale":1.0}}"#
        );
        let metadata = serde_json::json!({ "chimle.generator": config }).to_string();
        let header = serde_json::json!({
            "__metadata__": { "chimle": metadata },
            "w": { "dtype": "F32", "shape": [1], "data_offsets": [0, 4] },
        });
        let header = header.to_string();
        let length = (header.len() as u64).to_le_bytes();
        let bytes = [&length[..], header.as_bytes(), &[0; 4]].concat();
        assert!(bytes.len() < 1024);
        fs::write(path.join("hostile.safetensors"), bytes).unwrap();
        let sample = "sample --model hostile.safetensors --input photo.png --out out";
        chimle(path, sample).fails_naming(&["hostile.safetensors", words]);
    }
}

#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_cost_a_warning() {
    use std::os::unix::fs::symlink;
    let folder = folder();
    let path = folder.path();
    fs::create_dir(path.join("photos")).unwrap();
    for name in ["a.png", "b.png", "c.png"] {
        photograph(path.join("photos").join(name), 32, 32);
    }
    symlink("missing.png", path.join("photos/dangling.png")).unwrap();
    symlink(".", path.join("photos/circle")).unwrap();
    let warned = |ran: command::Ran| {
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert!(
            lines
                .iter()
                .all(|line| line.starts_with("warning: skipped: ")),
            "{lines:?}"
        );
        for name in ["dangling.png", "circle"] {
            assert!(lines.iter().any(|line| line.contains(name)), "{lines:?}");
        }
    };
    warned(chimle(path, &format!("{TRAIN} {SMALL}")));
    warned(chimle(
        path,
        "sample --model run --input photos --samples 2 --out out",
    ));
}

/// Names that are not UTF-8, and names that a terminal would obey.
#[cfg(target_os = "linux")]
#[test]
fn names_of_any_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    let path = folder.path();
    let photos = OsStr::from_bytes(b"photos\xff");
    let run = OsStr::from_bytes(b"run\xff\xff");
    let out = OsStr::from_bytes(b"out\xfe\xff");
    let photo = OsStr::from_bytes(b"a\xff.png");
    fs::create_dir(path.join(photos)).unwrap();
    for name in [
        photo,
        OsStr::from_bytes(b"b.png"),
        OsStr::from_bytes(b"a\xfe.png"),
    ] {
        photograph(path.join(photos).join(name), 32, 32);
    }
    let with = |arguments: &[&OsStr]| command::chimle_with(path, arguments);
    let words = |text: &'static str| text.split(' ').map(OsStr::new).collect::<Vec<_>>();
    let train = [
        words("train --task colorization --size 16 --steps 2 --data"),
        vec![photos],
    ];
    let small: Vec<&OsStr> = SMALL.split(' ').map(OsStr::new).collect();
    let train = [train.concat(), words("--out"), vec![run], small].concat();
    with(&train).succeeds();
    with(&[words("train --resume"), vec![run], words("--steps 3")].concat()).succeeds();
    let input = path.join(photos).join(photo);
    let model = [words("sample --samples 2 --model"), vec![run]].concat();
    let sample = [model.clone(), words("--input"), vec![input.as_os_str()]].concat();
    with(&[sample, words("--out"), vec![out]].concat()).succeeds();
    // The outputs of the two names that are not UTF-8 are different files.
    let sample = [
        model,
        words("--input"),
        vec![photos],
        words("--out"),
        vec![out],
    ]
    .concat();
    with(&sample).succeeds();
    for name in [&b"a\xff-01.png"[..], b"a\xfe-01.png", b"b-01.png"] {
        assert!(
            path.join(out).join(OsStr::from_bytes(name)).is_file(),
            "{name:?}"
        );
    }
    with(&[words("page"), vec![run]].concat()).succeeds();

    let hostile = "\u{1b}]0;title\u{7}\u{1b}[2J.png";
    fs::write(path.join(photos).join(hostile), "no image").unwrap();
    let sampled = with(&sample);
    let resumed = with(&[words("train --steps 4 --resume"), vec![run]].concat());
    let wrong = with(&[OsStr::new("film"), OsStr::new("a"), OsStr::new(hostile)]);
    for ran in [sampled, resumed, wrong] {
        assert!(ran.stderr.contains(".png"), "{}", ran.stderr);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(['\u{1b}', '\u{7}']));
    }
}
