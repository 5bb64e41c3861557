//! All workers of a run, on this machine and on others, and how they sum their results.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::error::Error;

/// The workers of a run.
pub(crate) struct Peers {
    /// The number of workers in this process.
    local: usize,
    /// The index of this process among all processes.
    node: usize,
    /// The number of processes.
    nodes: usize,
    #[cfg(feature = "collective")]
    collective: Option<super::collective::Collective>,
}

impl Peers {
    /// Returns a single worker, which exchanges nothing.
    pub(crate) fn alone() -> Self {
        Self {
            local: 1,
            node: 0,
            nodes: 1,
            #[cfg(feature = "collective")]
            collective: None,
        }
    }

    #[cfg(feature = "collective")]
    pub(super) fn new(
        local: usize,
        node: usize,
        nodes: usize,
        collective: super::collective::Collective,
    ) -> Self {
        Self {
            local,
            node,
            nodes,
            collective: Some(collective),
        }
    }

    /// Returns the number of workers on all machines.
    pub(crate) fn count(&self) -> usize {
        self.local * self.nodes
    }

    /// Returns whether workers run on several machines.
    pub(crate) fn are_on_nodes(&self) -> bool {
        self.nodes > 1
    }

    /// Returns the index, among all workers, of a worker of this process.
    pub(crate) fn rank(&self, worker: usize) -> usize {
        self.node * self.local + worker
    }

    /// Returns the sum of the values of all workers. All workers must call this function, with the same
    /// number of values.
    ///
    /// # Errors
    ///
    /// [`Error::Collective`] or [`Error::Node`] if a worker failed.
    pub(crate) fn sum<B: Backend>(
        &self,
        worker: usize,
        values: Tensor<B, 1>,
    ) -> Result<Tensor<B, 1>, Error> {
        #[cfg(feature = "collective")]
        if let Some(collective) = &self.collective {
            return collective.sum(worker, values);
        }
        let _ = worker;
        Ok(values)
    }

    /// Tells the other machines that this machine has ended without an error.
    pub(crate) fn done(&self) {
        #[cfg(feature = "collective")]
        if let Some(collective) = &self.collective {
            collective.done();
        }
    }

    /// Releases the workers of this process that wait for a sum. They get an error.
    pub(crate) fn release<B: Backend>(&self) {
        #[cfg(feature = "collective")]
        if let Some(collective) = &self.collective {
            collective.release::<B>();
        }
    }
}
