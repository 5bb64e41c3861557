//! Tests of animations, which are decoded again.

mod scenes;

use std::io::Cursor;

use chimle_show::film::{self, Frame};
use chimle_show::{Error, Plot, Series};
use image::codecs::png::PngDecoder;
use image::{AnimationDecoder, Rgb, RgbImage};

fn colorings(count: u32, milliseconds: u32) -> Vec<Frame> {
    (0..count)
        .map(|k| Frame {
            image: scenes::scene(64, 48, 1, k),
            milliseconds,
        })
        .collect()
}

/// Returns the displayed frames of a GIF, their delays in hundredths of a second, and whether the
/// GIF repeats forever.
fn read_gif(bytes: &[u8]) -> (Vec<RgbImage>, Vec<u16>, bool) {
    let mut decoder = gif::DecodeOptions::new();
    decoder.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = decoder.read_info(bytes).expect("a GIF");
    let mut canvas = RgbImage::new(decoder.width().into(), decoder.height().into());
    let (mut frames, mut delays) = (Vec::new(), Vec::new());
    while let Some(frame) = decoder.read_next_frame().expect("a frame") {
        for (index, rgba) in frame.buffer.chunks_exact(4).enumerate() {
            assert_eq!(rgba[3], 255);
            let x = u32::from(frame.left) + index as u32 % u32::from(frame.width);
            let y = u32::from(frame.top) + index as u32 / u32::from(frame.width);
            canvas.put_pixel(x, y, Rgb([rgba[0], rgba[1], rgba[2]]));
        }
        frames.push(canvas.clone());
        delays.push(frame.delay);
    }
    let forever = matches!(decoder.repeat(), gif::Repeat::Infinite);
    (frames, delays, forever)
}

fn mean_error(one: &RgbImage, other: &RgbImage) -> f64 {
    let sum: u64 = one
        .iter()
        .zip(other.iter())
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / one.len() as f64
}

#[test]
fn a_gif_keeps_frames_delays_and_colors_and_repeats() {
    let frames = colorings(6, 125);
    let (read, delays, forever) = read_gif(&film::gif(&frames).expect("a GIF"));
    assert_eq!(read.len(), 6);
    // Delays are in hundredths of a second, and the rounding errors do not add up.
    assert_eq!(delays, [13, 12, 13, 12, 13, 12]);
    assert!(forever);
    for (read, frame) in read.iter().zip(&frames) {
        let error = mean_error(read, &frame.image);
        assert!(error < 5.0, "{error}");
    }
}

#[test]
fn a_gif_of_few_colors_is_exact() {
    let frames: Vec<_> = (0..4)
        .map(|k| Frame {
            image: RgbImage::from_fn(20, 10, |x, y| {
                Rgb([(x * 10) as u8, if y == k { 200 } else { 0 }, 7])
            }),
            milliseconds: 40,
        })
        .collect();
    let (read, _, _) = read_gif(&film::gif(&frames).expect("a GIF"));
    for (read, frame) in read.iter().zip(&frames) {
        assert_eq!(read, &frame.image);
    }
}

#[test]
fn what_stands_still_in_a_gif_does_not_flicker() {
    let still = scenes::scene(64, 48, 1, 0);
    let frames: Vec<_> = (1..6)
        .map(|k| {
            let mut image = scenes::scene(128, 48, 2, k);
            image::imageops::replace(&mut image, &still, 0, 0);
            Frame {
                image,
                milliseconds: 50,
            }
        })
        .collect();
    let (read, _, _) = read_gif(&film::gif(&frames).expect("a GIF"));
    let left = |image: &RgbImage| image::imageops::crop_imm(image, 0, 0, 64, 48).to_image();
    assert!(read.iter().all(|frame| left(frame) == left(&read[0])));
}

#[test]
fn a_frequent_color_stays_exact_in_a_gif() {
    let frames: Vec<_> = (0..3)
        .map(|k| {
            let mut image = RgbImage::from_pixel(128, 64, Rgb([255; 3]));
            image::imageops::replace(&mut image, &scenes::scene(64, 64, 3, k), 0, 0);
            Frame {
                image,
                milliseconds: 50,
            }
        })
        .collect();
    let (read, _, _) = read_gif(&film::gif(&frames).expect("a GIF"));
    assert!(
        read.iter()
            .all(|frame| frame.get_pixel(100, 30).0 == [255; 3])
    );
}

