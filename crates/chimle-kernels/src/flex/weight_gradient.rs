//! The gradients of the weights. For several blocks of tiles at a time, all planes of both maps are
//! transformed, and their products are summed over the tiles. At the end, the sums are transformed
//! back to nine taps.
//!
//! The order of every sum depends on the shapes alone.

use std::cell::Cell;
use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::flex::convolution::at_least;
use crate::flex::few_tiles;
use crate::flex::maps::Maps;
use crate::flex::processor::{MOST_LANES, Processor, load, load_part, mul_add, store};
use crate::flex::tiles::{Block, Lines, STRIPS, Tiling};
use crate::flex::winograd::{self, Gradient, Input, POINTS, POSITIONS, TAPS, TILE, ToPoints};

/// The number of input planes of one product: the number of vectors that [`totals`] sums at once.
const INPUTS: usize = 4;
/// The number of output planes of one product. With four inputs, their sums take 24 registers.
const OUTPUTS: usize = 6;
/// The largest number of vectors of tiles in a block.
const VECTORS: usize = 8;
/// The largest number of values of transformed maps at a time. They take 16 MiB, part of a usual
/// last-level cache.
const VALUES: usize = 4 << 20;

/// The gradient of one convolution's weights. The inputs of all convolutions are planes of the same
/// maps.
pub(crate) struct WeightGradient<'a> {
    /// The number of inputs: the first planes of the maps.
    pub(crate) inputs: usize,
    /// The gradient of the outputs.
    pub(crate) outputs: Maps<'a>,
    pub(crate) scale: f32,
    /// The result, `[out, in, 3, 3]`.
    pub(crate) result: &'a mut [f32],
}

/// Computes the gradients of the weights of several convolutions of these maps.
pub(crate) fn weight_gradients(
    processor: Processor,
    maps: &Maps,
    gradients: &mut [WeightGradient],
) {
    let tiling = Tiling::new(&maps.frame, processor.lanes());
    let all: usize = tiling.blocks(VECTORS).iter().map(vectors).sum();
    let by = if few_tiles::is_better(all * processor.lanes(), gradients) {
        Lanes::Inputs
    } else {
        Lanes::Tiles
    };
    weight_gradients_by(processor, by, maps, gradients);
}

/// The meaning of a vector's lanes in the products.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lanes {
    /// Each lane holds a tile. The sums over the lanes are computed at the end.
    Tiles,
    /// Each lane holds an input plane; see [`few_tiles`].
    Inputs,
}

/// Returns the number of vectors of tiles of a block.
fn vectors(strips: &Range<usize>) -> usize {
    strips.len().div_ceil(STRIPS)
}

