//! Agreement with scikit-image. The numbers lie beside the workspace; without them the test says
//! so and ends.

use std::path::PathBuf;

use chimle_metrics::{ImageView, psnr, ssim};
use safetensors::SafeTensors;
use serde_json::Value;

/// An image stored as u8 `[height, width, channels]`, as planes in [0, 1].
fn planes(file: &SafeTensors<'_>, name: &str) -> (Vec<f32>, [usize; 3]) {
    let view = file.tensor(name).unwrap();
    let [h, w, c] = view.shape() else {
        panic!("{name} is no image")
    };
    let plane = |k: usize| view.data().iter().skip(k).step_by(*c);
    let values = (0..*c).flat_map(|k| plane(k).map(|v| f32::from(*v) / 255.0));
    (values.collect(), [*c, *h, *w])
}

#[test]
fn psnr_and_ssim_agree_with_scikit_image() {
    let folder = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/reference"
    ));
    let Ok(numbers) = std::fs::read_to_string(folder.join("metrics.json")) else {
        println!("absent: metrics.json");
        return;
    };
    let numbers: Value = serde_json::from_str(&numbers).unwrap();
    for name in ["astronaut", "coffee", "chelsea"] {
        let bytes = std::fs::read(folder.join(format!("img_{name}.safetensors"))).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let (truth, shape) = planes(&file, "rgb");
        for quality in ["q1", "q10"] {
            let (degraded, _) = planes(&file, &format!("jpeg.{quality}.420"));
            let expected = |measure: &str| {
                let key = format!("{measure}_jpeg_{quality}_420");
                numbers[name][key].as_f64().unwrap()
            };
            let ratio = psnr(&truth, &degraded).unwrap();
            let similarity = ssim(
                ImageView::new(&truth, shape).unwrap(),
                ImageView::new(&degraded, shape).unwrap(),
            )
            .unwrap();
            let psnr_error = (ratio / expected("psnr") - 1.0).abs();
            let ssim_error = (similarity - expected("ssim")).abs();
            println!("{name} {quality}: psnr {psnr_error:e} (relative), ssim {ssim_error:e}");
            assert!(psnr_error < 1e-6);
            assert!(ssim_error < 1e-4);
        }
    }
}
