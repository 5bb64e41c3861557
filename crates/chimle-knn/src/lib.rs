//! Nearest-neighbor search over plain `f32` points.
//!
//! Use this crate to find the exact nearest neighbors of many queries at once, or approximate neighbors
//! among points with many coordinates. Its only distance is the Euclidean one. It has no graph index
//! such as HNSW, and it does not store an index on disk.
//!
//! [`Points`] are a view of `n x d` values, row-major. An index is built from points. Through the trait
//! [`NearestNeighbors`], it finds the `k` points nearest to one query, or to each of many queries. The
//! answer is a list of [`Neighbor`]s, nearest first. A neighbor is the index of a point and its squared
//! Euclidean distance. Points at equal distances are ordered by index. Points can be added later
//! through the trait [`Insert`].
//!
//! | index | answer | use it for |
//! |---|---|---|
//! | [`Exact`] | exact | any points; many queries at the speed of a matrix product |
//! | [`KdTree`] | exact | many points in up to about eight dimensions |
//! | [`PrioritizedDci`] | approximate | many points with many coordinates and a low intrinsic dimension |
//! | [`Projected`] | approximate | many coordinates: any index above, after a [`RandomProjection`] to fewer dimensions |
//!
//! Every index returns the distances of [`squared_distance`], equal to the last bit. An exact answer is
//! the same as that of a plain loop over [`squared_distance`], including ties. Distances that overflow
//! are infinite and come last. All randomness comes from seeds: the same points, settings and queries
//! give the same answer on any machine and with any number of cores. Invalid input gives a [`KnnError`].
//!
//! # Examples
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
//! index.insert(Points::new(&[1.0, 0.1], 2)?)?; // this point gets the index 3
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