/// Computes [`weight_gradients`] with lanes of this meaning.
pub(crate) fn weight_gradients_by(
    processor: Processor,
    by: Lanes,
    maps: &Maps,
    gradients: &mut [WeightGradient],
) {
    let tiling = Tiling::new(&maps.frame, processor.lanes());
    let blocks = tiling.blocks(VECTORS);
    // The tiles of the largest block, and the input planes that share a vector or a product.
    let tiles = blocks.iter().map(vectors).max().unwrap_or(0) * processor.lanes();
    let width = match by {
        Lanes::Tiles => INPUTS,
        Lanes::Inputs => processor.lanes(),
    };
    let outputs_size = |g: &WeightGradient| match by {
        Lanes::Tiles => size::<OUTPUTS>(&g.outputs, tiles),
        Lanes::Inputs => size::<{ few_tiles::OUTPUTS }>(&g.outputs, tiles),
    };
    let input_parts = maps.frame.planes.div_ceil(width);
    let input_size = input_parts * width * POSITIONS * tiles;
    let output_size = gradients.iter().map(outputs_size).max().unwrap_or(0);
    let together = (VALUES / (input_size + output_size).max(1)).clamp(1, blocks.len().max(1));

    let [mut inputs, mut outputs, mut sums] = WORKSPACE.take();
    let sums_of =
        |g: &WeightGradient| POSITIONS * g.inputs.next_multiple_of(width) * g.outputs.frame.planes;
    let all = at_least(&mut sums, gradients.iter().map(sums_of).sum());
    if blocks.is_empty() {
        all.fill(0.0);
    }
    for (chunk, blocks) in blocks.chunks(together).enumerate() {
        let is_first = chunk == 0;
        let block = |strips: &Range<usize>| Block::new::<POINTS>(&tiling, strips.clone());
        let input_blocks: Vec<Block> = blocks.iter().map(block).collect();
        let block = |strips: &Range<usize>| Block::new::<TILE>(&tiling, strips.clone());
        let output_blocks: Vec<Block> = blocks.iter().map(block).collect();
        let inputs = at_least(&mut inputs, blocks.len() * input_size);
        match by {
            Lanes::Tiles => {
                transform::<Input, POINTS, INPUTS>(processor, maps, &input_blocks, tiles, inputs);
            }
            Lanes::Inputs => few_tiles::transform(processor, maps, &input_blocks, tiles, inputs),
        }
        let mut all = &mut *all;
        for gradient in &*gradients {
            let planes = gradient.outputs.frame.planes;
            let of_outputs = &gradient.outputs;
            let outputs = at_least(&mut outputs, blocks.len() * outputs_size(gradient));
            match by {
                Lanes::Tiles => transform::<Gradient, TILE, OUTPUTS>(
                    processor,
                    of_outputs,
                    &output_blocks,
                    tiles,
                    outputs,
                ),
                Lanes::Inputs => transform::<Gradient, TILE, { few_tiles::OUTPUTS }>(
                    processor,
                    of_outputs,
                    &output_blocks,
                    tiles,
                    outputs,
                ),
            }
            let sums = all
                .split_off_mut(..sums_of(gradient))
                .expect("sums of all gradients");
            let parts = gradient.inputs.div_ceil(width);
            let outputs = &*outputs;
            let tasks = sums.par_chunks_mut((width * planes).max(1)).enumerate();
            tasks.for_each(|(index, sums)| {
                let (position, part) = (index / parts, index % parts);
                match by {
                    Lanes::Tiles => processor.run(Products {
                        inputs,
                        input_parts,
                        outputs,
                        planes,
                        blocks: &output_blocks,
                        tiles,
                        position,
                        part,
                        is_first,
                        sums,
                    }),
                    Lanes::Inputs => processor.run(few_tiles::Products {
                        inputs,
                        input_parts,
                        outputs,
                        planes,
                        blocks: &output_blocks,
                        tiles,
                        position,
                        part,
                        is_first,
                        sums,
                    }),
                }
            });
        }
    }
    let mut all = &*all;
    for gradient in gradients {
        let sums = all
            .split_off(..sums_of(gradient))
            .expect("sums of all gradients");
        let (inputs, outputs) = (gradient.inputs, gradient.outputs.frame.planes);
        let size = AT_ONCE * inputs * TAPS;
        let results = gradient.result.par_chunks_mut(size.max(1)).enumerate();
        results.for_each(|(index, result)| {
            processor.run(Back {
                sums,
                width,
                inputs,
                outputs,
                first: index * AT_ONCE,
                scale: gradient.scale,
                result,
            });
        });
    }
    WORKSPACE.set([inputs, outputs, sums]);
}

thread_local! {
    static WORKSPACE: Cell<[Vec<f32>; 3]> = Cell::default();
    static LINES: Cell<Lines> = Cell::default();
}

/// Returns the number of values of a block's transformed maps.
fn size<const N: usize>(maps: &Maps, tiles: usize) -> usize {
    maps.frame.planes.next_multiple_of(N) * POSITIONS * tiles
}