#[test]
fn an_animated_png_is_exact_and_repeats() {
    let mut frames = colorings(5, 125);
    frames.push(frames[4].clone());
    frames[2].milliseconds = 90_000;
    let bytes = film::apng(&frames).expect("an animated PNG");
    let decoder = png::Decoder::new(Cursor::new(&bytes))
        .read_info()
        .expect("a PNG");
    let control = decoder.info().animation_control().expect("an animation");
    assert_eq!((control.num_frames, control.num_plays), (6, 0));

    let read = PngDecoder::new(Cursor::new(&bytes))
        .and_then(PngDecoder::apng)
        .expect("an animated PNG")
        .into_frames()
        .collect_frames()
        .expect("frames");
    assert_eq!(read.len(), 6);
    for (read, frame) in read.iter().zip(&frames) {
        let image = image::DynamicImage::ImageRgba8(read.buffer().clone()).to_rgb8();
        assert_eq!(image, frame.image);
        let (numerator, denominator) = read.delay().numer_denom_ms();
        assert_eq!(numerator / denominator, frame.milliseconds);
    }
}

#[test]
fn frames_that_do_not_make_an_animation_are_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    for name in ["a.gif", "a.png"] {
        assert!(matches!(
            film::save(&[], at(name)),
            Err(Error::Nothing { .. })
        ));
        let mut frames = colorings(3, 50);
        frames[2].image = RgbImage::new(64, 47);
        let error = film::save(&frames, at(name)).expect_err("sizes differ");
        assert_eq!(
            error.to_string(),
            "frame 2 is 64x47, the first is 64x48: frames must agree in size"
        );
        let empty = [Frame {
            image: RgbImage::new(0, 4),
            milliseconds: 1,
        }];
        assert!(matches!(
            film::save(&empty, at(name)),
            Err(Error::NoPixels { .. })
        ));
        film::save(&colorings(2, 50), at(name)).expect("a file");
    }
    assert!(matches!(
        film::save(&colorings(1, 50), at("a.mp4")),
        Err(Error::Extension { .. })
    ));
}

#[test]
fn images_side_by_side_stand_on_white_and_small_ones_are_enlarged() {
    let sample = RgbImage::from_pixel(16, 16, Rgb([200, 0, 0]));
    let curve = Plot {
        series: vec![Series::new("loss", [(0.0, 1.0), (1.0, 0.5)])],
        width: 240,
        height: 140,
        ..Plot::default()
    }
    .image(1.0)
    .expect("a picture");
    let both = film::beside(&[&sample, &curve], "step 1").expect("a picture");
    // 16 pixels fit eight times into a height of 140.
    let enlarged = both.pixels().filter(|pixel| pixel.0 == [200, 0, 0]).count();
    assert_eq!(enlarged, 128 * 128);
    assert_eq!(both.width(), 128 + 240 + 3 * 12);
    assert_eq!(both.get_pixel(0, 0).0, [255; 3]);
    let caption = image::imageops::crop_imm(&both, 0, 12 + 140, both.width(), both.height() - 152);
    assert!(caption.to_image().pixels().any(|pixel| pixel.0[0] < 80));

    let without = film::beside(&[&sample, &curve], "").expect("a picture");
    assert_eq!(without.height(), 140 + 2 * 12);
    assert!(matches!(film::beside(&[], ""), Err(Error::Nothing { .. })));
    assert!(matches!(
        film::beside(&[&RgbImage::new(0, 0)], ""),
        Err(Error::NoPixels { .. })
    ));
}

#[test]
fn images_dissolve_into_each_other_and_the_last_into_the_first() {
    let images = [0, 120, 240].map(|gray| RgbImage::from_pixel(4, 3, Rgb([gray; 3])));
    let frames = film::dissolve(&images, 700, 300);
    let gray: Vec<u8> = frames
        .iter()
        .map(|frame| frame.image.get_pixel(2, 1)[0])
        .collect();
    assert_eq!(
        gray,
        [
            0, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200, 220, 240, 200, 160, 120, 80, 40
        ]
    );
    let seconds: u32 = frames.iter().map(|frame| frame.milliseconds).sum();
    assert_eq!(seconds, 3 * (700 + 300));
    assert_eq!(film::dissolve(&images[..1], 700, 300).len(), 1);

    let other = RgbImage::new(2, 2);
    let frames = film::dissolve(&[images[0].clone(), other], 700, 300);
    assert!(matches!(film::gif(&frames), Err(Error::FrameSize { .. })));
}
