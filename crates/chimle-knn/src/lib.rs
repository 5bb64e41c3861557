//! Nearest-neighbor search over plain `f32` points.
//!
//! [`Points`] is a view of `n x d` values, row-major. From it an index is built, and every index is
//! asked the same way, through [`NearestNeighbors`]: for the `k` nearest to one query or to many,
//! as [`Neighbor`]s with index and squared Euclidean distance, nearest first, ties by the lower
//! index. Points can be added later through [`Insert`].
//!
//! | index | answer | for |
//! |---|---|---|
//! | [`Exact`] | exact | any points; many queries at the speed of a matrix product |
//! | [`KdTree`] | exact | many points in up to about eight dimensions |
//! | [`PrioritizedDci`] | approximate | many points whose coordinates are many and intrinsic dimension low |
//! | [`Projected`] | approximate | any of these, behind a [`RandomProjection`] to fewer dimensions |
//!
//! The distances given are those of [`squared_distance`] to the bit, whichever index gives them;
//! exact means equal to the plain loop over it, ties included. Distances that overflow are
//! infinite, and come last. All randomness is from seeds: the same points, settings and queries give
//! the same answer on any machine and any number of cores. What is wrong with an input is a
//! [`KnnError`].
//!
//! # Example
//!
//! ```
//! use chimle_knn::{Exact, Insert, KdTree, NearestNeighbors, Points};
//!
//! # fn main() -> Result<(), chimle_knn::KnnError> {
//! let values = [0.0, 0.0, 1.0, 0.0, 0.0, 2.0]; // three points in the plane
//! let mut index = Exact::new(Points::new(&values, 2)?);
//!
//! let nearest = index.query(&[0.9, 0.1], 2)?;
//! assert_eq!((nearest[0].index, nearest[1].index), (1, 0));
//!
//! index.insert(Points::new(&[1.0, 0.1], 2)?)?; // the point of index 3
//! let queries = [0.9, 0.1, 0.0, 1.9];
//! let answers = index.query_many(Points::new(&queries, 2)?, 1)?;
//! assert_eq!((answers[0][0].index, answers[1][0].index), (3, 2));
//!
//! let tree = KdTree::new(index.points())?;
//! assert_eq!(tree.query_many(Points::new(&queries, 2)?, 1)?, answers);
//! # Ok(())
//! # }
//! ```

mod dci;
mod distance;
mod error;
mod exact;
mod kd_tree;
mod neighbor;
mod points;
mod projected;
mod projection;
mod search;

pub use dci::{Effort, PrioritizedDci, PrioritizedDciConfig};
pub use distance::squared_distance;
pub use error::KnnError;
pub use exact::Exact;
pub use kd_tree::KdTree;
pub(crate) use neighbor::Nearest;
pub use neighbor::Neighbor;
pub use points::Points;
pub use projected::Projected;
pub use projection::RandomProjection;
pub use search::{Insert, NearestNeighbors};
