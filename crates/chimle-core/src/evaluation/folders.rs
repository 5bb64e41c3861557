//! Comparing two folders of images, made by any program.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use chimle_data::{Planes, image_size, list_images, read_rgb, stack};
use chimle_imle::Distance;
use chimle_metrics::{Better, FAITHFULNESS_SIGMAS, Statistics};
use chimle_nn::Kernels;
use rayon::prelude::*;

use super::measured::{Distances, features, stacked, usually_at_once};
use super::report::{FaithfulnessAtSigma, Figure, REPORT_FORMAT, Report, Similarity, Subject};
use super::sets::FeatureSets;
use super::similarity::ImageSimilarity;
use super::tally::{Column, Figures};
use super::{Evaluation, EvaluationConfig, Instruments, measure_sets};
use crate::error::Error;

/// The largest number of images read at once. If they have the same size, their features are computed in one
/// batch.
const AT_ONCE: usize = 16;

/// The largest total number of pixels of the images read at once, unless a single image has more. They take
/// 3 GiB as 32-bit numbers.
const PIXELS_READ: u64 = 1 << 28;

/// The largest number of pixels in a batch for which features are computed.
const PIXELS_AT_ONCE: usize = 1 << 21;

/// The true images with which other images are compared.
#[derive(Clone, Debug, PartialEq)]
pub enum RealImages {
    /// A folder of images, including its subfolders.
    Folder(PathBuf),
    /// A file with the statistics of the true images. Pairs of images cannot be compared then.
    Statistics(PathBuf),
}

impl RealImages {
    /// Returns [`Statistics`](Self::Statistics) if `path` is a file, and [`Folder`](Self::Folder) otherwise.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        if path.is_file() {
            Self::Statistics(path)
        } else {
            Self::Folder(path)
        }
    }
}

