//! The state of the server: models, photographs and sessions. Also bounds how much work runs at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use burn::tensor::backend::Backend;
use chimle_core::Kernels;
use image::RgbImage;
use rand::distr::{Alphanumeric, SampleString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::Limits;
use crate::catalog::Entry;
use crate::error::ApiError;
use crate::session::Session;

/// The number of letters and digits of a token or an identifier.
const SECRET_LEN: usize = 32;

/// Returns a random text that cannot be guessed.
pub(crate) fn secret() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), SECRET_LEN)
}

/// The state of the server.
pub(crate) struct App<B: Backend> {
    pub(crate) models: Vec<Entry<B>>,
    pub(crate) limits: Limits,
    photographs: Mutex<HashMap<String, Photograph>>,
    sessions: Mutex<HashMap<String, Arc<Session<B>>>>,
    /// Permits for requests that compute or wait to compute.
    slots: Arc<Semaphore>,
    /// Permits for uploads. They are separate, so that a slow upload does not keep other requests from computing.
    uploads: Arc<Semaphore>,
    /// Allows one evaluation at a time, because it uses all cores. Requests wait in order.
    compute: Semaphore,
    /// Allows one picture at full size at a time, because each can take much memory between its steps.
    full: Semaphore,
}

/// The time between two checks whether a request that waits is still wanted.
const CHECK_EVERY: Duration = Duration::from_millis(200);

struct Photograph {
    image: Arc<RgbImage>,
    used: Instant,
}

impl<B: Kernels> App<B> {
    pub(crate) fn new(models: Vec<Entry<B>>, limits: Limits) -> Self {
        Self {
            models,
            photographs: Mutex::default(),
            sessions: Mutex::default(),
            slots: Arc::new(Semaphore::new(limits.requests)),
            uploads: Arc::new(Semaphore::new(limits.requests)),
            compute: Semaphore::new(1),
            full: Semaphore::new(1),
            limits,
        }
    }

    /// Takes a permit to compute, or returns an error that the server is busy.
    pub(crate) fn slot(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let slot = self.slots.clone().try_acquire_owned();
        slot.map_err(|_| ApiError::Busy { seconds: 1 })
    }

    /// Takes a permit to upload a photograph, or returns an error that the server is busy.
    pub(crate) fn upload(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let upload = self.uploads.clone().try_acquire_owned();
        upload.map_err(|_| ApiError::Busy { seconds: 1 })
    }

