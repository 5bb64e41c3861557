//! Batches whose rows can be picked, repeated and joined.

use std::cell::OnceCell;
use std::ops::Range;

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};

/// A batch of independent rows, one per example or candidate.
///
/// The search evaluates many candidates in one batch and continues from the rows that it chose.
/// It does so with this trait alone, so it works with any state of a generator and any features of
/// a distance.
///
/// The trait is implemented for tensors of any rank (a row is an index of the first dimension), for
/// `Vec`, `Option` and pairs of such batches, and for [`Unconditional`]. A struct of tensors
/// implements it field by field:
///
/// ```
/// use burn::tensor::{Tensor, backend::Backend};
/// use chimle_imle::{Rows, Selection};
///
/// #[derive(Clone)]
/// struct State<B: Backend> {
///     features: Tensor<B, 4>,
///     style: Tensor<B, 2>,
///     level: usize,
/// }
///
/// impl<B: Backend> Rows<B> for State<B> {
///     fn rows(&self) -> usize {
///         self.features.rows()
///     }
///
///     fn select_rows(&self, rows: &Selection<B>) -> Self {
///         Self {
///             features: self.features.select_rows(rows),
///             style: self.style.select_rows(rows),
///             level: self.level,
///         }
///     }
///
///     fn concat(parts: Vec<Self>) -> Self {
///         let level = parts[0].level;
///         let (features, style) = parts.into_iter().map(|part| (part.features, part.style)).unzip();
///         Self {
///             features: Rows::concat(features),
///             style: Rows::concat(style),
///             level,
///         }
///     }
/// }
/// ```
pub trait Rows<B: Backend>: Clone {
    /// Returns the number of rows.
    fn rows(&self) -> usize;

    /// Returns the selected rows, in the order of the selection. A row may be selected many times.
    fn select_rows(&self, rows: &Selection<B>) -> Self;

    /// Joins batches: the rows of the first part come first.
    ///
    /// # Panics
    ///
    /// Implementations may panic if `parts` is empty or the parts differ in shape.
    fn concat(parts: Vec<Self>) -> Self;
}

/// The rows that [`Rows::select_rows`] picks.
///
/// The index tensor of a selection is built once and shared by all tensors that it is applied to.
#[derive(Debug)]
pub struct Selection<B: Backend> {
    kind: Kind,
    indices: OnceCell<Tensor<B, 1, Int>>,
}

#[derive(Debug)]
enum Kind {
    Range(Range<usize>),
    Indices(Vec<usize>),
    /// Every row of the batch, each repeated this many times.
    Repeat(usize),
}

impl<B: Backend> Selection<B> {
    /// Selects consecutive rows.
    pub fn range(rows: Range<usize>) -> Self {
        Self::new(Kind::Range(rows))
    }

    /// Selects rows by index. An index may occur many times.
    pub fn indices(rows: impl IntoIterator<Item = usize>) -> Self {
        Self::new(Kind::Indices(rows.into_iter().collect()))
    }

