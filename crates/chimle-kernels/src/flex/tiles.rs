//! How feature maps are cut into tiles, and the transform of the tiles of a plane.
//!
//! A *strip* is four rows by as many columns as a vector has lanes: a quarter of a vector's lanes
//! of tiles. Four strips, wherever they lie, are the tiles of one vector, and a *block* is some
//! vectors of tiles. The rows of a strip are combined first, along the columns as they lie in
//! memory; four strips are then taken apart by column, which makes one vector of each column of
//! the tiles; and these are combined in turn.

use std::ops::Range;

use pulp::Simd;

use crate::flex::maps::{Frame, Maps};
use crate::flex::processor::{load, load_part, store};
use crate::flex::winograd::{POINTS, TILE, ToPoints};

/// Strips to a vector of tiles.
pub(crate) const STRIPS: usize = 4;

/// Where a strip begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strip {
    pub(crate) image: usize,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// The strips of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiling {
    lanes: usize,
    width: usize,
    /// Strips from top to bottom of an image.
    rows: usize,
    /// Strips from left to right of an image.
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

    /// All strips, shared out evenly to blocks of at most `vectors` vectors of tiles.
    pub(crate) fn blocks(&self, vectors: usize) -> Vec<Range<usize>> {
        let all = self.strips.div_ceil(STRIPS);
        let blocks = all.div_ceil(vectors);
        let start = |block: usize| (STRIPS * (block * all / blocks)).min(self.strips);
        (0..blocks)
            .map(|block| start(block)..start(block + 1))
            .collect()
    }
}

/// Strips beside each other, and where their columns are in a line.
#[derive(Clone, Debug)]
struct Run {
    first: Strip,
    /// The columns of the image that their tiles reach.
    columns: Range<usize>,
    /// Where the first of these columns is in a line.
    at: usize,
    /// The part of a line that is theirs.
    line: Range<usize>,
}

/// Some strips, and where the columns of each are in a line.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) strips: Vec<Strip>,
    runs: Vec<Run>,
    /// For each vector of tiles, where its strips' columns are in a line.
    offsets: Vec<[usize; STRIPS]>,
    /// The length of a line.
    line: usize,
}

/// Six rows of columns, one for each point, and a row of zeros.
#[derive(Default)]
pub(crate) struct Lines {
    values: Vec<f32>,
    zeros: Vec<f32>,
}

impl Block {
    /// For a transform of N values a tile on a side: the tile and its neighbors.
    pub(crate) fn new<const N: usize>(tiling: &Tiling, strips: Range<usize>) -> Self {
        let (lanes, halo) = (tiling.lanes, halo::<N>());
        let strips: Vec<Strip> = strips.map(|index| tiling.strip(index)).collect();
        let mut offsets = Vec::with_capacity(strips.len());
        let (mut runs, mut line) = (vec![], 0);
        while let Some(&first) = strips.get(offsets.len()) {
            let count = (tiling.columns - first.column / lanes).min(strips.len() - offsets.len());
            // At the image's edge the column before the first is zero.
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
        // What is missing to a whole vector reads zeros.
        offsets.resize(offsets.len().next_multiple_of(STRIPS), line);
        Self {
            strips,
            runs,
            offsets: offsets.as_chunks().0.to_vec(),
            line: line + 2 * lanes,
        }
    }

    /// Vectors of tiles.
    pub(crate) fn vectors(&self) -> usize {
        self.offsets.len()
    }

    /// Makes the lines those of this block: zero wherever its transforms do not write.
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

    /// The transform of a plane's tiles: at each position a vector of tiles after the other, the
    /// positions `stride` apart. The lines are this block's.
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

/// Columns beside a tile that a transform of N values reaches.
const fn halo<const N: usize>() -> usize {
    (N - TILE) / 2
}

/// The transform of N rows, column by column, into the six lines from `at` on.
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

/// The N columns of each of a vector's tiles.
///
/// Which lane is which tile is the instruction set's affair: the same for all columns, and
/// undone where the output's columns are put together again.
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