    /// Waits for a turn to compute. Must be called on a thread that may block.
    pub(crate) fn turn(&self) -> SemaphorePermit<'_> {
        let turn = tokio::runtime::Handle::current().block_on(self.compute.acquire());
        turn.expect("the semaphore is never closed")
    }

    /// Waits for a turn, and does one piece of work. Must be called on a thread that may block.
    pub(crate) fn in_turn<T>(&self, work: impl FnOnce() -> T) -> T {
        let _turn = self.turn();
        work()
    }

    /// Waits until no other picture is made at full size. Returns `None` if the request is no longer wanted. Must be
    /// called on a thread that may block.
    pub(crate) fn full_turn(&self, goes_on: impl Fn() -> bool) -> Option<SemaphorePermit<'_>> {
        while goes_on() {
            let wait = async { tokio::time::timeout(CHECK_EVERY, self.full.acquire()).await };
            if let Ok(turn) = tokio::runtime::Handle::current().block_on(wait) {
                return Some(turn.expect("the semaphore is never closed"));
            }
        }
        None
    }

    /// Does work that has many steps. Between two steps, other requests get a turn. `watch` is called after each
    /// step and returns whether to continue.
    pub(crate) fn in_turns<T>(
        &self,
        mut watch: impl FnMut(usize, usize) -> bool,
        work: impl FnOnce(&mut dyn FnMut(usize, usize) -> bool) -> T,
    ) -> T {
        let mut turn = Some(self.turn());
        work(&mut |done, of| {
            turn = None;
            let goes_on = watch(done, of);
            turn = Some(self.turn());
            goes_on
        })
    }

    pub(crate) fn entry(&self, id: usize) -> Result<&Entry<B>, ApiError> {
        let error = || ApiError::NotFound(format!("there is no model {id}"));
        self.models.get(id).ok_or_else(error)
    }

    pub(crate) fn add_photograph(&self, image: RgbImage) -> Result<String, ApiError> {
        let mut photographs = locked(&self.photographs);
        let bytes = |image: &RgbImage| image.as_raw().len() as u64;
        let new = bytes(&image);
        loop {
            let held: u64 = photographs.values().map(|one| bytes(&one.image)).sum();
            if held == 0 || held + new <= self.limits.photograph_bytes {
                break;
            }
            remove_oldest(&mut photographs, |photograph| photograph.used);
        }
        let id = secret();
        let photograph = Photograph {
            image: Arc::new(image),
            used: Instant::now(),
        };
        photographs.insert(id.clone(), photograph);
        Ok(id)
    }

    pub(crate) fn photograph(&self, id: &str) -> Result<Arc<RgbImage>, ApiError> {
        let mut photographs = locked(&self.photographs);
        let error = || ApiError::NotFound("the photograph is gone: upload it again".to_owned());
        let photograph = photographs.get_mut(id).ok_or_else(error)?;
        photograph.used = Instant::now();
        Ok(photograph.image.clone())
    }

    /// Adds a session. If there are too many, removes the session that was idle longest. If that one is in use,
    /// returns an error that the server is busy.
    pub(crate) fn add_session(&self, session: Session<B>) -> Result<String, ApiError> {
        let mut sessions = locked(&self.sessions);
        let is_full = |sessions: &HashMap<String, Arc<Session<B>>>| {
            let held = photograph_bytes(sessions.values(), &session);
            sessions.len() >= self.limits.sessions || held > self.limits.photograph_bytes
        };
        while !sessions.is_empty() && is_full(&sessions) {
            let idle = sessions.values().map(|session| session.idle()).max();
            if idle.is_none_or(|idle| idle < self.limits.in_use) {
                return Err(ApiError::Busy { seconds: 30 });
            }
            remove_idlest(&mut sessions);
        }
        let id = secret();
        sessions.insert(id.clone(), Arc::new(session));
        Ok(id)
    }

    pub(crate) fn session(&self, id: &str) -> Result<Arc<Session<B>>, ApiError> {
        let sessions = locked(&self.sessions);
        let session = sessions.get(id).ok_or_else(expired)?;
        session.touch();
        Ok(session.clone())
    }

    pub(crate) fn remove_session(&self, id: &str) -> Result<(), ApiError> {
        let removed = locked(&self.sessions).remove(id);
        let session = removed.ok_or_else(expired)?;
        // Ends the work that is still running.
        session.begin_work();
        Ok(())
    }

    /// Removes expired photographs and sessions, and drops what exceeds the limits of memory. `current` is the session in use.
    pub(crate) fn tidy(&self, current: Option<&Arc<Session<B>>>) {
        let expiry = self.limits.idle;
        locked(&self.photographs).retain(|_, photograph| photograph.used.elapsed() < expiry);
        let mut sessions = locked(&self.sessions);
        sessions.retain(|_, session| session.idle() < expiry);

        // The states of other sessions are dropped first, because they can be computed again.
        let is_current = |session: &Arc<Session<B>>| {
            current.is_some_and(|current| Arc::ptr_eq(current, session))
        };
        let mut by_use: Vec<&Arc<Session<B>>> = sessions.values().collect();
        by_use.sort_by_key(|session| std::cmp::Reverse(session.idle()));
        let mut kept: u64 = by_use.iter().map(|session| session.kept_bytes()).sum();
        for session in by_use.into_iter().filter(|session| !is_current(session)) {
            if kept <= self.limits.state_bytes {
                break;
            }
            kept -= session.kept_bytes();
            session.shrink(0);
        }
        if let Some(current) = current {
            current.shrink(self.limits.state_bytes / 2);
        }
        // If the pictures still take too much memory, whole sessions are removed.
        let most = self.limits.picture_bytes as usize;
        let held = |sessions: &HashMap<String, Arc<Session<B>>>| -> usize {
            sessions
                .values()
                .map(|session| session.tree().picture_bytes())
                .sum()
        };
        while sessions.len() > 1 && held(&sessions) > most {
            remove_idlest(&mut sessions);
        }
    }

    /// Returns the number of sessions and of photographs.
    pub(crate) fn held(&self) -> (usize, usize) {
        (
            locked(&self.sessions).len(),
            locked(&self.photographs).len(),
        )
    }
}

/// Returns the bytes of the photographs of sessions. Each photograph is counted once.
fn photograph_bytes<'a, B: Kernels>(
    sessions: impl Iterator<Item = &'a Arc<Session<B>>>,
    new: &Session<B>,
) -> u64 {
    let mut photographs: Vec<&Arc<RgbImage>> =
        sessions.map(|session| &session.photograph).collect();
    photographs.push(&new.photograph);
    photographs.sort_by_key(|photograph| Arc::as_ptr(photograph));
    photographs.dedup_by_key(|photograph| Arc::as_ptr(photograph));
    photographs
        .iter()
        .map(|photograph| photograph.as_raw().len() as u64)
        .sum()
}

fn expired() -> ApiError {
    ApiError::NotFound("the session has expired: begin again with the photograph".to_owned())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove_oldest<K: Clone + Eq + Hash, V>(map: &mut HashMap<K, V>, used: impl Fn(&V) -> Instant) {
    let oldest = map.iter().min_by_key(|(_, value)| used(value));
    if let Some(key) = oldest.map(|(key, _)| key.clone()) {
        map.remove(&key);
    }
}

fn remove_idlest<B: Kernels>(sessions: &mut HashMap<String, Arc<Session<B>>>) {
    let idlest = sessions.iter().max_by_key(|(_, session)| session.idle());
    let key = idlest.map(|(key, _)| key.clone());
    if let Some(session) = key.and_then(|key| sessions.remove(&key)) {
        session.begin_work();
    }
}

/// The time between two removals of expired sessions and photographs.
pub(crate) const TIDY_EVERY: Duration = Duration::from_secs(30);
