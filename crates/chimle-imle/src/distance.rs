//! The trait of a distance between outputs.

use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

use crate::rows::Rows;

/// A distance between outputs of a generator: the search minimizes it and training lowers it.
///
/// What a distance needs to know of an output is computed once, as [`Features`](Self::Features).
/// The features of a target are then compared with those of many candidates.
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
    /// What the distance needs to know of a batch of outputs, one row per output.
    type Features: Rows<B> + Send;

    /// Computes the features of outputs.
    fn features(&self, output: Self::Output) -> Self::Features;

    /// Compares the features of n candidates with those of g targets: distances `[n]`.
    ///
    /// n is a multiple c of g, and the candidates lie target by target: candidate j is compared
    /// with target j / c. With g = n this compares one to one.
    ///
    /// # Panics
    ///
    /// Implementations may panic if n is not a multiple of g, or the features do not fit each other.
    fn compare(&self, candidates: &Self::Features, targets: &Self::Features) -> Tensor<B, 1>;

    /// Returns the features as points `[n, d]` whose squared Euclidean distance is this distance.
    ///
    /// Only a [shortlist](crate::Shortlist) needs it. The default is `None`: the distance is not of
    /// this kind.
    fn embed(&self, features: &Self::Features) -> Option<Tensor<B, 2>> {
        let _ = features;
        None
    }

    /// Returns the distances `[n]` of outputs from targets; see [`compare`](Self::compare).
    fn distance(&self, output: Self::Output, targets: &Self::Features) -> Tensor<B, 1> {
        self.compare(&self.features(output), targets)
    }

    /// Returns the distances `[n]` of n outputs from n others, one to one.
    fn between(&self, a: Self::Output, b: Self::Output) -> Tensor<B, 1> {
        self.compare(&self.features(a), &self.features(b))
    }
}

/// A distance on a backend that differentiates, with its counterpart on the backend below.
///
/// The search and the features of targets need no graph, so they are computed by
/// [`valid`](Self::valid).
pub trait TrainingDistance<B: AutodiffBackend>: Distance<B> {
    /// The same distance without autodiff.
    type Valid: Distance<B::InnerBackend>;

    /// Returns the same distance without autodiff.
    fn valid(&self) -> Self::Valid;

    /// Turns features that were computed without autodiff into constants of a loss.
    fn constants(
        features: <Self::Valid as Distance<B::InnerBackend>>::Features,
    ) -> <Self as Distance<B>>::Features;
}
