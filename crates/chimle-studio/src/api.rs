//! The calls under `/api`, for the page and for other programs.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use chimle_core::data::{Sizes, decode_rgb};
use chimle_core::{DraftConfig, Kernels, NightToDay, Recipe, Sheet, Task, TaskHandle};
use chimle_show::film;
use image::RgbImage;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::app::App;
use crate::catalog::{is_degradable, is_enlarging};
use crate::error::ApiError;
use crate::make::{Effort, Ended, Listener, Make, Stopped, Told, png};
use crate::page;
use crate::session::{Marks, NodeInfo, Session};

type Shared<B> = State<Arc<App<B>>>;
type Answer = Result<Response, ApiError>;

/// The time that a client may take to send a request.
const BODY_WAIT: Duration = Duration::from_secs(60);
/// The maximum size of a JSON body, in bytes. The largest bodies contain a mask.
const JSON_BYTES: usize = 4 << 20;
/// The time that a client may take to read a line.
const READ_WAIT: Duration = Duration::from_secs(30);
/// The maximum number of lines that wait for a slow client.
const LINES: usize = 64;

/// Returns the routes of all calls and of the page's files.
pub(crate) fn router<B: Kernels>() -> Router<Arc<App<B>>> {
    Router::new()
        .route("/", get(html))
        .route(
            "/studio.css",
            get(|| file("text/css; charset=utf-8", page::STYLE)),
        )
        .route(
            "/studio.js",
            get(|| file("text/javascript; charset=utf-8", page::SCRIPT)),
        )
        .route("/icon.svg", get(|| file("image/svg+xml", page::ICON)))
        .route("/api/status", get(status::<B>))
        .route("/api/models", get(models::<B>))
        .route("/api/photographs", post(add_photograph::<B>))
        .route("/api/photographs/example", post(add_example::<B>))
        .route(
            "/api/photographs/{photograph}/picture.png",
            get(photograph::<B>),
        )
        .route("/api/sessions", post(begin::<B>))
        .route("/api/sessions/{session}", get(show::<B>).delete(end::<B>))
        .route("/api/sessions/{session}/marks", put(mark::<B>))
        .route("/api/sessions/{session}/pictures", post(make::<B>))
        .route("/api/sessions/{session}/work", delete(stop::<B>))
        .route(
            "/api/sessions/{session}/pictures/{picture}/picture.png",
            get(picture::<B>),
        )
        .route(
            "/api/sessions/{session}/pictures/{picture}/recipe.json",
            get(recipe::<B>),
        )
        .route(
            "/api/sessions/{session}/pictures/{picture}/full",
            post(make_full::<B>),
        )
        .route(
            "/api/sessions/{session}/pictures/{picture}/full.png",
            get(full::<B>),
        )
        .route("/api/sessions/{session}/sheet.png", get(sheet::<B>))
        .route("/api/sessions/{session}/film.gif", get(film_gif::<B>))
        .route("/api/sessions/{session}/film.png", get(film_png::<B>))
        .fallback(|| async { ApiError::NotFound("there is nothing at this address".to_owned()) })
        .method_not_allowed_fallback(|| async {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            (
                status,
                Json(serde_json::json!({ "error": "this address does not accept this method" })),
            )
        })
}

async fn html(request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let token = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("token="))
        .unwrap_or_default();
    // The token was checked, so it contains only letters, digits, hyphens and underscores.
    typed(
        "text/html; charset=utf-8",
        page::HTML.replace("{token}", token),
    )
}

async fn file(kind: &'static str, content: &'static str) -> Response {
    typed(kind, content)
}

fn typed(kind: &'static str, content: impl Into<Body>) -> Response {
    let mut response = Response::new(content.into());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Answers with a picture that never changes at its address.
fn fixed_png(bytes: Bytes) -> Response {
    let mut response = typed("image/png", bytes);
    let forever = HeaderValue::from_static("private, max-age=86400, immutable");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, forever);
    response
}

/// Offers content as a file to save.
fn download(mut response: Response, name: &str) -> Response {
    let value = format!("attachment; filename=\"{name}\"");
    if let Ok(value) = HeaderValue::from_str(&value) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// Reads the body of a request, which must have at most `most` bytes and arrive within [`BODY_WAIT`].
async fn body(request: Request, most: usize) -> Result<Bytes, ApiError> {
    let read = tokio::time::timeout(BODY_WAIT, to_bytes(request.into_body(), most)).await;
    let too_large = |_| {
        ApiError::TooLarge(format!(
            "the body is larger than {} MiB, or the connection broke off",
            most >> 20
        ))
    };
    read.map_err(|_| ApiError::Slow)?.map_err(too_large)
}

/// Reads the body of a request as JSON.
async fn json<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    let bytes = body(request, JSON_BYTES).await?;
    serde_json::from_slice(&bytes).map_err(|error| ApiError::field("body", error.to_string()))
}

