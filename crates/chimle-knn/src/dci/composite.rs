//! A composite index: simple indices that are walked together, nearest projection first.

use std::cell::RefCell;

use super::simple::{SimpleIndex, Walk};

/// When a composite index stops. A budget gives way where it would leave fewer than `least`
/// candidates.
pub(super) struct Budget {
    pub(super) visited: usize,
    pub(super) retrieved: usize,
    pub(super) least: usize,
}

/// Searches the composite index made of `simple`, over `points` points, for the query whose
/// projections are `targets` (Li and Malik 2017, algorithm 2, for one of its composite indices).
/// Appends the candidates to `candidates` and returns how many points were visited.
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

/// The priority queue over the walks: a tournament, in which a new distance plays against one
/// opponent a round, without branches.
struct Queue {
    /// The winner of node `i` plays that of `i ^ 1`, and the lower goes to node `i / 2`; 1 is the
    /// root.
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

    /// Lower distance first, then the lower number: the bits of an f32 that is at least 0 are in
    /// the order of its value.
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
    /// Kept from query to query, so that one does not cost a pass over all points.
    static COUNTS: RefCell<Counts> = RefCell::default();
}

/// In how many simple indices each point was met, for one composite index and query.
#[derive(Default)]
struct Counts {
    /// Sets the counts of one search apart from those left by the searches before.
    generation: u32,
    /// For each point its generation in the upper 24 bits, and its count in the lower 8.
    marks: Vec<u32>,
}

impl Counts {
    const LAST_GENERATION: u32 = (1 << 24) - 1;

    /// Begins at 0 for each point.
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

    /// Counts a point once more.
    #[inline(always)]
    fn count(&mut self, point: u32) -> u32 {
        let mark = &mut self.marks[point as usize];
        let start = self.generation << 8;
        // The generations of earlier searches are lower.
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
