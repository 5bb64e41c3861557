//! The trait of a task, and the registry in which tasks are found by name.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use image::RgbImage;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::procedural::{self, Scene};
use crate::resample::downsample_planes;
use crate::tasks::{Colorization, Decompression, NightToDay, SuperResolution};
use crate::{DataError, Planes, Sizes, gray_of_lightness, targets};

/// How the size of a task's input relates to the size of its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputSize {
    /// The input has the output's size. Every level is conditioned on the input at the level's size.
    SameAsOutput,
    /// The input's sides are those of the output divided by 2 per level. Only the first level is
    /// conditioned on the input.
    Reduced,
}

/// The color space of the generator's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputSpace {
    /// The output is an RGB image.
    Rgb,
    /// The input is a lightness, and the generator adds the two color channels of CIE Lab.
    Lab,
}

/// A task: how a photograph becomes an input, how the sizes of input and output relate, and how an
/// output is shown.
///
/// The paper's four tasks are [`Colorization`], [`SuperResolution`], [`Decompression`] and
/// [`NightToDay`]. A program adds its own tasks by implementing this trait. After [`register`], a task
/// is found by its name in configurations, models and run folders, like the four built-in ones.
///
/// Pictures are 8-bit RGB images. The inputs and conditioning images of the generator are [`Planes`]
/// with any number of channels.
///
/// # Examples
///
/// A task that removes noise. The degradation is random, so it depends on a seed:
///
/// ```
/// use chimle_data::{DataError, Planes, Sizes, Task, TaskHandle, register};
/// use image::RgbImage;
/// use rand::{RngExt, SeedableRng, rngs::SmallRng};
///
/// #[derive(Debug)]
/// struct Denoising;
///
/// impl Task for Denoising {
///     fn name(&self) -> &str {
///         "denoising"
///     }
///
///     fn degrade(&self, photograph: &RgbImage, _: &Sizes, seed: u64) -> Result<Planes, DataError> {
///         let mut rng = SmallRng::seed_from_u64(seed);
///         let mut noisy = Planes::from_rgb(photograph);
///         for value in &mut noisy.data {
///             *value = (*value + rng.random_range(-0.2..0.2)).clamp(0.0, 1.0);
///         }
///         Ok(noisy)
///     }
/// }
///
/// register(Denoising)?;
/// let task: TaskHandle = "denoising".parse()?;
/// assert_eq!(task.conditioning_channels(), 3);
/// # Ok::<(), DataError>(())
/// ```
pub trait Task: fmt::Debug + Send + Sync + 'static {
    /// Returns the name in kebab case, such as `super-resolution`.
    fn name(&self) -> &str;

    /// Returns other names that configurations and the command line may use for the task.
    fn aliases(&self) -> &[&str] {
        &[]
    }

    /// Returns how the input's size relates to the output's.
    fn input_size(&self) -> InputSize {
        InputSize::SameAsOutput
    }

    /// Returns the number of channels of a conditioning image.
    fn conditioning_channels(&self) -> usize {
        3
    }

    /// Returns the number of channels of the true outputs, [`targets`](Self::targets).
    fn output_channels(&self) -> usize {
        3
    }

    /// Returns the color space of the generator's output.
    fn output_space(&self) -> OutputSpace {
        OutputSpace::Rgb
    }

    /// Returns whether the inputs are separate images, as in pairs of night and day. Otherwise
    /// [`degrade`](Self::degrade) makes them from the outputs.
    fn is_paired(&self) -> bool {
        false
    }

    /// Makes the input, with values in [0, 1], from a photograph of the output's size.
    ///
    /// A random degradation must depend only on the photograph and `seed`. This function is not called
    /// for pairs of images, because the input of a pair is not made from the output.
    ///
    /// # Errors
    ///
    /// If the photograph cannot be degraded. The built-in tasks report the errors of
    /// [`jpeg`](crate::jpeg) and [`downsample`](crate::downsample).
    fn degrade(&self, photograph: &RgbImage, sizes: &Sizes, seed: u64)
    -> Result<Planes, DataError>;

    /// Degrades a generated output, so that the result can be compared with the input. This measures
    /// the output's consistency, and needs a deterministic degradation. The default returns `None`, so
    /// consistency is not measured.
    ///
    /// # Errors
    ///
    /// The errors of [`degrade`](Self::degrade).
    fn degrade_again(&self, output: &RgbImage, sizes: &Sizes) -> Result<Option<Planes>, DataError> {
        let _ = (output, sizes);
        Ok(None)
    }

    /// Turns a picture into an input. The picture comes from a user, or is the input of a pair. The
    /// default uses the picture unchanged.
    ///
    /// # Errors
    ///
    /// If the task needs more than a picture. The default never fails.
    fn input_of_picture(&self, picture: &RgbImage) -> Result<Planes, DataError> {
        Ok(Planes::from_rgb(picture))
    }

    /// Makes the conditioning images from an input, one per size of [`Sizes::conditioning`]:
    /// `[conditioning_channels, height, width]`.
    ///
    /// The default resizes the input with Pillow's bicubic filter and rounds it to 8 bits.
    ///
    /// # Errors
    ///
    /// If the input cannot be resized.
    fn conditioning(&self, input: &Planes, sizes: &Sizes) -> Result<Vec<Planes>, DataError> {
        let sizes = sizes.conditioning().into_iter();
        sizes
            .map(|(height, width)| downsample_planes(input, height, width))
            .collect()
    }

    /// Makes the true output at every level, coarse to fine, from the output at full size. The
    /// default makes RGB images in [0, 1].
    ///
    /// # Errors
    ///
    /// If the output cannot be resized.
    fn targets(&self, output: &RgbImage, sizes: &Sizes) -> Result<Vec<Planes>, DataError> {
        targets(output, sizes)
    }

    /// Returns the input as a picture, RGB in [0, 1], given its conditioning images.
    ///
    /// The default shows the finest conditioning image. If it has one or two channels, the first one
    /// is shown as a lightness. If it has more than three, the first three are shown.
    fn picture_of_input(&self, conditioning: &[Planes]) -> Planes {
        let finest = &conditioning[conditioning.len() - 1];
        match finest.channels {
            1 | 2 => gray_of_lightness(finest),
            3 => finest.clone(),
            _ => finest.channels(0..3),
        }
    }

    /// Returns a generated image as it is shown and measured, RGB in [0, 1], given the conditioning
    /// images of its input.
    ///
    /// The default clamps values to [0, 1]. A task that knows a part of the output can insert that
    /// part here.
    fn show(&self, conditioning: &[Planes], output: Planes) -> Planes {
        let _ = conditioning;
        output.clipped()
    }

    /// Draws the procedural scene with this number.
    ///
    /// The default draws a picture of shapes in place of a photograph. Its plausible outputs are not
    /// known.
    ///
    /// # Errors
    ///
    /// If the scene cannot be drawn. The default never fails.
    fn scene(&self, sizes: &Sizes, number: u64) -> Result<Scene, DataError> {
        Ok(procedural::picture(sizes, number))
    }
}

