//! The operations on Flex, Burn's CPU backend, for 32-bit floats.

// Loops over positions and lanes index several small arrays at once, as the formulas do.
#![allow(clippy::needless_range_loop)]

mod adam;
mod backend;
mod comparison;
mod convolution;
mod dense_block;
mod few_pixels;
mod few_tiles;
mod maps;
mod modulation;
mod pointwise;
mod processor;
mod slices;
mod tiles;
mod weight_gradient;
mod weight_norm;
mod winograd;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
