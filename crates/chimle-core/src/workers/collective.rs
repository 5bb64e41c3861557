//! Sums over workers by `burn-collective`.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorPrimitive};
use burn_collective::{
    CollectiveConfig, CollectiveError, PeerId, ReduceOperation, all_reduce, finish_collective,
    register, reset_collective,
};

use super::nodes::Membership;
use super::peers::Peers;
use crate::error::Error;

/// How often a worker that waits for other machines looks whether one of them has failed.
const LOOK: Duration = Duration::from_millis(200);

/// The registration of this process's workers with `burn-collective`.
pub(super) struct Collective {
    /// Unregisters the workers.
    finish: Option<Box<dyn FnOnce() + Send + Sync>>,
    nodes: Option<Arc<Membership>>,
    _session: Session,
}

impl Peers {
    /// Registers one worker per device, and with `nodes` waits for the other machines.
    ///
    /// `burn-collective` keeps one group of workers per backend and process, so a second run of the
    /// process waits here until the first one has ended.
    pub(crate) fn connect<B: Backend>(
        devices: &[B::Device],
        nodes: Option<Membership>,
    ) -> Result<Self, Error> {
        let session = Session::wait();
        let mut config = CollectiveConfig::default().with_num_devices(devices.len());
        let (mut node, mut count) = (0, 1);
        if let Some(membership) = &nodes {
            (node, count) = (membership.node(), membership.nodes());
            config = membership.configure(config)?;
        }
        let first = node * devices.len();
        let nodes = nodes.map(Arc::new);
        let registered: Vec<Result<(), Error>> = thread::scope(|scope| {
            let threads: Vec<_> = devices
                .iter()
                .enumerate()
                .map(|(worker, device)| {
                    let (config, device, nodes) = (config.clone(), device.clone(), nodes.clone());
                    let id = peer(first + worker);
                    scope.spawn(move || {
                        watched(nodes.as_deref(), move || register::<B>(id, device, config))
                    })
                })
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined
                .map(|result| result.expect("registration does not panic"))
                .collect()
        });
        if let Err(error) = registered.into_iter().collect::<Result<(), Error>>() {
            reset_collective::<B>();
            return Err(error);
        }
        let workers = devices.len();
        let finish = move || {
            for worker in 0..workers {
                let _ = finish_collective::<B>(peer(first + worker));
            }
        };
        let collective = Collective {
            finish: Some(Box::new(finish)),
            nodes,
            _session: session,
        };
        Ok(Self::new(workers, node, count, collective))
    }
}

impl Collective {
    /// See [`Peers::sum`].
    pub(super) fn sum<B: Backend>(
        &self,
        rank: usize,
        values: Tensor<B, 1>,
    ) -> Result<Tensor<B, 1>, Error> {
        let TensorPrimitive::Float(values) = values.into_primitive() else {
            unreachable!("gradients are not quantized");
        };
        let sum = watched(self.nodes.as_deref(), move || {
            all_reduce::<B>(peer(rank), values, ReduceOperation::Sum)
        })?;
        Ok(Tensor::from_primitive(TensorPrimitive::Float(sum)))
    }

    /// See [`Peers::done`].
    pub(super) fn done(&self) {
        if let Some(nodes) = &self.nodes {
            nodes.done();
        }
    }

    /// See [`Peers::release`].
    pub(super) fn release<B: Backend>(&self) {
        reset_collective::<B>();
    }
}

impl Drop for Collective {
    fn drop(&mut self) {
        let failed = self
            .nodes
            .as_ref()
            .is_some_and(|nodes| nodes.failure().is_some());
        if let (Some(finish), false) = (self.finish.take(), failed) {
            finish();
        }
    }
}

fn peer(rank: usize) -> PeerId {
    PeerId::from(rank)
}

/// Waits for a call of `burn-collective`. The calls themselves never give up, so where other machines
/// take part, the call is made on a thread of its own and left there when a machine fails.
fn watched<T: Send + 'static>(
    nodes: Option<&Membership>,
    call: impl FnOnce() -> Result<T, CollectiveError> + Send + 'static,
) -> Result<T, Error> {
    let failed = |error: CollectiveError| Error::Collective {
        reason: format!("{error:?}"),
    };
    let Some(nodes) = nodes else {
        return call().map_err(failed);
    };
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let _ = sender.send(call());
    });
    let _waiting = nodes.waits();
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(result) => {
                return result.map_err(|error| nodes.failure().unwrap_or(failed(error)));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::Collective {
                    reason: "its thread ended".to_owned(),
                });
            }
        }
        if let Some(error) = nodes.failure() {
            return Err(error);
        }
    }
}

/// The right to use `burn-collective`, which one run of the process has at a time.
struct Session;

static BUSY: Mutex<bool> = Mutex::new(false);
static FREE: Condvar = Condvar::new();

impl Session {
    fn wait() -> Self {
        let busy = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = FREE.wait_while(busy, |busy| *busy);
        *busy.unwrap_or_else(PoisonError::into_inner) = true;
        Self
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        *BUSY.lock().unwrap_or_else(PoisonError::into_inner) = false;
        FREE.notify_one();
    }
}
