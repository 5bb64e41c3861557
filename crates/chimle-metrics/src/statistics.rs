//! The features of a set of images, which are saved so that the images need not be read again.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::error::MetricsError;
use crate::moments::Moments;
use crate::rows::Rows;

/// The features of a set of images, with their moments and the extractor's name.
///
/// They are stored as safetensors: `mean` `[dimension]` and `covariance` `[dimension, dimension]` in
/// f64, `features` `[images, dimension]` in f32, and the metadata `extractor` and `images`. For
/// Inception-v3, a file has 32 MiB plus 8 KiB per image.
///
/// # Examples
///
/// ```
/// use chimle_metrics::Statistics;
///
/// # fn main() -> Result<(), chimle_metrics::MetricsError> {
/// let mut statistics = Statistics::new("brightness and contrast", 2);
/// statistics.push(&[0.5, 0.25, 0.75, 0.5])?; // two images
/// assert_eq!(statistics.count(), 2);
/// assert_eq!(statistics.rows().row(1), [0.75, 0.5]);
/// assert_eq!(statistics.moments().mean(), [0.625, 0.375]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    extractor: String,
    moments: Moments,
    features: Vec<f32>,
}

const EXTRACTOR: &str = "extractor";
const IMAGES: &str = "images";

impl Statistics {
    /// Creates statistics without images. `extractor` is the name of the network that extracts
    /// `dimension` features.
    pub fn new(extractor: impl Into<String>, dimension: usize) -> Self {
        Self {
            extractor: extractor.into(),
            moments: Moments::new(dimension),
            features: Vec::new(),
        }
    }

    /// Adds the features of more images, row-major.
    ///
    /// # Errors
    ///
    /// The errors of [`Rows::new`].
    pub fn push(&mut self, features: &[f32]) -> Result<(), MetricsError> {
        self.moments
            .push(Rows::new(features, self.moments.dimension())?)?;
        self.features.extend_from_slice(features);
        Ok(())
    }

    /// Returns the number of images.
    pub fn count(&self) -> usize {
        self.moments.count()
    }

    /// Returns the name of the network that extracted the features.
    pub fn extractor(&self) -> &str {
        &self.extractor
    }

    /// Returns the mean and covariance, which the Frechet distance needs.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    /// Returns all features, which KID, precision and recall need.
    pub fn rows(&self) -> Rows<'_, f32> {
        Rows::new(&self.features, self.moments.dimension())
            .expect("`push` accepts only whole rows of finite values")
    }

    /// Writes the statistics to a file. If anything fails, the previous file at `path` stays as it was.
    ///
    /// # Errors
    ///
    /// [`MetricsError::File`] if the file cannot be written, [`MetricsError::TooFew`] if there are fewer
    /// than two images.
    pub fn save(&self, path: &Path) -> Result<(), MetricsError> {
        let failed = |reason: String| MetricsError::File {
            path: path.to_owned(),
            reason,
        };
        let dimension = self.moments.dimension();
        let mean = bytes(self.moments.mean(), f64::to_le_bytes);
        let covariance = bytes(&self.moments.covariance()?, f64::to_le_bytes);
        let features = bytes(&self.features, f32::to_le_bytes);
        let view = |kind, shape: &[usize], bytes| {
            TensorView::new(kind, shape.to_vec(), bytes).map_err(|e| failed(e.to_string()))
        };
        let tensors = [
            ("mean", view(Dtype::F64, &[dimension], &mean)?),
            (
                "covariance",
                view(Dtype::F64, &[dimension, dimension], &covariance)?,
            ),
            (
                "features",
                view(Dtype::F32, &[self.count(), dimension], &features)?,
            ),
        ];
        let about = HashMap::from([
            (EXTRACTOR.to_owned(), self.extractor.clone()),
            (IMAGES.to_owned(), self.count().to_string()),
        ]);
        let file =
            safetensors::serialize(tensors, Some(about)).map_err(|e| failed(e.to_string()))?;
        chimle_files::write(path, file).map_err(|e| failed(format!("cannot be written: {e}")))
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    ///
    /// [`MetricsError::File`] if the file cannot be read or does not contain statistics.
    pub fn load(path: &Path) -> Result<Self, MetricsError> {
        let failed = |reason: String| MetricsError::File {
            path: path.to_owned(),
            reason,
        };
        let file = fs::read(path).map_err(|e| failed(format!("cannot be read: {e}")))?;
        Self::parse(&file).map_err(|reason| {
            failed(format!(
                "holds no statistics of images, or is damaged: {reason}"
            ))
        })
    }

    fn parse(file: &[u8]) -> Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(file).map_err(|e| e.to_string())?;
        let about = header.metadata().as_ref();
        let value = |key: &str| {
            let value = about.and_then(|about| about.get(key));
            value.ok_or_else(|| format!("its metadata has no `{key}`"))
        };
        let extractor = value(EXTRACTOR)?.clone();
        let count = value(IMAGES)?;
        let count: usize = count
            .parse()
            .map_err(|_| format!("`{IMAGES}` is {count:?}, which is not a number"))?;

        let file = SafeTensors::deserialize(file).map_err(|e| e.to_string())?;
        let mean = numbers(&file, "mean", Dtype::F64, f64::from_le_bytes)?;
        let covariance = numbers(&file, "covariance", Dtype::F64, f64::from_le_bytes)?;
        let features = numbers(&file, "features", Dtype::F32, f32::from_le_bytes)?;
        let rows = Rows::new(&features, mean.len()).map_err(|e| e.to_string())?;
        if rows.count() != count {
            return Err(format!(
                "it has features of {} images, not of {count}",
                rows.count()
            ));
        }
        let moments = Moments::from_parts(count, mean, &covariance).map_err(|e| e.to_string())?;
        Ok(Self {
            extractor,
            moments,
            features,
        })
    }
}

fn bytes<T: Copy, const N: usize>(values: &[T], to_bytes: fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| to_bytes(value)).collect()
}

fn numbers<T, const N: usize>(
    file: &SafeTensors<'_>,
    name: &str,
    kind: Dtype,
    from_bytes: fn([u8; N]) -> T,
) -> Result<Vec<T>, String> {
    let view = file
        .tensor(name)
        .map_err(|_| format!("it has no `{name}`"))?;
    if view.dtype() != kind {
        return Err(format!(
            "`{name}` is of type {:?}, not {kind:?}",
            view.dtype()
        ));
    }
    let (values, _) = view.data().as_chunks::<N>();
    Ok(values.iter().map(|bytes| from_bytes(*bytes)).collect())
}