/// Transforms all planes into `[block][planes / K][position][K][tile]`.
fn transform<T: ToPoints<N>, const N: usize, const K: usize>(
    processor: Processor,
    maps: &Maps,
    blocks: &[Block],
    tiles: usize,
    out: &mut [f32],
) {
    struct Planes<'a, T, const N: usize, const K: usize> {
        maps: &'a Maps<'a>,
        block: &'a Block,
        first: usize,
        tiles: usize,
        out: &'a mut [f32],
        kind: std::marker::PhantomData<T>,
    }

    impl<T: ToPoints<N>, const N: usize, const K: usize> WithSimd for Planes<'_, T, N, K> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let mut lines = LINES.take();
            self.block.claim(&mut lines, S::F32_LANES);
            let planes = self.first..(self.first + K).min(self.maps.frame.planes);
            for (plane, out) in planes.zip(0..) {
                let out = &mut self.out[out * self.tiles..];
                self.block.transform::<S, T, N>(
                    simd,
                    self.maps,
                    plane,
                    &mut lines,
                    out,
                    K * self.tiles,
                );
            }
            LINES.set(lines);
        }
    }

    let parts = maps.frame.planes.div_ceil(K);
    let chunks = out.par_chunks_mut(POSITIONS * K * tiles).enumerate();
    chunks.for_each(|(index, out)| {
        processor.run(Planes::<T, N, K> {
            maps,
            block: &blocks[index / parts],
            first: index % parts * K,
            tiles,
            out,
            kind: std::marker::PhantomData,
        });
    });
}

/// The products of four input planes with all output planes at one position.
struct Products<'a> {
    /// `[block][in / INPUTS][position][INPUTS][tile]`
    inputs: &'a [f32],
    input_parts: usize,
    /// `[block][out / OUTPUTS][position][OUTPUTS][tile]`
    outputs: &'a [f32],
    planes: usize,
    blocks: &'a [Block],
    tiles: usize,
    position: usize,
    /// The index of the group of [`INPUTS`] input planes.
    part: usize,
    /// Whether the sums are new. Otherwise the products are added to them.
    is_first: bool,
    /// `[out][INPUTS]`
    sums: &'a mut [f32],
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for part in 0..self.planes.div_ceil(OUTPUTS) {
            match self.planes - part * OUTPUTS {
                1 => self.add::<S, 1>(simd, part),
                2 => self.add::<S, 2>(simd, part),
                3 => self.add::<S, 3>(simd, part),
                4 => self.add::<S, 4>(simd, part),
                5 => self.add::<S, 5>(simd, part),
                _ => self.add::<S, OUTPUTS>(simd, part),
            }
        }
    }
}

impl Products<'_> {
    /// Adds the products with the first N output planes of a part.
    #[inline(always)]
    fn add<S: Simd, const N: usize>(&mut self, simd: S, output_part: usize) {
        let output_parts = self.planes.div_ceil(OUTPUTS);
        let mut sums = [[simd.splat_f32s(0.0); INPUTS]; N];
        for (block, vectors) in self.blocks.iter().map(Block::vectors).enumerate() {
            let at = (block * self.input_parts + self.part) * POSITIONS + self.position;
            let inputs = &self.inputs[at * INPUTS * self.tiles..][..INPUTS * self.tiles];
            let at = (block * output_parts + output_part) * POSITIONS + self.position;
            let outputs = &self.outputs[at * OUTPUTS * self.tiles..][..N * self.tiles];
            let mut rows: [&[S::f32s]; INPUTS] = [&[]; INPUTS];
            for (row, inputs) in rows.iter_mut().zip(inputs.chunks_exact(self.tiles)) {
                *row = &S::as_simd_f32s(inputs).0[..vectors];
            }
            let mut columns: [&[S::f32s]; N] = [&[]; N];
            for (column, outputs) in columns.iter_mut().zip(outputs.chunks_exact(self.tiles)) {
                *column = &S::as_simd_f32s(outputs).0[..vectors];
            }
            for v in 0..vectors {
                for n in 0..N {
                    for i in 0..INPUTS {
                        sums[n][i] = mul_add(simd, columns[n][v], rows[i][v], sums[n][i]);
                    }
                }
            }
        }
        let out = &mut self.sums[output_part * OUTPUTS * INPUTS..][..N * INPUTS];
        for (out, sums) in out.as_chunks_mut::<INPUTS>().0.iter_mut().zip(sums) {
            let totals = totals(simd, sums);
            for (out, total) in out.iter_mut().zip(totals) {
                *out = if self.is_first { total } else { *out + total };
            }
        }
    }
}

