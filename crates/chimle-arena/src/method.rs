//! The trait that every method of the arena implements.

use std::path::Path;

use chimle_core::data::{Example, Planes};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::feed::Feed;

/// A method that takes part in the arena.
///
/// The arena calls [`step`](Self::step) until the method's CPU time is used up, saves the method from time to time,
/// and asks it for samples of held-out inputs. All methods see the same data, and all samples are measured in the same
/// way.
///
/// A method is made by a [`Maker`](crate::Maker), which a program adds to its [`Methods`](crate::Methods).
///
/// # Examples
///
/// A method that learns nothing, and returns each input as its output:
///
/// ```
/// use std::path::Path;
///
/// use chimle_arena::{Costs, Error, Feed, Method};
/// use chimle_core::{Colorization, TaskHandle};
/// use chimle_core::data::{Example, Planes, downsample_planes};
///
/// struct Copy(TaskHandle);
///
/// impl Method for Copy {
///     fn step(&mut self, feed: &mut Feed, _: f64) -> Result<f32, Error> {
///         feed.next(1)?;
///         Ok(0.0)
///     }
///
///     fn sample(&self, inputs: &[&Example], samples: usize, _: u64) -> Result<Vec<Vec<Planes>>, Error> {
///         let copies = inputs.iter().map(|example| {
///             let input = self.0.picture_of_input(&example.conditioning);
///             let truth = example.truth();
///             let output = downsample_planes(&input, truth.height, truth.width)?;
///             Ok(vec![output; samples])
///         });
///         copies.collect()
///     }
///
///     fn costs(&self) -> Costs {
///         Costs::default()
///     }
///
///     fn save(&self, _: &Path) -> Result<(), Error> {
///         Ok(())
///     }
///
///     fn load(&mut self, _: &Path) -> Result<(), Error> {
///         Ok(())
///     }
/// }
///
/// let method = Copy(TaskHandle::new(Colorization));
/// assert!(!method.costs().is_stochastic);
/// ```
pub trait Method {
    /// Takes one training step, and returns the loss. `progress` is the share of the CPU time that has been used, in
    /// [0, 1]. The learning rate can depend on it.
    ///
    /// The arena checks its clock between two calls, so a call should take a few seconds at most.
    ///
    /// # Errors
    ///
    /// If examples cannot be read, or training failed.
    fn step(&mut self, feed: &mut Feed, progress: f64) -> Result<f32, Error>;

    /// Draws `samples` output images for each input: RGB in [0, 1], `[3, h, w]`, of the output's size, as shown to a
    /// user.
    ///
    /// The samples of an input depend only on the seed and the input's identity. A method with one output per input
    /// returns that output `samples` times.
    ///
    /// # Errors
    ///
    /// If an input does not fit the method.
    fn sample(
        &self,
        inputs: &[&Example],
        samples: usize,
        seed: u64,
    ) -> Result<Vec<Vec<Planes>>, Error>;

    /// Returns the costs of the method.
    fn costs(&self) -> Costs;

    /// Writes the method's state into an empty folder. The state must be enough to continue training.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    fn save(&self, folder: &Path) -> Result<(), Error>;

    /// Loads the state that [`save`](Self::save) wrote.
    ///
    /// # Errors
    ///
    /// If a file is missing, damaged, or does not fit the configuration.
    fn load(&mut self, folder: &Path) -> Result<(), Error>;
}

/// The costs of a method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Costs {
    /// The number of parameters that sampling uses.
    pub parameters: usize,
    /// The number of parameters that only training uses, such as those of a discriminator.
    pub training_parameters: usize,
    /// The number of network evaluations per sample.
    pub evaluations_per_sample: usize,
    /// Whether the samples of one input differ. If they do not, every measure of diversity is 0 by construction.
    pub is_stochastic: bool,
}
