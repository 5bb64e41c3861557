//! The chain of levels: what a level depends on, and the state between two levels.

mod small;

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;
use chimle_imle::{Rows, Selection, StagedGenerator};
use chimle_nn::{Architecture, Generator, LatentCode, State, lab_to_rgb};
use small::{
    ARCHITECTURES, code_rows, codes, conditioning, config, error, generator, images_error, values,
};

const SIDES: [usize; 2] = [4, 6];

/// Creates a generator of three levels, and evaluates the first two levels for three examples.
fn halfway(architecture: Architecture) -> (Generator<Flex>, State<Flex>, Vec<LatentCode<Flex>>) {
    let generator = generator::<Flex>(architecture, 3);
    let codes = codes(generator.config(), 3, SIDES);
    let start = generator.begin(conditioning(generator.config(), 3, SIDES));
    let (state, _) = generator.advance_raw(start, codes[0].clone());
    (generator, state, codes)
}

/// Evaluates the remaining levels and returns their raw images.
fn finish(
    generator: &Generator<Flex>,
    mut state: State<Flex>,
    codes: &[LatentCode<Flex>],
) -> Vec<Tensor<Flex, 4>> {
    let mut images = Vec::new();
    for code in &codes[state.level()..] {
        let (next, image) = generator.advance_raw(state, code.clone());
        state = next;
        images.push(image);
    }
    assert_eq!(state.code_size(), None);
    images
}

fn rows(rows: &[i32]) -> Tensor<Flex, 1, Int> {
    Tensor::from_data(
        TensorData::new(rows.to_vec(), [rows.len()]),
        &Default::default(),
    )
}

fn select(images: &[Tensor<Flex, 4>], which: &[i32]) -> Vec<Tensor<Flex, 4>> {
    let pick = |image: &Tensor<Flex, 4>| image.clone().select(0, rows(which));
    images.iter().map(pick).collect()
}

fn select_codes(codes: &[LatentCode<Flex>], which: &[i32]) -> Vec<LatentCode<Flex>> {
    let pick = |code: &LatentCode<Flex>| LatentCode {
        global: code.global.clone().select(0, rows(which)),
        local: code.local.clone().select(0, rows(which)),
    };
    codes.iter().map(pick).collect()
}

#[test]
fn forward_raw_is_begin_and_then_advance_raw() {
    for architecture in ARCHITECTURES {
        let (generator, state, codes) = halfway(architecture);
        assert_eq!((state.level(), state.rows()), (1, 3));
        assert_eq!(state.code_size(), Some([8, 12]));
        let images = conditioning(generator.config(), 3, SIDES);
        let forward = generator.forward_raw(images.clone(), codes.clone());
        assert_eq!(forward.len(), 3);
        let continued = finish(&generator, state, &codes);
        assert_eq!(images_error(continued, forward[1..].to_vec()), 0.0);
        // With fewer codes, fewer levels are evaluated.
        let first = generator.forward_raw(images, codes[..1].to_vec());
        assert_eq!(images_error(first, forward[..1].to_vec()), 0.0);
    }
}

#[test]
fn outputs_are_the_rgb_of_the_raw_images() {
    for architecture in ARCHITECTURES {
        let (generator, state, codes) = halfway(architecture);
        let inputs = conditioning(generator.config(), 3, SIDES);
        let raw = generator.forward_raw(inputs.clone(), codes.clone());
        let rgb: Vec<_> = raw
            .iter()
            .map(|image| match architecture {
                Architecture::Colorization => lab_to_rgb(image.clone()),
                Architecture::SuperResolution | Architecture::ImageToImage => image.clone(),
            })
            .collect();
        let forward = generator.forward(inputs.clone(), codes.clone());
        assert_eq!(images_error(forward, rgb.clone()), 0.0);
        let evaluated = generator.evaluate(inputs, |level, state| {
            assert_eq!(state.level(), level);
            codes[level].clone()
        });
        assert_eq!(images_error(evaluated, rgb.clone()), 0.0);
        let (_, second) = generator.advance(state, codes[1].clone());
        assert_eq!(error(second, rgb[1].clone()), 0.0);
    }
}