/// Does work on a thread that may block. A panic becomes an error.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(move || {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(defect(&*panic)))
    });
    done.await
        .unwrap_or_else(|_| Err(ApiError::Internal("a thread ended".to_owned())))
}

/// Converts a panic to an error. A device that ran out of memory also panics, and gets an error of its own.
fn defect(panic: &(dyn std::any::Any + Send)) -> ApiError {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("no message");
    match chimle_core::explain(text) {
        Some(error) => error.into(),
        None => ApiError::Internal(text.to_owned()),
    }
}

#[derive(Serialize)]
struct Status {
    version: &'static str,
    sessions: usize,
    photographs: usize,
    limits: LimitsShown,
}

#[derive(Serialize)]
struct LimitsShown {
    upload_bytes: usize,
    pixels: u64,
    candidates: usize,
    largest: u32,
}

async fn status<B: Kernels>(State(app): Shared<B>) -> Json<Status> {
    let (sessions, photographs) = app.held();
    Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        sessions,
        photographs,
        limits: LimitsShown {
            upload_bytes: app.limits.upload_bytes,
            pixels: app.limits.pixels,
            candidates: app.limits.candidates,
            largest: app.limits.largest,
        },
    })
}

async fn models<B: Kernels>(State(app): Shared<B>) -> Response {
    let cards: Vec<_> = app
        .models
        .iter()
        .enumerate()
        .map(|(id, entry)| entry.card(id))
        .collect();
    Json(serde_json::json!({ "models": cards })).into_response()
}

#[derive(Serialize)]
struct PhotographShown {
    id: String,
    width: u32,
    height: u32,
}

async fn add_photograph<B: Kernels>(State(app): Shared<B>, request: Request) -> Answer {
    let upload = app.upload()?;
    let bytes = body(request, app.limits.upload_bytes).await?;
    let slot = app.slot()?;
    let shown = blocking(move || {
        let (_upload, _slot) = (upload, slot);
        let image = decode_rgb("the photograph", &bytes, app.limits.pixels)
            .map_err(|error| ApiError::field("photograph", error.to_string()))?;
        app.shown(image)
    });
    Ok((StatusCode::CREATED, Json(shown.await?)).into_response())
}

#[derive(Deserialize)]
struct ExampleOf {
    model: Option<usize>,
}

async fn add_example<B: Kernels>(State(app): Shared<B>, Query(of): Query<ExampleOf>) -> Answer {
    let slot = app.slot()?;
    let shown = blocking(move || {
        let _slot = slot;
        let entry = of.model.map(|id| app.entry(id)).transpose()?;
        let image = match entry.and_then(|entry| entry.example()) {
            Some(example) => example.clone(),
            None => scene()?,
        };
        app.shown(image)
    });
    Ok((StatusCode::CREATED, Json(shown.await?)).into_response())
}

/// Draws the default example: a procedural scene of a village by day.
fn scene() -> Result<RgbImage, ApiError> {
    let sizes = Sizes::new(&NightToDay, 1, 256, 384).map_err(chimle_core::Error::from)?;
    let scene = NightToDay
        .scene(&sizes, 3)
        .map_err(chimle_core::Error::from)?;
    let picture = scene.outputs.into_iter().next();
    picture.ok_or_else(|| ApiError::Internal("a scene without a picture".to_owned()))
}

impl<B: Kernels> App<B> {
    fn shown(&self, image: RgbImage) -> Result<PhotographShown, ApiError> {
        let (width, height) = image.dimensions();
        let id = self.add_photograph(image)?;
        Ok(PhotographShown { id, width, height })
    }
}

async fn photograph<B: Kernels>(State(app): Shared<B>, Path(id): Path<String>) -> Answer {
    let slot = app.slot()?;
    let bytes = blocking(move || {
        let _slot = slot;
        let image = app.photograph(&id)?;
        let (width, height) = image.dimensions();
        let most = width.max(height).max(1);
        let side = |side: u32| (u64::from(side) * 512).div_ceil(u64::from(most)).max(1) as u32;
        if most <= 512 {
            return png(&image, Effort::Fast);
        }
        png(
            &image::imageops::thumbnail(&*image, side(width), side(height)),
            Effort::Fast,
        )
    });
    Ok(fixed_png(bytes.await?))
}

