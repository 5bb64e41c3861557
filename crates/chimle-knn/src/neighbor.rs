//! A neighbor, and a collection of the nearest neighbors found so far.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A point that an index has found, and its distance from the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbor {
    /// The index of the point, in the order in which points were given.
    pub index: usize,
    /// The squared Euclidean distance, as [`squared_distance`](crate::squared_distance) computes it.
    pub distance: f32,
}

/// A neighbor, ordered by distance and then by index.
struct Ranked(Neighbor);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.distance.total_cmp(&other.0.distance)).then(self.0.index.cmp(&other.0.index))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

/// The `k` nearest of the points offered so far. The order of the offers does not matter.
pub(crate) struct Nearest {
    k: usize,
    heap: BinaryHeap<Ranked>,
}

impl Nearest {
    pub(crate) fn new(k: usize) -> Self {
        Self {
            k,
            heap: BinaryHeap::with_capacity(k),
        }
    }

    /// Returns the largest distance at which a further point can still be among the nearest. It is
    /// infinite while there are fewer than `k` points.
    pub(crate) fn worst(&self) -> f32 {
        match self.heap.peek() {
            Some(farthest) if self.heap.len() == self.k => farthest.0.distance,
            _ => f32::INFINITY,
        }
    }

    pub(crate) fn offer(&mut self, index: usize, distance: f32) {
        let candidate = Ranked(Neighbor { index, distance });
        if self.heap.len() < self.k {
            self.heap.push(candidate);
        } else if let Some(mut farthest) = self.heap.peek_mut()
            && candidate < *farthest
        {
            *farthest = candidate;
        }
    }

    /// Offers all points that `other` has collected.
    pub(crate) fn merge(&mut self, other: Self) {
        for Ranked(neighbor) in other.heap {
            self.offer(neighbor.index, neighbor.distance);
        }
    }

    /// Returns the collected points, nearest first.
    pub(crate) fn into_sorted(self) -> Vec<Neighbor> {
        let sorted = self.heap.into_sorted_vec();
        sorted.into_iter().map(|ranked| ranked.0).collect()
    }
}