/// Returns the sum over the lanes of each of four vectors.
#[inline(always)]
fn totals<S: Simd>(simd: S, vectors: [S::f32s; 4]) -> [f32; 4] {
    let [a, b, c, d] = simd.deinterleave_shfl_f32s(vectors);
    let sum = simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d));
    // Now every fourth lane belongs to the same vector. A trial with known values tells which
    // vector that is.
    let trial = [0.0, 1.0, 2.0, 3.0];
    let trial = [
        simd.splat_f32s(trial[0]),
        simd.splat_f32s(trial[1]),
        simd.splat_f32s(trial[2]),
        simd.splat_f32s(trial[3]),
    ];
    let (mut lanes, mut of) = ([0.0; MOST_LANES], [0.0; MOST_LANES]);
    store(simd, &mut lanes, 0, sum);
    store(simd, &mut of, 0, simd.deinterleave_shfl_f32s(trial)[0]);
    let mut by_lane = [0.0; 4];
    for lane in 0..S::F32_LANES {
        by_lane[lane % 4] += lanes[lane];
    }
    let mut totals = [0.0; 4];
    for (lane, sum) in by_lane.into_iter().enumerate() {
        totals[of[lane] as usize & 3] = sum;
    }
    totals
}

/// The number of output planes whose sums are transformed back by one task.
const AT_ONCE: usize = 4;

/// The transform of the sums back to the weights' gradient, for some output planes.
struct Back<'a> {
    /// `[position][in / width][out][width]`
    sums: &'a [f32],
    width: usize,
    inputs: usize,
    outputs: usize,
    first: usize,
    scale: f32,
    result: &'a mut [f32],
}

impl WithSimd for Back<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let zero = simd.splat_f32s(0.0);
        let width = self.width;
        let parts = self.inputs.div_ceil(width);
        let stride = parts * self.outputs * width;
        let count = self.result.len() / (self.inputs * TAPS);
        for part in 0..parts {
            for first in (0..count).step_by(S::F32_LANES / width) {
                let at = (part * self.outputs + self.first + first) * width;
                let mut columns = [[zero; 3]; POINTS];
                for j in 0..POINTS {
                    let mut column = [zero; POINTS];
                    for i in 0..POINTS {
                        let at = (i * POINTS + j) * stride + at;
                        column[i] = match self.sums.get(at..at + S::F32_LANES) {
                            Some(sums) => load(simd, sums, 0),
                            None => load_part(simd, &self.sums[at..]),
                        };
                    }
                    columns[j] = winograd::weight_gradient(simd, column);
                }
                let [c0, c1, c2, c3, c4, c5] = columns;
                let mut taps = [[0.0; MOST_LANES]; TAPS];
                for r in 0..3 {
                    let row = [c0[r], c1[r], c2[r], c3[r], c4[r], c5[r]];
                    let row = winograd::weight_gradient(simd, row);
                    for c in 0..3 {
                        store(simd, &mut taps[3 * r + c], 0, row[c]);
                    }
                }
                for lane in 0..S::F32_LANES {
                    let (output, input) = (first + lane / width, part * width + lane % width);
                    if output < count && input < self.inputs {
                        let result =
                            &mut self.result[(output * self.inputs + input) * TAPS..][..TAPS];
                        for (result, tap) in result.iter_mut().zip(&taps) {
                            *result = tap[lane] * self.scale;
                        }
                    }
                }
            }
        }
    }
}
