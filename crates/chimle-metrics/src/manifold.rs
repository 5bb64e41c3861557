//! Precision, recall, density and coverage.

use std::ops::Range;

use chimle_knn::{Exact, NearestNeighbors, Neighbor, Points};

use crate::error::MetricsError;
use crate::rows::Rows;

/// For each image of two sets, whether it lies near the other set. See [`neighborhoods`].
///
/// Each row of a set has a ball whose radius is the distance from its k-th nearest neighbor in the same
/// set. A row lies near a set if it is strictly inside at least one of the set's balls. Each measure is
/// the mean of one of these vectors. From the vectors themselves, intervals over images can be
/// computed.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighborhoods {
    /// For each generated row, 1 if it lies near the real set, else 0. The mean is the precision of
    /// Kynkäänniemi et al. 2019.
    pub precision: Vec<f64>,
    /// For each real row, 1 if it lies near the generated set, else 0. The mean is the recall of
    /// Kynkäänniemi et al. 2019.
    pub recall: Vec<f64>,
    /// For each generated row, the number of real rows whose ball contains it, divided by k. The mean is
    /// the density of Naeem et al. 2020, which may be above 1.
    pub density: Vec<f64>,
    /// For each real row, 1 if its ball contains a generated row, else 0. The mean is the coverage of
    /// Naeem et al. 2020.
    pub coverage: Vec<f64>,
}

/// Computes the precision, recall, density and coverage of two sets from the `k` nearest neighbors of
/// each row.
///
/// `chimle-knn` searches the neighbors among f32 points. All comparisons that affect the result are made
/// in f64. The time grows with the product of the numbers of rows. In addition to the features, a
/// centered f32 copy of both sets is in memory.
///
/// # Errors
///
/// [`MetricsError::Dimensions`] if the sets have different numbers of features,
/// [`MetricsError::TooFew`] if a set has `k` rows or fewer, or `k` is 0.
///
/// # Examples
///
/// ```
/// use chimle_metrics::{Rows, neighborhoods};
///
/// # fn main() -> Result<(), chimle_metrics::MetricsError> {
/// let real = [0.0f64, 1.0, 2.0, 10.0];
/// let generated = [0.5f64, 1.5, 30.0, 31.0];
/// let found = neighborhoods(Rows::new(&real, 1)?, Rows::new(&generated, 1)?, 1)?;
/// assert_eq!(found.precision, [1.0, 1.0, 0.0, 0.0]);
/// // The balls of the real rows 0, 1 and 2 are (-1, 1), (0, 2) and (1, 3).
/// assert_eq!(found.density, [2.0, 2.0, 0.0, 0.0]);
/// // The balls of the generated rows 0.5 and 1.5 are (-0.5, 1.5) and (0.5, 2.5).
/// assert_eq!(found.recall, [1.0, 1.0, 1.0, 0.0]);
/// assert_eq!(found.coverage, [1.0, 1.0, 1.0, 0.0]);
/// # Ok(())
/// # }
/// ```
pub fn neighborhoods<T: Copy + Into<f64>>(
    real: Rows<'_, T>,
    generated: Rows<'_, T>,
    k: usize,
) -> Result<Neighborhoods, MetricsError> {
    let needed = k.saturating_add(1).max(2);
    real.check(real.dimension(), needed)?;
    generated.check(real.dimension(), needed)?;
    if k == 0 {
        return Err(MetricsError::TooFew {
            found: 0,
            needed: 1,
        });
    }
    // Both sets get the same center, so equal rows stay equal and distances do not change.
    let center = real.mean();
    let real = Centered::new(real, &center)?;
    let generated = Centered::new(generated, &center)?;

    // A row is its own nearest neighbor, so its k-th neighbor is the neighbor k + 1.
    let real_radii = real.kth_nearest(&real, k + 1)?;
    let generated_radii = generated.kth_nearest(&generated, k + 1)?;
    let nearest_generated = generated.kth_nearest(&real, 1)?;

    let mut balls = vec![0usize; generated.rows.count()];
    let mut recalled = vec![false; real.rows.count()];
    for rows in real.blocks() {
        for others in generated.blocks() {
            let products = real.products(&generated, &rows, &others);
            for j in others.clone() {
                for i in rows.clone() {
                    let product = products[(i - rows.start, j - others.start)];
                    let pair = Pair {
                        first: (&real, i),
                        second: (&generated, j),
                        product,
                    };
                    balls[j] += usize::from(pair.is_within(real_radii[i]));
                    recalled[i] |= pair.is_within(generated_radii[j]);
                }
            }
        }
    }
    let share = |is: bool| f64::from(u8::from(is));
    let covered = nearest_generated.iter().zip(&real_radii);
    Ok(Neighborhoods {
        precision: balls.iter().map(|&count| share(count > 0)).collect(),
        recall: recalled.into_iter().map(share).collect(),
        density: balls.iter().map(|&c| c as f64 / k as f64).collect(),
        coverage: covered
            .map(|(nearest, radius)| share(nearest < radius))
            .collect(),
    })
}

