//! Regions of a picture that a person paints.

use std::ops::Range;
use std::sync::Arc;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A set of pixels of a picture.
///
/// A mask is stored, and written into a [`Recipe`](crate::Recipe), as the lengths of runs. The runs go row
/// by row from the upper left corner. The first run counts pixels outside the mask and may be 0. The next
/// run counts pixels inside, and so on in turn.
///
/// # Examples
///
/// ```
/// use chimle_core::Mask;
///
/// let left_half = Mask::from_fn(4, 2, |x, _| x < 2);
/// assert_eq!(left_half.runs(), [0, 2, 2, 2, 2]);
/// assert_eq!(Mask::new(4, 2, vec![0, 2, 2, 2, 2])?, left_half);
/// assert!(left_half.contains(1, 1) && !left_half.contains(2, 1));
/// # Ok::<(), chimle_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Mask {
    width: u32,
    height: u32,
    // Clones share their data, because the codes of all levels of a region contain its mask.
    runs: Arc<[u32]>,
    /// Whether each pixel is inside, row by row.
    inside: Arc<[bool]>,
}

/// The serialized form of a mask.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    width: u32,
    height: u32,
    runs: Vec<u32>,
}

impl TryFrom<Written> for Mask {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self, Error> {
        Self::new(written.width, written.height, written.runs)
    }
}

impl From<Mask> for Written {
    fn from(mask: Mask) -> Self {
        Self {
            width: mask.width,
            height: mask.height,
            runs: mask.runs.to_vec(),
        }
    }
}

/// The largest number of pixels of a mask.
const MOST_PIXELS: u64 = 1 << 26;

/// The full weight in [`Mask::softened`].
const WHOLE: u32 = 256;

impl Mask {
    /// Creates a mask from the lengths of its runs.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the mask has no pixels or more than 2^26 pixels, or if the sum of the runs is
    /// not the number of pixels.
    pub fn new(width: u32, height: u32, runs: Vec<u32>) -> Result<Self, Error> {
        let setting = |reason| Error::Setting {
            field: "mask",
            reason,
        };
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 || pixels > MOST_PIXELS {
            return Err(setting(format!(
                "has {width}x{height} pixels, but must have 1 to {MOST_PIXELS}"
            )));
        }
        let sum: u64 = runs.iter().map(|&run| u64::from(run)).sum();
        if sum != pixels {
            return Err(setting(format!(
                "has runs of {sum} pixels in total, but {width}x{height} is {pixels} pixels"
            )));
        }
        let mut inside = Vec::with_capacity(pixels as usize);
        for (index, &run) in runs.iter().enumerate() {
            inside.resize(inside.len() + run as usize, index % 2 == 1);
        }
        Ok(Self::from_pixels(width, height, inside))
    }

    /// Creates a mask from the pixels (x, y) for which `inside` returns true.
    ///
    /// # Panics
    ///
    /// If the mask would have no pixels.
    pub fn from_fn(width: u32, height: u32, mut inside: impl FnMut(u32, u32) -> bool) -> Self {
        assert!(width > 0 && height > 0, "a mask has pixels");
        let mut pixels = Vec::with_capacity(width as usize * height as usize);
        for y in 0..height {
            pixels.extend((0..width).map(|x| inside(x, y)));
        }
        Self::from_pixels(width, height, pixels)
    }

    fn from_pixels(width: u32, height: u32, inside: Vec<bool>) -> Self {
        let (mut runs, mut current) = (vec![0], false);
        for &pixel in &inside {
            if pixel != current {
                runs.push(0);
                current = pixel;
            }
            *runs.last_mut().expect("there is a first run") += 1;
        }
        Self {
            width,
            height,
            runs: runs.into(),
            inside: inside.into(),
        }
    }

    /// Returns (width, height) in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Returns the lengths of the runs, outside and inside in turn.
    pub fn runs(&self) -> &[u32] {
        &self.runs
    }

    /// Returns whether a pixel is inside.
    ///
    /// # Panics
    ///
    /// If the pixel lies outside the picture.
    pub fn contains(&self, x: u32, y: u32) -> bool {
        assert!(x < self.width && y < self.height, "a pixel of the mask");
        self.inside[y as usize * self.width as usize + x as usize]
    }

    /// Returns whether no pixel is inside.
    pub fn is_empty(&self) -> bool {
        self.runs.len() == 1
    }

    /// Returns the columns and the rows of the smallest rectangle that contains the mask, or `None` if the mask
    /// is empty.
    pub(crate) fn bounds(&self) -> Option<(Range<usize>, Range<usize>)> {
        let (mut columns, mut rows): (Option<Range<usize>>, Option<Range<usize>>) = (None, None);
        for (y, line) in self.inside.chunks(self.width as usize).enumerate() {
            let Some(first) = line.iter().position(|&inside| inside) else {
                continue;
            };
            let last = line.iter().rposition(|&inside| inside).unwrap_or(first);
            let before = columns.unwrap_or(first..last + 1);
            columns = Some(before.start.min(first)..before.end.max(last + 1));
            rows = Some(rows.map_or(y, |rows| rows.start)..y + 1);
        }
        columns.zip(rows)
    }

