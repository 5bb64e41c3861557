//! Generated inputs and samples: a few discs on a color gradient, in any number of colorings.

#![allow(dead_code, reason = "each test uses a part of it")]

use chimle_show::{Input, Measure, Page, Plot, Scale, Series};
use image::{Rgb, RgbImage, imageops};

/// Draws the `k`-th coloring of the scene `seed`. Small values of `k` give different colorings.
pub fn scene(width: u32, height: u32, seed: u32, k: u32) -> RgbImage {
    let hue = |offset: f32| {
        let angle = k as f32 * 2.4 + offset;
        [0.0, 2.1, 4.2].map(|phase: f32| 0.5 + 0.5 * (angle + phase).cos())
    };
    let (ground, discs) = (hue(seed as f32), hue(seed as f32 + 2.0));
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32 / width as f32, y as f32 / height as f32);
        let inside = (0..4).any(|disc| {
            let at = (seed * 7 + disc * 3) as f32;
            let (dx, dy) = (x - 0.5 - 0.32 * at.sin(), y - 0.5 - 0.32 * (1.7 * at).cos());
            dx * dx + dy * dy < 0.02 + 0.006 * disc as f32
        });
        let color = if inside { discs } else { ground };
        let light = if inside {
            0.95 - 0.3 * x
        } else {
            0.35 + 0.4 * y
        };
        Rgb(color.map(|channel| (255.0 * light * (0.35 + 0.65 * channel)) as u8))
    })
}

/// Returns a gray version of `image`, `width` pixels wide.
pub fn gray(image: &RgbImage, width: u32) -> RgbImage {
    let height = image.height() * width / image.width();
    let small = imageops::resize(image, width, height, imageops::FilterType::Triangle);
    RgbImage::from_fn(width, height, |x, y| {
        let [red, green, blue] = small.get_pixel(x, y).0.map(u32::from);
        Rgb([((red + 2 * green + blue) / 4) as u8; 3])
    })
}

pub fn input(name: &str, size: (u32, u32), seed: u32, samples: u32, truths: u32) -> Input {
    let colored = |k| scene(size.0, size.1, seed, k);
    Input {
        name: name.into(),
        conditioning: gray(&colored(0), size.0 / 4),
        truths: (0..truths).map(|k| colored(100 + k)).collect(),
        samples: (1..=samples).map(colored).collect(),
    }
}

/// Returns a plot of two loss curves, one of which is noisy and smoothed.
pub fn loss() -> Plot {
    let falling = |step: u32| 0.28 + 0.5 * (-f64::from(step) / 150.0).exp();
    let noise =
        |step: u32| 0.06 * (f64::from(step) * 12.9898).sin() * (f64::from(step) * 0.7).cos();
    let batches = (1..=800).map(|step| (f64::from(step), falling(step) + noise(step)));
    let held_out = (0..=8).map(|k| (f64::from(100 * k), falling(100 * k) + 0.03));
    Plot {
        title: "Training".into(),
        x_label: "step".into(),
        y_label: "LPIPS".into(),
        y_scale: Scale::Log,
        series: vec![
            Series::smoothed("batch", batches, 20.0),
            Series::new("held out", held_out),
        ],
        ..Plot::default()
    }
}

/// Returns a page with small and large images, square and not, with no, one and several truths, and
/// with names that contain markup.
pub fn page() -> Page {
    Page {
        title: "Colorization & <friends>".into(),
        settings: [
            ("task", "colorization"),
            ("preset", "tiny"),
            ("size", "64"),
            ("learning rate", "0.002"),
            ("pool", "8, 4, 2"),
            (
                "data",
                "photographs/held-out </script><script>alert(1)</script>",
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        inputs: vec![
            input("Four discs", (64, 64), 1, 8, 1),
            input("A </script> wide scene \u{2028}", (96, 64), 2, 5, 4),
            input("Tiny", (32, 32), 3, 3, 1),
            input("Many samples", (256, 256), 4, 16, 0),
            input("Tall", (120, 180), 5, 1, 1),
            input("No samples", (64, 64), 6, 0, 0),
        ],
        curves: vec![loss(), Plot::default()],
        measures: vec![
            Measure::new("LPIPS, best of 8", "0.117", "0.109 to 0.125"),
            Measure::new("LPIPS, mean", "0.157", "0.150 to 0.164"),
            Measure::new("PSNR, best of 8", "24.9 dB", ""),
        ],
    }
}
