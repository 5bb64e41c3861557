//! The checks of degradations, color conversion and measures of photographs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chimle_core::data::{ChromaSubsampling, Planes, downsample, jpeg, lab, read_rgb};
use chimle_core::metrics::{ImageView, MetricsError, psnr, ssim};
use chimle_core::nn::WeightFile;
use image::RgbImage;
use serde_json::{Map, Value};

use super::check::Report;
use super::comparison::{Comparison, absolute};
use super::folder::{floats, matching, name_of};
use super::numbers::Numbers;
use crate::error::Error;

/// The file of measures.
pub(super) const METRICS: &str = "metrics.json";

/// The largest difference allowed of a resampled value, in 8-bit levels, and the largest share of values
/// that may differ.
const BICUBIC_LIMIT: f64 = 1.0;
const BICUBIC_SHARE: f64 = 1e-3;

/// The largest difference allowed of a Lab value.
const LAB_LIMIT: f64 = 0.01;

/// The largest mean difference allowed after JPEG compression, in 8-bit levels.
const JPEG_LIMIT: f64 = 1.0;

/// The largest difference allowed of PSNR (in dB) and SSIM.
const METRIC_LIMIT: f64 = 1e-4;

/// Checks every photograph of the folder.
pub(super) fn check(folder: &Path, report: &mut Report) -> Result<(), Error> {
    let photographs = matching(folder, "img_", ".safetensors")?;
    if photographs.is_empty() {
        report.absent("photographs", "img_*.safetensors");
    }
    let metrics = read_metrics(&folder.join(METRICS))?;
    for path in photographs {
        let photograph = Photograph {
            name: name_of(&path.with_extension("")),
            numbers: Numbers::open(&path)?,
            path: &path,
        };
        let rgb = photograph.numbers.picture("rgb")?;
        photograph.check_reading(&rgb, report)?;
        photograph.check_bicubic(&rgb, report)?;
        photograph.check_lab(&rgb, report)?;
        photograph.check_jpeg(&rgb, report)?;
        photograph.check_metrics(&rgb, metrics.as_ref(), report)?;
    }
    Ok(())
}

struct Photograph<'a> {
    /// The file's name without its ending, such as "img_coffee".
    name: String,
    numbers: Numbers,
    path: &'a Path,
}