/// The request that begins a session.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    photograph: String,
    /// The model. With a recipe, the default is the model of the recipe.
    model: Option<usize>,
    /// A recipe whose pictures the session begins with. It sets the other fields, which must be absent.
    recipe: Option<serde_json::Value>,
    /// The longer side of previews, in pixels.
    largest: Option<u32>,
    /// Whether to make the task's input from the photograph. By default, this is done only for models that
    /// enlarge, if the photograph is not small.
    degrade: Option<bool>,
    /// The seed of the candidates. The default is 0.
    seed: Option<u64>,
}

/// The maximum side of a photograph that counts as small for models that enlarge.
const SMALL_SIDE: u32 = 96;

/// The default of the longer side of the input, for models that enlarge.
const USUAL_SMALL_SIDE: u32 = 64;

#[derive(Serialize)]
struct SessionShown {
    id: String,
    model: usize,
    task: String,
    levels: usize,
    /// Whether the codes have a global part, so that tone and texture are separate.
    has_tone: bool,
    /// The size of previews.
    width: u32,
    height: u32,
    /// The size of the photograph.
    photograph: [u32; 2],
    degraded: bool,
    pictures: Vec<NodeInfo>,
    marks: Marks,
}

impl SessionShown {
    fn new<B: Kernels>(id: String, session: &Session<B>) -> Self {
        use chimle_core::NetworkConfig as _;
        let (width, height) = session.size();
        let (photograph_width, photograph_height) = session.photograph.dimensions();
        let tree = session.tree();
        Self {
            id,
            model: session.model_id,
            task: session.model.task().name().to_owned(),
            levels: session.model.config().levels(),
            has_tone: session.model.config().global_values() > 0,
            width,
            height,
            photograph: [photograph_width, photograph_height],
            degraded: session.config.degrade,
            pictures: tree.infos(),
            marks: tree.marks(),
        }
    }
}

async fn begin<B: Kernels>(State(app): Shared<B>, request: Request) -> Answer {
    let begin: Begin = json(request).await?;
    let slot = app.slot()?;
    let shown = blocking(move || {
        let _slot = slot;
        let photograph = app.photograph(&begin.photograph)?;
        app.tidy(None);
        let session = match &begin.recipe {
            Some(recipe) => {
                if begin.largest.is_some() || begin.degrade.is_some() || begin.seed.is_some() {
                    return Err(ApiError::field(
                        "recipe",
                        "sets largest, degrade and seed, so they must be absent",
                    ));
                }
                app.open_recipe(recipe, begin.model, photograph)?
            }
            None => app.begin(&begin, photograph)?,
        };
        let id = app.add_session(session)?;
        let session = app.session(&id)?;
        app.tidy(Some(&session));
        Ok(SessionShown::new(id, &session))
    });
    Ok((StatusCode::CREATED, Json(shown.await?)).into_response())
}

impl<B: Kernels> App<B> {
    /// Begins a session without pictures.
    fn begin(&self, begin: &Begin, photograph: Arc<RgbImage>) -> Result<Session<B>, ApiError> {
        let missing = || ApiError::field("model", "is missing");
        let id = begin.model.ok_or_else(missing)?;
        let entry = self.entry(id)?;
        let task = entry.task();
        let longer = photograph.width().max(photograph.height());
        let degrade = begin
            .degrade
            .unwrap_or(is_enlarging(task) && longer > SMALL_SIDE);
        if degrade && !is_degradable(task) {
            return Err(ApiError::field(
                "degrade",
                format!("cannot be used for {task}"),
            ));
        }
        let most = self.largest(task, degrade);
        let usual = match is_enlarging(task) && !degrade {
            true => USUAL_SMALL_SIDE,
            false => self.limits.usual,
        };
        let largest = begin.largest.unwrap_or(usual);
        if !(8..=most).contains(&largest) {
            return Err(ApiError::field(
                "largest",
                format!("must be from 8 to {most}"),
            ));
        }
        let config = DraftConfig {
            seed: begin.seed.unwrap_or_default(),
            largest: Some(largest),
            degrade,
        };
        let (model, draft) = self.in_turn(|| -> Result<_, ApiError> {
            let model = entry.model()?;
            let draft = model.draft(&photograph, config)?;
            Ok((model, draft))
        })?;
        let input = png(draft.picture(), Effort::Fast)?;
        Ok(Session::new(model, id, photograph, draft, input))
    }

    /// Returns the maximum of the longer side to which photographs are brought down.
    pub(crate) fn largest(&self, task: &TaskHandle, degrade: bool) -> u32 {
        // The input of a model that enlarges is smaller than its previews.
        match is_enlarging(task) && !degrade {
            true => SMALL_SIDE,
            false => self.limits.largest,
        }
    }
}