    /// Returns, for each cell of a grid over the same picture, whether the mask touches the cell. The grid
    /// may be coarser or finer than the pixels. The cells are in row-major order.
    pub(crate) fn touched(&self, height: usize, width: usize) -> Vec<bool> {
        let mut touched = vec![false; height * width];
        let span = |cell: usize, cells: usize, pixels: usize| {
            let start = cell * pixels / cells;
            start..((cell + 1) * pixels).div_ceil(cells).max(start + 1)
        };
        for row in 0..height {
            for column in 0..width {
                let mut rows = span(row, height, self.height as usize);
                touched[row * width + column] = rows.any(|y| {
                    let mut columns = span(column, width, self.width as usize);
                    columns.any(|x| self.inside[y * self.width as usize + x])
                });
            }
        }
        touched
    }

    /// Returns the same mask for a picture of a different size.
    pub(crate) fn resized(&self, width: u32, height: u32) -> Self {
        let place = |index: u32, of: u32, from: u32| {
            (u64::from(index) * u64::from(from) / u64::from(of)) as u32
        };
        Self::from_fn(width, height, |x, y| {
            self.contains(place(x, width, self.width), place(y, height, self.height))
        })
    }

    /// Returns the weight of each pixel. The weight is 0 outside and on the edge of the mask, and grows to
    /// 256 within `radius` pixels of the edge. Narrow parts of the mask have soft edges too. The border of
    /// the picture is not an edge.
    fn softened(&self, radius: u32) -> Vec<u32> {
        let (width, height) = (self.width as usize, self.height as usize);
        if radius == 0 {
            return self
                .inside
                .iter()
                .map(|&inside| if inside { WHOLE } else { 0 })
                .collect();
        }
        // The number of inside pixels in the window around each pixel: sums along rows, then along columns.
        let counts: Vec<u32> = self.inside.iter().map(|&inside| inside.into()).collect();
        let radius = radius as usize;
        let mut by_row = vec![0; counts.len()];
        for y in 0..height {
            let line = y * width..(y + 1) * width;
            windowed(&counts[line.clone()], radius, &mut by_row[line]);
        }
        let mut weights = vec![0; counts.len()];
        let (mut column, mut sums) = (vec![0; height], vec![0; height]);
        for x in 0..width {
            for y in 0..height {
                column[y] = by_row[y * width + x];
            }
            windowed(&column, radius, &mut sums);
            for (y, &sum) in sums.iter().enumerate() {
                let at = y * width + x;
                if self.inside[at] {
                    let all = extent(x, width, radius) * extent(y, height, radius);
                    let all = u32::try_from(all).unwrap_or(u32::MAX);
                    weights[at] = (2 * sum).saturating_sub(all) * WHOLE / all;
                }
            }
        }
        weights
    }
}

/// Returns the number of pixels within `radius` of `at` in a line of `len` pixels.
fn extent(at: usize, len: usize, radius: usize) -> u64 {
    ((at + radius + 1).min(len) - at.saturating_sub(radius)) as u64
}

/// Computes, for each position, the sum of the values within `radius`.
fn windowed(values: &[u32], radius: usize, sums: &mut [u32]) {
    let mut sum: u32 = values[..radius.min(values.len())].iter().sum();
    for (at, written) in sums.iter_mut().enumerate() {
        if let Some(entering) = values.get(at + radius) {
            sum += entering;
        }
        *written = sum;
        if let Some(leaving) = at.checked_sub(radius) {
            sum -= values[leaving];
        }
    }
}

/// A region of a picture, with a soft edge, in which a new picture replaces the old one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// The pixels of the region.
    pub mask: Mask,
    /// The distance from the edge, in pixels, at which the new picture has full weight.
    pub softness: u32,
}

/// The largest softness in pixels.
const MOST_SOFTNESS: u32 = 512;

impl Region {
    /// Creates a region whose edge has a softness of 1/32 of the picture's shorter side.
    pub fn new(mask: Mask) -> Self {
        let softness = (mask.width.min(mask.height) / 32).clamp(1, MOST_SOFTNESS);
        Self { mask, softness }
    }

    /// Checks that the region can be used in a picture of this size.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the region is empty, if its size differs from the picture's size, or if its
    /// edge is too soft.
    pub fn validate(&self, width: u32, height: u32) -> Result<(), Error> {
        let setting = |field, reason| Err(Error::Setting { field, reason });
        if self.mask.size() != (width, height) {
            let (mask_width, mask_height) = self.mask.size();
            let reason = format!(
                "has {mask_width}x{mask_height} pixels, but the picture has {width}x{height}"
            );
            return setting("region.mask", reason);
        }
        if self.mask.is_empty() {
            return setting("region.mask", "contains no pixels".to_owned());
        }
        if self.softness > MOST_SOFTNESS {
            let reason = format!("is {}, but must be at most {MOST_SOFTNESS}", self.softness);
            return setting("region.softness", reason);
        }
        Ok(())
    }

