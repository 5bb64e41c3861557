//! The convolution. For each block of tiles, all input planes are transformed, the products are
//! computed, and the output planes are transformed back one after the other.

use std::cell::Cell;
use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::flex::maps::{Maps, Shared, Target};
use crate::flex::processor::{Processor, load, load_part, mul_add, store, store_part};
use crate::flex::tiles::{Block, Lines, STRIPS, Tiling};
use crate::flex::winograd::{self, Input, POINTS, POSITIONS, TAPS, TILE};

/// The largest number of vectors of tiles in a block. With eight outputs, their sums take 24
/// registers.
const VECTORS: usize = 3;
/// The number of output planes of one product.
const OUTPUTS: usize = 8;
/// The number of groups of [`OUTPUTS`] planes whose products are computed before they are
/// transformed back. A larger number means that a block's transformed inputs are read from memory
/// less often.
const TOGETHER: usize = 4;
/// The number of input planes whose weights are transformed together.
const INPUTS: usize = 16;
/// The number of input planes whose weights are transformed together right before their products. The
/// transformed weights of a group of [`OUTPUTS`] planes then take 144 KiB, part of a usual second-level
/// cache.
const NEAR_INPUTS: usize = 128;
/// The largest number of blocks for which the weights are transformed right before their products, once
/// for each block.
const NEAR_BLOCKS: usize = 2;
/// The smallest number of transformed weights for which this is done. They take 1 MiB.
const NEAR_VALUES: usize = 1 << 18;
/// The number of values in a cache line.
pub(crate) const LINE: usize = 16;

/// The weights `[out, in, 3, 3]` of a convolution, or of the convolution that gives its input's
/// gradient.
#[derive(Clone, Copy)]
pub(crate) struct Weight<'a> {
    values: &'a [f32],
    outputs: usize,
    inputs: usize,
    /// Whether the taps are rotated by 180 degrees and the input and output channels exchanged.
    is_turned: bool,
    scale: f32,
}

impl<'a> Weight<'a> {
    pub(crate) fn new(values: &'a [f32], [outputs, inputs]: [usize; 2]) -> Self {
        Self {
            values,
            outputs,
            inputs,
            is_turned: false,
            scale: 1.0,
        }
    }

    /// Returns the turned weights. The input's gradient is the convolution of the output's gradient
    /// with them.
    pub(crate) fn turned(self) -> Self {
        Self {
            outputs: self.inputs,
            inputs: self.outputs,
            is_turned: !self.is_turned,
            ..self
        }
    }

    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(crate) fn scaled(self, scale: f32) -> Self {
        Self { scale, ..self }
    }

    /// Transforms the weights into `[out / OUTPUTS][position][in][OUTPUTS]`. The last group holds
    /// the remaining outputs.
    fn transform(&self, processor: Processor, out: &mut [f32]) {
        struct Outputs<'a>(&'a Weight<'a>, usize, &'a mut [f32]);

