//! The report of an evaluation, which is written as `report.json`.

use std::path::PathBuf;

use chimle_metrics::{Better, Bootstrap, Subsets};
use serde::Serialize;

/// The version of the report's layout. It is raised when a field changes its meaning or is removed.
pub const REPORT_FORMAT: u32 = 1;

/// The results of an evaluation.
///
/// Its serialized form is `report.json`. A measure that was not taken has no field, and
/// [`notes`](Self::notes) gives the reason. A number that is infinite (such as the PSNR of equal images) or
/// undefined is written as `null`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The version of the layout, [`REPORT_FORMAT`].
    pub format: u32,
    /// The model or the folders that were measured.
    pub measured: Subject,
    /// The number of images measured. For a model, this is the number of examples. For two folders, it is the
    /// number of images of the measured folder.
    pub images: usize,
    /// The number of samples for each image.
    pub samples: usize,
    /// The images that could not be read, each with the reason.
    pub skipped: Vec<String>,
    /// The bootstrap settings of the intervals of means over images. The measures of sets use fewer
    /// resamples: [`SetMeasures::resamples`].
    pub intervals: Bootstrap,
    /// The name of the distance. Values of different distances must not be compared.
    pub distance: String,
    /// The similarity of samples and true images.
    #[serde(rename = "likeness", skip_serializing_if = "Option::is_none")]
    pub similarity: Option<Similarity>,
    /// The mean distance between two samples of one image. If the distance is LPIPS, this is the LPIPS
    /// diversity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diversity: Option<Figure>,
    /// The faithfulness-weighted variance with the distance, at several bandwidths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faithfulness_weighted_variance: Vec<FaithfulnessAtSigma>,
    /// The number of known outputs that the samples find. Only for procedural scenes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modes: Option<ModeCoverage>,
    /// The similarity of the set of all samples and the set of all true images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sets: Option<SetMeasures>,
    /// Remarks about the numbers, and the reasons why some are missing.
    pub notes: Vec<String>,
}

/// The model or the folders that were measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A model, on the examples of a data set.
    Model {
        /// The task, such as "colorization".
        task: String,
        /// The height and the width of the outputs.
        size: [usize; 2],
    },
    /// Images made by any program, compared with true images.
    Folders {
        /// The folder of true images, or the file of their statistics.
        #[serde(with = "crate::path_text")]
        real: PathBuf,
        /// The folder of images that were measured.
        #[serde(with = "crate::path_text")]
        fake: PathBuf,
    },
}

/// One number with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The number.
    pub value: f64,
    /// The 95% bootstrap interval over images, `[low, high]`.
    pub interval: [f64; 2],
    /// The number of images that the number was computed from.
    pub images: usize,
    /// The number of samples per image that the number was computed from.
    pub samples: usize,
    /// Whether higher or lower values are better. `null` if neither is.
    pub better: Option<Better>,
}

/// The similarity of samples and true images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Similarity {
    /// The distance to the true image.
    pub distance: SampleStatistics,
    /// PSNR in dB.
    pub psnr: SampleStatistics,
    /// SSIM. Absent if the images are smaller than the window of SSIM, 11 pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssim: Option<SampleStatistics>,
    /// MS-SSIM. Absent if the images are smaller than 176 pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms_ssim: Option<SampleStatistics>,
    /// The PSNR in dB between the input and the output degraded by the task. Only for super-resolution and
    /// decompression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consistency: Option<SampleStatistics>,
}

/// Statistics of a measure over the samples of each image, averaged over images. With one sample per image,
/// `best` and `deviation` are absent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SampleStatistics {
    /// The value of each image's best sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<Figure>,
    /// The mean over each image's samples.
    pub mean: Figure,
    /// The standard deviation over each image's samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation: Option<Figure>,
    /// The value of the baseline, which is the input itself as a picture of the output's size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Figure>,
}

/// The faithfulness-weighted variance at one bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FaithfulnessAtSigma {
    /// The bandwidth.
    pub sigma: f64,
    /// The variance.
    #[serde(flatten)]
    pub figure: Figure,
}

/// The number of known outputs (modes) of procedural scenes that the samples find. Distances are the root mean
/// square over values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ModeCoverage {
    /// The number of known outputs that are the nearest known output of some sample, and lie within the mode
    /// radius of this sample. The mode radius is half the smallest distance between two known outputs of the
    /// scene.
    pub covered: Figure,
    /// The number of known outputs that are the nearest known output of some sample, at any distance.
    pub nearest: Figure,
    /// The fraction of scenes in which all known outputs, except at most one, are the nearest known output of
    /// some sample.
    pub mostly_nearest: Figure,
    /// The mean distance between a sample and its nearest known output.
    pub distance: Figure,
    /// The number of known outputs of a scene.
    pub of: usize,
    /// The number of known outputs that a perfect sampler would cover on average.
    pub expected: f64,
}

/// The similarity of two sets of images by the features of one extractor. Values of different extractors must
/// not be compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetMeasures {
    /// The extractor's name.
    pub extractor: String,
    /// The number of features per image.
    pub dimension: usize,
    /// Whether the extractor is the Inception-v3 that defines FID and KID.
    pub is_inception: bool,
    /// The number of true images.
    pub real_images: usize,
    /// The number of images or samples that are compared with the true images.
    pub generated_images: usize,
    /// The number of resamples for the intervals of the Frechet distance and the kernel distance.
    pub resamples: usize,
    /// The Frechet distance. On Inception-v3, it is the FID. Its interval resamples only the generated images
    /// and keeps the set of true images fixed.
    pub frechet_distance: Figure,
    /// The kernel distance (unbiased, cubic kernel). On Inception-v3, it is the KID.
    pub kernel_distance: Figure,
    /// The subsets over which the kernel distance is averaged. `null` if it compares the whole sets.
    pub subsets: Option<Subsets>,
    /// Precision, recall, density and coverage. Absent if there are too few images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neighborhoods: Option<NeighborhoodFigures>,
}

/// Precision, recall, density and coverage, which measure how far two sets of images cover each other.
///
/// The neighborhood of an image reaches to its k-th nearest neighbor in its own set. The intervals keep the
/// neighborhoods fixed. Those of precision and density are over the generated images, and those of recall and
/// coverage are over the true images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NeighborhoodFigures {
    /// The number k of neighbors.
    pub neighbors: usize,
    /// The fraction of generated images that lie in the neighborhood of a true image.
    pub precision: Figure,
    /// The fraction of true images that lie in the neighborhood of a generated image.
    pub recall: Figure,
    /// The mean number of neighborhoods of true images that a generated image lies in, divided by k.
    pub density: Figure,
    /// The fraction of true images whose neighborhood contains a generated image.
    pub coverage: Figure,
}
