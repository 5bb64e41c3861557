//! Sums over workers. `burn-collective` sums over the workers of one process, and the orchestrator sums over
//! machines.
//!
//! `burn-collective` 0.21 cannot be used to sum over machines, because its second sum waits forever: its
//! `SyncService::sync` clears a copy of the list of waiting machines instead of the list itself.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData, TensorPrimitive};
use burn_collective::{
    CollectiveConfig, CollectiveError, PeerId, ReduceOperation, all_reduce, finish_collective,
    register, reset_collective,
};

use super::nodes::Membership;
use super::peers::Peers;
use crate::error::Error;

/// The connections between the workers of a run.
pub(super) struct Collective {
    /// The workers of this process. `None` for a single worker.
    local: Option<Local>,
    /// The other machines.
    nodes: Option<Membership>,
}

impl Peers {
    /// Connects the workers of this process, one per device. With `nodes`, also connects the other machines.
    ///
    /// `burn-collective` has one group of workers per backend and process. If the process trains two runs,
    /// the second run therefore waits here until the first run has ended.
    pub(crate) fn connect<B: Backend>(
        devices: &[B::Device],
        nodes: Option<Membership>,
    ) -> Result<Self, Error> {
        let local = match devices.len() {
            1 => None,
            _ => Some(Local::register::<B>(devices)?),
        };
        let (node, count) = nodes
            .as_ref()
            .map_or((0, 1), |nodes| (nodes.node(), nodes.nodes()));
        Ok(Self::new(
            devices.len(),
            node,
            count,
            Collective { local, nodes },
        ))
    }
}

impl Collective {
    /// See [`Peers::sum`]. `worker` is the index of the worker in this process.
    pub(super) fn sum<B: Backend>(
        &self,
        worker: usize,
        values: Tensor<B, 1>,
    ) -> Result<Tensor<B, 1>, Error> {
        let values = self.sum_here(worker, values)?;
        let Some(nodes) = &self.nodes else {
            return Ok(values);
        };
        // The first worker fetches the sum over all machines. The other workers add zeros to it.
        let device = values.device();
        let count = values.dims()[0];
        let total = match worker {
            0 => {
                let own: Vec<f32> = values.into_data().iter::<f32>().collect();
                Tensor::from_data(TensorData::new(nodes.sum(own)?, [count]), &device)
            }
            _ => Tensor::zeros([count], &device),
        };
        self.sum_here(worker, total)
    }

    fn sum_here<B: Backend>(
        &self,
        worker: usize,
        values: Tensor<B, 1>,
    ) -> Result<Tensor<B, 1>, Error> {
        match &self.local {
            Some(local) => local.sum(worker, values),
            None => Ok(values),
        }
    }

    /// See [`Peers::done`].
    pub(super) fn done(&self) {
        if let Some(nodes) = &self.nodes {
            nodes.done();
        }
    }

    /// See [`Peers::release`].
    pub(super) fn release<B: Backend>(&self) {
        if self.local.is_some() {
            reset_collective::<B>();
        }
    }
}

/// The registration of this process's workers with `burn-collective`.
struct Local {
    /// Unregisters the workers.
    finish: Option<Box<dyn FnOnce() + Send + Sync>>,
    _session: Session,
}

impl Local {
    fn register<B: Backend>(devices: &[B::Device]) -> Result<Self, Error> {
        let session = Session::wait();
        let config = CollectiveConfig::default().with_num_devices(devices.len());
        // Each registration waits for the others.
        let registered: Vec<Result<(), CollectiveError>> = thread::scope(|scope| {
            let threads: Vec<_> = devices
                .iter()
                .enumerate()
                .map(|(worker, device)| {
                    let (config, device) = (config.clone(), device.clone());
                    scope.spawn(move || register::<B>(PeerId::from(worker), device, config))
                })
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined
                .map(|result| result.expect("registration does not panic"))
                .collect()
        });
        if let Err(error) = registered.into_iter().collect::<Result<(), _>>() {
            reset_collective::<B>();
            return Err(failed(error));
        }
        let workers = devices.len();
        let finish = move || {
            for worker in 0..workers {
                let _ = finish_collective::<B>(PeerId::from(worker));
            }
        };
        Ok(Self {
            finish: Some(Box::new(finish)),
            _session: session,
        })
    }

    fn sum<B: Backend>(&self, worker: usize, values: Tensor<B, 1>) -> Result<Tensor<B, 1>, Error> {
        let TensorPrimitive::Float(values) = values.into_primitive() else {
            unreachable!("gradients are not quantized");
        };
        let sum = all_reduce::<B>(PeerId::from(worker), values, ReduceOperation::Sum);
        Ok(Tensor::from_primitive(TensorPrimitive::Float(
            sum.map_err(failed)?,
        )))
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Some(finish) = self.finish.take() {
            finish();
        }
    }
}

fn failed(error: CollectiveError) -> Error {
    Error::Collective {
        reason: format!("{error:?}"),
    }
}

/// A guard for the use of `burn-collective`. Only one run of the process can hold it at a time.
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