        impl WithSimd for Outputs<'_> {
            type Output = ();

            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) {
                self.0.transform_outputs(self.1, 0..self.0.inputs, self.2);
            }
        }

        let size = POSITIONS * self.inputs * OUTPUTS;
        out.par_chunks_mut(size.max(1))
            .enumerate()
            .for_each(|(index, out)| processor.run(Outputs(self, index * OUTPUTS, out)));
    }

    /// Transforms the weights of one group of outputs and some inputs into `[position][in][outputs]`.
    #[inline(always)]
    fn transform_outputs(&self, first: usize, inputs: Range<usize>, out: &mut [f32]) {
        let (begin, all) = (inputs.start, inputs.len());
        let count = (self.outputs - first).min(OUTPUTS);
        // The positions of one input lie a power of two apart, so they would compete for the same
        // cache set. They are collected here for several inputs first.
        let mut near = [0.0; POSITIONS * INPUTS * OUTPUTS];
        for start in (0..all).step_by(INPUTS) {
            let inputs = begin + start..begin + (start + INPUTS).min(all);
            let length = inputs.len() * count;
            for (index, input) in inputs.enumerate() {
                self.transform_pairs(first, count, input, &mut near[index * count..]);
            }
            let positions = near.chunks_exact(INPUTS * OUTPUTS).enumerate();
            for (position, values) in positions {
                let at = (position * all + start) * count;
                out[at..at + length].copy_from_slice(&values[..length]);
            }
        }
    }

    /// Transforms the weights of one input and some outputs. The positions lie a chunk of
    /// [`INPUTS`] apart.
    #[inline(always)]
    fn transform_pairs(&self, first: usize, count: usize, input: usize, out: &mut [f32]) {
        let mut taps = [[[0.0; OUTPUTS]; 3]; 3];
        for n in 0..count {
            let pair = if self.is_turned {
                input * self.outputs + first + n
            } else {
                (first + n) * self.inputs + input
            };
            let weights = &self.values[pair * TAPS..][..TAPS];
            for tap in 0..TAPS {
                let from = if self.is_turned { TAPS - 1 - tap } else { tap };
                taps[tap / 3][tap % 3][n] = weights[from] * self.scale;
            }
        }
        let [top, middle, bottom] = taps;
        let mut columns = [[[0.0; OUTPUTS]; POINTS]; 3];
        for c in 0..3 {
            columns[c] = winograd::weight([top[c], middle[c], bottom[c]]);
        }
        for i in 0..POINTS {
            let row = winograd::weight([columns[0][i], columns[1][i], columns[2][i]]);
            for (j, values) in row.iter().enumerate() {
                let out = &mut out[(i * POINTS + j) * INPUTS * OUTPUTS..];
                if count == OUTPUTS {
                    out[..OUTPUTS].copy_from_slice(values);
                } else {
                    out[..count].copy_from_slice(&values[..count]);
                }
            }
        }
    }
}

/// The values to which a convolution's sums are added after the activation.
#[derive(Clone, Copy)]
pub(crate) enum Onto<'a> {
    Nothing,
    /// The values that the target holds.
    Target,
    /// These maps. They can have fewer planes than the target, and are added to its first planes.
    Maps(Maps<'a>),
}

/// The steps that follow a convolution's sums, in the order of the fields.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a> {
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) bias_scale: f32,
    /// The slope by which values are multiplied that are negative after the bias is added.
    pub(crate) slope: Option<f32>,
    pub(crate) onto: Onto<'a>,
    /// Maps, a plane and a slope. In this plane and all later ones, a value is multiplied by the
    /// slope where the maps are not positive.
    pub(crate) mask: Option<(Maps<'a>, usize, f32)>,
}

impl Finish<'_> {
    pub(crate) const NONE: Self = Self {
        bias: None,
        bias_scale: 1.0,
        slope: None,
        onto: Onto::Nothing,
        mask: None,
    };
}

