//! Two folders of images, made by any program.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use chimle_data::{Planes, image_size, list_images, read_rgb, stack};
use chimle_imle::Distance;
use chimle_metrics::{Better, Statistics};
use chimle_nn::Kernels;
use rayon::prelude::*;

use super::report::{REPORT_FORMAT, Report, Similarity, Subject};
use super::sets::FeatureSets;
use super::similarity::ImageSimilarity;
use super::tally::{Column, Figures};
use super::{Evaluation, EvaluationConfig, Instruments, NO_EXTRACTOR};
use crate::error::Error;

/// Images read at once, and described together where they have one size.
const AT_ONCE: usize = 16;

/// The most pixels of the images read at once, unless one image alone has more: 3 GiB as 32-bit numbers.
const PIXELS_READ: u64 = 1 << 28;

/// The most pixels described together.
const PIXELS_AT_ONCE: usize = 1 << 21;

/// The true images that others are compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum RealImages {
    /// A folder, subfolders included.
    Folder(PathBuf),
    /// A file of their statistics. Without the images there are no pairs.
    Statistics(PathBuf),
}

impl RealImages {
    /// What a path names: a folder, or a file of statistics.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        if path.is_file() {
            Self::Statistics(path)
        } else {
            Self::Folder(path)
        }
    }
}

/// Measures the images of a folder beside true ones.
///
/// All of them are compared as sets, each at its own size (the extractor may resize them). Those
/// that have the name and size of a true image (the extension may differ) are also compared with it.
/// Images that cannot be read are passed over and listed. `progress` is called with the images done
/// and their number.
///
/// # Errors
/// If a folder holds no image, or fewer than two that can be read; if the statistics cannot be
/// read or are another extractor's; if there is neither an extractor nor a pair.
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
    let fakes = Folder::open(fake, config.limit)?;
    let pairs = real_folder
        .as_ref()
        .map_or_else(Vec::new, |real| real.pairs(&fakes));
    let mut sets = instruments
        .extractor
        .map(|extractor| FeatureSets::new(extractor, given.as_ref()))
        .transpose()?;
    if sets.is_none() && pairs.is_empty() {
        return Err(Error::Setting {
            field: "folders",
            reason: format!(
                "{} and {} have no file names in common, and no weights of a network that gives \
                 their features were named: there is nothing to measure",
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
        samples: 1,
    };
    let mut notes = Vec::new();
    let similarity = match &real_folder {
        Some(real) => {
            let paired = (real, &fakes, &pairs[..]);
            measure_pairs(paired, instruments, device, figures, &mut notes, &mut step)?
        }
        None => None,
    };
    let of_sets = match &sets {
        Some(sets) => sets.measure(&config.sets, figures.bootstrap, 1, false, &mut notes)?,
        None => {
            notes.push(NO_EXTRACTOR.to_owned());
            None
        }
    };
    let report = Report {
        format: REPORT_FORMAT,
        measured: Subject::Folders {
            real: real_path.clone(),
            fake: fake.to_owned(),
        },
        images,
        samples: 1,
        skipped,
        intervals: figures.bootstrap,
        distance: instruments.distance_name.to_owned(),
        similarity,
        diversity: None,
        faithfulness_weighted_variance: Vec::new(),
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
    /// Paths below it, in order.
    files: Vec<PathBuf>,
    /// The number of files that are compared as a set: the first ones.
    in_sets: usize,
    /// Why some of the folder could not be looked at.
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

    /// Returns how many of the first files are read at once, by what their headers say.
    fn at_once(&self, files: &[PathBuf]) -> usize {
        let mut pixels = 0u64;
        let fitting = files.iter().take(AT_ONCE).take_while(|file| {
            // A file that cannot be read takes nothing.
            let size = image_size(self.path.join(file)).unwrap_or((0, 0));
            pixels += u64::from(size.0) * u64::from(size.1);
            pixels <= PIXELS_READ
        });
        fitting.count().max(1)
    }

    /// Reads the images of the set and hands them on as `[n, 3, h, w]`, those of one size that follow one
    /// another together. Returns how many could be read.
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
                    "{} holds {count} image{} that can be read, and two are needed",
                    self.path.display(),
                    if count == 1 { "" } else { "s" }
                ),
            });
        }
        Ok(count)
    }

    /// The first files of another folder, and those here with the same path but for the extension,
    /// where it is the only one.
    fn pairs(&self, other: &Self) -> Vec<(usize, usize)> {
        let others = other.by_stem();
        let mut pairs: Vec<_> = self
            .by_stem()
            .into_iter()
            .filter_map(|(stem, index)| Some((index?, (*others.get(&stem)?)?)))
            .filter(|&(_, of_other)| of_other < other.in_sets)
            .collect();
        pairs.sort_unstable();
        pairs
    }

    /// `None` for a stem that several files have.
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

/// Compares images of one name with each other.
fn measure_pairs<B: Kernels>(
    (real, fakes, pairs): (&Folder, &Folder, &[(usize, usize)]),
    instruments: &Instruments<'_, B>,
    device: &B::Device,
    figures: Figures,
    notes: &mut Vec<String>,
    step: &mut impl FnMut(usize),
) -> Result<Option<Similarity>, Error> {
    let (mut distance, mut psnr) = (Column::default(), Column::default());
    let (mut ssim, mut ms_ssim) = (Column::default(), Column::default());
    let mut other_size = 0;
    for &(of_real, of_fake) in pairs {
        step(1);
        // What cannot be read was listed when the sets were gone through, or is here.
        let read = (
            real.read(&real.files[of_real]),
            fakes.read(&fakes.files[of_fake]),
        );
        let (truth, image) = match read {
            (Ok(truth), Ok(image)) => (truth, image),
            (Err(reason), _) | (_, Err(reason)) => {
                if instruments.extractor.is_none() {
                    notes.push(format!("A pair is left out: {reason}"));
                }
                continue;
            }
        };
        if (truth.height, truth.width) != (image.height, image.width) {
            other_size += 1;
            continue;
        }
        let found = ImageSimilarity::of(&image, &truth)?;
        let apart = instruments
            .distance
            .between(image.to_tensor(device), truth.to_tensor(device));
        for apart in apart.into_data().iter::<f64>() {
            distance.push(&[apart], None, Better::Lower)?;
        }
        psnr.push(&[found.psnr], None, Better::Higher)?;
        for (column, value) in [(&mut ssim, found.ssim), (&mut ms_ssim, found.ms_ssim)] {
            if let Some(value) = value {
                column.push(&[value], None, Better::Higher)?;
            }
        }
    }
    if other_size > 0 {
        notes.push(format!(
            "{other_size} images have the name of a true one but another size, and are not compared with it."
        ));
    }
    let Some(distance) = distance.spread(figures, Better::Lower) else {
        notes.push(
            "Measures of pairs (PSNR and the like) are absent: no image has the name and size of a true one."
                .to_owned(),
        );
        return Ok(None);
    };
    let higher = |column: Column| column.spread(figures, Better::Higher);
    Ok(higher(psnr).map(|psnr| Similarity {
        distance,
        psnr,
        ssim: higher(ssim),
        ms_ssim: higher(ms_ssim),
        consistency: None,
    }))
}
