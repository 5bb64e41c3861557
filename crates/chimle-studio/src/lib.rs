//! The studio: a local web page on which a person chooses among plausible pictures, level by level.
//!
//! [`Studio`] is the server, and a [`ModelSource`] is a model that it offers. `chimle studio` runs this server.
//! Use the crate to serve models from a program of your own, or to put the [`router`](Studio::router) next to
//! other routes. To make pictures level by level without a server, use `Model::draft` of `chimle-core`.
//!
//! The page is one client of an API under `/api`, which other programs can use; `docs/studio-server.md` describes
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
//! Every request must contain the token of [`Studio::address`]. Its host must be `localhost`, a numeric
//! address, or a name that was [added](Studio::with_host). A page of another name that resolves to this
//! computer is therefore refused. Requests from other pages are refused too. The data that clients send is
//! bounded by [`Limits`], stays in memory, and never becomes the name of a file.

mod api;
mod app;
mod catalog;
mod error;
mod guard;
mod make;
mod page;
mod recipe;
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

/// Limits on what clients may send, and on what the server keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The maximum size of a photograph's file, in bytes.
    pub upload_bytes: usize,
    /// The maximum number of pixels of a photograph. A larger one is refused before it is decoded.
    pub pixels: u64,
    /// The maximum number of pictures that one request asks for.
    pub candidates: usize,
    /// The default of the longer side of previews, in pixels.
    pub usual: u32,
    /// The maximum of the longer side of previews that a client may ask for, in pixels.
    pub largest: u32,
    /// The maximum number of requests that compute or wait to compute. Further requests are told that the server
    /// is busy.
    pub requests: usize,
    /// The maximum number of sessions.
    pub sessions: usize,
    /// The maximum number of pictures of one session.
    pub pictures: usize,
    /// The time after which a session or a photograph that is not used expires.
    pub idle: Duration,
    /// The time after its last request during which a session counts as in use. A session in use is not removed
    /// to make room for others.
    pub in_use: Duration,
    /// The maximum size of the generator's states that all sessions keep together, in estimated bytes. States that
    /// are not kept are computed again when they are needed.
    pub state_bytes: u64,
    /// The maximum size of all pictures as PNG, in bytes.
    pub picture_bytes: u64,
    /// The maximum size of the decoded photographs of all sessions, in bytes. The same limit holds separately for
    /// uploaded photographs.
    pub photograph_bytes: u64,
    /// The maximum memory that a picture at full size may need, in bytes that the model estimates.
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
    /// Creates a server that offers these models, in this order, with a random token.
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

    /// Sets the token, which is random by default.
    ///
    /// # Panics
    ///
    /// If [`is_token`] rejects the token.
    pub fn with_token(self, token: impl Into<String>) -> Self {
        let token = token.into();
        assert!(
            is_token(&token),
            "a token must have 8 to 256 letters, digits, hyphens and underscores"
        );
        Self { token, ..self }
    }

    /// Adds a host name of this computer, as in `studio.example.org`. Without one, only requests to `localhost`
    /// and to numeric addresses are answered.
    pub fn with_host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into());
        self
    }

    /// Returns the address to open, with the token, for a server that listens at `listening`.
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

/// Returns whether a text can be a token: 8 to 256 letters, digits, hyphens and underscores.
pub fn is_token(text: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (8..=256).contains(&text.len()) && text.chars().all(is_allowed)
}
