//! Procedural scenes with a single output.

use chimle_core::data::procedural::Scene;
use chimle_core::data::{DataError, InputSize, OutputSpace, Planes, Sizes};
use chimle_core::{Task, TaskHandle};
use image::RgbImage;

/// A task whose procedural scenes keep only their first output.
///
/// The input then determines the output, except for details that the degradation destroys. Every correct
/// method can learn such a task, whether it has one output per input or many. Photographs and the name
/// are those of the wrapped task.
#[derive(Debug)]
pub struct OneMode(pub TaskHandle);

impl Task for OneMode {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn input_size(&self) -> InputSize {
        self.0.input_size()
    }

    fn conditioning_channels(&self) -> usize {
        self.0.conditioning_channels()
    }

    fn output_channels(&self) -> usize {
        self.0.output_channels()
    }

    fn output_space(&self) -> OutputSpace {
        self.0.output_space()
    }

    fn is_paired(&self) -> bool {
        self.0.is_paired()
    }

    fn degrade(&self, picture: &RgbImage, sizes: &Sizes, seed: u64) -> Result<Planes, DataError> {
        self.0.degrade(picture, sizes, seed)
    }

    fn degrade_again(&self, output: &RgbImage, sizes: &Sizes) -> Result<Option<Planes>, DataError> {
        self.0.degrade_again(output, sizes)
    }

    fn input_of_picture(&self, picture: &RgbImage) -> Result<Planes, DataError> {
        self.0.input_of_picture(picture)
    }

    fn conditioning(&self, input: &Planes, sizes: &Sizes) -> Result<Vec<Planes>, DataError> {
        self.0.conditioning(input, sizes)
    }

    fn targets(&self, output: &RgbImage, sizes: &Sizes) -> Result<Vec<Planes>, DataError> {
        self.0.targets(output, sizes)
    }

    fn picture_of_input(&self, conditioning: &[Planes]) -> Planes {
        self.0.picture_of_input(conditioning)
    }

    fn show(&self, conditioning: &[Planes], output: Planes) -> Planes {
        self.0.show(conditioning, output)
    }

    fn scene(&self, sizes: &Sizes, number: u64) -> Result<Scene, DataError> {
        let mut scene = self.0.scene(sizes, number)?;
        scene.outputs.truncate(1);
        Ok(scene)
    }
}