/// Convolves all planes of the input. The target has one plane per output of the weight.
///
/// # Panics
///
/// If the target or the maps of `finish` do not match the input in the number or the size of the
/// images, or if the numbers of planes do not fit the weight.
pub(crate) fn convolve(
    processor: Processor,
    input: &Maps,
    weight: &Weight,
    finish: &Finish,
    target: &mut Target,
) {
    assert_eq!(input.frame.planes, weight.inputs, "input channels");
    assert_eq!(target.frame().planes, weight.outputs, "output channels");
    // The strips are cut from the input's frame. They are disjoint in the target only if its frame
    // is equal.
    assert!(target.frame().matches(&input.frame), "the target's frame");
    if let Onto::Maps(maps) = &finish.onto {
        assert!(
            maps.frame.matches(&input.frame),
            "the frame of the added maps"
        );
    }
    if let Some((maps, ..)) = &finish.mask {
        assert!(maps.frame.matches(&input.frame), "the mask's frame");
        assert!(maps.frame.planes >= weight.outputs, "the mask's planes");
    }
    if target.frame().values() == 0 {
        return;
    }
    let target = target.shared();
    let tiling = Tiling::new(&input.frame, processor.lanes());
    let blocks = tiling.blocks(VECTORS);
    let parts = weight.outputs.div_ceil(OUTPUTS);
    // If there are fewer blocks than threads, several threads share a block, and each repeats its
    // transform.
    let splits = rayon::current_num_threads()
        .div_ceil(blocks.len().max(1))
        .min(parts);
    let values = POSITIONS * weight.inputs * weight.outputs;
    // With few blocks, each transformed weight is used only a few times. If there are many of them, it
    // takes less time to transform them again for each block than to keep them in memory.
    let is_near = blocks.len() <= NEAR_BLOCKS && values >= NEAR_VALUES;
    let mut transformed = WEIGHTS.take();
    if !is_near {
        weight.transform(processor, at_least(&mut transformed, values));
    }
    let tasks = (0..blocks.len() * splits).into_par_iter().with_max_len(1);
    tasks.for_each(|task| {
        let (block, split) = (task / splits, task % splits);
        processor.run(Task {
            input,
            weight,
            transformed: (!is_near).then_some(transformed.as_slice()),
            parts: parts * split / splits..parts * (split + 1) / splits,
            finish,
            target,
            block: Block::new::<POINTS>(&tiling, blocks[block].clone()),
        });
    });
    WEIGHTS.set(transformed);
}

#[derive(Default)]
struct Workspace {
    lines: Lines,
    inputs: Vec<f32>,
    weights: Vec<f32>,
    products: Vec<f32>,
}

thread_local! {
    static WORKSPACE: Cell<Workspace> = Cell::default();
    static WEIGHTS: Cell<Vec<f32>> = Cell::default();
}

pub(crate) fn at_least(values: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if values.len() < length {
        values.resize(length, 0.0);
    }
    &mut values[..length]
}

/// A task of one thread: some of the output planes of a block.
struct Task<'a> {
    input: &'a Maps<'a>,
    weight: &'a Weight<'a>,
    /// The transformed weights. If they are absent, the task transforms its own.
    transformed: Option<&'a [f32]>,
    /// The groups of [`OUTPUTS`] output planes that the task computes.
    parts: Range<usize>,
    finish: &'a Finish<'a>,
    target: Shared<'a>,
    block: Block,
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut workspace = WORKSPACE.take();
        self.work(simd, &mut workspace);
        WORKSPACE.set(workspace);
    }
}