/// Measures the images of the folder `fake` by comparing them with true images.
///
/// All images are compared as sets, each image at its own size (the extractor may resize it). An image that
/// has the name and the size of a true image is also compared with this true image. The file extension may
/// differ.
///
/// There can be several samples for each true image: `NAME-1.png`, `NAME-2.png` and so on for a true image
/// `NAME.jpg`, with any number of digits. In this case, the diversity and the faithfulness-weighted variance
/// are measured too. All other images of the folder are left out. The number of samples used per true image is
/// the smallest number that any of them has.
///
/// Images that cannot be read are skipped and listed in the report. `progress` is called with the number of
/// images done and the number of all images.
///
/// # Errors
///
/// If a folder has fewer than two images that can be read; if the statistics cannot be read or were computed
/// with another extractor; if there is neither an extractor nor a pair.
pub fn evaluate_folders<B: Kernels>(
    real: &RealImages,
    fake: &Path,
    instruments: &Instruments<'_, B>,
    config: &EvaluationConfig,
    device: &B::Device,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Evaluation, Error> {
    let (real_path, real_folder, given) = match real {
        RealImages::Folder(path) => (path, Some(Folder::open(path, config.limit)?), None),
        RealImages::Statistics(path) => (path, None, Some(Statistics::load(path)?)),
    };
    let mut fakes = Folder::open(fake, config.limit)?;
    let mut notes = Vec::new();
    let pairs = match &real_folder {
        Some(real) => real.pairs(&mut fakes, &mut notes),
        None => Vec::new(),
    };
    let samples = pairs.first().map_or(1, |pair| pair.samples.len());
    let mut sets = instruments
        .extractor
        .map(|extractor| FeatureSets::new(extractor, given.as_ref()))
        .transpose()?;
    if sets.is_none() && pairs.is_empty() {
        return Err(Error::Setting {
            field: "folders",
            reason: format!(
                "have nothing to measure: {} and {} have no file names in common, and there are no weights \
                 of a network that computes features",
                real_path.display(),
                fake.display()
            ),
        });
    }

    let mut skipped = fakes.lost.clone();
    skipped.extend(real_folder.iter().flat_map(|real| real.lost.clone()));
    let of_sets = |folder: &Folder| {
        if sets.is_some() { folder.in_sets } else { 0 }
    };
    let in_sets = of_sets(&fakes) + real_folder.as_ref().map_or(0, of_sets);
    let mut done = 0;
    let mut step = |images: usize| {
        done += images;
        progress(done, in_sets + pairs.len());
    };
    step(0);
    let mut images = pairs.len();
    if let Some(sets) = &mut sets {
        if let Some(real) = &real_folder {
            real.each::<B>(device, &mut skipped, &mut step, |batch| {
                sets.push_real(batch)
            })?;
        }
        images = fakes.each::<B>(device, &mut skipped, &mut step, |batch| {
            sets.push_generated(batch)
        })?;
    }

    let figures = Figures {
        bootstrap: config.bootstrap(),
        samples,
    };
    let mut found = Found::default();
    if let Some(real) = &real_folder {
        let paired = (real, &fakes, &pairs[..]);
        measure_pairs(
            paired,
            instruments,
            device,
            &mut found,
            &mut notes,
            &mut step,
        )?;
    }
    let similarity = found.similarity(figures);
    if real_folder.is_some() && similarity.is_none() {
        notes.push(
            "Measures of pairs (PSNR and others) are absent: no image has the name and size of a true image."
                .to_owned(),
        );
    }
    let of_sets = measure_sets(sets.as_ref(), config, figures, false, &mut notes)?;
    let report = Report {
        format: REPORT_FORMAT,
        measured: Subject::Folders {
            real: real_path.clone(),
            fake: fake.to_owned(),
        },
        images,
        samples,
        skipped,
        intervals: figures.bootstrap,
        distance: instruments.distance_name.to_owned(),
        similarity,
        diversity: found.diversity(figures),
        faithfulness_weighted_variance: found.faithfulness(figures),
        modes: None,
        sets: of_sets,
        notes,
    };
    Ok(Evaluation {
        report,
        statistics: sets.and_then(FeatureSets::into_gathered),
        kept: Vec::new(),
    })
}

/// The images of a folder.
struct Folder {
    path: PathBuf,
    /// The paths of the images relative to the folder, in order.
    files: Vec<PathBuf>,
    /// The number of files, counted from the first, that are compared as a set.
    in_sets: usize,
    /// The reasons why parts of the folder could not be read.
    lost: Vec<String>,
}

impl Folder {
    fn open(path: &Path, limit: Option<usize>) -> Result<Self, Error> {
        let below = |image: PathBuf| {
            image
                .strip_prefix(path)
                .map(Path::to_owned)
                .unwrap_or(image)
        };
        let found = list_images(path)?;
        let files: Vec<PathBuf> = found.files.into_iter().map(below).collect();
        let lost = found.skipped.iter().map(|lost| lost.reason.to_string());
        Ok(Self {
            lost: lost.collect(),
            path: path.to_owned(),
            in_sets: limit.unwrap_or(usize::MAX).min(files.len()),
            files,
        })
    }

    fn read(&self, file: &Path) -> Result<Planes, String> {
        let image = read_rgb(self.path.join(file)).map_err(|error| error.to_string())?;
        Ok(Planes::from_rgb(&image))
    }

    /// Returns how many of the first files are read at once, by the sizes in their headers.
    fn at_once(&self, files: &[PathBuf]) -> usize {
        let mut pixels = 0u64;
        let fitting = files.iter().take(AT_ONCE).take_while(|file| {
            // A file that cannot be read takes no memory.
            let size = image_size(self.path.join(file)).unwrap_or((0, 0));
            pixels += u64::from(size.0) * u64::from(size.1);
            pixels <= PIXELS_READ
        });
        fitting.count().max(1)
    }

    /// Reads the images of the set and passes them to `take` in batches `[images, 3, height, width]`.
    /// Consecutive images of the same size are in one batch. Returns the number of images that could be read.
    fn each<B: Backend>(
        &self,
        device: &B::Device,
        skipped: &mut Vec<String>,
        step: &mut impl FnMut(usize),
        mut take: impl FnMut(burn::tensor::Tensor<B, 4>) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        let mut count = 0;
        let mut rest = &self.files[..self.in_sets];
        while !rest.is_empty() {
            let (files, others) = rest.split_at(self.at_once(rest));
            rest = others;
            let read: Vec<_> = files.par_iter().map(|file| self.read(file)).collect();
            let mut images = Vec::new();
            for image in read {
                match image {
                    Ok(image) => images.push(image),
                    Err(reason) => skipped.push(reason),
                }
            }
            let same_size = |a: &Planes, b: &Planes| (a.height, a.width) == (b.height, b.width);
            for group in images.chunk_by(same_size) {
                let pixels = group[0].height * group[0].width;
                for batch in group.chunks((PIXELS_AT_ONCE / pixels).max(1)) {
                    take(stack(&batch.iter().collect::<Vec<_>>(), device))?;
                }
            }
            count += images.len();
            step(files.len());
        }
        if count < 2 {
            return Err(Error::Setting {
                field: "folders",
                reason: format!(
                    "must each have at least two readable images, but {} has {count} readable image{}",
                    self.path.display(),
                    if count == 1 { "" } else { "s" }
                ),
            });
        }
        Ok(count)
    }

    /// Finds the samples in another folder for the images of this folder, by their paths without the
    /// extension.
    ///
    /// If the other folder holds several samples for some image, only the samples stay in its list of files.
    fn pairs(&self, other: &mut Self, notes: &mut Vec<String>) -> Vec<Pair> {
        let several = self.pairs_of_several(other);
        if several.is_empty() {
            return self.pairs_of_one(other);
        }
        let fewest = several
            .iter()
            .map(|pair| pair.samples.len())
            .min()
            .unwrap_or(0);
        let mut kept = Vec::new();
        let pairs: Vec<Pair> = several
            .into_iter()
            .map(|Pair { truth, samples }| {
                let first = kept.len();
                kept.extend(
                    samples[..fewest]
                        .iter()
                        .map(|&index| other.files[index].clone()),
                );
                Pair {
                    truth,
                    samples: (first..first + fewest).collect(),
                }
            })
            .collect();
        let left_out = other.files.len() - kept.len();
        if left_out > 0 {
            notes.push(format!(
                "{left_out} images of {} are left out: there is no true image of their name, or they exceed the \
                 {fewest} samples used per true image.",
                other.path.display()
            ));
        }
        other.in_sets = kept.len();
        other.files = kept;
        pairs
    }

    /// Finds samples `NAME-1`, `NAME-2` and so on for the images `NAME` of this folder. Returns nothing unless
    /// some image has at least two samples.
    fn pairs_of_several(&self, other: &Self) -> Vec<Pair> {
        let own = self.by_stem();
        let mut samples: BTreeMap<usize, Vec<(u64, usize)>> = BTreeMap::new();
        for (index, file) in other.files.iter().enumerate() {
            let stem = file.with_extension("");
            let numbered = stem.to_str().and_then(|stem| stem.rsplit_once('-'));
            let Some((name, Ok(number))) = numbered.map(|(name, digits)| (name, digits.parse()))
            else {
                continue;
            };
            if let Some(Some(truth)) = own.get(Path::new(name)) {
                samples.entry(*truth).or_default().push((number, index));
            }
        }
        if samples.values().all(|samples| samples.len() < 2) {
            return Vec::new();
        }
        let pairs = samples.into_iter().map(|(truth, mut samples)| {
            samples.sort_unstable();
            let samples = samples.into_iter().map(|(_, index)| index);
            Pair {
                truth,
                samples: samples.collect(),
            }
        });
        pairs.take(self.in_sets.max(1)).collect()
    }

    /// Pairs the first `in_sets` files of another folder with the files of this folder that have the same
    /// path except for the extension. A path that several files of one folder share is not paired.
    fn pairs_of_one(&self, other: &Self) -> Vec<Pair> {
        let others = other.by_stem();
        let mut pairs: Vec<Pair> = self
            .by_stem()
            .into_iter()
            .filter_map(|(stem, index)| Some((index?, (*others.get(&stem)?)?)))
            .filter(|&(_, of_other)| of_other < other.in_sets)
            .map(|(truth, sample)| Pair {
                truth,
                samples: vec![sample],
            })
            .collect();
        pairs.sort_unstable_by_key(|pair| pair.truth);
        pairs
    }

    /// Returns the index of the file with each stem (path without the extension). It is `None` for a stem
    /// that several files have.
    fn by_stem(&self) -> HashMap<PathBuf, Option<usize>> {
        let mut stems = HashMap::new();
        for (index, file) in self.files.iter().enumerate() {
            let stem = file.with_extension("");
            let entry = stems.entry(stem);
            entry
                .and_modify(|index| *index = None)
                .or_insert(Some(index));
        }
        stems
    }
}

/// A true image and its samples, as indices into the lists of files.
struct Pair {
    truth: usize,
    samples: Vec<usize>,
}

/// The values measured on pairs, image by image.
#[derive(Default)]
struct Found {
    distance: Column,
    psnr: Column,
    ssim: Column,
    ms_ssim: Column,
    diversity: Vec<f64>,
    faithfulness: [Vec<f64>; FAITHFULNESS_SIGMAS.len()],
}

impl Found {
    fn similarity(&self, figures: Figures) -> Option<Similarity> {
        Some(Similarity {
            distance: self.distance.spread(figures, Better::Lower)?,
            psnr: self.psnr.spread(figures, Better::Higher)?,
            ssim: self.ssim.spread(figures, Better::Higher),
            ms_ssim: self.ms_ssim.spread(figures, Better::Higher),
            consistency: None,
        })
    }

    fn diversity(&self, figures: Figures) -> Option<Figure> {
        let measured = !self.diversity.is_empty();
        measured.then(|| figures.mean(&self.diversity, Some(Better::Higher)))
    }

    fn faithfulness(&self, figures: Figures) -> Vec<FaithfulnessAtSigma> {
        let values = FAITHFULNESS_SIGMAS.into_iter().zip(&self.faithfulness);
        let measured = values.filter(|(_, values)| !values.is_empty());
        measured
            .map(|(sigma, values)| FaithfulnessAtSigma {
                sigma,
                figure: figures.mean(values, Some(Better::Higher)),
            })
            .collect()
    }
}

/// Compares samples with the true images of the same names.
fn measure_pairs<B: Kernels>(
    (real, fakes, pairs): (&Folder, &Folder, &[Pair]),
    instruments: &Instruments<'_, B>,
    device: &B::Device,
    found: &mut Found,
    notes: &mut Vec<String>,
    step: &mut impl FnMut(usize),
) -> Result<(), Error> {
    let at_once = usually_at_once();
    let mut other_size = 0;
    for pair in pairs {
        step(1);
        let read = || -> Result<(Planes, Vec<Planes>), String> {
            let truth = real.read(&real.files[pair.truth])?;
            let samples = pair
                .samples
                .iter()
                .map(|&index| fakes.read(&fakes.files[index]));
            Ok((truth, samples.collect::<Result<_, _>>()?))
        };
        let (truth, samples) = match read() {
            Ok(read) => read,
            // With an extractor, an unreadable image was already listed when the sets were read.
            Err(reason) => {
                if instruments.extractor.is_none() {
                    notes.push(format!("A pair is left out: {reason}"));
                }
                continue;
            }
        };
        let size = |image: &Planes| (image.height, image.width);
        if samples.iter().any(|sample| size(sample) != size(&truth)) {
            other_size += 1;
            continue;
        }
        let images = stacked(&samples, device);
        let features = features(instruments.distance, &samples, &at_once, device)?;
        let of_truth = instruments.distance.features(truth.to_tensor(device));
        let distances = if samples.len() > 1 {
            let apart = Distances::of(instruments.distance, &features, &of_truth, &images)?;
            found.diversity.push(apart.diversity);
            for (values, value) in found.faithfulness.iter_mut().zip(apart.faithfulness) {
                values.push(value);
            }
            apart.to_truth
        } else {
            let apart = instruments.distance.compare(&features, &of_truth);
            apart.into_data().iter::<f64>().collect()
        };
        found.distance.push(&distances, None, Better::Lower)?;
        let similar: Vec<ImageSimilarity> = samples
            .par_iter()
            .map(|sample| ImageSimilarity::of(sample, &truth))
            .collect::<Result<_, _>>()?;
        let psnr: Vec<f64> = similar.iter().map(|found| found.psnr).collect();
        found.psnr.push(&psnr, None, Better::Higher)?;
        let ssim = similar.iter().map(|found| found.ssim);
        let ms_ssim = similar.iter().map(|found| found.ms_ssim);
        for (column, values) in [
            (&mut found.ssim, ssim.collect::<Option<Vec<f64>>>()),
            (&mut found.ms_ssim, ms_ssim.collect()),
        ] {
            if let Some(values) = values {
                column.push(&values, None, Better::Higher)?;
            }
        }
    }
    if other_size > 0 {
        notes.push(format!(
            "{other_size} images have the name of a true image but a different size. They are not compared with it."
        ));
    }
    Ok(())
}
