//! Convolutions of random shapes, with planes anywhere in a buffer, compared with the definition.

use crate::flex::convolution::{Finish, Onto, Weight, convolve};
use crate::flex::maps::{Frame, Maps, Target};
use crate::flex::processor::Processor;

/// A generator of random numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }

    fn values(&mut self, count: usize) -> Vec<f32> {
        let value = |_| (self.below(1 << 20) as f32) / (1 << 19) as f32 - 1.0;
        (0..count).map(value).collect()
    }

    /// Returns a frame of these planes, image by image or plane by plane, and the number of values
    /// of its buffer. The buffer may have more planes where the order allows it.
    fn frame(&mut self, [images, planes, height, width]: [usize; 4]) -> (Frame, usize) {
        let wider = planes + self.below(3);
        let frame = match self.below(2) {
            0 => Frame::by_image([images, wider, height, width]),
            _ => Frame::by_plane([images, wider, height, width]),
        };
        (frame.with_planes(planes), frame.values())
    }
}

/// Computes one pixel by the definition, in 64 bits.
fn defined(
    input: &Maps,
    weight: impl Fn(usize, usize) -> f32,
    image: usize,
    (row, column): (usize, usize),
) -> f64 {
    let frame = &input.frame;
    let mut sum = 0.0;
    for plane in 0..frame.planes {
        let map = input.plane(image, plane);
        for tap in 0..9 {
            let (y, x) = (row + tap / 3, column + tap % 3);
            if (1..=frame.height).contains(&y) && (1..=frame.width).contains(&x) {
                let value = map[(y - 1) * frame.width + x - 1];
                sum += f64::from(weight(plane, tap)) * f64::from(value);
            }
        }
    }
    sum
}

/// Convolves once, and checks every pixel. Also checks that the rest of the buffer is not changed.
fn check(processor: Processor, random: &mut Random, shape: [usize; 5]) {
    let [images, inputs, outputs, height, width] = shape;
    let (frame, length) = random.frame([images, inputs, height, width]);
    let values = random.values(length);
    let input = Maps {
        values: &values,
        frame,
    };
    let is_turned = random.below(2) == 1;
    let weights = random.values(outputs * inputs * 9);
    let weight = match is_turned {
        false => Weight::new(&weights, [outputs, inputs]),
        true => Weight::new(&weights, [inputs, outputs]).turned(),
    };
    let bias = random.values(outputs);
    let (frame, length) = random.frame([images, outputs, height, width]);
    let before = random.values(length);
    let (added_frame, added_length) = random.frame([images, outputs, height, width]);
    let added_values = random.values(added_length);
    let added = Maps {
        values: &added_values,
        frame: added_frame,
    };
    let (onto, masks) = (random.below(3), random.below(2) == 1);
    let finish = Finish {
        bias: Some(&bias),
        bias_scale: 0.5,
        slope: Some(0.25),
        onto: match onto {
            0 => Onto::Nothing,
            1 => Onto::Target,
            _ => Onto::Maps(added),
        },
        mask: masks.then_some((added, outputs / 2, 0.125)),
    };
    let mut found = before.clone();
    let mut target = Target::new(&mut found, frame);
    convolve(processor, &input, &weight, &finish, &mut target);

    let (before_maps, found_maps) = (
        Maps {
            values: &before,
            frame,
        },
        Maps {
            values: &found,
            frame,
        },
    );
    let mut untouched = before.clone();
    let mut written = Target::new(&mut untouched, frame);
    let written = written.shared();
    for image in 0..images {
        for plane in 0..outputs {
            for row in 0..height {
                // SAFETY: there is one thread, and the stretch is dropped at once.
                #[allow(unsafe_code)]
                let pixels = unsafe { written.pixels(image, plane, row, 0..width) };
                let all = found_maps.pixels(image, plane, row, 0..width);
                pixels.copy_from_slice(all);
                for column in 0..width {
                    let tap = |input: usize, tap: usize| match is_turned {
                        false => weights[(plane * inputs + input) * 9 + tap],
                        true => weights[(input * outputs + plane) * 9 + 8 - tap],
                    };
                    let mut expected = defined(&input, tap, image, (row, column));
                    expected += 0.5 * f64::from(bias[plane]);
                    if expected < 0.0 {
                        expected *= 0.25;
                    }
                    let at = row * width + column;
                    match onto {
                        0 => {}
                        1 => expected += f64::from(before_maps.plane(image, plane)[at]),
                        _ => expected += f64::from(added.plane(image, plane)[at]),
                    }
                    if masks && plane >= outputs / 2 && added.plane(image, plane)[at] <= 0.0 {
                        expected *= 0.125;
                    }
                    let error = (f64::from(all[column]) - expected).abs();
                    // Each product is at most 1.
                    let bound = 2e-5 * (1.0 + (inputs as f64).sqrt());
                    assert!(
                        error < bound,
                        "{error:e} at {:?} of {shape:?} with {processor:?}",
                        (image, plane, row, column)
                    );
                }
            }
        }
    }
    // `untouched` is the old buffer with the expected pixels written. All other values are
    // unchanged if it equals the buffer found.
    assert!(untouched == found, "{shape:?} with {processor:?}");
}