/// A shared [`Task`] that is identified by its name.
///
/// It is displayed, parsed, compared and serialized by its name. Parsing finds the four built-in tasks
/// and those that the program has [registered](register).
#[derive(Clone)]
pub struct TaskHandle(Arc<dyn Task>);

/// The tasks that the program has registered.
static REGISTERED: RwLock<Vec<TaskHandle>> = RwLock::new(Vec::new());

/// Registers a task under its name and its aliases, and returns its handle.
///
/// # Errors
///
/// [`DataError::TaskExists`] if one of these names already belongs to a task.
pub fn register(task: impl Task) -> Result<TaskHandle, DataError> {
    let task = TaskHandle::new(task);
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    let known = TaskHandle::built_in().into_iter();
    let known: Vec<TaskHandle> = known.chain(registered.iter().cloned()).collect();
    let taken = |name: &&str| known.iter().any(|other| other.is_called(name));
    let mut names = std::iter::once(task.name()).chain(task.aliases().iter().copied());
    if let Some(name) = names.find(taken) {
        let name = name.to_owned();
        return Err(DataError::TaskExists { name });
    }
    registered.push(task.clone());
    Ok(task)
}

impl TaskHandle {
    /// Wraps a task without registering it. A configuration that names an unregistered task can be
    /// written but not read again.
    pub fn new(task: impl Task) -> Self {
        Self(Arc::new(task))
    }

