//! The tiles of feature maps, and the transform of the tiles of a plane.
//!
//! A *strip* has four rows, and as many columns as a vector has lanes. It holds a quarter as many
//! tiles as a vector has lanes. Four strips, wherever they lie, give the tiles of one vector. A
//! *block* consists of several vectors of tiles.
//!
//! The transform has three steps. First, the rows of a strip are combined for all columns, as they
//! lie in memory. Then four strips are split by column, which gives one vector for each column of
//! the tiles. Last, these vectors are combined.

use std::ops::Range;

use pulp::Simd;

use crate::flex::maps::{Frame, Maps};
use crate::flex::processor::{load, load_part, store};
use crate::flex::winograd::{POINTS, TILE, ToPoints};

/// The number of strips in a vector of tiles.
pub(crate) const STRIPS: usize = 4;

/// The position at which a strip begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strip {
    pub(crate) image: usize,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// The division of a batch into strips.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiling {
    lanes: usize,
    width: usize,
    /// The number of strips from top to bottom of an image.
    rows: usize,
    /// The number of strips from left to right of an image.
    columns: usize,
    strips: usize,
}

impl Tiling {
    pub(crate) fn new(frame: &Frame, lanes: usize) -> Self {
        let (rows, columns) = (frame.height.div_ceil(TILE), frame.width.div_ceil(lanes));
        Self {
            lanes,
            width: frame.width,
            rows,
            columns,
            strips: frame.images * rows * columns,
        }
    }

    fn strip(&self, index: usize) -> Strip {
        let row = index / self.columns;
        Strip {
            image: row / self.rows,
            row: TILE * (row % self.rows),
            column: self.lanes * (index % self.columns),
        }
    }

    /// Divides all strips evenly into blocks of at most `vectors` vectors of tiles.
    pub(crate) fn blocks(&self, vectors: usize) -> Vec<Range<usize>> {
        let all = self.strips.div_ceil(STRIPS);
        let blocks = all.div_ceil(vectors);
        let start = |block: usize| (STRIPS * (block * all / blocks)).min(self.strips);
        (0..blocks)
            .map(|block| start(block)..start(block + 1))
            .collect()
    }
}

/// Strips next to each other, and the position of their columns in a line.
#[derive(Clone, Debug)]
struct Run {
    first: Strip,
    /// The columns of the image that the transform of these strips reads.
    columns: Range<usize>,
    /// The position of the first of these columns in a line.
    at: usize,
    /// The part of a line that belongs to these strips.
    line: Range<usize>,
}

/// Several strips, and the positions of their columns in a line.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) strips: Vec<Strip>,
    runs: Vec<Run>,
    /// For each vector of tiles, the positions of its strips' columns in a line.
    offsets: Vec<[usize; STRIPS]>,
    /// The length of a line.
    line: usize,
}

/// Six lines of combined columns, one for each point of the transform, and a line of zeros.
#[derive(Default)]
pub(crate) struct Lines {
    values: Vec<f32>,
    zeros: Vec<f32>,
}

impl Block {
    /// Creates a block for a transform of N values on a side of a tile: those of the tile and its
    /// neighbors.
    pub(crate) fn new<const N: usize>(tiling: &Tiling, strips: Range<usize>) -> Self {
        let (lanes, halo) = (tiling.lanes, halo::<N>());
        let strips: Vec<Strip> = strips.map(|index| tiling.strip(index)).collect();
        let mut offsets = Vec::with_capacity(strips.len());
        let (mut runs, mut line) = (vec![], 0);
        while let Some(&first) = strips.get(offsets.len()) {
            let count = (tiling.columns - first.column / lanes).min(strips.len() - offsets.len());
            // At the image's left edge, the column before the first is zero.
            let padding = if first.column == 0 { halo } else { 0 };
            let end = (first.column + count * lanes + halo).min(tiling.width);
            offsets.extend((0..count).map(|k| line + k * lanes));
            runs.push(Run {
                first,
                columns: first.column + padding - halo..end,
                at: line + padding,
                line: line..line + (count + 2) * lanes,
            });
            line += (count + 2) * lanes;
        }
        // The last vector may have fewer strips. The missing strips read zeros.
        offsets.resize(offsets.len().next_multiple_of(STRIPS), line);
        Self {
            strips,
            runs,
            offsets: offsets.as_chunks().0.to_vec(),
            line: line + 2 * lanes,
        }
    }

    /// Returns the number of vectors of tiles.
    pub(crate) fn vectors(&self) -> usize {
        self.offsets.len()
    }

    /// Prepares the lines for this block: sets all values to zero that its transforms do not write.
    pub(crate) fn claim(&self, lines: &mut Lines, lanes: usize) {
        lines.zeros.resize(lines.zeros.len().max(self.line), 0.0);
        lines
            .values
            .resize(lines.values.len().max(POINTS * self.line), 0.0);
        for line in lines.values.chunks_exact_mut(self.line).take(POINTS) {
            for run in &self.runs {
                let end = run.at + run.columns.len().next_multiple_of(lanes);
                line[run.line.start..run.at].fill(0.0);
                line[end..run.line.end].fill(0.0);
            }
            line[self.line - 2 * lanes..].fill(0.0);
        }
    }

