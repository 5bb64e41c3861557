//! `chimle film`: an animation of a run's samples during training.

use std::path::PathBuf;

use chimle_core::RunFolder;
use chimle_show::{Frame, film};
use clap::Args;
use image::RgbImage;
use image::imageops::{self, FilterType};

use crate::error::Failure;
use crate::{curves, flags, output, run_log};

/// How long a frame is shown, and how long the last frame is shown, in milliseconds.
const MILLISECONDS: u32 = 250;
const LAST_MILLISECONDS: u32 = 3000;

/// Makes a film of a run: the samples of held-out inputs next to the growing loss curve.
///
/// Each frame is a strip of samples that training saved in `samples/`. The frames are spaced logarithmically, because most
/// changes happen early. At most --frames strips are used.
#[derive(Args)]
#[command(after_help = "Example:\n  chimle film runs/color --out color.gif")]
pub struct Film {
    /// The run's folder
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// The file to write, ending in .gif, .png or .apng [default: film.gif in the run's folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// The maximum number of frames
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = flags::count::<usize>(flags::SAMPLES))]
    frames: usize,
}

impl Film {
    pub fn run(self) -> Result<(), Failure> {
        let run = RunFolder::at(&self.run);
        let events = run_log::events(&run);
        let strips = run.strips()?;
        let loss = curves::loss(&events);
        let mut frames = Vec::new();
        for index in spaced(
            &strips.iter().map(|&(step, _)| step).collect::<Vec<_>>(),
            self.frames,
        ) {
            let (step, path) = &strips[index];
            let strip = chimle_core::read_rgb(path)?;
            let curve = loss.until(*step as f64).image(1.0)?;
            // The lower of the two is enlarged, so that the pixels of the strip stay sharp and the curve stays smooth.
            let (strip, curve) = (
                enlarged(&strip, curve.height(), FilterType::Nearest),
                enlarged(&curve, strip.height(), FilterType::Triangle),
            );
            let image = film::beside(&[&strip, &curve], &format!("step {step}"))?;
            frames.push(Frame {
                image,
                milliseconds: MILLISECONDS,
            });
        }
        match frames.last_mut() {
            Some(last) => last.milliseconds = LAST_MILLISECONDS,
            None => {
                return Err(Failure::Flag {
                    flag: "RUN",
                    reason: format!("{} holds no strips of samples", self.run.display()),
                });
            }
        }
        let path = self.out.unwrap_or_else(|| run.film_path());
        film::save(&frames, &path)?;
        output::say(format_args!("{} frames: {}", frames.len(), path.display()))
    }
}

/// Enlarges a picture by the largest whole factor that keeps it within a height. A higher picture keeps its size.
fn enlarged(picture: &RgbImage, height: u32, filter: FilterType) -> RgbImage {
    let times = (height / picture.height().max(1)).max(1);
    let (width, height) = (picture.width() * times, picture.height() * times);
    imageops::resize(picture, width, height, filter)
}

/// Returns the indices of at most `most` steps, spaced logarithmically. The first and the last step are included.
fn spaced(steps: &[u64], most: usize) -> Vec<usize> {
    if steps.len() <= most {
        return (0..steps.len()).collect();
    }
    let place = |step: u64| (step as f64 + 1.0).ln();
    let (first, last) = (place(steps[0]), place(steps[steps.len() - 1]));
    let mut chosen: Vec<usize> = (0..most)
        .map(|k| {
            let wanted = first + (last - first) * k as f64 / (most.max(2) - 1) as f64;
            (0..steps.len())
                .min_by(|&a, &b| {
                    let apart = |index: usize| (place(steps[index]) - wanted).abs();
                    apart(a).total_cmp(&apart(b))
                })
                .unwrap_or(0)
        })
        .collect();
    chosen.dedup();
    chosen
}

#[cfg(test)]
mod tests {
    use super::spaced;

    #[test]
    fn frames_are_dense_early_and_end_with_the_last() {
        let steps: Vec<u64> = (0..=100).map(|k| 10 * k).collect();
        let chosen = spaced(&steps, 10);
        assert_eq!((chosen[0], chosen[chosen.len() - 1]), (0, 100));
        assert!(chosen.len() <= 10 && chosen.is_sorted());
        let early = chosen.iter().filter(|&&index| index <= 10).count();
        assert!(2 * early >= chosen.len(), "{chosen:?}");
        assert_eq!(spaced(&steps[..5], 10), [0, 1, 2, 3, 4]);
    }
}
