//! The trait of a distance between outputs.

use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

use crate::rows::Rows;

/// A distance between outputs of a generator, which the search and the training minimize.
///
/// The features of an output are computed once, as [`Features`](Self::Features). The features of a
/// target are then compared with those of many candidates.
///
/// # Examples
///
/// The mean squared difference of points:
///
/// ```
/// use burn::tensor::{Tensor, backend::Backend};
/// use chimle_imle::Distance;
///
/// struct Squared;
///
/// impl<B: Backend> Distance<B> for Squared {
///     type Output = Tensor<B, 2>;
///     type Features = Tensor<B, 2>;
///
///     fn features(&self, output: Tensor<B, 2>) -> Tensor<B, 2> {
///         output
///     }
///
///     fn compare(&self, candidates: &Tensor<B, 2>, targets: &Tensor<B, 2>) -> Tensor<B, 1> {
///         let ([n, d], [g, _]) = (candidates.dims(), targets.dims());
///         let difference = candidates.clone().reshape([g, n / g, d]) - targets.clone().reshape([g, 1, d]);
///         difference.square().mean_dim(2).reshape([n])
///     }
/// }
/// ```
pub trait Distance<B: Backend> {
    /// A batch of outputs.
    type Output;
    /// The features of a batch of outputs, one row per output: all that [`compare`](Self::compare)
    /// needs.
    type Features: Rows<B> + Send;

    /// Computes the features of outputs.
    fn features(&self, output: Self::Output) -> Self::Features;

    /// Compares the features of n candidates with those of g targets, and returns the distances
    /// `[n]`.
    ///
    /// n is a multiple of g. The candidates are ordered by target, c = n / g of them per target, so
    /// candidate j is compared with target j / c. If g = n, the comparison is one to one.
    ///
    /// # Panics
    ///
    /// Implementations may panic if n is not a multiple of g, or the features do not fit together.
    fn compare(&self, candidates: &Self::Features, targets: &Self::Features) -> Tensor<B, 1>;

    /// Returns the features as points `[n, d]` whose squared Euclidean distance is this distance.
    ///
    /// Only a [shortlist](crate::Shortlist) needs this embedding. The default returns `None`: the
    /// distance has no embedding.
    fn embed(&self, features: &Self::Features) -> Option<Tensor<B, 2>> {
        let _ = features;
        None
    }

    /// Returns the distances `[n]` of outputs from targets; see [`compare`](Self::compare).
    fn distance(&self, output: Self::Output, targets: &Self::Features) -> Tensor<B, 1> {
        self.compare(&self.features(output), targets)
    }

    /// Returns the distances `[n]` of n outputs from n other outputs, one to one.
    fn between(&self, a: Self::Output, b: Self::Output) -> Tensor<B, 1> {
        self.compare(&self.features(a), &self.features(b))
    }
}

/// A distance on an autodiff backend, with its counterpart on the inner backend.
///
/// The search and the features of targets need no autodiff graph, so they are computed with the
/// distance that [`valid`](Self::valid) returns.
pub trait TrainingDistance<B: AutodiffBackend>: Distance<B> {
    /// The same distance without autodiff.
    type Valid: Distance<B::InnerBackend>;

    /// Returns the same distance without autodiff.
    fn valid(&self) -> Self::Valid;

    /// Returns the distance with which the search compares candidates. By default, this is
    /// [`valid`](Self::valid). A distance that is slow can return a faster one here.
    fn for_search(&self) -> Self::Valid {
        self.valid()
    }

    /// Turns features that were computed without autodiff into constants of a loss.
    fn constants(
        features: <Self::Valid as Distance<B::InnerBackend>>::Features,
    ) -> <Self as Distance<B>>::Features;
}
