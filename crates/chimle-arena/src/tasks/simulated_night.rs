//! A task whose nights are simulated from photographs.

use chimle_core::Task;
use chimle_core::data::procedural::{self, Scene};
use chimle_core::data::{DataError, Planes, Sizes};
use image::RgbImage;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

/// The smallest and the largest share of the light that is left.
const LIGHT: (f64, f64) = (0.06, 0.16);
/// The share of a color's saturation that is left.
const SATURATION: f64 = 0.25;
/// The factors of the light in red, green and blue.
const TINT: [f64; 3] = [0.75, 0.85, 1.3];
/// The standard deviation of the noise, for values in [0, 1].
const NOISE: f64 = 0.03;
/// The exponent that converts pixel values to light.
const GAMMA: f64 = 2.2;

/// The task that maps a simulated night to the photograph from which it was made.
///
/// The photograph is darkened, loses most of its saturation, is tinted blue, and gets noise. The remaining light and the
/// noise depend on the seed. The result is **not** a night photograph: there are no lamps, and the shadows and the sky are
/// those of the day. So results must always be labeled as simulated night.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedNightToDay;

impl Task for SimulatedNightToDay {
    fn name(&self) -> &str {
        "simulated-night-to-day"
    }

    fn degrade(&self, picture: &RgbImage, _: &Sizes, seed: u64) -> Result<Planes, DataError> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let light = rng.random_range(LIGHT.0..LIGHT.1);
        let noise = Normal::new(0.0, NOISE).expect("a deviation above 0");
        let day = Planes::from_rgb(picture);
        let linear = |channel, row, column| f64::from(day.get(channel, row, column)).powf(GAMMA);
        let night = Planes::from_fn(3, day.height, day.width, |channel, row, column| {
            let gray: f64 = (0..3).map(|c| linear(c, row, column)).sum::<f64>() / 3.0;
            let own = linear(channel, row, column);
            let dimmed = light * TINT[channel] * (gray + SATURATION * (own - gray));
            let value = dimmed.max(0.0).powf(1.0 / GAMMA) + noise.sample(&mut rng);
            // A photograph has 8 bits.
            ((value.clamp(0.0, 1.0) * 255.0).round() / 255.0) as f32
        });
        Ok(night)
    }

    /// Returns an image of shapes, whose plausible outputs are not known.
    fn scene(&self, sizes: &Sizes, number: u64) -> Result<Scene, DataError> {
        Ok(procedural::picture(sizes, number))
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn a_night_is_dark_bluish_and_another_one_for_each_seed() {
        let day = RgbImage::from_fn(32, 32, |x, _| Rgb([200, 150 + x as u8, 100]));
        let sizes = Sizes::new(&SimulatedNightToDay, 3, 32, 32).unwrap();
        let night = |seed| SimulatedNightToDay.degrade(&day, &sizes, seed).unwrap();
        let first = night(1);
        assert_eq!(first, night(1));
        assert_ne!(first, night(2));
        let mean = |channel| -> f32 {
            let plane = first.plane(channel);
            plane.iter().sum::<f32>() / plane.len() as f32
        };
        let day_red = 200.0 / 255.0;
        assert!(mean(0) < 0.5 * day_red, "{}", mean(0));
        assert!(mean(2) > mean(0), "the day is red, the night is not");
    }
}
