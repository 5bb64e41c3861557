//! LPIPS with its published weights, which are too large to be committed.

use std::path::PathBuf;

use burn::tensor::backend::Backend;
use chimle_perceptual::{Distance, Lpips};

/// Reads LPIPS from the folder that `CHIMLE_WEIGHTS` names.
pub fn lpips<B: Backend>() -> Distance<B> {
    let folder = std::env::var_os("CHIMLE_WEIGHTS").expect("CHIMLE_WEIGHTS is set");
    let folder = PathBuf::from(folder);
    let vgg = folder.join("vgg16_imagenet.safetensors");
    let linear = folder.join("lpips_v0.1/vgg.pth");
    let lpips = Lpips::load(&vgg, Some(&linear), &Default::default()).unwrap();
    Distance::Lpips(lpips)
}
