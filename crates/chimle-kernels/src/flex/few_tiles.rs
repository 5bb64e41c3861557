//! The gradients of the weights for few tiles and many channels.
//!
//! A gradient of a weight is a sum over all tiles. If the lanes of a vector hold tiles, this sum ends
//! with a sum over the lanes, which takes longer than the products if there are few tiles. Here, the
//! lanes hold input planes, so each lane has a sum of its own. The price is that the transformed inputs
//! are transposed.

use std::cell::Cell;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::flex::convolution::{LINE, at_least};
use crate::flex::maps::Maps;
use crate::flex::processor::{Processor, mul_add};
use crate::flex::tiles::{Block, Lines};
use crate::flex::weight_gradient::WeightGradient;
use crate::flex::winograd::{Input, POINTS, POSITIONS};

/// The number of output planes of one product.
pub(crate) const OUTPUTS: usize = 8;
/// The time of a sum over lanes, as a multiple of the time in which one value is transposed. This is an
/// estimate: timings on a busy processor with AVX-512 suggested 3 to 8.
const SUM: usize = 3;

/// Returns whether transposing the inputs takes less time than the sums over the lanes, for this
/// number of tiles.
pub(crate) fn is_better(tiles: usize, gradients: &[WeightGradient]) -> bool {
    let pairs = gradients.iter().map(|g| g.inputs * g.outputs.frame.planes);
    let inputs = gradients.iter().map(|g| g.inputs).max().unwrap_or(0);
    tiles * inputs < SUM * pairs.sum::<usize>()
}

thread_local! {
    static WORKSPACE: Cell<(Lines, Vec<f32>)> = Cell::default();
}

/// Transforms all planes into `[block][planes / lanes][position][tile][lanes]`. `tiles` is the number
/// of tiles of the largest block.
pub(crate) fn transform(
    processor: Processor,
    maps: &Maps,
    blocks: &[Block],
    tiles: usize,
    out: &mut [f32],
) {
    let lanes = processor.lanes();
    let parts = maps.frame.planes.div_ceil(lanes);
    let chunks = out.par_chunks_mut(POSITIONS * tiles * lanes).enumerate();
    chunks.for_each(|(index, out)| {
        processor.run(Planes {
            maps,
            block: &blocks[index / parts],
            first: index % parts * lanes,
            tiles,
            out,
        });
    });
}

/// As many planes of a block as a vector has lanes.
struct Planes<'a> {
    maps: &'a Maps<'a>,
    block: &'a Block,
    first: usize,
    tiles: usize,
    /// `[position][tile][lanes]`
    out: &'a mut [f32],
}

impl WithSimd for Planes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (mut lines, mut near) = WORKSPACE.take();
        self.block.claim(&mut lines, S::F32_LANES);
        let tiles = self.block.vectors() * S::F32_LANES;
        // The stride is an odd number of cache lines, so the positions of a plane do not compete for
        // the same cache set.
        let stride = ((S::F32_LANES * tiles).div_ceil(LINE) | 1) * LINE;
        let by_plane = at_least(&mut near, POSITIONS * stride);
        let planes = self.first..(self.first + S::F32_LANES).min(self.maps.frame.planes);
        for position in by_plane.chunks_exact_mut(stride) {
            position[planes.len() * tiles..].fill(0.0);
        }
        for (plane, out) in planes.zip(0..) {
            let out = &mut by_plane[out * tiles..];
            self.block
                .transform::<S, Input, POINTS>(simd, self.maps, plane, &mut lines, out, stride);
        }
        let positions = self.out.chunks_exact_mut(self.tiles * S::F32_LANES);
        for (out, by_plane) in positions.zip(by_plane.chunks_exact(stride)) {
            let planes = by_plane.chunks_exact(tiles).take(S::F32_LANES);
            for (lane, plane) in planes.enumerate() {
                for (out, value) in out.chunks_exact_mut(S::F32_LANES).zip(plane) {
                    out[lane] = *value;
                }
            }
        }
        WORKSPACE.set((lines, near));
    }
}

/// The products of a vector of input planes with all output planes at one position.
pub(crate) struct Products<'a> {
    /// `[block][in / lanes][position][tile][lanes]`
    pub(crate) inputs: &'a [f32],
    pub(crate) input_parts: usize,
    /// `[block][out / OUTPUTS][position][OUTPUTS][tile]`
    pub(crate) outputs: &'a [f32],
    pub(crate) planes: usize,
    pub(crate) blocks: &'a [Block],
    /// The number of tiles of the largest block.
    pub(crate) tiles: usize,
    pub(crate) position: usize,
    /// The index of the vector of input planes.
    pub(crate) part: usize,
    /// Whether the sums are new. Otherwise the products are added to them.
    pub(crate) is_first: bool,
    /// `[out][lanes]`
    pub(crate) sums: &'a mut [f32],
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for block in 0..self.blocks.len() {
            for part in 0..self.planes.div_ceil(OUTPUTS) {
                match self.planes - part * OUTPUTS {
                    1 => self.add::<S, 1>(simd, block, part),
                    2 => self.add::<S, 2>(simd, block, part),
                    3 => self.add::<S, 3>(simd, block, part),
                    4 => self.add::<S, 4>(simd, block, part),
                    5 => self.add::<S, 5>(simd, block, part),
                    6 => self.add::<S, 6>(simd, block, part),
                    7 => self.add::<S, 7>(simd, block, part),
                    _ => self.add::<S, OUTPUTS>(simd, block, part),
                }
            }
        }
    }
}

impl Products<'_> {
    /// Adds the products of a block with the first N output planes of a part.
    #[inline(always)]
    fn add<S: Simd, const N: usize>(&mut self, simd: S, block: usize, output_part: usize) {
        let tiles = self.blocks[block].vectors() * S::F32_LANES;
        let at = (block * self.input_parts + self.part) * POSITIONS + self.position;
        let inputs = &self.inputs[at * self.tiles * S::F32_LANES..][..tiles * S::F32_LANES];
        let inputs = S::as_simd_f32s(inputs).0;
        let output_parts = self.planes.div_ceil(OUTPUTS);
        let at = (block * output_parts + output_part) * POSITIONS + self.position;
        let outputs = &self.outputs[at * OUTPUTS * self.tiles..][..N * self.tiles];
        let mut rows: [&[f32]; N] = [&[]; N];
        for (row, outputs) in rows.iter_mut().zip(outputs.chunks_exact(self.tiles)) {
            *row = &outputs[..tiles];
        }
        let mut sums = [simd.splat_f32s(0.0); N];
        for tile in 0..tiles {
            for n in 0..N {
                let output = simd.splat_f32s(rows[n][tile]);
                sums[n] = mul_add(simd, output, inputs[tile], sums[n]);
            }
        }
        let at = output_part * OUTPUTS * S::F32_LANES;
        let out = S::as_mut_simd_f32s(&mut self.sums[at..][..N * S::F32_LANES]).0;
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = if self.is_first && block == 0 {
                sum
            } else {
                simd.add_f32s(*out, sum)
            };
        }
    }
}
