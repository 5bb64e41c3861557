//! What a method is to the arena: the trait that a method of your own implements.

use std::path::Path;

use chimle_core::data::{Example, Planes};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::feed::Feed;

/// A method that takes part in the arena.
///
/// The arena calls [`step`](Self::step) until the method's CPU time is used up, saves it from time to time, and lets it
/// sample held-out inputs. All methods see the same data, and their samples are measured in the same way.
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
/// use chimle_core::TaskHandle;
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
/// ```
pub trait Method {
    /// Trains a little, and returns the loss. `progress` is the share of the CPU time that is used up, in [0, 1]: what
    /// a learning rate depends on.
    ///
    /// The arena looks at its clock between two calls, so a call should take a few seconds at most.
    ///
    /// # Errors
    ///
    /// If examples can no longer be read, or training failed.
    fn step(&mut self, feed: &mut Feed, progress: f64) -> Result<f32, Error>;

    /// Draws samples for inputs: for each input `samples` pictures of the output's size, RGB in [0, 1], `[3, h, w]`, as
    /// they are shown.
    ///
    /// The samples of an input are a function of the seed and the input's identity. A method that has one output per
    /// input returns it `samples` times.
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

    /// Returns what the method costs.
    fn costs(&self) -> Costs;

    /// Writes everything that is needed to continue into an empty folder.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    fn save(&self, folder: &Path) -> Result<(), Error>;

    /// Takes the state that [`save`](Self::save) wrote.
    ///
    /// # Errors
    ///
    /// If a file is missing, damaged, or does not fit the configuration.
    fn load(&mut self, folder: &Path) -> Result<(), Error>;
}

/// What a method costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Costs {
    /// The parameters of what is sampled.
    pub parameters: usize,
    /// The parameters that only training needs, such as those of a discriminator.
    pub training_parameters: usize,
    /// The number of times that the network is evaluated for one sample.
    pub evaluations_per_sample: usize,
    /// Whether the samples of one input differ. If not, every measure of diversity is 0 by construction.
    pub is_stochastic: bool,
}