/// Rows minus a center.
struct Centered<'a, T> {
    rows: Rows<'a, T>,
    center: &'a [f64],
    /// The centered rows, rounded to f32 for the search.
    rounded: Vec<f32>,
    /// The squared length of each centered row.
    lengths: Vec<f64>,
}

/// The number of rows in a block. The products of two blocks take 2 MiB.
const BLOCK: usize = 512;

/// The number of additional neighbors that are searched, because rounding may move the k-th neighbor to
/// a later place.
const SPARE: usize = 8;

/// Half the distance from 1 to the next f32.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;

impl<'a, T: Copy + Into<f64>> Centered<'a, T> {
    fn new(rows: Rows<'a, T>, center: &'a [f64]) -> Result<Self, MetricsError> {
        let mut centered = Self {
            rows,
            center,
            rounded: Vec::with_capacity(rows.count() * rows.dimension()),
            lengths: Vec::with_capacity(rows.count()),
        };
        for i in 0..rows.count() {
            let values = rows.row(i).iter().zip(center);
            let values: Vec<f64> = values
                .map(|(&value, center)| value.into() - center)
                .collect();
            centered.rounded.extend(values.iter().map(|&v| v as f32));
            centered.lengths.push(values.iter().map(|v| v * v).sum());
        }
        Ok(centered)
    }

    fn points(&self) -> Result<Points<'_>, MetricsError> {
        Ok(Points::new(&self.rounded, self.rows.dimension())?)
    }

    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<T> {
        let count = self.rows.count();
        (0..count)
            .step_by(BLOCK)
            .map(move |start| start..(start + BLOCK).min(count))
    }

    /// Computes the products `[rows, others]` of some rows with some rows of another set.
    fn products(&self, other: &Self, rows: &Range<usize>, others: &Range<usize>) -> faer::Mat<f64> {
        let columns = self.rows.columns(rows.clone(), self.center);
        columns.transpose() * other.rows.columns(others.clone(), other.center)
    }

    /// Computes the squared distance of a row from a row of another set.
    fn squared_distance(&self, index: usize, other: &Self, other_index: usize) -> f64 {
        let values = self.rows.row(index).iter().zip(other.rows.row(other_index));
        let difference = |(&a, &b): (&T, &T)| {
            let difference = a.into() - b.into();
            difference * difference
        };
        values.map(difference).sum()
    }

    /// Computes the squared distance of each query from the `k`-th nearest of these rows, counted from
    /// 1.
    fn kth_nearest(&self, queries: &Self, k: usize) -> Result<Vec<f64>, MetricsError> {
        let count = self.rows.count();
        let searched = (k + SPARE).min(count);
        let found = Exact::new(self.points()?).query_many(queries.points()?, searched)?;
        let longest = self.lengths.iter().fold(0.0, |a: f64, &b| a.max(b)).sqrt();
        let kth = |(query, candidates): (usize, Vec<Neighbor>)| {
            let distance = |i| self.squared_distance(i, queries, query);
            let exact = candidates.iter().map(|c| distance(c.index)).collect();
            let kth = kth_smallest(exact, k);
            // A lower bound of the distance of every row that the search did not return. It allows for
            // the rounding of the values and of the sums of their squared differences.
            let last = candidates.last().map_or(0.0, |c| f64::from(c.distance));
            let summing = (self.rows.dimension() + 32) as f64 * UNIT;
            let rounding = 2.0 * UNIT * (longest + queries.lengths[query].sqrt());
            let farther = (last * (1.0 - summing)).sqrt() - rounding;
            if searched == count || (last.is_finite() && kth.sqrt() <= farther) {
                return kth;
            }
            kth_smallest((0..count).map(distance).collect(), k)
        };
        Ok(found.into_iter().enumerate().map(kth).collect())
    }
}

fn kth_smallest(mut distances: Vec<f64>, k: usize) -> f64 {
    *distances.select_nth_unstable_by(k - 1, f64::total_cmp).1
}

/// Two rows from two sets, and the product of their centered values.
struct Pair<'a, T> {
    first: (&'a Centered<'a, T>, usize),
    second: (&'a Centered<'a, T>, usize),
    product: f64,
}

impl<T: Copy + Into<f64>> Pair<'_, T> {
    /// Returns whether the squared distance of the two rows is below a squared radius.
    fn is_within(&self, squared_radius: f64) -> bool {
        /// An upper bound of the relative error from rounding the product and the centered values.
        const ROUNDING: f64 = 1e-10;
        let ((first, i), (second, j)) = (self.first, self.second);
        let lengths = first.lengths[i] + second.lengths[j];
        let beyond = lengths - 2.0 * self.product - squared_radius;
        if beyond.abs() > ROUNDING * (lengths + squared_radius) {
            return beyond < 0.0;
        }
        first.squared_distance(i, second, j) < squared_radius
    }
}
