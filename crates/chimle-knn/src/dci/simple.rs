//! A simple index: all points in the order of their projections onto one direction.

/// A point and its projection.
#[derive(Clone, Copy, Debug)]
struct Entry {
    projection: f32,
    point: u32,
}

impl Entry {
    fn key(&self) -> (f32, u32) {
        (self.projection, self.point)
    }
}

/// All points, in ascending order of projection and then of number.
#[derive(Clone, Debug, Default)]
pub(super) struct SimpleIndex {
    entries: Vec<Entry>,
}

impl SimpleIndex {
    /// Adds points with finite projections. The number of the first one is `first`.
    pub(super) fn insert(&mut self, first: u32, projections: impl Iterator<Item = f32>) {
        let mut new: Vec<Entry> = (first..)
            .zip(projections)
            .map(|(point, projection)| Entry { projection, point })
            .collect();
        new.sort_unstable_by(|a, b| {
            (a.projection.total_cmp(&b.projection)).then(a.point.cmp(&b.point))
        });
        self.entries = merge(&self.entries, &new);
    }

    /// Starts a walk over all points from `target` outwards.
    pub(super) fn walk(&self, target: f32) -> Walk<'_> {
        let start = self
            .entries
            .partition_point(|entry| entry.projection < target);
        let mut walk = Walk {
            entries: &self.entries,
            target,
            below: start,
            above: start,
            below_distance: 0.0,
            above_distance: 0.0,
        };
        walk.update();
        walk
    }
}

fn merge(mut a: &[Entry], mut b: &[Entry]) -> Vec<Entry> {
    let mut merged = Vec::with_capacity(a.len() + b.len());
    while let ([first_a, rest_a @ ..], [first_b, rest_b @ ..]) = (a, b) {
        if first_b.key() < first_a.key() {
            merged.push(*first_b);
            b = rest_b;
        } else {
            merged.push(*first_a);
            a = rest_a;
        }
    }
    merged.extend_from_slice(a);
    merged.extend_from_slice(b);
    merged
}

/// The points of a simple index in ascending distance of their projection from the target.
pub(super) struct Walk<'a> {
    entries: &'a [Entry],
    target: f32,
    /// The next entry below the target is `below - 1`.
    below: usize,
    /// The next entry above the target is `above`.
    above: usize,
    /// The projected distance of the next entry below, infinite if none is left.
    below_distance: f32,
    /// The projected distance of the next entry above, infinite if none is left.
    above_distance: f32,
}

impl Walk<'_> {
    /// Returns the projected distance of the next point. It is infinite if no point is left.
    #[inline(always)]
    pub(super) fn distance(&self) -> f32 {
        self.below_distance.min(self.above_distance)
    }

    /// Steps past the next point, which must exist, and returns its number. The side is chosen without a
    /// branch, because a processor could not predict it.
    #[inline(always)]
    pub(super) fn advance(&mut self) -> u32 {
        let is_below = self.below_distance <= self.above_distance;
        self.below -= usize::from(is_below);
        let at = if is_below { self.below } else { self.above };
        self.above += usize::from(!is_below);
        self.update();
        self.entries[at].point
    }

    #[inline(always)]
    fn update(&mut self) {
        // Distances are clamped, so that only the end of the list is infinite.
        let distance = |a: f32, b: f32| (a - b).min(f32::MAX);
        self.below_distance = match self.entries.get(self.below.wrapping_sub(1)) {
            Some(entry) => distance(self.target, entry.projection),
            None => f32::INFINITY,
        };
        self.above_distance = match self.entries.get(self.above) {
            Some(entry) => distance(entry.projection, self.target),
            None => f32::INFINITY,
        };
    }
}