impl Photograph<'_> {
    fn check_reading(&self, rgb: &RgbImage, report: &mut Report) -> Result<(), Error> {
        let check = format!("{}: reading PNG", self.name);
        let png = self.path.with_extension("png");
        if !png.exists() {
            report.absent(check, name_of(&png));
            return Ok(());
        }
        let mut comparison = Comparison::new(0.0);
        levels_apart(&mut comparison, "rgb", &read_rgb(&png)?, rgb);
        report.push(check, comparison.outcome());
        Ok(())
    }

    fn check_bicubic(&self, rgb: &RgbImage, report: &mut Report) -> Result<(), Error> {
        let mut largest = Comparison::new(BICUBIC_LIMIT);
        let mut unequal = Comparison::new(BICUBIC_SHARE);
        for name in self.numbers.names_from("bicubic.")? {
            let expected = self.numbers.picture(&name)?;
            let found = downsample(rgb, expected.width(), expected.height())?;
            levels_apart(&mut largest, &name, &found, &expected);
            let pairs = found.iter().zip(expected.iter());
            let (count, of) = (pairs.filter(|(a, b)| a != b).count(), expected.len());
            unequal.add(count as f64 / of as f64, || {
                format!("`{name}`: {count} of {of} values")
            });
        }
        for (what, comparison) in [("levels apart", largest), ("share unequal", unequal)] {
            let check = format!("{}: bicubic, {what}", self.name);
            report.push(check, comparison.outcome());
        }
        Ok(())
    }

    fn check_lab(&self, rgb: &RgbImage, report: &mut Report) -> Result<(), Error> {
        let (width, height) = (rgb.width() as usize, rgb.height() as usize);
        let shape = [height, width, 3];
        let expected = floats(&WeightFile::open(self.path)?, "lab", &shape)?;
        let planes = lab(rgb);
        let channels = [0, 1, 2].map(|channel| planes.plane(channel));
        let found: Vec<f32> = (0..height * width)
            .flat_map(|i| channels.map(|plane| plane[i]))
            .collect();
        let mut comparison = Comparison::new(LAB_LIMIT);
        comparison.add_all("lab", &shape, &found, &expected, absolute);
        report.push(format!("{}: Lab", self.name), comparison.outcome());
        Ok(())
    }

    fn check_jpeg(&self, rgb: &RgbImage, report: &mut Report) -> Result<(), Error> {
        for name in self.numbers.names_from("jpeg.q")? {
            let (quality, subsampling) = jpeg_settings(&name).ok_or_else(|| Error::Contents {
                path: self.path.to_owned(),
                reason: format!("`{name}` is neither `jpeg.qQ.420` nor `jpeg.qQ.444`"),
            })?;
            let expected = self.numbers.picture(&name)?;
            let found = jpeg(rgb, quality, subsampling)?;
            let mean = mean_levels_apart(&found, &expected);
            let mut comparison = Comparison::new(JPEG_LIMIT);
            comparison.add(mean, || format!("`{name}`"));
            let check = format!("{}: {name}, mean levels apart", self.name);
            report.push(check, comparison.outcome());
        }
        Ok(())
    }

    fn check_metrics(
        &self,
        rgb: &RgbImage,
        metrics: Option<&Metrics>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let of = self.name.trim_start_matches("img_");
        let Some(metrics) = metrics.and_then(|metrics| metrics.get(of)) else {
            let file = format!("{METRICS} with `{of}`");
            report.absent(format!("{}: PSNR and SSIM", self.name), file);
            return Ok(());
        };
        let truth = Planes::from_rgb(rgb);
        for (key, expected) in metrics {
            // `psnr_jpeg_q1_420` is the PSNR of the image `jpeg.q1.420`.
            let Some((measure, name)) = key.split_once('_') else {
                continue;
            };
            let measure: Measure = match measure {
                "psnr" => |a, b| psnr(a.values(), b.values()),
                "ssim" => ssim,
                _ => continue,
            };
            let degraded = Planes::from_rgb(&self.numbers.picture(&name.replace('_', "."))?);
            let found = measure(view(&truth)?, view(&degraded)?)?;
            let expected = expected.as_f64().unwrap_or(f64::NAN);
            let mut comparison = Comparison::new(METRIC_LIMIT);
            comparison.add(absolute(found, expected), || {
                format!("{found} in place of {expected}")
            });
            report.push(format!("{}: {key}", self.name), comparison.outcome());
        }
        Ok(())
    }
}

/// A measure of the similarity of two images.
type Measure = fn(ImageView<'_>, ImageView<'_>) -> Result<f64, MetricsError>;

/// The measures, by photograph and by name.
pub(super) type Metrics = BTreeMap<String, Map<String, Value>>;

/// Reads `metrics.json`, or returns `None` if it does not exist.
pub(super) fn read_metrics(path: &Path) -> Result<Option<Metrics>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(path).map_err(Error::read(path))?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|e| Error::Contents {
            path: path.to_owned(),
            reason: e.to_string(),
        })
}

fn view(image: &Planes) -> Result<ImageView<'_>, MetricsError> {
    ImageView::new(&image.data, [image.channels, image.height, image.width])
}

/// Returns the quality and the subsampling that a name such as `jpeg.q10.420` contains.
fn jpeg_settings(name: &str) -> Option<(u8, ChromaSubsampling)> {
    let (quality, subsampling) = name.strip_prefix("jpeg.q")?.split_once('.')?;
    let subsampling = match subsampling {
        "420" => ChromaSubsampling::Half,
        "444" => ChromaSubsampling::Full,
        _ => return None,
    };
    Some((quality.parse().ok()?, subsampling))
}

/// Adds the differences of the values of two pictures.
fn levels_apart(comparison: &mut Comparison, name: &str, found: &RgbImage, expected: &RgbImage) {
    let shape = [expected.height() as usize, expected.width() as usize, 3];
    let levels = |image: &RgbImage| image.iter().map(|&v| f32::from(v)).collect::<Vec<_>>();
    comparison.add_all(name, &shape, &levels(found), &levels(expected), absolute);
}

/// Returns the mean difference of the values, or NaN if the sizes differ or there are no values.
fn mean_levels_apart(found: &RgbImage, expected: &RgbImage) -> f64 {
    if found.len() != expected.len() {
        return f64::NAN;
    }
    let pairs = found.iter().zip(expected.iter());
    let sum: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / found.len() as f64
}
