//! A network with its optimizer.

use std::path::Path;

use burn::module::AutodiffModule;
use burn::optim::{GradientsParams, Optimizer};
use chimle_core::optimizer::{ModuleAdam, adam};
use chimle_core::parameters::averaged;
use chimle_kernels::TrainingBackend;

use crate::error::Error;
use crate::saved::{load_module, load_optimizer, save_module, save_optimizer};

/// A network that is trained by Adam, with an optional moving average of its weights.
pub struct Trained<B: TrainingBackend, M: AutodiffModule<B>> {
    /// The trained network, with its newest weights.
    pub network: M,
    optimizer: ModuleAdam<B, M>,
    average: Option<Average<M::InnerModule>>,
}

/// A moving average of weights.
struct Average<M> {
    network: M,
    decay: f64,
    steps: u64,
}

impl<B: TrainingBackend, M: AutodiffModule<B>> Trained<B, M> {
    /// Creates the optimizer of a network. `betas` are the decay rates of Adam's moments.
    pub fn new(network: M, betas: (f32, f32)) -> Self {
        Self {
            network,
            optimizer: adam(betas),
            average: None,
        }
    }

    /// Keeps an exponential moving average of the weights with this decay. Samples then come from the
    /// average.
    pub fn with_average(mut self, decay: f64) -> Self {
        self.average = Some(Average {
            network: self.network.valid(),
            decay,
            steps: 0,
        });
        self
    }

    /// Returns a copy of the network whose parameters receive no gradient. Gradients still flow
    /// through it to its inputs.
    pub fn frozen(&self) -> M {
        self.network.clone().no_grad()
    }

    /// Returns the network that makes samples: the moving average if there is one, otherwise the
    /// trained network.
    pub fn evaluated(&self) -> M::InnerModule {
        match &self.average {
            Some(average) => average.network.clone(),
            None => self.network.valid(),
        }
    }

    /// Returns the number of parameters.
    pub fn parameters(&self) -> usize {
        self.network.num_params()
    }

    /// Takes one step of Adam with the network's part of the gradients.
    pub fn step(&mut self, gradients: &mut B::Gradients, rate: f64) {
        let own = GradientsParams::from_module(gradients, &self.network);
        self.network = self.optimizer.step(rate, self.network.clone(), own);
        if let Some(average) = &mut self.average {
            average.steps += 1;
            // The decay is smaller in the first steps, so that the initial weights are soon
            // forgotten.
            let warm = average.steps as f64 / (average.steps as f64 + 9.0);
            let network = average.network.clone();
            average.network = averaged(network, &self.network.valid(), average.decay.min(warm));
        }
    }

    /// Writes the network, the optimizer and the average into a folder.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path, name: &str) -> Result<(), Error> {
        save_module::<B, _>(folder, name, &self.network)?;
        save_optimizer::<B, M, _>(folder, &format!("{name}-adam"), &self.optimizer)?;
        if let Some(average) = &self.average {
            save_module::<B::InnerBackend, _>(
                folder,
                &format!("{name}-average"),
                &average.network,
            )?;
            let path = folder.join(format!("{name}-average-steps"));
            chimle_files::write(&path, average.steps.to_string())
                .map_err(Error::file("write", &path))?;
        }
        Ok(())
    }

    /// Loads the state that [`save`](Self::save) wrote.
    ///
    /// # Errors
    ///
    /// If a file is missing or damaged.
    pub fn load(&mut self, folder: &Path, name: &str, device: &B::Device) -> Result<(), Error> {
        self.network = load_module::<B, _>(folder, name, self.network.clone(), device)?;
        self.optimizer = load_optimizer::<B, M, _>(
            folder,
            &format!("{name}-adam"),
            self.optimizer.clone(),
            device,
        )?;
        if let Some(average) = &mut self.average {
            let network = average.network.clone();
            let file = format!("{name}-average");
            average.network = load_module::<B::InnerBackend, _>(folder, &file, network, device)?;
            let path = folder.join(format!("{name}-average-steps"));
            let text = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
            average.steps = text.trim().parse().map_err(|_| Error::Checkpoint {
                path,
                reason: "does not contain the number of steps".to_owned(),
            })?;
        }
        Ok(())
    }
}
