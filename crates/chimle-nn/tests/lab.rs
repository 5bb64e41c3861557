//! `lab_to_rgb` on its whole range.

mod small;

use burn::backend::Autodiff;
use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use chimle_nn::lab_to_rgb;
use small::values;

type B = Autodiff<Flex>;

/// The colors as an image `[1, 3, 1, n]`.
fn image(colors: &[[f32; 3]]) -> Tensor<B, 4> {
    let planes: Vec<f32> = (0..3)
        .flat_map(|k| colors.iter().map(move |color| color[k]))
        .collect();
    Tensor::from_data(
        TensorData::new(planes, [1, 3, 1, colors.len()]),
        &Default::default(),
    )
}

#[test]
fn values_and_gradients_are_finite_on_the_whole_range() {
    // The corners, zero, both sides of the darkest lightness, and a grid in between.
    let mut lightness: Vec<f32> = vec![0.0, 1e-7, 0.00999, 0.01, 0.01001];
    lightness.extend((1..=20).map(|i| i as f32 / 20.0));
    let mut chroma: Vec<f32> = vec![1e-7, -1e-7];
    chroma.extend((-20..=20).map(|i| i as f32 / 20.0));
    let mut colors = Vec::new();
    for l in &lightness {
        for a in &chroma {
            colors.extend(chroma.iter().map(|b| [*l, *a, *b]));
        }
    }
    let lab = image(&colors).require_grad();
    let rgb = lab_to_rgb(lab.clone());
    let gradient = values(lab.grad(&rgb.clone().sum().backward()).unwrap());
    let rgb = values(rgb);
    assert!(rgb.iter().all(|v| v.is_finite() && *v >= 0.0));
    assert!(gradient.iter().all(|v| v.is_finite()));
}

#[test]
fn known_colors() {
    // The L of mid-gray (sRGB 0.5) is 53.389. Red is Lab (53.241, 80.092, 67.203). The network's a'
    // and b' are the chroma times L' / 127.
    let red = [0.53241, 80.092 * 0.53241 / 127.0, 67.203 * 0.53241 / 127.0];
    let rgb = values(lab_to_rgb(image(&[
        [1.0, 0.0, 0.0],
        [0.53389, 0.0, 0.0],
        red,
    ])));
    let expected = [1.0, 0.5, 1.0, 1.0, 0.5, 0.0, 1.0, 0.5, 0.0];
    for (found, expected) in rgb.iter().zip(expected) {
        assert!((found - expected).abs() < 3e-3, "{rgb:?}");
    }
}
