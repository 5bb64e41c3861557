//! The four tasks of the paper.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::DataError;

/// What the generator is asked to do. Shown, parsed and serialized in kebab case, as `super-resolution`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// A small image to one of twice the side per level (16x with four levels).
    SuperResolution,
    /// Lightness to color. Also parsed from `colourization` and `colourisation`.
    #[serde(alias = "colourization", alias = "colourisation")]
    Colorization,
    /// A heavily compressed JPEG to a clean image.
    Decompression,
    /// Photographs by night to the same scene by day, or any other task given by pairs of images.
    /// Also parsed from `paired` and `image-to-image`.
    #[serde(alias = "paired", alias = "image-to-image")]
    NightToDay,
}

impl Task {
    /// Every task, in the paper's order.
    pub const ALL: [Self; 4] = [
        Self::NightToDay,
        Self::SuperResolution,
        Self::Colorization,
        Self::Decompression,
    ];

    /// Channels of the conditioning image: 1 (lightness) for colorization, else 3.
    pub fn conditioning_channels(self) -> usize {
        match self {
            Self::Colorization => 1,
            Self::SuperResolution | Self::Decompression | Self::NightToDay => 3,
        }
    }

    /// Whether the input is an image of its own rather than made from the output.
    pub fn is_paired(self) -> bool {
        self == Self::NightToDay
    }

    /// The name in kebab case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SuperResolution => "super-resolution",
            Self::Colorization => "colorization",
            Self::Decompression => "decompression",
            Self::NightToDay => "night-to-day",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Task {
    type Err = DataError;

    /// # Errors
    ///
    /// [`DataError::UnknownTask`].
    fn from_str(name: &str) -> Result<Self, DataError> {
        match name {
            "super-resolution" => Ok(Self::SuperResolution),
            "colorization" | "colourization" | "colourisation" => Ok(Self::Colorization),
            "decompression" => Ok(Self::Decompression),
            "night-to-day" | "paired" | "image-to-image" => Ok(Self::NightToDay),
            _ => Err(DataError::UnknownTask {
                name: name.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_parsed_from_what_it_shows() {
        for task in Task::ALL {
            assert_eq!(task.to_string().parse::<Task>().unwrap(), task);
        }
        assert_eq!("colourisation".parse::<Task>().unwrap(), Task::Colorization);
        assert_eq!("paired".parse::<Task>().unwrap(), Task::NightToDay);
        assert!("colour".parse::<Task>().is_err());
    }

    #[test]
    fn a_task_is_serialized_as_it_is_shown_and_read_by_its_other_names() {
        for task in Task::ALL {
            let text = serde_json::to_string(&task).unwrap();
            assert_eq!(text, format!("\"{task}\""));
            assert_eq!(serde_json::from_str::<Task>(&text).unwrap(), task);
        }
        for (name, task) in [
            ("colourisation", Task::Colorization),
            ("image-to-image", Task::NightToDay),
        ] {
            let text = format!("\"{name}\"");
            assert_eq!(serde_json::from_str::<Task>(&text).unwrap(), task);
        }
    }
}
