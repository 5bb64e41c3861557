//! The API, as used by a normal program and by a hostile one.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use burn_flex::Flex;
use chimle_core::{
    Architecture, Colorization, Decompression, GeneratorConfig, Model, Preset, Recipe,
    SuperResolution, TaskHandle, TrainedFor, save_generator,
};
use chimle_studio::{Limits, ModelSource, Studio};
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};
use tower::ServiceExt;

const TOKEN: &str = "token-of-the-test";

fn model(architecture: Architecture, task: impl Into<TaskHandle>) -> Model<Flex> {
    let config = GeneratorConfig::preset(Preset::Tiny, architecture);
    Model::new(config.init::<Flex>(&Default::default()), task)
}

/// A server with three small models, and a client of it.
struct Server {
    router: Router,
    runtime: tokio::runtime::Runtime,
    /// The first model, to compare with.
    model: Model<Flex>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    /// Returns the lines of a stream.
    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.body.to_vec()).expect("text");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect()
    }

    /// Returns the numbers of the pictures of a stream, which must have ended with success.
    #[track_caller]
    fn pictures(&self) -> Vec<u64> {
        assert_eq!(self.status, StatusCode::OK, "{:?}", self.body);
        let lines = self.lines();
        assert_eq!(lines.last().unwrap()["event"], "done", "{lines:?}");
        let ids = lines.iter().filter(|line| line["event"] == "node");
        ids.map(|line| line["node"]["id"].as_u64().unwrap())
            .collect()
    }

    fn picture(&self) -> RgbImage {
        image::load_from_memory(&self.body)
            .expect("a picture")
            .to_rgb8()
    }

    #[track_caller]
    fn fails(&self, status: StatusCode, words: &str) {
        let error = self.json()["error"].as_str().unwrap_or_default().to_owned();
        assert_eq!(self.status, status, "{error}");
        assert!(error.contains(words), "{error}");
    }
}

impl Server {
    fn new(limits: Limits) -> Self {
        let sources = vec![
            ModelSource::new("colors", Colorization, || Ok(colors())),
            ModelSource::new("enlarges", SuperResolution, || {
                Ok(model(Architecture::SuperResolution, SuperResolution))
            }),
            ModelSource::new("cleans", Decompression, || {
                Ok(model(Architecture::ImageToImage, Decompression).with_trained_size(32, 32))
            }),
        ];
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let studio = Studio::new(sources).with_limits(limits).with_token(TOKEN);
        let router = {
            let _context = runtime.enter();
            studio.router()
        };
        Self {
            router,
            runtime,
            model: colors(),
        }
    }

    fn send(&self, request: Request<Body>) -> Answer {
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            Answer {
                status: parts.status,
                headers: parts.headers,
                body,
            }
        })
    }

    fn request(&self, method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
        let separator = if path.contains('?') { '&' } else { '?' };
        Request::builder()
            .method(method)
            .uri(format!("{path}{separator}token={TOKEN}"))
            .header("host", "127.0.0.1:7860")
            .body(body.into())
            .unwrap()
    }

    fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path, Body::empty()))
    }

    fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request("POST", path, body.to_string()))
    }

    fn bring(&self, picture: &RgbImage) -> String {
        let answer = self.send(self.request("POST", "/api/photographs", png(picture)));
        assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Begins a session with the first model, and returns its address.
    fn begin(&self, picture: &RgbImage) -> String {
        let request = json!({ "photograph": self.bring(picture), "model": 0 });
        let answer = self.post("/api/sessions", request);
        assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
        format!("/api/sessions/{}", answer.json()["id"].as_str().unwrap())
    }

    /// Requests pictures.
    fn make(&self, session: &str, request: Value) -> Answer {
        self.post(&format!("{session}/pictures"), request)
    }

    /// Chooses the third candidate of each level, and returns the finished picture.
    fn finish(&self, session: &str) -> u64 {
        let mut chosen = 0;
        for _ in 0..3 {
            let request = json!({ "make": "continue", "from": chosen, "count": 4 });
            chosen = self.make(session, request).pictures()[2];
        }
        chosen
    }
}

