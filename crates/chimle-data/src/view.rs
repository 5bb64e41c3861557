//! The part of an image that an example shows, and its orientation.

use image::{RgbImage, imageops};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::DataError;
use crate::resample::downsample;

/// A crop, in pixels of an image of `image_size`, followed by a flip and a transposition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct View {
    image_size: (u32, u32),
    region: [f64; 4], // left, top, width, height
    flip: bool,
    transpose: bool,
}

impl View {
    /// Returns the largest central region with the aspect ratio of `width` x `height`.
    pub fn center(image_size: (u32, u32), height: usize, width: usize) -> Self {
        Self::of_scale(image_size, height, width, 1.0, [0.5, 0.5])
    }

    /// Draws a region with the aspect ratio of `width` x `height`. Its side is between
    /// `smallest_crop` and 1 times the side of the largest such region. The region is flipped left to
    /// right with probability 1/2. If `may_transpose` is set and the output is square, the region is
    /// also transposed with probability 1/2.
    pub fn random(
        image_size: (u32, u32),
        height: usize,
        width: usize,
        smallest_crop: f64,
        may_transpose: bool,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let scale = rng.random_range(smallest_crop..=1.0);
        let place = [rng.random(), rng.random()];
        Self {
            flip: rng.random(),
            transpose: rng.random::<bool>() && may_transpose && height == width,
            ..Self::of_scale(image_size, height, width, scale, place)
        }
    }

    /// Returns the smallest crop of an image that does not have to be enlarged to the output's size,
    /// relative to the largest region.
    pub fn smallest_crop(image_size: (u32, u32), height: usize, width: usize) -> f64 {
        let largest = Self::center(image_size, height, width).region[3];
        (height as f64 / largest).min(1.0)
    }

    fn of_scale(
        image_size: (u32, u32),
        height: usize,
        width: usize,
        scale: f64,
        place: [f64; 2],
    ) -> Self {
        let (image_width, image_height) = (f64::from(image_size.0), f64::from(image_size.1));
        let pixels = (image_width / width as f64).min(image_height / height as f64) * scale;
        // Regions consist of whole pixels, so a region of the output's size is copied exactly.
        let region_width = (width as f64 * pixels).round().clamp(1.0, image_width);
        let region_height = (height as f64 * pixels).round().clamp(1.0, image_height);
        let left = (place[0] * (image_width - region_width)).floor();
        let top = (place[1] * (image_height - region_height)).floor();
        Self {
            image_size,
            region: [left, top, region_width, region_height],
            flip: false,
            transpose: false,
        }
    }

    /// Returns this view of `image`, resized to `height` x `width`. If `image` is the other image of a
    /// pair and has a different size, the region is scaled in proportion.
    pub fn of(&self, image: &RgbImage, height: usize, width: usize) -> Result<RgbImage, DataError> {
        let x = f64::from(image.width()) / f64::from(self.image_size.0);
        let y = f64::from(image.height()) / f64::from(self.image_size.1);
        let [left, top, region_width, region_height] = self.region;
        let [left, region_width] = [left, region_width].map(|v| (v * x).round() as u32);
        let [top, region_height] = [top, region_height].map(|v| (v * y).round() as u32);
        let region =
            imageops::crop_imm(image, left, top, region_width.max(1), region_height.max(1));
        let mut shown = downsample(&region.to_image(), width as u32, height as u32)?;
        if self.flip {
            imageops::flip_horizontal_in_place(&mut shown);
        }
        if self.transpose {
            // A vertical flip followed by a quarter turn exchanges rows and columns.
            shown = imageops::rotate90(&imageops::flip_vertical(&shown));
        }
        Ok(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use rand::SeedableRng;

    #[test]
    fn a_crop_keeps_the_aspect_ratio_stays_inside_and_never_enlarges() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..500 {
            let smallest = View::smallest_crop((640, 400), 100, 200).max(0.25);
            let view = View::random((640, 400), 100, 200, smallest, true, &mut rng);
            let [left, top, width, height] = view.region;
            assert!(left >= 0.0 && top >= 0.0);
            assert!(left + width <= 640.0 && top + height <= 400.0);
            assert!((width / height - 2.0).abs() < 0.02);
            assert!(height >= 100.0);
            assert!(!view.transpose);
        }
    }

    #[test]
    fn a_view_is_transposed_only_where_it_may_be() {
        for (may, expected) in [(true, true), (false, false)] {
            let mut rng = ChaCha8Rng::seed_from_u64(2);
            let views = (0..100).map(|_| View::random((64, 64), 32, 32, 0.5, may, &mut rng));
            assert_eq!(views.filter(|view| view.transpose).count() > 0, expected);
        }
    }

    #[test]
    fn a_transposed_view_exchanges_rows_and_columns() {
        let image = RgbImage::from_fn(8, 8, |x, y| Rgb([x as u8, y as u8, 0]));
        let mut view = View::center((8, 8), 8, 8);
        view.transpose = true;
        let shown = view.of(&image, 8, 8).unwrap();
        assert_eq!(shown.get_pixel(5, 2).0, [2, 5, 0]);
        view.flip = true;
        let shown = view.of(&image, 8, 8).unwrap();
        assert_eq!(shown.get_pixel(5, 2).0, [5, 5, 0]);
    }
}