    /// Transforms the tiles of a plane. At each position, the vectors of tiles follow each other,
    /// and the positions lie `stride` apart. The lines must have been [claimed](Self::claim) by
    /// this block.
    #[inline(always)]
    pub(crate) fn transform<S: Simd, T: ToPoints<N>, const N: usize>(
        &self,
        simd: S,
        maps: &Maps,
        plane: usize,
        lines: &mut Lines,
        out: &mut [f32],
        stride: usize,
    ) {
        for run in &self.runs {
            let length = run.columns.len();
            let mut rows = [&lines.zeros[..length]; N];
            for (i, row) in rows.iter_mut().enumerate() {
                let y = (run.first.row + i).checked_sub(halo::<N>());
                if let Some(y) = y.filter(|&y| y < maps.frame.height) {
                    *row = maps.pixels(run.first.image, plane, y, run.columns.clone());
                }
            }
            combine_rows::<S, T, N>(simd, rows, &mut lines.values, self.line, run.at);
        }
        for (vector, offsets) in self.offsets.iter().enumerate() {
            let lines = lines.values.chunks_exact(self.line);
            for (i, line) in lines.take(POINTS).enumerate() {
                let columns = columns::<S, N>(simd, line, offsets);
                for (j, value) in T::points(simd, columns).into_iter().enumerate() {
                    let at = (i * POINTS + j) * stride + vector * S::F32_LANES;
                    store(simd, out, at, value);
                }
            }
        }
    }
}

/// Returns the number of columns on each side of a tile that a transform of N values reads.
const fn halo<const N: usize>() -> usize {
    (N - TILE) / 2
}

/// Transforms N rows, column by column, into the six lines from position `at` on.
#[inline(always)]
fn combine_rows<S: Simd, T: ToPoints<N>, const N: usize>(
    simd: S,
    rows: [&[f32]; N],
    lines: &mut [f32],
    line: usize,
    at: usize,
) {
    let length = rows[0].len();
    let (full, vectors) = (length / S::F32_LANES, length.div_ceil(S::F32_LANES));
    let mut heads: [&[S::f32s]; N] = [&[]; N];
    for (head, row) in heads.iter_mut().zip(rows) {
        *head = &S::as_simd_f32s(row).0[..full];
    }
    let (l0, lines) = lines.split_at_mut(line);
    let (l1, lines) = lines.split_at_mut(line);
    let (l2, lines) = lines.split_at_mut(line);
    let (l3, lines) = lines.split_at_mut(line);
    let (l4, l5) = lines.split_at_mut(line);
    let l0 = &mut S::as_mut_simd_f32s(&mut l0[at..]).0[..vectors];
    let l1 = &mut S::as_mut_simd_f32s(&mut l1[at..]).0[..vectors];
    let l2 = &mut S::as_mut_simd_f32s(&mut l2[at..]).0[..vectors];
    let l3 = &mut S::as_mut_simd_f32s(&mut l3[at..]).0[..vectors];
    let l4 = &mut S::as_mut_simd_f32s(&mut l4[at..]).0[..vectors];
    let l5 = &mut S::as_mut_simd_f32s(&mut l5[at..]).0[..vectors];
    let mut values = [simd.splat_f32s(0.0); N];
    for v in 0..full {
        for i in 0..N {
            values[i] = heads[i][v];
        }
        [l0[v], l1[v], l2[v], l3[v], l4[v], l5[v]] = T::points(simd, values);
    }
    if full < vectors {
        for i in 0..N {
            values[i] = load_part(simd, &rows[i][full * S::F32_LANES..]);
        }
        [l0[full], l1[full], l2[full], l3[full], l4[full], l5[full]] = T::points(simd, values);
    }
}

/// Returns the N columns of each tile of a vector.
///
/// The instruction set decides which lane holds which tile. The order is the same for all columns,
/// and it is undone when the columns of the output are joined.
#[inline(always)]
fn columns<S: Simd, const N: usize>(
    simd: S,
    line: &[f32],
    offsets: &[usize; STRIPS],
) -> [S::f32s; N] {
    let mut columns = [simd.splat_f32s(0.0); N];
    let own = apart(simd, line, offsets, 0);
    columns[..TILE].copy_from_slice(&own);
    if N > TILE {
        let next = apart(simd, line, offsets, TILE);
        columns[TILE..].copy_from_slice(&next[..N - TILE]);
    }
    columns
}

#[inline(always)]
fn apart<S: Simd>(
    simd: S,
    line: &[f32],
    offsets: &[usize; STRIPS],
    shift: usize,
) -> [S::f32s; TILE] {
    simd.deinterleave_shfl_f32s([
        load(simd, line, offsets[0] + shift),
        load(simd, line, offsets[1] + shift),
        load(simd, line, offsets[2] + shift),
        load(simd, line, offsets[3] + shift),
    ])
}
