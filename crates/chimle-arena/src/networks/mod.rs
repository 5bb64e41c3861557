//! The networks that only the rival methods need.

mod conv;
mod discriminator;
mod encoder;
mod pixels;
mod unet;

pub use conv::{Conv3x3, Pointwise, instance_norm};
pub use discriminator::{Discriminator, DiscriminatorConfig, PatchDiscriminator};
pub use encoder::{Encoder, EncoderConfig, Normal};
pub use pixels::{enlarge, shuffle_pixels, stack_pixels};
pub use unet::{Unet, UnetConfig};