#[test]
fn a_flat_code_is_split_global_first_and_then_row_major() {
    let mut config = config(Architecture::ImageToImage, 1);
    (config.map_code, config.code_channels) = (2, 2);
    let generator = config.init::<Flex>(&Default::default());
    let state = generator.begin(conditioning(&config, 2, [1, 2]));
    assert_eq!(generator.code_len(&state), 6);
    // Two rows of 2 global values, then 2 channels of 1 x 2.
    let flat: Vec<f32> = (24..36).map(|v| v as f32).collect();
    let flat = Tensor::from_data(TensorData::new(flat, [2, 6]), &Default::default());
    let code = generator.code(&state, flat);
    assert_eq!(code.global.dims(), [2, 2]);
    assert_eq!(code.local.dims(), [2, 2, 1, 2]);
    assert_eq!(values(code.global), [24., 25., 30., 31.]);
    assert_eq!(values(code.local), [26., 27., 28., 29., 32., 33., 34., 35.]);
}

#[test]
fn a_code_is_as_long_as_its_level_is_large() {
    for architecture in ARCHITECTURES {
        let (generator, state, _) = halfway(architecture);
        let start = generator.begin(conditioning(generator.config(), 3, SIDES));
        assert_eq!(generator.levels(), 3);
        assert_eq!(generator.code_len(&start), 12 + 2 * 4 * 6);
        assert_eq!(generator.code_len(&state), 12 + 2 * 8 * 12);
    }
}

#[test]
fn raw_images_have_the_side_and_range_of_the_architecture() {
    for architecture in ARCHITECTURES {
        for levels in [1, 2, 5] {
            for sides @ [height, width] in [[2, 2], [3, 4]] {
                let generator = generator::<Flex>(architecture, levels);
                let config = generator.config();
                let inputs = conditioning(config, 2, sides);
                let codes = codes(config, 2, sides);
                let images = generator.forward_raw(inputs.clone(), codes);
                assert_eq!(images.len(), levels);
                for (k, image) in images.iter().enumerate() {
                    let doubled = usize::from(architecture == Architecture::SuperResolution);
                    let side = k + doubled;
                    assert_eq!(image.dims(), [2, 3, height << side, width << side]);
                    let mut colors = image.clone();
                    let mut lowest = 0.0;
                    if architecture == Architecture::Colorization {
                        let lightness = image.clone().narrow(1, 0, 1);
                        assert_eq!(error(lightness, inputs[k].clone()), 0.0);
                        colors = image.clone().narrow(1, 1, 2);
                        lowest = -1.0;
                    }
                    let colors = values(colors);
                    assert!(colors.iter().all(|v| (lowest..=1.0).contains(v)));
                    // tanh is odd: values lie on both sides of the middle.
                    let middle = (lowest + 1.0) / 2.0;
                    assert!(colors.iter().any(|v| *v < middle));
                    assert!(colors.iter().any(|v| *v > middle));
                }
            }
        }
    }
}

#[test]
fn folding_changes_no_image() {
    for architecture in ARCHITECTURES {
        let generator = generator::<Flex>(architecture, 2);
        let inputs = conditioning(generator.config(), 2, [8, 12]);
        let codes = codes(generator.config(), 2, [8, 12]);
        let before = generator.forward_raw(inputs.clone(), codes.clone());
        let lengths = generator.num_params();
        let folded = generator.fold();
        assert!(folded.num_params() < lengths);
        assert!(images_error(folded.forward_raw(inputs, codes), before) < 1e-5);
    }
}

#[test]
fn a_batch_is_as_many_single_examples() {
    for architecture in ARCHITECTURES {
        let generator = generator::<Flex>(architecture, 3);
        let inputs = conditioning(generator.config(), 3, SIDES);
        let codes = codes(generator.config(), 3, SIDES);
        let together = generator.forward_raw(inputs.clone(), codes.clone());
        for k in 0..3 {
            let input = inputs.iter().map(|x| x.clone().narrow(0, k, 1)).collect();
            let alone = generator.forward_raw(input, code_rows(&codes, k, 1));
            assert!(images_error(alone, select(&together, &[k as i32])) < 1e-5);
        }
    }
}

