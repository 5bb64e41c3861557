//! The search in a composite index: its simple indices are walked together, nearest projection first.

use std::cell::RefCell;

use super::simple::{SimpleIndex, Walk};

/// The budgets after which the search in a composite index stops.
pub(super) struct Budget {
    /// The number of visits.
    pub(super) visited: usize,
    /// The number of candidates.
    pub(super) retrieved: usize,
    /// The smallest number of candidates. The other budgets are exceeded to reach it.
    pub(super) least: usize,
}

/// Searches the composite index of the simple indices `simple` over `points` points (Li and Malik 2017,
/// algorithm 2, for one composite index). `targets` are the projections of the query. Appends the
/// candidates to `candidates` and returns the number of visited points.
pub(super) fn search(
    simple: &[SimpleIndex],
    targets: &[f32],
    points: usize,
    budget: &Budget,
    candidates: &mut Vec<u32>,
) -> usize {
    let walks = simple.iter().zip(targets);
    let mut walks: Vec<Walk> = walks.map(|(simple, &target)| simple.walk(target)).collect();
    let mut queue = Queue::new(walks.iter().map(Walk::distance));
    let complete = simple.len() as u32;
    let most = budget.retrieved.max(budget.least);
    let (mut visited, mut retrieved) = (0, 0);
    COUNTS.with_borrow_mut(|counts| {
        counts.restart(points);
        while retrieved < most && (visited < budget.visited || retrieved < budget.least) {
            let (distance, next) = queue.first();
            if distance == f32::INFINITY {
                break;
            }
            let walk = &mut walks[next];
            let point = walk.advance();
            queue.replace(next, walk.distance());
            visited += 1;
            if counts.count(point) == complete {
                candidates.push(point);
                retrieved += 1;
            }
        }
    });
    visited
}

/// The priority queue over the walks. It is a tournament tree, which needs no branches: a changed
/// distance is compared with one other distance per level of the tree.
struct Queue {
    /// The smaller of the keys at nodes `i` and `i ^ 1` is the key at node `i / 2`. Node 1 is the root.
    nodes: Vec<u64>,
}

impl Queue {
    fn new(distances: impl ExactSizeIterator<Item = f32>) -> Self {
        let leaves = distances.len().next_power_of_two();
        let mut nodes = vec![u64::MAX; 2 * leaves];
        for (walk, distance) in distances.enumerate() {
            nodes[leaves + walk] = Self::key(distance, walk);
        }
        for node in (1..leaves).rev() {
            nodes[node] = nodes[2 * node].min(nodes[2 * node + 1]);
        }
        Self { nodes }
    }

    /// Returns a key that orders walks by distance and then by number. The bits of non-negative f32
    /// values have the same order as the values.
    #[inline(always)]
    fn key(distance: f32, walk: usize) -> u64 {
        u64::from(distance.to_bits()) << 32 | walk as u64
    }

    #[inline(always)]
    fn first(&self) -> (f32, usize) {
        let key = self.nodes[1];
        (f32::from_bits((key >> 32) as u32), key as u32 as usize)
    }

    #[inline(always)]
    fn replace(&mut self, walk: usize, distance: f32) {
        let mut node = self.nodes.len() / 2 + walk;
        let mut winner = Self::key(distance, walk);
        self.nodes[node] = winner;
        while node > 1 {
            winner = winner.min(self.nodes[node ^ 1]);
            node /= 2;
            self.nodes[node] = winner;
        }
    }
}

thread_local! {
    /// The counts are kept from query to query, because clearing them takes a pass over all points.
    static COUNTS: RefCell<Counts> = RefCell::default();
}

/// The number of simple indices in which each point was visited, for one composite index and one query.
#[derive(Default)]
struct Counts {
    /// The number of the current search. It distinguishes its counts from those of earlier searches.
    generation: u32,
    /// The generation (upper 24 bits) and the count (lower 8 bits) of each point.
    marks: Vec<u32>,
}

impl Counts {
    const LAST_GENERATION: u32 = (1 << 24) - 1;

    /// Starts a new search, in which the count of each point is 0.
    fn restart(&mut self, points: usize) {
        if self.generation == Self::LAST_GENERATION {
            self.marks.fill(0);
            self.generation = 0;
        }
        self.generation += 1;
        if self.marks.len() < points {
            self.marks.resize(points, 0);
        }
    }

    /// Increments the count of a point and returns it.
    #[inline(always)]
    fn count(&mut self, point: u32) -> u32 {
        let mark = &mut self.marks[point as usize];
        let start = self.generation << 8;
        // A mark of an earlier search is lower than `start`, because its generation is lower.
        *mark = start.max(*mark) + 1;
        *mark - start
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn counts_begin_anew_when_generations_run_out() {
        let mut counts = Counts {
            generation: Counts::LAST_GENERATION - 1,
            marks: Vec::new(),
        };
        for _ in 0..4 {
            counts.restart(2);
            assert_eq!(
                (counts.count(1), counts.count(1), counts.count(0)),
                (1, 2, 1)
            );
        }
    }
}