async fn show<B: Kernels>(State(app): Shared<B>, Path(id): Path<String>) -> Answer {
    let session = app.session(&id)?;
    Ok(Json(SessionShown::new(id, &session)).into_response())
}

async fn mark<B: Kernels>(
    State(app): Shared<B>,
    Path(id): Path<String>,
    request: Request,
) -> Answer {
    let session = app.session(&id)?;
    let marks: Marks = json(request).await?;
    session.tree().set_marks(marks)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn end<B: Kernels>(State(app): Shared<B>, Path(id): Path<String>) -> Answer {
    app.remove_session(&id)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn stop<B: Kernels>(State(app): Shared<B>, Path(id): Path<String>) -> Answer {
    app.session(&id)?.begin_work();
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A client that receives lines while they are written.
struct Lines<B: Kernels> {
    sender: mpsc::Sender<Bytes>,
    session: Arc<Session<B>>,
    work: u64,
}

impl<B: Kernels> Listener for Lines<B> {
    fn tell(&mut self, told: &Told) -> Result<(), Stopped> {
        let mut line = serde_json::to_vec(told).expect("what is told is plain data");
        line.push(b'\n');
        let sent = tokio::time::timeout(READ_WAIT, self.sender.send(line.into()));
        match tokio::runtime::Handle::current().block_on(sent) {
            Ok(Ok(())) => Ok(()),
            _ => Err(Stopped),
        }
    }

    fn goes_on(&self) -> bool {
        self.session.is_newest(self.work) && !self.sender.is_closed()
    }
}

/// Answers with lines that are written while the work runs.
fn streamed<B: Kernels>(
    app: Arc<App<B>>,
    session: Arc<Session<B>>,
    work: impl FnOnce(&App<B>, &Session<B>, &mut Lines<B>) -> Result<(), Ended> + Send + 'static,
) -> Answer {
    let slot = app.slot()?;
    let number = session.begin_work();
    let (sender, receiver) = mpsc::channel::<Bytes>(LINES);
    tokio::task::spawn_blocking(move || {
        let _slot = slot;
        let mut lines = Lines {
            sender,
            session: session.clone(),
            work: number,
        };
        let done = catch_unwind(AssertUnwindSafe(|| work(&app, &session, &mut lines)))
            .unwrap_or_else(|panic| Err(Ended::Failed(defect(&*panic))));
        let last = match done {
            Ok(()) => Told::Done,
            Err(Ended::Stopped) => Told::Stopped,
            Err(Ended::Failed(error)) => Told::Error {
                error: error.to_string(),
            },
        };
        // The client may be gone, so an error of sending is ignored.
        drop(lines.tell(&last));
        session.touch();
        app.tidy(Some(&session));
    });
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let line = receiver.recv().await?;
        Some((Ok::<Bytes, std::convert::Infallible>(line), receiver))
    });
    Ok(typed("application/x-ndjson", Body::from_stream(stream)))
}

async fn make<B: Kernels>(
    State(app): Shared<B>,
    Path(id): Path<String>,
    request: Request,
) -> Answer {
    let session = app.session(&id)?;
    let make: Make = json(request).await?;
    app.check(&session, &make)?;
    streamed(app, session, move |app, session, lines| {
        app.make(session, make, lines)
    })
}

async fn make_full<B: Kernels>(
    State(app): Shared<B>,
    Path((id, picture)): Path<(String, usize)>,
) -> Answer {
    let session = app.session(&id)?;
    session.tree().node(picture)?;
    streamed(app, session, move |app, session, lines| {
        let _turn = app.full_turn(|| lines.goes_on()).ok_or(Stopped)?;
        let draft = app.in_turn(|| session.draft(picture))?;
        let watch = |done, of| lines.goes_on() && lines.tell(&Told::Progress { done, of }).is_ok();
        let full = app.in_turns(watch, |watch| {
            session
                .model
                .finish(&draft, &session.photograph, app.limits.memory_bytes, watch)
        })?;
        session.tree().set_full(picture, png(&full, Effort::Small)?);
        Ok(())
    })
}

async fn full<B: Kernels>(
    State(app): Shared<B>,
    Path((id, picture)): Path<(String, usize)>,
) -> Answer {
    let session = app.session(&id)?;
    let full = session.tree().full(picture);
    let missing = || {
        ApiError::NotFound(format!(
            "picture {picture} was not made at full size, or another picture was made at full size since then"
        ))
    };
    let response = typed("image/png", full.ok_or_else(missing)?);
    Ok(download(response, &format!("picture-{picture}.png")))
}

async fn picture<B: Kernels>(
    State(app): Shared<B>,
    Path((id, picture)): Path<(String, usize)>,
) -> Answer {
    let session = app.session(&id)?;
    let bytes = session.tree().node(picture)?.png.clone();
    Ok(fixed_png(bytes))
}

async fn recipe<B: Kernels>(
    State(app): Shared<B>,
    Path((id, picture)): Path<(String, usize)>,
) -> Answer {
    let session = app.session(&id)?;
    let slot = app.slot()?;
    let json = blocking(move || {
        let _slot = slot;
        if session.tree().node(picture)?.info.level == 0 {
            return Err(ApiError::field(
                "picture",
                "is the photograph: it has no recipe",
            ));
        }
        let recipe: Recipe = app.in_turn(|| session.draft(picture))?.recipe();
        serde_json::to_vec(&recipe).map_err(|error| ApiError::Internal(error.to_string()))
    });
    let response = typed("application/json", json.await?);
    Ok(download(response, &format!("recipe-{picture}.json")))
}

/// The maximum number of pictures in a sheet or a film.
const MOST_SHOWN: usize = 64;

/// Reads the pictures that a query names, as in `pictures=3,8,12`.
fn named<B: Kernels>(
    session: &Session<B>,
    query: &HashMap<String, String>,
) -> Result<Vec<RgbImage>, ApiError> {
    let text = query
        .get("pictures")
        .map(String::as_str)
        .unwrap_or_default();
    let ids: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
    let ids = ids.ok().filter(|ids| (1..=MOST_SHOWN).contains(&ids.len()));
    let ids = ids.ok_or_else(|| {
        let reason = format!("must be 1 to {MOST_SHOWN} numbers, separated by commas");
        ApiError::field("pictures", reason)
    })?;
    let pngs: Result<Vec<Bytes>, ApiError> = {
        let tree = session.tree();
        ids.iter()
            .map(|&id| Ok(tree.node(id)?.png.clone()))
            .collect()
    };
    let decoded = |png: Bytes| {
        decode_rgb("a picture", &png, u64::MAX)
            .map_err(|error| ApiError::Internal(error.to_string()))
    };
    pngs?.into_iter().map(decoded).collect()
}

async fn sheet<B: Kernels>(
    State(app): Shared<B>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let session = app.session(&id)?;
    let slot = app.slot()?;
    let bytes = blocking(move || {
        let _slot = slot;
        let pictures = named(&session, &query)?;
        let columns = pictures.len().min(4);
        let mut sheet = Sheet::new();
        for row in pictures.chunks(columns) {
            sheet.push(row.to_vec());
        }
        png(&sheet.picture(), Effort::Small)
    });
    Ok(download(typed("image/png", bytes.await?), "sheet.png"))
}

/// The maximum size of the frames of a film, in bytes.
const FILM_BYTES: usize = 256 << 20;
/// How long a picture of a film is shown, and how long it takes to turn into the next, in milliseconds.
const HOLD: u32 = 900;
const CHANGE: u32 = 400;
/// The approximate number of frames per picture of a film.
const FRAMES_EACH: usize = 6;

async fn film_of<B: Kernels>(
    app: Arc<App<B>>,
    id: String,
    query: HashMap<String, String>,
    encode: fn(&[chimle_show::Frame]) -> Result<Vec<u8>, chimle_show::Error>,
) -> Result<Vec<u8>, ApiError> {
    let session = app.session(&id)?;
    let slot = app.slot()?;
    blocking(move || {
        let _slot = slot;
        let pictures = named(&session, &query)?;
        let bytes: usize = pictures.iter().map(|picture| picture.as_raw().len()).sum();
        if bytes * FRAMES_EACH > FILM_BYTES {
            return Err(ApiError::field(
                "pictures",
                "are too many for a film of this size",
            ));
        }
        let frames = film::dissolve(&pictures, HOLD, CHANGE);
        app.in_turn(|| encode(&frames))
            .map_err(|error| ApiError::Internal(error.to_string()))
    })
    .await
}

async fn film_gif<B: Kernels>(
    State(app): Shared<B>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let bytes = film_of(app, id, query, film::gif).await?;
    Ok(download(typed("image/gif", bytes), "film.gif"))
}

async fn film_png<B: Kernels>(
    State(app): Shared<B>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let bytes = film_of(app, id, query, film::apng).await?;
    Ok(download(typed("image/apng", bytes), "film.png"))
}