#[test]
fn a_state_s_rows_are_selected_narrowed_repeated_and_joined() {
    for architecture in ARCHITECTURES {
        let (generator, state, codes) = halfway(architecture);
        let all = finish(&generator, state.clone(), &codes);
        let check = |state: State<Flex>, which: &[i32]| {
            assert_eq!((state.level(), state.rows()), (1, which.len()));
            assert_eq!(state.code_size(), Some([8, 12]));
            let images = finish(&generator, state, &select_codes(&codes, which));
            let error = images_error(images, select(&all, which));
            assert!(error < 1e-5, "{architecture:?}, {which:?}: {error}");
        };
        check(
            state.select_rows(&Selection::indices([2, 0, 2, 1])),
            &[2, 0, 2, 1],
        );
        check(state.select_rows(&Selection::range(1..3)), &[1, 2]);
        check(state.select_rows(&Selection::repeat_each(1)), &[0, 1, 2]);
        let thrice = state.select_rows(&Selection::repeat_each(3));
        check(thrice, &[0, 0, 0, 1, 1, 1, 2, 2, 2]);
        let range = |rows| state.select_rows(&Selection::range(rows));
        let parts = vec![range(2..3), state.clone(), range(0..2)];
        check(State::concat(parts), &[2, 0, 1, 2, 0, 1]);
        // The same holds for a state before the first level.
        let start = generator.begin(conditioning(generator.config(), 3, SIDES));
        let codes = select_codes(&codes, &[1, 1]);
        let one = start.select_rows(&Selection::range(1..2));
        let twice = one.select_rows(&Selection::repeat_each(2));
        let (state, _) = generator.advance_raw(twice, codes[0].clone());
        check(state, &[1, 1]);
    }
}

#[test]
fn a_finished_state_still_knows_its_batch() {
    for architecture in ARCHITECTURES {
        let generator = generator::<Flex>(architecture, 1);
        let codes = codes::<Flex>(generator.config(), 3, SIDES);
        let start = generator.begin(conditioning(generator.config(), 3, SIDES));
        assert_eq!((start.level(), start.rows()), (0, 3));
        assert_eq!(start.code_size(), Some(SIDES));
        let (end, _) = generator.advance_raw(start, codes[0].clone());
        assert_eq!((end.level(), end.rows()), (1, 3));
        assert_eq!(end.code_size(), None);
        assert_eq!(end.select_rows(&Selection::indices([1, 1])).rows(), 2);
    }
}

#[test]
fn every_part_of_a_code_changes_its_level_and_those_above_alone() {
    for architecture in ARCHITECTURES {
        let generator = generator::<Flex>(architecture, 3);
        let inputs = conditioning(generator.config(), 1, SIDES);
        let codes = codes(generator.config(), 1, SIDES);
        let before = generator.forward_raw(inputs.clone(), codes.clone());
        for level in 0..3 {
            let mut global = codes.clone();
            global[level].global = -codes[level].global.clone();
            let mut local = codes.clone();
            local[level].local = -codes[level].local.clone();
            for changed in [global, local] {
                let after = generator.forward_raw(inputs.clone(), changed);
                for (k, (a, b)) in after.into_iter().zip(&before).enumerate() {
                    let change = error(a, b.clone());
                    assert_eq!(change > 1e-4, k >= level, "{level}, {k}: {change}");
                }
            }
        }
    }
}

#[test]
fn the_number_of_conditioning_images_is_the_architecture_s() {
    for architecture in ARCHITECTURES {
        let config = config(architecture, 3);
        let expected = match architecture {
            Architecture::SuperResolution => 1,
            _ => 3,
        };
        assert_eq!(config.conditioning_images(), expected);
    }
}

#[test]
#[should_panic(expected = "conditioning images")]
fn other_numbers_of_conditioning_images_are_refused() {
    let generator = generator::<Flex>(Architecture::ImageToImage, 3);
    let mut images = conditioning(generator.config(), 1, SIDES);
    images.pop();
    generator.begin(images);
}
