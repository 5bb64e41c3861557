//! The check of the measures of sets of images: FID, KID, precision, recall, density and coverage.

use std::path::Path;

use chimle_core::metrics::{Moments, Rows, frechet_distance, kid, neighborhoods};
use serde_json::{Map, Value};

use super::check::Report;
use super::comparison::{Comparison, absolute, relative};
use super::folder::name_of;
use super::numbers::Numbers;
use super::photograph::{METRICS, read_metrics};
use crate::error::Error;

/// The largest relative difference allowed of a distance.
const LIMIT: f64 = 1e-4;

/// The largest difference allowed of a share of images. It allows for the rounding of a division, but not
/// for a difference of one image.
const SHARE_LIMIT: f64 = 1e-12;

/// The field of `metrics.json` with the measures of the sets.
const SETS: &str = "sets";

/// Checks the measures of the sets in `sets.safetensors` against those in `metrics.json`.
pub(super) fn check(folder: &Path, report: &mut Report) -> Result<(), Error> {
    let path = folder.join("sets.safetensors");
    let metrics = read_metrics(&folder.join(METRICS))?;
    let Some(expected) = metrics.as_ref().and_then(|metrics| metrics.get(SETS)) else {
        report.absent("FID, KID and precision", format!("{METRICS} with `{SETS}`"));
        return Ok(());
    };
    if !path.exists() {
        report.absent("FID, KID and precision", name_of(&path));
        return Ok(());
    }
    let numbers = Numbers::open(&path)?;
    let (real, dimension) = numbers.rows("real")?;
    let (fake, fake_dimension) = numbers.rows("fake")?;
    let (real, fake) = (
        Rows::new(&real, dimension)?,
        Rows::new(&fake, fake_dimension)?,
    );

    let mut distance = |name: &str, key: &str, found: f64| {
        let Some(expected) = expected.get(key) else {
            return report.absent(name, format!("`{key}` in {METRICS}"));
        };
        let mut comparison = Comparison::new(LIMIT);
        add(&mut comparison, key, found, expected, relative);
        report.push(name, comparison.outcome());
    };
    let frechet = frechet_distance(&Moments::of(real), &Moments::of(fake))?;
    distance("FID of stored features", "fid", frechet);
    let kernel = kid(real, fake, None)?;
    distance("KID of stored features", "kid_unbiased_poly3", kernel);

    for (key, expected) in expected {
        let Some(k) = key.strip_prefix("prdc_k").and_then(|k| k.parse().ok()) else {
            continue;
        };
        check_neighborhoods(real, fake, k, expected.as_object(), report)?;
    }
    Ok(())
}

fn check_neighborhoods(
    real: Rows<'_, f64>,
    fake: Rows<'_, f64>,
    k: usize,
    expected: Option<&Map<String, Value>>,
    report: &mut Report,
) -> Result<(), Error> {
    let found = neighborhoods(real, fake, k)?;
    let mut comparison = Comparison::new(SHARE_LIMIT);
    for (name, values) in [
        ("precision", &found.precision),
        ("recall", &found.recall),
        ("density", &found.density),
        ("coverage", &found.coverage),
    ] {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let expected = expected.and_then(|expected| expected.get(name));
        add(
            &mut comparison,
            name,
            mean,
            expected.unwrap_or(&Value::Null),
            absolute,
        );
    }
    report.push(
        format!("precision, recall, density and coverage of stored features, k = {k}"),
        comparison.outcome(),
    );
    Ok(())
}

fn add(
    comparison: &mut Comparison,
    name: &str,
    found: f64,
    expected: &Value,
    difference: fn(f64, f64) -> f64,
) {
    let expected = expected.as_f64().unwrap_or(f64::NAN);
    comparison.add(difference(found, expected), || {
        format!("`{name}`: {found} in place of {expected}")
    });
}