#[test]
fn convolutions_of_random_shapes_are_their_definition() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    // Miri is slow, so it runs fewer rounds with smaller shapes.
    let (rounds, planes, sides) = match cfg!(miri) {
        true => (6, 4, 7),
        false => (120, 20, 40),
    };
    for processor in Processor::available() {
        for _ in 0..rounds {
            let shape = [
                1 + random.below(3),
                1 + random.below(planes),
                1 + random.below(planes),
                1 + random.below(sides),
                1 + random.below(sides),
            ];
            check(processor, &mut random, shape);
        }
    }
}

#[test]
fn without_images_planes_or_pixels_there_is_nothing_to_do() {
    let mut random = Random(7);
    for processor in Processor::available() {
        for zero in [0, 1, 3, 4] {
            for other in [1, 5, 16] {
                let mut shape = [2, 3, 5, other, other];
                shape[zero] = 0;
                check(processor, &mut random, shape);
            }
        }
        // No pixels, and no images either.
        check(processor, &mut random, [2, 3, 5, 0, 0]);
        check(processor, &mut random, [0, 3, 5, 0, 0]);
        // No output planes, and no planes at all.
        check(processor, &mut random, [2, 3, 0, 4, 4]);
        check(processor, &mut random, [2, 0, 0, 4, 4]);
    }
}

#[test]
fn other_frames_are_a_panic() {
    let values = vec![0.0; 200];
    let weights = vec![0.0; 2 * 3 * 9];
    let weight = Weight::new(&weights, [2, 3]);
    let input = Maps {
        values: &values,
        frame: Frame::by_image([2, 3, 4, 5]),
    };
    let panics = |target: [usize; 4], finish: Finish| {
        let called = std::panic::catch_unwind(|| {
            let mut found = vec![0.0; 400];
            let mut target = Target::new(&mut found, Frame::by_image(target));
            convolve(Processor::Portable, &input, &weight, &finish, &mut target);
        });
        called.is_err()
    };
    let good = [2, 2, 4, 5];
    assert!(!panics(good, Finish::NONE));
    // A different number of images or planes, a different height or width, and exchanged sides.
    for wrong in [
        [1, 2, 4, 5],
        [3, 2, 4, 5],
        [2, 1, 4, 5],
        [2, 2, 5, 5],
        [2, 2, 4, 6],
        [2, 2, 5, 4],
    ] {
        assert!(panics(wrong, Finish::NONE), "{wrong:?}");
        let maps = Maps {
            values: &values,
            frame: Frame::by_image(wrong),
        };
        let mask = Finish {
            mask: Some((maps, 0, 0.5)),
            ..Finish::NONE
        };
        assert!(panics(good, mask), "{wrong:?}");
        let onto = Finish {
            onto: Onto::Maps(maps),
            ..Finish::NONE
        };
        // Maps with fewer planes than the target are added to its first planes.
        assert_eq!(panics(good, onto), wrong != [2, 1, 4, 5], "{wrong:?}");
    }
}
