//! `chimle studio`, and the pictures of its recipes.

#![cfg(feature = "studio")]

mod command;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use burn_flex::Flex;
use chimle_core::{Code, DraftConfig, Mask, Model, Region, read_rgb};
use command::{SMALL, chimle, photograph, train};
use image::RgbImage;

/// A folder with a run and a photograph.
fn trained() -> tempfile::TempDir {
    let folder = command::folder();
    train(folder.path(), 1);
    photograph(folder.path().join("photo.png"), 90, 60);
    folder
}

/// Writes the recipe of a picture with a region, and returns the picture at full size.
fn write_recipe(folder: &Path) -> RgbImage {
    let model = Model::<Flex>::load(folder.join("run"), &Default::default()).unwrap();
    let photograph = read_rgb(folder.join("photo.png")).unwrap();
    let config = DraftConfig {
        seed: 4,
        largest: Some(48),
        degrade: false,
    };
    let start = model.draft(&photograph, config).unwrap();
    let old = model
        .advance_by(&start, &[5, 1, 3].map(Code::Drawn))
        .unwrap();
    let mask = Mask::from_fn(48, 32, |x, _| x < 20);
    let codes: Vec<Code> = (old.codes().iter())
        .map(|code| Code::within(mask.clone(), Code::Drawn(9), code.clone()))
        .collect();
    let new = model.advance_by(&start, &codes).unwrap();
    let chosen = old.within(Region::new(mask), &new).unwrap();
    let json = serde_json::to_string(&chosen.recipe()).unwrap();
    std::fs::write(folder.join("recipe.json"), json).unwrap();
    model
        .finish(&chosen, &photograph, u64::MAX, &mut |_, _| true)
        .unwrap()
}

#[test]
fn a_recipe_is_followed_bit_for_bit_and_only_with_its_model_and_photograph() {
    let folder = trained();
    let folder = folder.path();
    let expected = write_recipe(folder);
    let sample = "sample --device cpu --model run --input photo.png --out out --recipe";
    chimle(folder, &format!("{sample} recipe.json")).succeeds();
    assert_eq!(
        read_rgb(folder.join("out/photo-recipe.png")).unwrap(),
        expected
    );

    std::fs::write(folder.join("text.json"), "no recipe").unwrap();
    chimle(folder, &format!("{sample} text.json")).fails_naming(&["text.json", "no recipe"]);
    chimle(folder, &format!("{sample} nowhere.json")).fails_naming(&["nowhere.json"]);
    chimle(folder, &format!("{sample} recipe.json --samples 3")).fails_with_usage("--samples");

    expected.save(folder.join("photo.png")).unwrap();
    chimle(folder, &format!("{sample} recipe.json"))
        .fails_naming(&["recipe.json", "another input"]);
    let flags =
        "train --task colorization --data procedural --size 16 --steps 1 --seed 1 --out other";
    chimle(folder, &format!("{flags} {SMALL}")).succeeds();
    let sample = sample.replace("--model run", "--model other");
    chimle(folder, &format!("{sample} recipe.json"))
        .fails_naming(&["recipe.json", "another model"]);
    let sample = sample.replace("--model other", "--model run");
    expected.save(folder.join("photo.png")).unwrap();
    chimle(folder, &format!("{sample} recipe.json"))
        .fails_naming(&["recipe.json", "another input"]);
}

struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn the_page_is_served_to_those_who_have_the_token() {
    let folder = trained();
    let mut child = Command::new(env!("CARGO_BIN_EXE_chimle"))
        .current_dir(folder.path())
        .args(["studio", "--device", "cpu", "--port", "0", "--no-open"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let served = Served(child);
    let line = lines.next().unwrap().unwrap();
    let address = line.split("http://").nth(1).unwrap();
    let (host, path) = address.split_once('/').unwrap();
    let get = |path: &str| {
        let mut stream = TcpStream::connect(host).unwrap();
        write!(
            stream,
            "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(host.starts_with("127.0.0.1:"), "{host}");
    assert!(
        get(path).starts_with("HTTP/1.1 200") && get(path).contains("<title>chimle studio</title>")
    );
    // The run in the current folder was found.
    let token = path.split_once("token=").unwrap().1;
    assert!(get(&format!("api/models?token={token}")).contains("\"name\":\"run\""));
    assert!(get("").starts_with("HTTP/1.1 403"));
    assert!(
        get(&format!("api/models?token={}", "x".repeat(token.len()))).starts_with("HTTP/1.1 403")
    );
    drop(served);
}

#[test]
fn what_cannot_be_served_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    chimle(folder, "studio --device cpu --no-open --model nowhere").fails_naming(&["nowhere"]);
    chimle(folder, "studio --listen 0.0.0.0 --no-open").fails_with_usage("--token");
    chimle(folder, "studio --token short").fails_with_usage("--token");
    chimle(folder, "studio --host a.example").fails_with_usage("--listen");
}
