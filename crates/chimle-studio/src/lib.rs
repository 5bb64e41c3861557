//! The studio: a local web page on which a person chooses among plausible pictures, level by level.
//!
//! [`Studio`] is a server with the models behind it. `chimle studio` runs it. A program of your own can run
//! it with models of its own, or put its [`router`](Studio::router) next to other routes.
//!
//! The page is one client of an API under `/api`, which other programs can use; `docs/studio.md` describes
//! its calls. The page is plain HTML, CSS and JavaScript inside the crate, and loads nothing from elsewhere.
//!
//! # Examples
//!
//! ```no_run
//! use burn_flex::Flex;
//! use chimle_core::{Colorization, Model};
//! use chimle_studio::{ModelSource, Studio};
//!
//! # fn main() -> std::io::Result<()> {
//! let flowers = ModelSource::new("flowers", Colorization, || {
//!     Model::<Flex>::load("runs/flowers", &Default::default())
//! });
//! let studio = Studio::new(vec![flowers]);
//! let listener = std::net::TcpListener::bind("127.0.0.1:7860")?;
//! println!("open {}", studio.address(listener.local_addr()?));
//! studio.serve(listener)
//! # }
//! ```
//!
//! # Security
//!
//! Every call needs the token that [`Studio::address`] contains. The name by which the server is called
//! must be `localhost`, a numeric address, or one that was [added](Studio::with_host), so a page of another
//! name that resolves to this computer is refused. So are requests from other pages. What clients bring is
//! bounded by [`Limits`], stays in memory, and never becomes the name of a file.

mod api;
mod app;
mod catalog;
mod error;
mod guard;
mod make;
mod page;
mod session;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use burn::tensor::backend::Backend;
use chimle_core::Kernels;

use app::App;
use catalog::Entry;
pub use catalog::ModelSource;
use guard::Guard;

/// What the server takes from clients, and what it keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The largest file of a photograph, in bytes.
    pub upload_bytes: usize,
    /// The most pixels of a photograph. A larger one is refused before it is decoded.
    pub pixels: u64,
    /// The most pictures that one request asks for.
    pub candidates: usize,
    /// The longer side of previews, in pixels, if a client names none.
    pub usual: u32,
    /// The longest side of previews that a client may ask for, in pixels.
    pub largest: u32,
    /// The most requests that compute or wait for it. Others are told that the server is busy.
    pub requests: usize,
    /// The most sessions.
    pub sessions: usize,
    /// The most pictures of one session.
    pub pictures: usize,
    /// The time after which a session or a photograph that is not used expires.
    pub idle: Duration,
    /// How long a session counts as in use after its last request: it does not make room for others.
    pub in_use: Duration,
    /// The most bytes of the states of the generator that all sessions keep together, by an estimate. Others
    /// are computed again when they are needed.
    pub state_bytes: u64,
    /// The most bytes of all pictures, as PNG.
    pub picture_bytes: u64,
    /// The most bytes of the photographs of all sessions, decoded; and of those that are brought to the server.
    pub photograph_bytes: u64,
    /// The most memory that a picture at full size may need, by the model's estimate.
    pub memory_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload_bytes: 64 << 20,
            pixels: 40_000_000,
            candidates: 24,
            usual: 256,
            largest: 768,
            requests: 16,
            sessions: 64,
            pictures: 1000,
            idle: Duration::from_secs(30 * 60),
            in_use: Duration::from_secs(60),
            state_bytes: 1 << 30,
            picture_bytes: 512 << 20,
            photograph_bytes: 512 << 20,
            memory_bytes: 2 << 30,
        }
    }
}

/// The server of the studio.
pub struct Studio<B: Backend> {
    models: Vec<ModelSource<B>>,
    limits: Limits,
    token: String,
    hosts: Vec<String>,
}

impl<B: Kernels> Studio<B> {
    /// A server that offers these models, in this order, with a random token.
    pub fn new(models: Vec<ModelSource<B>>) -> Self {
        Self {
            models,
            limits: Limits::default(),
            token: app::secret(),
            hosts: Vec::new(),
        }
    }

    /// Sets the limits.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets the token instead of a random one.
    ///
    /// # Panics
    ///
    /// If it has fewer than 8 characters, or others than letters, digits, hyphens and underscores; see
    /// [`is_token`].
    pub fn with_token(self, token: impl Into<String>) -> Self {
        let token = token.into();
        assert!(is_token(&token), "a token of letters and digits");
        Self { token, ..self }
    }

    /// Adds a name by which this computer is called, as in `studio.example.org`. Without it only
    /// `localhost` and numeric addresses are answered.
    pub fn with_host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into());
        self
    }

    /// Returns the address to open, with the token, if the server listens here.
    pub fn address(&self, listening: SocketAddr) -> String {
        let (ip, port) = (listening.ip(), listening.port());
        let host = match ip {
            ip if ip.is_unspecified() => "localhost".to_owned(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
            std::net::IpAddr::V4(ip) => ip.to_string(),
        };
        format!("http://{host}:{port}/?token={}", self.token)
    }

    /// Returns the routes of the page and the API. They must run within a Tokio runtime.
    pub fn router(self) -> Router {
        let entries = self.models.into_iter().map(Entry::new).collect();
        let app = Arc::new(App::<B>::new(entries, self.limits));
        let guard = Arc::new(Guard::new(self.token, self.hosts));
        let forgotten = Arc::downgrade(&app);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(app::TIDY_EVERY).await;
                match forgotten.upgrade() {
                    Some(app) => app.tidy(None),
                    None => return,
                }
            }
        });
        api::router::<B>()
            .with_state(app)
            .layer(axum::middleware::from_fn_with_state(guard, guard::guarded))
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    ///
    /// If the listener cannot be used.
    pub fn serve(self, listener: std::net::TcpListener) -> std::io::Result<()> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(64)
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(listener, self.router()).await
        })
    }
}

/// Returns whether a text can be a token: at least 8 letters, digits, hyphens and underscores.
pub fn is_token(text: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (8..=256).contains(&text.len()) && text.chars().all(is_allowed)
}
