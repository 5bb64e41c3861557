//! The comparison of numbers with the expected ones.

use std::fmt;

use super::check::Outcome;

/// The largest of many differences, and its place.
pub(super) struct Comparison {
    limit: f64,
    /// The largest difference and its place. NaN counts as larger than any number.
    largest: Option<(f64, String)>,
}

impl Comparison {
    /// Starts a comparison. `limit` is the largest difference allowed.
    pub(super) fn new(limit: f64) -> Self {
        Self {
            limit,
            largest: None,
        }
    }

    /// Adds a difference.
    pub(super) fn add(&mut self, difference: f64, place: impl FnOnce() -> String) {
        let larger = match &self.largest {
            None => true,
            Some((largest, _)) => {
                difference > *largest || (difference.is_nan() && !largest.is_nan())
            }
        };
        if larger {
            self.largest = Some((difference, place()));
        }
    }

    /// Adds the differences of two arrays of the given shape. `difference` is called with a found and
    /// an expected number.
    pub(super) fn add_all(
        &mut self,
        name: &str,
        shape: &[usize],
        found: &[f32],
        expected: &[f32],
        difference: impl Fn(f64, f64) -> f64,
    ) {
        if found.len() != expected.len() {
            let (found, expected) = (found.len(), expected.len());
            return self.add(f64::NAN, || {
                format!("`{name}`: {found} values in place of {expected}")
            });
        }
        for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
            let difference = difference(found.into(), expected.into());
            self.add(difference, || place(name, shape, i, found, expected));
        }
    }

    /// Returns whether the largest difference is within the limit.
    pub(super) fn is_within(&self) -> bool {
        matches!(self.largest, Some((largest, _)) if largest <= self.limit)
    }

    /// Returns the comparison with the largest difference. If some comparisons are beyond their limits, only
    /// these are considered.
    pub(super) fn worst(comparisons: Vec<Self>) -> Option<Self> {
        let largest = |of: &Self| of.largest.as_ref().map_or(f64::NAN, |(by, _)| *by);
        // NaN counts as larger than any number.
        comparisons.into_iter().max_by(|a, b| {
            let order = a.is_within().cmp(&b.is_within()).reverse();
            order.then(f64::total_cmp(&largest(a).abs(), &largest(b).abs()))
        })
    }

    /// Returns the outcome: whether the largest difference is within the limit. A comparison without any
    /// numbers fails.
    pub(super) fn outcome(self) -> Outcome {
        let limit = self.limit;
        match self.largest {
            Some((largest, _)) if largest <= limit => Outcome::Passed { largest, limit },
            Some((largest, place)) => Outcome::Failed {
                largest,
                limit,
                place,
            },
            None => Outcome::Failed {
                largest: f64::NAN,
                limit,
                place: "no number to compare".to_owned(),
            },
        }
    }
}

/// Returns the absolute difference.
pub(super) fn absolute(found: f64, expected: f64) -> f64 {
    (found - expected).abs()
}

/// Returns the difference relative to the expected number.
pub(super) fn relative(found: f64, expected: f64) -> f64 {
    (found - expected).abs() / expected.abs().max(f64::MIN_POSITIVE)
}

/// Returns the relative difference if the expected magnitude is above 1, and the absolute difference
/// otherwise.
pub(super) fn relative_or_absolute(found: f64, expected: f64) -> f64 {
    (found - expected).abs() / expected.abs().max(1.0)
}

/// Returns the largest magnitude.
pub(super) fn magnitude(values: &[f32]) -> f64 {
    values.iter().fold(0.0, |most, v| most.max(v.abs().into()))
}

/// Describes the `i`-th value of an array.
pub(super) fn place(
    name: &str,
    shape: &[usize],
    i: usize,
    found: impl fmt::Display,
    expected: impl fmt::Display,
) -> String {
    let position = position(i, shape);
    format!("`{name}` {position:?}: {found} in place of {expected}")
}

/// Returns the indices of the `i`-th value of an array.
fn position(mut i: usize, shape: &[usize]) -> Vec<usize> {
    let mut indices: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&side| {
            let index = i % side.max(1);
            i /= side.max(1);
            index
        })
        .collect();
    indices.reverse();
    indices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(found: &[f32], expected: &[f32]) -> Outcome {
        let mut comparison = Comparison::new(0.1);
        comparison.add_all("x", &[2, 2], found, expected, absolute);
        comparison.outcome()
    }

    #[test]
    fn the_largest_difference_decides_and_is_named() {
        let expected = [1.0, 2.0, 3.0, 4.0];
        let near = outcome(&[1.0, 2.0, 3.0625, 4.0], &expected);
        assert_eq!(
            near,
            Outcome::Passed {
                largest: 0.0625,
                limit: 0.1
            }
        );

        let Outcome::Failed { largest, place, .. } = outcome(&[1.5, 2.0, 9.0, 4.0], &expected)
        else {
            panic!("6 is more than 0.1");
        };
        assert_eq!(largest, 6.0);
        assert_eq!(place, "`x` [1, 0]: 9 in place of 3");
    }

    #[test]
    fn the_worst_comparison_is_one_beyond_its_limit() {
        let comparison = |limit, difference| {
            let mut comparison = Comparison::new(limit);
            comparison.add(difference, String::new);
            comparison
        };
        let worst = |of: &[(f64, f64)]| {
            let all = of.iter().map(|&(limit, by)| comparison(limit, by));
            match Comparison::worst(all.collect()).map(Comparison::outcome) {
                Some(Outcome::Passed { largest, .. } | Outcome::Failed { largest, .. }) => largest,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(worst(&[(0.5, 0.25), (0.5, 0.375), (0.5, 0.125)]), 0.375);
        assert_eq!(worst(&[(0.125, 0.25), (0.5, 0.375)]), 0.25);
        assert!(worst(&[(0.125, 0.25), (0.5, f64::NAN), (0.5, 0.75)]).is_nan());
        assert!(Comparison::worst(Vec::new()).is_none());
    }

    #[test]
    fn numbers_that_cannot_be_compared_fail() {
        for (found, expected) in [
            (&[f32::NAN, 9.0][..], &[1.0, 1.0][..]),
            (&[9.0, f32::NAN], &[1.0, 1.0]),
            (&[1.0, 1.0], &[1.0, f32::NAN]),
            (&[1.0], &[1.0, 1.0]),
            (&[], &[]),
        ] {
            let Outcome::Failed { largest, .. } = outcome(found, expected) else {
                panic!("{found:?} passed for {expected:?}");
            };
            assert!(largest.is_nan());
        }
    }
}
