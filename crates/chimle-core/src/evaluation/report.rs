//! What an evaluation found, as `report.json` holds it.

use std::path::PathBuf;

use chimle_metrics::{Better, Bootstrap, Subsets};
use serde::Serialize;

/// The version of the report's layout: raised when a field changes its meaning or goes.
pub const REPORT_FORMAT: u32 = 1;

/// Everything that an evaluation measured.
///
/// Serialized, it is `report.json`. What was not measured has no field (see
/// [`notes`](Self::notes) for why); a number that is infinite (PSNR of equal images) or undefined is
/// `null`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// [`REPORT_FORMAT`].
    pub format: u32,
    /// What was measured.
    pub measured: Subject,
    /// Images measured: of a model, inputs; of two folders, images of the second.
    pub images: usize,
    /// Samples for each image.
    pub samples: usize,
    /// Images that could not be read, with the reason.
    pub skipped: Vec<String>,
    /// How the intervals of means over images were found. (Those of measures of sets took fewer
    /// resamples: [`SetMeasures::resamples`].)
    pub intervals: Bootstrap,
    /// The name of the distance; numbers of two distances are not comparable.
    pub distance: String,
    /// How near samples come to their truths.
    #[serde(rename = "likeness", skip_serializing_if = "Option::is_none")]
    pub similarity: Option<Similarity>,
    /// Mean distance between two samples of one image; with LPIPS, the LPIPS diversity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diversity: Option<Figure>,
    /// Faithfulness-weighted variance under the distance, at several bandwidths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faithfulness_weighted_variance: Vec<FaithfulnessAtSigma>,
    /// Procedural scenes: how many of their known outputs the samples find.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modes: Option<ModeCoverage>,
    /// How alike all samples are to all true images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sets: Option<SetMeasures>,
    /// What a reader should know of the numbers, and why some are missing.
    pub notes: Vec<String>,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A model, on the examples of a data set.
    Model {
        /// The task, as in "colorization".
        task: String,
        /// Height and width of the outputs.
        size: [usize; 2],
    },
    /// Images made by any program, beside true ones.
    Folders {
        /// The folder of true images, or the file of their statistics.
        #[serde(with = "crate::path_text")]
        real: PathBuf,
        /// The folder measured.
        #[serde(with = "crate::path_text")]
        fake: PathBuf,
    },
}

/// One number, and how far it may be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The number.
    pub value: f64,
    /// The 95% interval of bootstrap resampling of the images, `[low, high]`.
    pub interval: [f64; 2],
    /// Images it is of.
    pub images: usize,
    /// Samples for each image that it is of.
    pub samples: usize,
    /// Which values are better; `null` if neither.
    pub better: Option<Better>,
}

/// How near samples come to their truths, image by image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Similarity {
    /// The distance to the truth.
    pub distance: SampleStatistics,
    /// PSNR in dB.
    pub psnr: SampleStatistics,
    /// SSIM. Absent if the images are smaller than its window of 11 pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssim: Option<SampleStatistics>,
    /// MS-SSIM. Absent if the images are smaller than 176 pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms_ssim: Option<SampleStatistics>,
    /// PSNR in dB of the output, degraded as the task does it, to the input: super-resolution and
    /// decompression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consistency: Option<SampleStatistics>,
}

/// A measure over the samples of each image, averaged over images. With one sample an image there
/// is the mean alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SampleStatistics {
    /// Of the best of each image's samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<Figure>,
    /// Of each image's samples on average.
    pub mean: Figure,
    /// The standard deviation over each image's samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation: Option<Figure>,
    /// Of the baseline: the input itself, as a picture of the output's size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Figure>,
}

/// The faithfulness-weighted variance at one bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FaithfulnessAtSigma {
    /// The bandwidth.
    pub sigma: f64,
    /// Its value.
    #[serde(flatten)]
    pub figure: Figure,
}

/// How many of the known outputs of procedural scenes are found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ModeCoverage {
    /// Known outputs that are some sample's nearest and lie within the radius of it: half the
    /// smallest distance (root mean square) between two of the scene's known outputs.
    pub covered: Figure,
    /// Known outputs that are some sample's nearest, at whatever distance.
    pub nearest: Figure,
    /// The share of scenes where that is so for all but at most one.
    pub mostly_nearest: Figure,
    /// The mean distance (root mean square) of the samples from the known output nearest to each.
    pub distance: Figure,
    /// Known outputs of a scene.
    pub of: usize,
    /// What a perfect sampler would find on average.
    pub expected: f64,
}

/// How alike two sets of images are by the features of one extractor. Numbers of two extractors are
/// not comparable.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetMeasures {
    /// The extractor's name.
    pub extractor: String,
    /// Numbers that it gives of an image.
    pub dimension: usize,
    /// Whether it is the Inception-v3 that FID and KID are defined on.
    pub is_inception: bool,
    /// True images.
    pub real_images: usize,
    /// Images or samples compared with them.
    pub generated_images: usize,
    /// Resamples of the intervals of the Frechet and the kernel distance.
    pub resamples: usize,
    /// The Frechet distance: on Inception-v3, the FID. Its interval is for the true images as they
    /// are.
    pub frechet_distance: Figure,
    /// The kernel distance (unbiased, cubic kernel): on Inception-v3, the KID.
    pub kernel_distance: Figure,
    /// The subsets that the kernel distance is a mean over; `null` if it is of the whole sets.
    pub subsets: Option<Subsets>,
    /// Precision, recall, density and coverage. Absent if there are too few images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neighborhoods: Option<NeighborhoodFigures>,
}

/// How far the sets cover each other. Intervals are for the neighbourhoods as they are: of
/// precision and density over the generated images, of recall and coverage over the real ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NeighborhoodFigures {
    /// Neighbours that a neighbourhood reaches to.
    pub neighbors: usize,
    /// The share of generated images near a real one.
    pub precision: Figure,
    /// The share of real images near a generated one.
    pub recall: Figure,
    /// Real neighbourhoods that a generated image lies in, divided by `neighbors`.
    pub density: Figure,
    /// The share of real images with a generated one in their neighbourhood.
    pub coverage: Figure,
}