    /// Selects every row `times` times: rows `[a, b]` become `[a, a, .., b, b, ..]`.
    pub fn repeat_each(times: usize) -> Self {
        Self::new(Kind::Repeat(times))
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            indices: OnceCell::new(),
        }
    }

    /// Returns the number of rows selected from a batch of `rows` rows.
    pub fn count(&self, rows: usize) -> usize {
        match &self.kind {
            Kind::Range(range) => range.len(),
            Kind::Indices(indices) => indices.len(),
            Kind::Repeat(times) => rows * times,
        }
    }

    /// Selects from a list with one item per row.
    ///
    /// # Panics
    ///
    /// If the selection names a row that the list does not have.
    pub fn select<T: Clone>(&self, items: &[T]) -> Vec<T> {
        match &self.kind {
            Kind::Range(range) => items[range.clone()].to_vec(),
            Kind::Indices(indices) => indices.iter().map(|&row| items[row].clone()).collect(),
            Kind::Repeat(times) => items
                .iter()
                .flat_map(|item| std::iter::repeat_n(item.clone(), *times))
                .collect(),
        }
    }

    /// Returns the selected indices as a tensor. The selection must be by index.
    pub(crate) fn tensor(&self, device: &B::Device) -> Tensor<B, 1, Int> {
        let build = || {
            let Kind::Indices(rows) = &self.kind else {
                unreachable!("only a selection by index has a tensor of indices");
            };
            let values: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
            Tensor::from_data(TensorData::new(values, [rows.len()]), device)
        };
        self.indices.get_or_init(build).clone()
    }

    /// Applies the selection to a tensor with at least one dimension.
    ///
    /// The tensor is reshaped to a matrix, and the rows are selected from the matrix. The `select`
    /// of Burn 0.21 gave wrong values on WGPU for maps of one pixel, `[n, 512, 1, 1]`, when it was
    /// not fused with the next operation. Its values are right for a matrix.
    fn apply<const D: usize>(&self, tensor: &Tensor<B, D>) -> Tensor<B, D> {
        let mut shape = tensor.dims();
        let rows = shape[0];
        let width = shape[1..].iter().product::<usize>();
        shape[0] = self.count(rows);
        match &self.kind {
            Kind::Range(range) => tensor.clone().narrow(0, range.start, range.len()),
            Kind::Repeat(1) => tensor.clone(),
            Kind::Repeat(times) => tensor
                .clone()
                .reshape([rows, 1, width])
                .repeat_dim(1, *times)
                .reshape(shape),
            Kind::Indices(_) => tensor
                .clone()
                .reshape([rows, width])
                .select(0, self.tensor(&tensor.device()))
                .reshape(shape),
        }
    }
}

impl<B: Backend, const D: usize> Rows<B> for Tensor<B, D> {
    fn rows(&self) -> usize {
        self.dims()[0]
    }

    fn select_rows(&self, rows: &Selection<B>) -> Self {
        rows.apply(self)
    }

    fn concat(mut parts: Vec<Self>) -> Self {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        Tensor::cat(parts, 0)
    }
}

/// Batches of the same rows, such as the conditioning images of several levels.
impl<B: Backend, T: Rows<B>> Rows<B> for Vec<T> {
    fn rows(&self) -> usize {
        self.first().map_or(0, T::rows)
    }

    fn select_rows(&self, rows: &Selection<B>) -> Self {
        self.iter().map(|part| part.select_rows(rows)).collect()
    }

    fn concat(parts: Vec<Self>) -> Self {
        let count = parts[0].len();
        let mut columns: Vec<Vec<T>> = (0..count)
            .map(|_| Vec::with_capacity(parts.len()))
            .collect();
        for part in parts {
            assert_eq!(part.len(), count, "lists of different lengths are joined");
            for (column, item) in columns.iter_mut().zip(part) {
                column.push(item);
            }
        }
        columns.into_iter().map(T::concat).collect()
    }
}

/// A batch that may be absent. Parts that are joined are all present or all absent.
impl<B: Backend, T: Rows<B>> Rows<B> for Option<T> {
    fn rows(&self) -> usize {
        self.as_ref().map_or(0, T::rows)
    }

    fn select_rows(&self, rows: &Selection<B>) -> Self {
        self.as_ref().map(|present| present.select_rows(rows))
    }

    fn concat(parts: Vec<Self>) -> Self {
        let present: Option<Vec<T>> = parts.into_iter().collect();
        present.map(T::concat)
    }
}

impl<B: Backend, S: Rows<B>, T: Rows<B>> Rows<B> for (S, T) {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn select_rows(&self, rows: &Selection<B>) -> Self {
        (self.0.select_rows(rows), self.1.select_rows(rows))
    }

    fn concat(parts: Vec<Self>) -> Self {
        let (first, second) = parts.into_iter().unzip();
        (S::concat(first), T::concat(second))
    }
}

/// The empty conditioning of plain (unconditional) IMLE, with this many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unconditional(pub usize);

impl<B: Backend> Rows<B> for Unconditional {
    fn rows(&self) -> usize {
        self.0
    }

    fn select_rows(&self, rows: &Selection<B>) -> Self {
        Self(rows.count(self.0))
    }

    fn concat(parts: Vec<Self>) -> Self {
        Self(parts.iter().map(|part| part.0).sum())
    }
}