    /// Returns the paper's four tasks, in the order of the paper.
    pub fn built_in() -> [Self; 4] {
        [
            Self::new(NightToDay),
            Self::new(SuperResolution),
            Self::new(Colorization),
            Self::new(Decompression),
        ]
    }

    /// Returns all tasks known by name: the built-in ones, then those registered.
    pub fn all() -> Vec<Self> {
        let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
        let built_in = Self::built_in().into_iter();
        built_in.chain(registered.iter().cloned()).collect()
    }

    fn is_called(&self, name: &str) -> bool {
        self.0.name() == name || self.0.aliases().contains(&name)
    }
}

impl<T: Task> From<T> for TaskHandle {
    fn from(task: T) -> Self {
        Self::new(task)
    }
}

impl Deref for TaskHandle {
    type Target = dyn Task;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref()
    }
}

impl PartialEq for TaskHandle {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for TaskHandle {}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for TaskHandle {
    type Err = DataError;

    /// Finds a task by its name or one of its aliases.
    ///
    /// # Errors
    ///
    /// [`DataError::UnknownTask`] if no task has this name.
    fn from_str(name: &str) -> Result<Self, DataError> {
        let all = Self::all();
        let found = all.iter().find(|task| task.is_called(name)).cloned();
        found.ok_or_else(|| DataError::UnknownTask {
            name: name.to_owned(),
            known: all.iter().map(|task| task.name().to_owned()).collect(),
        })
    }
}

impl Serialize for TaskHandle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for TaskHandle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_parsed_and_read_by_all_of_its_names_and_written_by_its_own() {
        for task in TaskHandle::built_in() {
            let text = serde_json::to_string(&task).unwrap();
            assert_eq!(text, format!("\"{task}\""));
            assert_eq!(serde_json::from_str::<TaskHandle>(&text).unwrap(), task);
            assert_eq!(task.to_string().parse::<TaskHandle>().unwrap(), task);
        }
        for (name, task) in [
            ("colourisation", "colorization"),
            ("colourization", "colorization"),
            ("paired", "night-to-day"),
            ("image-to-image", "night-to-day"),
        ] {
            assert_eq!(name.parse::<TaskHandle>().unwrap().name(), task);
        }
        let error = "colour".parse::<TaskHandle>().unwrap_err().to_string();
        assert!(
            error.contains("\"colour\"") && error.contains("super-resolution"),
            "{error}"
        );
    }

    #[derive(Debug)]
    struct Named(&'static str, &'static [&'static str]);

    impl Task for Named {
        fn name(&self) -> &str {
            self.0
        }
        fn aliases(&self) -> &[&str] {
            self.1
        }
        fn degrade(&self, photograph: &RgbImage, _: &Sizes, _: u64) -> Result<Planes, DataError> {
            Ok(Planes::from_rgb(photograph))
        }
    }

    #[test]
    fn a_registered_task_is_found_and_no_name_is_given_twice() {
        register(Named("copying", &["copy"])).unwrap();
        assert_eq!("copy".parse::<TaskHandle>().unwrap().name(), "copying");
        for taken in [
            Named("copying", &[]),
            Named("other", &["copying"]),
            Named("colorization", &[]),
            Named("new", &["paired"]),
        ] {
            let error = register(taken).unwrap_err();
            assert!(matches!(error, DataError::TaskExists { .. }), "{error}");
        }
    }
}