impl Task<'_> {
    #[inline(always)]
    fn work<S: Simd>(&self, simd: S, workspace: &mut Workspace) {
        let inputs = self.weight.inputs;
        let tiles = self.block.vectors() * S::F32_LANES;
        // The stride is an odd number of cache lines, so the positions of a plane do not compete
        // for the same cache set.
        let stride = ((inputs * tiles).div_ceil(LINE) | 1) * LINE;
        let transformed = at_least(&mut workspace.inputs, POSITIONS * stride);
        self.block.claim(&mut workspace.lines, S::F32_LANES);
        for plane in 0..inputs {
            self.block.transform::<S, Input, POINTS>(
                simd,
                self.input,
                plane,
                &mut workspace.lines,
                &mut transformed[plane * tiles..],
                stride,
            );
        }
        let size = POSITIONS * OUTPUTS * tiles;
        let products = at_least(&mut workspace.products, TOGETHER * size);
        let Some(weights) = self.transformed else {
            let products = &mut products[..size];
            for part in self.parts.clone() {
                self.multiply_near(
                    simd,
                    part,
                    transformed,
                    stride,
                    &mut workspace.weights,
                    products,
                );
                for n in 0..self.outputs(part) {
                    self.put(simd, part * OUTPUTS + n, &products[n * tiles..]);
                }
            }
            return;
        };
        for first in self.parts.clone().step_by(TOGETHER) {
            let parts = first..(first + TOGETHER).min(self.parts.end);
            for position in 0..POSITIONS {
                let inputs = &transformed[position * stride..][..inputs * tiles];
                for (part, products) in parts.clone().zip(products.chunks_exact_mut(size)) {
                    let products = &mut products[position * OUTPUTS * tiles..][..OUTPUTS * tiles];
                    let count = self.outputs(part);
                    let size = self.weight.inputs * count;
                    let of_part = &weights[POSITIONS * self.weight.inputs * part * OUTPUTS..];
                    let weights = &of_part[position * size..][..size];
                    self.multiply(simd, count, weights, inputs, products, false);
                }
            }
            for (part, products) in parts.clone().zip(products.chunks_exact(size)) {
                for n in 0..self.outputs(part) {
                    self.put(simd, part * OUTPUTS + n, &products[n * tiles..]);
                }
            }
        }
    }

    /// Returns the number of output planes of a part.
    #[inline(always)]
    fn outputs(&self, part: usize) -> usize {
        (self.weight.outputs - part * OUTPUTS).min(OUTPUTS)
    }

    /// Computes the products of a part at all positions, and transforms its weights for this.
    #[inline(always)]
    fn multiply_near<S: Simd>(
        &self,
        simd: S,
        part: usize,
        transformed: &[f32],
        stride: usize,
        weights: &mut Vec<f32>,
        products: &mut [f32],
    ) {
        let count = self.outputs(part);
        let tiles = self.block.vectors() * S::F32_LANES;
        let weights = at_least(weights, POSITIONS * NEAR_INPUTS * OUTPUTS);
        for start in (0..self.weight.inputs).step_by(NEAR_INPUTS) {
            let planes = start..(start + NEAR_INPUTS).min(self.weight.inputs);
            let size = planes.len() * count;
            self.weight
                .transform_outputs(part * OUTPUTS, planes.clone(), weights);
            for position in 0..POSITIONS {
                let inputs = &transformed[position * stride..];
                let inputs = &inputs[planes.start * tiles..planes.end * tiles];
                let weights = &weights[position * size..][..size];
                let products = &mut products[position * OUTPUTS * tiles..][..OUTPUTS * tiles];
                self.multiply(simd, count, weights, inputs, products, start > 0);
            }
        }
    }

    /// Computes the products of inputs `[in][tile]` with the weights `[in][count]` of some outputs at one
    /// position. If `is_added` is set, they are added to the products that are there.
    #[inline(always)]
    fn multiply<S: Simd>(
        &self,
        simd: S,
        count: usize,
        weights: &[f32],
        inputs: &[f32],
        products: &mut [f32],
        is_added: bool,
    ) {
        macro_rules! widths {
            ($vectors:literal: $($count:literal)*) => {
                match count {
                    $($count => {
                        multiply::<S, $count, $vectors>(simd, weights, inputs, products, is_added)
                    })*
                    _ => unreachable!("at most OUTPUTS planes"),
                }
            };
        }
        match self.block.vectors() {
            1 => widths!(1: 1 2 3 4 5 6 7 8),
            2 => widths!(2: 1 2 3 4 5 6 7 8),
            3 => widths!(3: 1 2 3 4 5 6 7 8),
            _ => unreachable!("at most VECTORS vectors"),
        }
    }

    /// Transforms the products of a plane back and writes them to the target.
    #[inline(always)]
    fn put<S: Simd>(&self, simd: S, plane: usize, products: &[f32]) {
        let frame = &self.target.frame;
        let tiles = self.block.vectors() * S::F32_LANES;
        let bias = self.finish.bias.map_or(0.0, |bias| bias[plane]) * self.finish.bias_scale;
        let bias = simd.splat_f32s(bias);
        let zero = simd.splat_f32s(0.0);
        for (vector, strips) in self.block.strips.chunks(STRIPS).enumerate() {
            let mut columns = [[zero; TILE]; POINTS];
            for j in 0..POINTS {
                let mut column = [zero; POINTS];
                for i in 0..POINTS {
                    let at = (i * POINTS + j) * OUTPUTS * tiles + vector * S::F32_LANES;
                    column[i] = load(simd, products, at);
                }
                columns[j] = winograd::output(simd, column);
            }
            let [c0, c1, c2, c3, c4, c5] = columns;
            for r in 0..TILE {
                let row = winograd::output(simd, [c0[r], c1[r], c2[r], c3[r], c4[r], c5[r]]);
                let row = simd.interleave_shfl_f32s(row);
                for (strip, sums) in strips.iter().zip(row) {
                    let y = strip.row + r;
                    if y >= frame.height {
                        continue;
                    }
                    let columns = strip.column..(strip.column + S::F32_LANES).min(frame.width);
                    // SAFETY: `convolve` has the target by `&mut`, so only its tasks write to it.
                    // Each strip is in one block, and each output plane is in one part. Strips do
                    // not overlap, and they were cut from a frame equal to the target's. So no
                    // other task has these pixels. The reference is dropped before the next one is
                    // taken.
                    #[allow(unsafe_code)]
                    let pixels =
                        unsafe { self.target.pixels(strip.image, plane, y, columns.clone()) };
                    let sums = simd.add_f32s(sums, bias);
                    let value = self.finished(simd, sums, pixels, strip.image, plane, y, columns);
                    if pixels.len() == S::F32_LANES {
                        store(simd, pixels, 0, value);
                    } else {
                        store_part(simd, pixels, value);
                    }
                }
            }
        }
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn finished<S: Simd>(
        &self,
        simd: S,
        mut value: S::f32s,
        pixels: &[f32],
        image: usize,
        plane: usize,
        row: usize,
        columns: Range<usize>,
    ) -> S::f32s {
        let zero = simd.splat_f32s(0.0);
        if let Some(slope) = self.finish.slope {
            let low = simd.mul_f32s(value, simd.splat_f32s(slope));
            value = simd.select_f32s(simd.greater_than_f32s(value, zero), value, low);
        }
        match &self.finish.onto {
            Onto::Target => value = simd.add_f32s(value, load_pixels(simd, pixels)),
            Onto::Maps(maps) if plane < maps.frame.planes => {
                let under = maps.pixels(image, plane, row, columns.clone());
                value = simd.add_f32s(value, load_pixels(simd, under));
            }
            _ => {}
        }
        if let Some((maps, first, slope)) = &self.finish.mask
            && plane >= *first
        {
            let mask = load_pixels(simd, maps.pixels(image, plane, row, columns));
            let low = simd.mul_f32s(value, simd.splat_f32s(*slope));
            value = simd.select_f32s(simd.greater_than_f32s(mask, zero), value, low);
        }
        value
    }
}