    /// Returns the same region for a picture of a different size.
    pub(crate) fn resized(&self, width: u32, height: u32) -> Self {
        let softness = u64::from(self.softness) * u64::from(width) / u64::from(self.mask.width);
        Self {
            mask: self.mask.resized(width, height),
            softness: softness.min(MOST_SOFTNESS.into()) as u32,
        }
    }

    /// Returns `old` with the region replaced by `new`. All other pixels of `old` keep their values. Both
    /// pictures have the region's size.
    pub(crate) fn composite(&self, old: &RgbImage, new: &RgbImage) -> RgbImage {
        let mut composite = old.clone();
        let weights = self.mask.softened(self.softness);
        let pixels = composite.pixels_mut().zip(new.pixels()).zip(weights);
        for ((old, new), weight) in pixels.filter(|(_, weight)| *weight > 0) {
            for (old, new) in old.0.iter_mut().zip(new.0) {
                let sum = u32::from(*old) * (WHOLE - weight) + u32::from(new) * weight;
                *old = ((sum + WHOLE / 2) / WHOLE) as u8;
            }
        }
        composite
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn a_mask_is_written_as_runs_and_read_again() {
        let mask = Mask::from_fn(5, 3, |x, y| y == 1 && (1..4).contains(&x));
        assert_eq!(mask.runs(), [6, 3, 6]);
        let json = serde_json::to_string(&mask).unwrap();
        assert_eq!(json, r#"{"width":5,"height":3,"runs":[6,3,6]}"#);
        assert_eq!(serde_json::from_str::<Mask>(&json).unwrap(), mask);
        // Runs of length 0 are accepted and removed.
        assert_eq!(Mask::new(5, 3, vec![6, 2, 0, 1, 6]).unwrap(), mask);
    }

    #[test]
    fn runs_that_do_not_fit_are_refused() {
        for json in [
            r#"{"width":5,"height":3,"runs":[6,3,7]}"#,
            r#"{"width":5,"height":3,"runs":[4294967295,4294967295]}"#,
            r#"{"width":4294967295,"height":4294967295,"runs":[]}"#,
            r#"{"width":0,"height":3,"runs":[]}"#,
        ] {
            assert!(serde_json::from_str::<Mask>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn bounds_are_those_of_the_pixels() {
        let mask = Mask::from_fn(9, 7, |x, y| (x, y) == (5, 2) || (x, y) == (3, 4));
        assert_eq!(mask.bounds(), Some((3..6, 2..5)));
        assert_eq!(Mask::from_fn(4, 4, |_, _| false).bounds(), None);
    }

    #[test]
    fn cells_are_touched_by_any_of_their_pixels() {
        let mask = Mask::from_fn(8, 8, |x, y| (x, y) == (5, 2));
        let touched = mask.touched(2, 2);
        assert_eq!(touched, [false, true, false, false]);
        assert_eq!(mask.touched(16, 16).iter().filter(|&&cell| cell).count(), 4);
        assert_eq!(mask.touched(1, 1), [true]);
    }

    #[test]
    fn pixels_outside_stay_and_pixels_well_inside_are_new() {
        let old = RgbImage::from_pixel(40, 40, Rgb([10, 20, 30]));
        let new = RgbImage::from_pixel(40, 40, Rgb([210, 220, 230]));
        // The mask reaches the left border.
        let mask = Mask::from_fn(40, 40, |x, y| x < 20 && (10..30).contains(&y));
        let region = Region { mask, softness: 4 };
        let composite = region.composite(&old, &new);
        for (x, y, pixel) in composite.enumerate_pixels() {
            if !region.mask.contains(x, y) {
                assert_eq!(pixel, old.get_pixel(x, y), "{x}, {y}");
            }
        }
        assert_eq!(composite.get_pixel(8, 20), new.get_pixel(8, 20));
        assert_eq!(composite.get_pixel(0, 20), new.get_pixel(0, 20));
        let edge = composite.get_pixel(17, 20).0[0];
        assert!((11..210).contains(&edge), "{edge}");
    }

    #[test]
    fn a_region_of_another_size_is_the_same_region() {
        let mask = Mask::from_fn(10, 10, |x, y| x < 5 && y < 5);
        let region = Region { mask, softness: 1 };
        let large = region.resized(40, 20);
        assert_eq!((large.mask.size(), large.softness), ((40, 20), 4));
        assert!(large.mask.contains(19, 9) && !large.mask.contains(20, 9));
        assert!(large.validate(40, 20).is_ok() && region.validate(40, 20).is_err());
    }
}