/// Returns a colorization model, always with the same weights.
fn colors() -> Model<Flex> {
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let config = GeneratorConfig::preset(Preset::Tiny, Architecture::Colorization);
        let generator = config.init::<Flex>(&Default::default());
        let file = folder.path().join("colors.safetensors");
        save_generator(&generator, &TrainedFor::new(Colorization), &file).unwrap();
        folder
    });
    Model::load(
        FOLDER.path().join("colors.safetensors"),
        &Default::default(),
    )
    .unwrap()
}

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(5 * x) as u8, (3 * y) as u8, (x + y) as u8])
    })
}

fn png(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[test]
fn a_picture_is_chosen_level_by_level_saved_and_made_again_from_its_recipe() {
    let server = Server::new(Limits::default());
    let photograph = picture(300, 200);
    let session = server.begin(&photograph);
    let shown = server.get(&session).json();
    assert_eq!(
        (&shown["width"], &shown["height"]),
        (&json!(256), &json!(171))
    );
    assert_eq!(
        (&shown["levels"], &shown["has_tone"]),
        (&json!(3), &json!(true))
    );

    let finished = server.finish(&session);
    let address = format!("{session}/pictures/{finished}");
    let preview = server.get(&format!("{address}/picture.png"));
    assert_eq!(preview.picture().dimensions(), (256, 171));
    assert!(
        preview.headers["cache-control"]
            .to_str()
            .unwrap()
            .contains("immutable")
    );

    assert_eq!(
        server.get(&format!("{address}/full.png")).status,
        StatusCode::NOT_FOUND
    );
    let progress = server.send(server.request("POST", &format!("{address}/full"), Body::empty()));
    assert!(
        progress
            .lines()
            .iter()
            .any(|line| line["event"] == "progress")
    );
    let full = server.get(&format!("{address}/full.png"));
    assert_eq!(full.picture().dimensions(), (300, 200));

    let recipe = server.get(&format!("{address}/recipe.json"));
    let recipe: Recipe = serde_json::from_slice(&recipe.body).unwrap();
    assert_eq!(
        server.model.follow(&recipe, &photograph).unwrap(),
        full.picture()
    );
    assert!(
        server
            .get(&format!("{session}/pictures/0/recipe.json"))
            .json()["error"]
            .is_string()
    );
}

#[test]
fn candidates_continue_where_they_ended_and_keep_their_prefix() {
    let server = Server::new(Limits::default());
    let session = server.begin(&picture(64, 48));
    let more = || {
        server.make(
            &session,
            json!({ "make": "continue", "from": 0, "count": 5 }),
        )
    };
    assert_eq!(
        (more().pictures(), more().pictures()),
        (vec![1, 2, 3, 4, 5], vec![6, 7, 8, 9, 10])
    );
    let shown = server.get(&session).json();
    let numbers: Vec<u64> = shown["pictures"].as_array().unwrap()[1..]
        .iter()
        .map(|one| one["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
    assert!(
        shown["pictures"].as_array().unwrap()[1..]
            .iter()
            .all(|one| one["parent"] == 0)
    );
}

#[test]
fn every_kind_of_change_makes_pictures_and_a_region_changes_nothing_else() {
    let server = Server::new(Limits::default());
    let photograph = picture(64, 48);
    let session = server.begin(&photograph);
    let [a, b] = [(); 2].map(|()| server.finish(&session));
    let of = |id: u64| {
        server
            .get(&format!("{session}/pictures/{id}/picture.png"))
            .picture()
    };

    let mask = json!({ "width": 64, "height": 48, "runs": [64 * 24, 64 * 24] });
    let region = json!({ "make": "region", "node": a, "mask": mask, "count": 2 });
    let changed = server.make(&session, region).pictures();
    for &id in &changed {
        let (old, new) = (of(a), of(id));
        let half = 3 * 64 * 24;
        assert_eq!(old.as_raw()[..half], new.as_raw()[..half]);
        assert_ne!(old.as_raw()[half..], new.as_raw()[half..]);
    }
    for (request, count) in [
        (json!({ "make": "tone", "node": a, "count": 2 }), 2),
        (
            json!({ "make": "texture", "node": changed[0], "count": 2 }),
            2,
        ),
        (json!({ "make": "parts", "tone": a, "texture": b }), 1),
        (
            json!({ "make": "between", "from": a, "to": b, "count": 3 }),
            3,
        ),
        (
            json!({ "make": "like", "like": [a, b], "unlike": [changed[1]], "count": 2 }),
            2,
        ),
    ] {
        let made = server.make(&session, request.clone()).pictures();
        assert_eq!(made.len(), count, "{request}");
        // Each picture has a recipe that reproduces it.
        for id in made {
            let recipe = server.get(&format!("{session}/pictures/{id}/recipe.json"));
            let recipe: Recipe = serde_json::from_slice(&recipe.body).unwrap();
            assert_eq!(
                server.model.follow(&recipe, &photograph).unwrap(),
                of(id),
                "{request}"
            );
        }
    }
    let reference = server.bring(&picture(80, 80));
    let nearest = json!({ "make": "nearest", "from": 0, "reference": reference, "pool": 9 });
    let found = server.make(&session, nearest);
    assert_eq!(found.pictures().len(), 3);
    assert!(found.lines().iter().any(|line| line["event"] == "progress"));

    let sheet = server.get(&format!("{session}/sheet.png?pictures={a},{b}"));
    assert_eq!(sheet.picture().dimensions(), (130, 48));
    let film = server.get(&format!("{session}/film.gif?pictures={a},{b}"));
    assert_eq!(&film.body[..3], b"GIF");
    let film = server.get(&format!("{session}/film.png?pictures={a},{b}"));
    assert_eq!(film.picture().dimensions(), (64, 48));
}

#[test]
fn other_tasks_bring_photographs_down_or_degrade_them() {
    let server = Server::new(Limits::default());
    let photograph = server.bring(&picture(320, 240));
    let begin = |model: u64, degrade: Value| {
        let request = json!({ "photograph": photograph, "model": model, "degrade": degrade });
        server.post("/api/sessions", request)
    };
    let enlarged = begin(1, Value::Null).json();
    assert_eq!(
        (&enlarged["degraded"], &enlarged["width"]),
        (&json!(true), &json!(256))
    );
    let thumbnail = begin(1, json!(false)).json();
    assert_eq!(
        (&thumbnail["degraded"], &thumbnail["width"]),
        (&json!(false), &json!(64 * 8))
    );
    let cleaned = begin(2, json!(true)).json();
    assert_eq!(cleaned["degraded"], true);
    begin(0, json!(true)).fails(StatusCode::UNPROCESSABLE_ENTITY, "degrade");
    // The full size is that of the photograph, and the work is done in many tiles.
    for session in [enlarged, cleaned] {
        let session = format!("/api/sessions/{}", session["id"].as_str().unwrap());
        let finished = server.finish(&session);
        let full = format!("{session}/pictures/{finished}/full");
        let lines = server
            .send(server.request("POST", &full, Body::empty()))
            .lines();
        assert_eq!(lines.last().unwrap()["event"], "done", "{lines:?}");
        let progress = lines.iter().filter(|line| line["event"] == "progress");
        assert!(progress.count() > 2, "{lines:?}");
        let full = server.get(&format!("{full}.png"));
        assert_eq!(full.picture().dimensions(), (320, 240));
    }
}

#[test]
fn the_full_size_can_be_canceled_and_is_refused_if_it_needs_too_much_memory() {
    let server = Server::new(Limits {
        memory_bytes: 64 << 20,
        ..Limits::default()
    });
    let photograph = server.bring(&picture(800, 600));
    let small = server.bring(&picture(320, 240));
    let begin = |request: Value| {
        let session = server.post("/api/sessions", request).json();
        let session = format!("/api/sessions/{}", session["id"].as_str().unwrap());
        let finished = server.finish(&session);
        (format!("{session}/pictures/{finished}/full"), session)
    };
    let (full, session) = begin(json!({ "photograph": photograph, "model": 2 }));
    let lines = std::thread::scope(|scope| {
        let work = scope.spawn(|| server.send(server.request("POST", &full, "")).lines());
        std::thread::sleep(Duration::from_millis(300));
        let stop = server.send(server.request("DELETE", &format!("{session}/work"), ""));
        assert_eq!(stop.status, StatusCode::NO_CONTENT);
        work.join().unwrap()
    });
    assert_eq!(lines.last().unwrap()["event"], "stopped", "{lines:?}");
    assert_eq!(
        server.get(&format!("{full}.png")).status,
        StatusCode::NOT_FOUND
    );

    // Two requests at once are both answered, one after the other.
    std::thread::scope(|scope| {
        let sessions = [(); 2].map(|()| begin(json!({ "photograph": small, "model": 2 })).0);
        for full in sessions {
            let server = &server;
            scope.spawn(move || server.send(server.request("POST", &full, "")).pictures());
        }
    });

    // 6400 x 4800 pixels.
    let request = json!({ "photograph": photograph, "model": 1, "degrade": false, "largest": 16 });
    let (full, _) = begin(request);
    let lines = server.send(server.request("POST", &full, "")).lines();
    let error = lines.last().unwrap()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("6400x4800"), "{error}");
}

#[test]
fn a_recipe_is_opened_and_the_person_goes_on_from_it() {
    let server = Server::new(Limits::default());
    let photograph = picture(300, 200);
    let session = server.begin(&photograph);
    let finished = server.finish(&session);
    let mask = json!({ "width": 256, "height": 171, "runs": [256 * 100, 256 * 71] });
    let region = |node: u64| json!({ "make": "region", "node": node, "mask": mask, "count": 2 });
    let edited = server.make(&session, region(finished)).pictures()[1];
    let of = |session: &str, id: &Value, name: &str| {
        server.get(&format!("{session}/pictures/{id}/{name}"))
    };
    let recipe = of(&session, &json!(edited), "recipe.json").json();

    // Neither the model nor the settings are given.
    let request = json!({ "photograph": server.bring(&photograph), "recipe": recipe });
    let opened = server.post("/api/sessions", request);
    assert_eq!(opened.status, StatusCode::CREATED, "{:?}", opened.body);
    let opened = opened.json();
    let again = format!("/api/sessions/{}", opened["id"].as_str().unwrap());
    let field = |name: &str| -> Vec<Value> {
        let pictures = opened["pictures"].as_array().unwrap();
        pictures.iter().map(|one| one[name].clone()).collect()
    };
    assert_eq!(
        field("kind"),
        ["input", "continue", "continue", "continue", "region"]
    );
    assert_eq!(field("level"), [0, 1, 2, 3, 3]);
    assert_eq!(field("number")[1..4], [3, 3, 3]);
    let marks = &opened["marks"];
    assert_eq!(marks["chosen"], 4);
    assert_eq!(marks["taken"], json!([[3, 4], [2, 3], [1, 2], [0, 1]]));
    let (old, new) = (
        of(&session, &json!(edited), "picture.png"),
        of(&again, &json!(4), "picture.png"),
    );
    assert_eq!(old.picture(), new.picture());
    assert_eq!(of(&again, &json!(4), "recipe.json").json(), recipe);

    // More candidates are those that the recipe does not have. A new region is drawn with new codes.
    let more = json!({ "make": "continue", "from": 0, "count": 3 });
    let more = server.make(&again, more).lines();
    let numbers: Vec<&Value> = more[..3]
        .iter()
        .map(|line| &line["node"]["number"])
        .collect();
    assert_eq!(numbers, [1, 2, 4]);
    let others = server.make(&again, region(3)).pictures();
    assert_eq!(others.len(), 2);
    for id in others {
        assert_ne!(
            of(&again, &json!(id), "picture.png").picture(),
            new.picture()
        );
    }
}

#[test]
fn a_recipe_that_does_not_fit_is_refused_in_one_line() {
    let server = Server::new(Limits::default());
    let photograph = picture(300, 200);
    let session = server.begin(&photograph);
    let finished = server.finish(&session);
    let recipe = server.get(&format!("{session}/pictures/{finished}/recipe.json"));
    let recipe = recipe.json();
    let brought = server.bring(&photograph);
    let open = |photograph: &str, recipe: &Value| {
        let request = json!({ "photograph": photograph, "recipe": recipe });
        server.post("/api/sessions", request)
    };
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut recipe = recipe.clone();
        change(&mut recipe);
        recipe
    };
    let unusable = StatusCode::UNPROCESSABLE_ENTITY;
    let small = server.bring(&picture(64, 48));
    open(&small, &recipe).fails(unusable, "recipe: it was made from another input");
    let mut other = photograph.clone();
    other.put_pixel(0, 0, Rgb([1, 2, 3]));
    let other = server.bring(&other);
    open(&other, &recipe).fails(unusable, "recipe: it was made from another input");
    let huge = json!({ "width": 8000, "height": 8000, "runs": [64_000_000] });
    let region = json!({ "mask": huge, "softness": 1 });
    for (recipe, words) in [
        (json!({}), "recipe: is not a recipe"),
        (json!([1, 2]), "recipe: is not a recipe"),
        (changed(&|r| r["model"] = json!("00")), "another model"),
        (changed(&|r| r["task"] = json!("inpainting")), "inpainting"),
        (changed(&|r| r["format"] = json!(7)), "format is 7"),
        (changed(&|r| r["layers"] = json!([])), "0 layers"),
        (changed(&|r| r["path"] = json!("/etc")), "path"),
        (changed(&|r| r["input"]["largest"] = json!(null)), ""),
        (
            changed(&|r| r["layers"][0]["region"] = json!(vec![&region; 5])),
            "regions",
        ),
    ] {
        let answer = open(&brought, &recipe);
        match words {
            // The photograph is small enough to be worked on at its own size.
            "" => assert_eq!(answer.status, StatusCode::CREATED),
            _ => answer.fails(unusable, words),
        }
    }
    let request = json!({ "photograph": brought, "recipe": recipe, "model": 2 });
    server
        .post("/api/sessions", request)
        .fails(unusable, "colorization");
    let request = json!({ "photograph": brought, "recipe": recipe, "seed": 1 });
    server
        .post("/api/sessions", request)
        .fails(unusable, "seed");
    let request = json!({ "photograph": brought });
    server
        .post("/api/sessions", request)
        .fails(unusable, "model: is missing");
    let large = picture(900, 20);
    let library = changed(&|r| r["input"]["largest"] = json!(null));
    open(&server.bring(&large), &library).fails(unusable, "900 pixels");
}

#[test]
fn choices_and_marks_live_as_long_as_the_session() {
    let server = Server::new(Limits::default());
    let session = server.begin(&picture(64, 48));
    let finished = server.finish(&session);
    let set = |marks: &Value| {
        let path = format!("{session}/marks");
        server.send(server.request("PUT", &path, marks.to_string()))
    };
    let marks = json!({
        "chosen": finished,
        "taken": [[0, 3], [3, 7], [7, finished]],
        "visited": [3, 2, 7, finished],
        "favorites": [finished, 2],
        "like": [5],
        "unlike": [6],
    });
    assert_eq!(server.get(&session).json()["marks"]["chosen"], 0);
    assert_eq!(set(&marks).status, StatusCode::NO_CONTENT);
    assert_eq!(server.get(&session).json()["marks"], marks);
    let unusable = StatusCode::UNPROCESSABLE_ENTITY;
    set(&json!({ "chosen": 99 })).fails(StatusCode::NOT_FOUND, "99");
    set(&json!({ "taken": [[0, 99]] })).fails(StatusCode::NOT_FOUND, "99");
    set(&json!({ "favorites": [1, 2, 1] })).fails(unusable, "picture 1 twice");
    set(&json!({ "stars": [1] })).fails(unusable, "stars");
    set(&json!({ "chosen": -1 })).fails(unusable, "body");
    // Marks that were refused change nothing.
    assert_eq!(server.get(&session).json()["marks"], marks);
}

#[test]
fn hostile_requests_are_refused_in_one_line() {
    let server = Server::new(Limits::default());
    let bring = |body: Vec<u8>| server.send(server.request("POST", "/api/photographs", body));
    let unusable = StatusCode::UNPROCESSABLE_ENTITY;
    bring(b"text that is called .jpg".to_vec()).fails(unusable, "the photograph is not");
    bring(Vec::new()).fails(unusable, "the photograph");
    // A header of 50,000 x 50,000 pixels.
    let mut huge = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    huge.extend([0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50, 8, 2, 0, 0, 0]);
    huge.extend([0xe2, 0x9c, 0x3e, 0xd9]);
    let answer = bring(huge);
    assert_eq!(answer.status, unusable, "{:?}", answer.body);
    let mut cut = png(&picture(200, 200));
    cut.truncate(cut.len() / 2);
    assert_eq!(bring(cut).status, unusable);

    let small = server.bring(&picture(1, 1));
    let begin = |request: Value| server.post("/api/sessions", request);
    begin(json!({ "photograph": small, "model": 0 })).fails(unusable, "1x1");
    let photograph = server.bring(&picture(64, 48));
    begin(json!({ "photograph": photograph, "model": 9 })).fails(StatusCode::NOT_FOUND, "model 9");
    begin(json!({ "photograph": "../../etc/passwd", "model": 0 }))
        .fails(StatusCode::NOT_FOUND, "photograph");
    for largest in [0, 7, 100_000] {
        begin(json!({ "photograph": photograph, "model": 0, "largest": largest }))
            .fails(unusable, "largest");
    }
    begin(json!({ "photograph": photograph, "model": 0, "path": "/etc" })).fails(unusable, "path");
    begin(json!([])).fails(unusable, "body");

    let session = server.begin(&picture(64, 48));
    let finished = server.finish(&session);
    let mask = |width: u64, runs: Value| json!({ "width": width, "height": 48, "runs": runs });
    for (request, word) in [
        (
            json!({ "make": "continue", "from": 0, "count": 1_000_000 }),
            "count",
        ),
        (
            json!({ "make": "continue", "from": 0, "count": 0 }),
            "count",
        ),
        (
            json!({ "make": "continue", "from": finished, "count": 1 }),
            "finished",
        ),
        (json!({ "make": "tone", "node": 0, "count": 1 }), "node"),
        (
            json!({ "make": "region", "node": finished, "count": 1, "mask": mask(64, json!([1])) }),
            "mask",
        ),
        (
            json!({ "make": "region", "node": finished, "count": 1, "mask": mask(64, json!([3072])) }),
            "mask",
        ),
        (
            json!({ "make": "region", "node": finished, "count": 1, "mask": mask(32, json!([0, 1536])) }),
            "mask",
        ),
        (
            json!({ "make": "region", "node": finished, "count": 1, "mask": mask(64, json!([0, 3072])), "softness": 4_000_000_000u64 }),
            "softness",
        ),
        (json!({ "make": "like", "like": [], "count": 1 }), "like"),
        (
            json!({ "make": "like", "like": [finished], "count": 1, "share": 7.0 }),
            "share",
        ),
        (
            json!({ "make": "nearest", "from": 0, "reference": "x", "pool": 100_000 }),
            "pool",
        ),
        (json!({ "make": "anything" }), "anything"),
    ] {
        server.make(&session, request).fails(unusable, word);
    }
    let gone = json!({ "make": "continue", "from": 4_000, "count": 1 });
    server
        .make(&session, gone)
        .fails(StatusCode::NOT_FOUND, "4000");
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = server.send(server.request("POST", &format!("{session}/pictures"), deep));
    answer.fails(unusable, "body");
    for query in [
        "",
        "?pictures=",
        "?pictures=1,x",
        "?pictures=-1",
        "?pictures=18446744073709551616",
    ] {
        server
            .get(&format!("{session}/sheet.png{query}"))
            .fails(unusable, "pictures");
    }
    for path in [
        "/api/sessions/..%2f..%2fetc%2fpasswd",
        "/api/sessions/none",
        "/../Cargo.toml",
        "/api/nothing",
    ] {
        assert_eq!(server.get(path).status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(
        server.send(server.request("PUT", "/api/models", "")).status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[test]
fn nothing_is_answered_without_the_token_or_to_other_pages() {
    let server = Server::new(Limits::default());
    let paths = [
        "/",
        "/studio.js",
        "/studio.css",
        "/icon.svg",
        "/api/models",
        "/api/status",
        "/api/nothing",
    ];
    for path in paths {
        for (host, query) in [
            ("127.0.0.1", ""),
            ("127.0.0.1", "?token=wrong-token"),
            ("evil.example", &*format!("?token={TOKEN}")),
        ] {
            let request = Request::get(format!("{path}{query}"))
                .header("host", host)
                .body(Body::empty())
                .unwrap();
            server.send(request).fails(StatusCode::FORBIDDEN, "");
        }
    }
    let page = server.get("/");
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(text.contains(&format!("studio.js?token={TOKEN}")) && !text.contains("{token}"));
    assert!(
        page.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'")
    );
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    let mut request = server.request("POST", "/api/photographs", png(&picture(9, 9)));
    request
        .headers_mut()
        .insert("origin", "http://evil.example".parse().unwrap());
    server
        .send(request)
        .fails(StatusCode::FORBIDDEN, "other pages");
}

#[test]
fn uploads_and_sessions_are_bounded_and_expire() {
    let limits = Limits {
        upload_bytes: 1000,
        sessions: 2,
        in_use: Duration::ZERO,
        idle: Duration::from_millis(300),
        pictures: 29,
        photograph_bytes: 2 * 64 * 48 * 3,
        ..Limits::default()
    };
    let server = Server::new(limits.clone());
    let noise = RgbImage::from_fn(
        64,
        48,
        |x, y| Rgb([(x * 37 + y * 91 + x * y * 17) as u8; 3]),
    );
    assert!(png(&noise).len() > 1000);
    let large = server.send(server.request("POST", "/api/photographs", png(&noise)));
    large.fails(StatusCode::PAYLOAD_TOO_LARGE, "MiB");

    let plain = RgbImage::from_pixel(64, 48, Rgb([90, 120, 40]));
    let [first, _, _] = [(); 3].map(|()| server.bring(&plain));
    // The first photograph was removed to make room for the third.
    let request = json!({ "photograph": first, "model": 0 });
    server
        .post("/api/sessions", request)
        .fails(StatusCode::NOT_FOUND, "gone");

    let sessions = [(); 3].map(|()| server.begin(&plain));
    let exist = || {
        sessions
            .iter()
            .filter(|one| server.get(one).status == StatusCode::OK)
            .count()
    };
    assert_eq!(exist(), 2);
    // A session accepts pictures up to its limit.
    let session = &sessions[2];
    let more = json!({ "make": "continue", "from": 0, "count": 5 });
    assert_eq!(server.make(session, more.clone()).pictures().len(), 5);
    server
        .make(session, more)
        .fails(StatusCode::UNPROCESSABLE_ENTITY, "29");

    std::thread::sleep(Duration::from_millis(400));
    server.begin(&plain);
    assert_eq!(exist(), 0);
    server.get(session).fails(StatusCode::NOT_FOUND, "expired");

    let in_use = Server::new(Limits {
        in_use: Duration::from_secs(60),
        idle: Duration::from_secs(60),
        ..limits
    });
    in_use.begin(&plain);
    in_use.begin(&plain);
    let request = json!({ "photograph": in_use.bring(&plain), "model": 0 });
    let busy = in_use.post("/api/sessions", request);
    busy.fails(StatusCode::SERVICE_UNAVAILABLE, "busy");
    assert!(busy.headers.contains_key("retry-after"));
}

#[test]
fn newer_work_ends_older_work_and_so_does_the_client() {
    let server = Server::new(Limits::default());
    let session = server.begin(&picture(200, 200));
    let reference = server.bring(&picture(80, 80));
    let long = json!({ "make": "nearest", "from": 0, "reference": reference, "pool": 256 });
    let path = format!("{session}/pictures");
    let begun = Instant::now();
    let events = std::thread::scope(|scope| {
        let older = scope.spawn(|| server.post(&path, long.clone()).lines());
        std::thread::sleep(Duration::from_millis(150));
        let newer = server.make(
            &session,
            json!({ "make": "continue", "from": 0, "count": 2 }),
        );
        assert_eq!(newer.pictures().len(), 2);
        older.join().unwrap()
    });
    assert_eq!(events.last().unwrap()["event"], "stopped");
    let events = std::thread::scope(|scope| {
        let work = scope.spawn(|| server.post(&path, long.clone()).lines());
        std::thread::sleep(Duration::from_millis(150));
        let stop = server.send(server.request("DELETE", &format!("{session}/work"), ""));
        assert_eq!(stop.status, StatusCode::NO_CONTENT);
        work.join().unwrap()
    });
    assert_eq!(events.last().unwrap()["event"], "stopped");
    assert!(begun.elapsed() < Duration::from_secs(20));
    // Ending a session also ends its work.
    assert_eq!(
        server.send(server.request("DELETE", &session, "")).status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(server.get(&session).status, StatusCode::NOT_FOUND);
}

#[test]
fn states_that_were_dropped_are_made_again() {
    // States are dropped at once.
    let server = Server::new(Limits {
        state_bytes: 0,
        ..Limits::default()
    });
    let photograph = picture(64, 48);
    let session = server.begin(&photograph);
    let finished = server.finish(&session);
    let mask = json!({ "width": 64, "height": 48, "runs": [1000, 1000, 1072] });
    let region =
        json!({ "make": "region", "node": finished, "mask": mask, "count": 1, "level": 2 });
    let edited = server.make(&session, region.clone()).pictures()[0];
    // The states of the first session, including the photograph's, are dropped for another session.
    server.begin(&photograph);
    let other = server.begin(&photograph);
    server.finish(&other);
    let again = server.make(&session, region).pictures()[0];
    for id in [edited, again] {
        let of = |name: &str| server.get(&format!("{session}/pictures/{id}/{name}"));
        let recipe: Recipe = serde_json::from_slice(&of("recipe.json").body).unwrap();
        assert_eq!(
            server.model.follow(&recipe, &photograph).unwrap(),
            of("picture.png").picture()
        );
    }
}
