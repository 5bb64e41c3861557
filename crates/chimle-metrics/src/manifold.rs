//! Precision, recall, density and coverage.

use std::ops::Range;

use chimle_knn::{Exact, NearestNeighbors, Neighbor, Points};

use crate::error::MetricsError;
use crate::rows::Rows;

/// Which images of two sets lie near the other set, as their nearest neighbors have it.
///
/// Around each row of a set lies a ball that reaches to its k-th nearest neighbour in the same set;
/// a row lies near a set if it is inside (not on) one of the set's balls. The means are the
/// measures; one value a row allows intervals over images. See [`neighborhoods`].
#[derive(Clone, Debug, PartialEq)]
pub struct Neighborhoods {
    /// For each generated row, 1 if it lies near the real set, else 0. The mean is the precision of
    /// Kynkaanniemi et al. 2019.
    pub precision: Vec<f64>,
    /// For each real row, 1 if it lies near the generated set, else 0. The mean is the recall of
    /// Kynkaanniemi et al. 2019.
    pub recall: Vec<f64>,
    /// For each generated row, the number of real balls it lies in, divided by k. The mean is the
    /// density of Naeem et al. 2020; it may be above 1.
    pub density: Vec<f64>,
    /// For each real row, 1 if a generated one lies in its ball, else 0. The mean is the coverage of
    /// Naeem et al. 2020.
    pub coverage: Vec<f64>,
}

/// Precision, recall, density and coverage of two sets by their `k` nearest neighbors.
///
/// Neighbours are found among f32 points by `chimle-knn`; every comparison that decides is made in
/// f64. Time grows with the product of the numbers of rows. Memory beside the features: a centered
/// f32 copy of either set.
///
/// ```
/// use chimle_metrics::{Rows, neighborhoods};
///
/// # fn main() -> Result<(), chimle_metrics::MetricsError> {
/// let real = [0.0f64, 1.0, 2.0, 10.0];
/// let generated = [0.5f64, 1.5, 30.0, 31.0];
/// let found = neighborhoods(Rows::new(&real, 1)?, Rows::new(&generated, 1)?, 1)?;
/// assert_eq!(found.precision, [1.0, 1.0, 0.0, 0.0]);
/// // The ball of 1 reaches from 0 to 2, and so on.
/// assert_eq!(found.density, [2.0, 2.0, 0.0, 0.0]);
/// // The ball of 0.5 reaches to 1.5, that of 1.5 to 2.5.
/// assert_eq!(found.recall, [1.0, 1.0, 1.0, 0.0]);
/// assert_eq!(found.coverage, [1.0, 1.0, 1.0, 0.0]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`MetricsError::Dimensions`] if the features differ in number, [`MetricsError::TooFew`] if a set
/// has no more than `k` rows (or `k` is 0).
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
    // Of either set, so that equal rows stay equal; distances do not change.
    let center = real.mean();
    let real = Centered::new(real, &center)?;
    let generated = Centered::new(generated, &center)?;

    // A row is its own nearest neighbour.
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

/// Rows less a center.
struct Centered<'a, T> {
    rows: Rows<'a, T>,
    center: &'a [f64],
    /// Rounded to f32, for the search.
    rounded: Vec<f32>,
    /// The squared length of each row.
    lengths: Vec<f64>,
}

/// Rows whose products with as many others are held at once: 2 MiB.
const BLOCK: usize = 512;

/// Candidates searched beyond those wanted, lest rounding has put the right one behind.
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

    /// Products of some rows with some of another set, `[rows, others]`.
    fn products(&self, other: &Self, rows: &Range<usize>, others: &Range<usize>) -> faer::Mat<f64> {
        let columns = self.rows.columns(rows.clone(), self.center);
        columns.transpose() * other.rows.columns(others.clone(), other.center)
    }

    /// The squared distance of a row from one of another set.
    fn squared_distance(&self, index: usize, other: &Self, other_index: usize) -> f64 {
        let values = self.rows.row(index).iter().zip(other.rows.row(other_index));
        let difference = |(&a, &b): (&T, &T)| {
            let difference = a.into() - b.into();
            difference * difference
        };
        values.map(difference).sum()
    }

    /// The squared distance of each query from the `k`-th nearest of these rows, counted from 1.
    fn kth_nearest(&self, queries: &Self, k: usize) -> Result<Vec<f64>, MetricsError> {
        let count = self.rows.count();
        let searched = (k + SPARE).min(count);
        let found = Exact::new(self.points()?).query_many(queries.points()?, searched)?;
        let longest = self.lengths.iter().fold(0.0, |a: f64, &b| a.max(b)).sqrt();
        let kth = |(query, candidates): (usize, Vec<Neighbor>)| {
            let distance = |i| self.squared_distance(i, queries, query);
            let exact = candidates.iter().map(|c| distance(c.index)).collect();
            let kth = kth_smallest(exact, k);
            // No row that was not found is nearer than this, by the errors of rounding the values
            // and of summing their squared differences.
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

/// Rows of two sets, and the product of their centered values.
struct Pair<'a, T> {
    first: (&'a Centered<'a, T>, usize),
    second: (&'a Centered<'a, T>, usize),
    product: f64,
}

impl<T: Copy + Into<f64>> Pair<'_, T> {
    /// Whether their squared distance is below a squared radius.
    fn is_within(&self, squared_radius: f64) -> bool {
        /// More than what the product's rounding, and the center's, can make of a length.
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
