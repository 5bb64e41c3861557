//! The four tasks of the paper.

use image::RgbImage;

use crate::compress::{ChromaSubsampling, jpeg};
use crate::procedural::{self, Scene, Texture};
use crate::resample::downsample;
use crate::{DataError, InputSize, OutputSpace, Planes, Sizes, Task, grayscale_lightness};

/// The JPEG quality of [`Decompression`]'s inputs, on libjpeg's scale of 1 to 100.
pub const DECOMPRESSION_QUALITY: u8 = 1;

/// Colorization: the generator adds color to the lightness of a photograph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colorization;

impl Task for Colorization {
    fn name(&self) -> &str {
        "colorization"
    }

    fn aliases(&self) -> &[&str] {
        &["colourization", "colorisation", "colourisation"]
    }

    fn conditioning_channels(&self) -> usize {
        1
    }

    fn output_space(&self) -> OutputSpace {
        OutputSpace::Lab
    }

    /// Returns the photograph itself. The conditioning images show only its lightness.
    fn degrade(&self, photograph: &RgbImage, _: &Sizes, _: u64) -> Result<Planes, DataError> {
        Ok(Planes::from_rgb(photograph))
    }

    fn conditioning(&self, input: &Planes, sizes: &Sizes) -> Result<Vec<Planes>, DataError> {
        let picture = input.to_rgb();
        let sizes = sizes.conditioning().into_iter();
        sizes
            .map(|(height, width)| {
                let image = downsample(&picture, width as u32, height as u32)?;
                Ok(grayscale_lightness(&image))
            })
            .collect()
    }

    fn scene(&self, sizes: &Sizes, number: u64) -> Result<Scene, DataError> {
        Ok(procedural::palettes(sizes, number))
    }
}

/// Super-resolution: the generator enlarges a small image. Each level doubles the sides, so four levels
/// make them 16 times as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuperResolution;

impl Task for SuperResolution {
    fn name(&self) -> &str {
        "super-resolution"
    }

    fn input_size(&self) -> InputSize {
        InputSize::Reduced
    }

    fn degrade(&self, photograph: &RgbImage, sizes: &Sizes, _: u64) -> Result<Planes, DataError> {
        let (height, width) = sizes.input();
        Ok(Planes::from_rgb(&downsample(
            photograph,
            width as u32,
            height as u32,
        )?))
    }

    fn degrade_again(&self, output: &RgbImage, sizes: &Sizes) -> Result<Option<Planes>, DataError> {
        self.degrade(output, sizes, 0).map(Some)
    }

    /// Draws shapes with a pattern that vanishes when the image is reduced by 2 per level.
    fn scene(&self, sizes: &Sizes, number: u64) -> Result<Scene, DataError> {
        let texture = Texture::HiddenFromReduction {
            times: 1 << sizes.levels(),
        };
        Ok(procedural::textures(sizes, number, texture))
    }
}

/// Decompression: the generator removes the compression artifacts of a JPEG of quality 1 (of 100).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decompression;

impl Task for Decompression {
    fn name(&self) -> &str {
        "decompression"
    }

    fn degrade(&self, photograph: &RgbImage, _: &Sizes, _: u64) -> Result<Planes, DataError> {
        let compressed = jpeg(photograph, DECOMPRESSION_QUALITY, ChromaSubsampling::Half)?;
        Ok(Planes::from_rgb(&compressed))
    }

    fn degrade_again(&self, output: &RgbImage, sizes: &Sizes) -> Result<Option<Planes>, DataError> {
        self.degrade(output, sizes, 0).map(Some)
    }

    fn scene(&self, sizes: &Sizes, number: u64) -> Result<Scene, DataError> {
        Ok(procedural::textures(sizes, number, Texture::HiddenFromJpeg))
    }
}

/// Night to day: the generator turns a scene by night into the same scene by day. The task also fits
/// any other data set of pairs of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NightToDay;

impl Task for NightToDay {
    fn name(&self) -> &str {
        "night-to-day"
    }

    fn aliases(&self) -> &[&str] {
        &["paired", "image-to-image"]
    }

    fn is_paired(&self) -> bool {
        true
    }

    /// Returns the photograph unchanged. The input of a pair is a separate image, not made from the
    /// output.
    fn degrade(&self, photograph: &RgbImage, _: &Sizes, _: u64) -> Result<Planes, DataError> {
        Ok(Planes::from_rgb(photograph))
    }

    fn scene(&self, sizes: &Sizes, number: u64) -> Result<Scene, DataError> {
        Ok(procedural::villages(sizes, number))
    }
}