#[inline(always)]
fn load_pixels<S: Simd>(simd: S, pixels: &[f32]) -> S::f32s {
    if pixels.len() == S::F32_LANES {
        load(simd, pixels, 0)
    } else {
        load_part(simd, pixels)
    }
}

/// Multiplies the transposed weights `[in][N]` by the inputs `[in][V vectors]`. The product is
/// `[N][V vectors]`. If `is_added` is set, it is added to the products that are there, in the order in
/// which all inputs would be added at once.
#[inline(always)]
fn multiply<S: Simd, const N: usize, const V: usize>(
    simd: S,
    weights: &[f32],
    inputs: &[f32],
    products: &mut [f32],
    is_added: bool,
) {
    let inputs = S::as_simd_f32s(inputs).0.as_chunks::<V>().0;
    let products = S::as_mut_simd_f32s(products).0.as_chunks_mut::<V>().0;
    let mut sums = [[simd.splat_f32s(0.0); V]; N];
    if is_added {
        for (sum, product) in sums.iter_mut().zip(&*products) {
            *sum = *product;
        }
    }
    for (weights, inputs) in weights.as_chunks::<N>().0.iter().zip(inputs) {
        for n in 0..N {
            let weight = simd.splat_f32s(weights[n]);
            for v in 0..V {
                sums[n][v] = mul_add(simd, weight, inputs[v], sums[n][v]);
            }
        }
    }
    for (product, sum) in products.iter_mut().zip(sums) {
        *product = sum;
    }
}
