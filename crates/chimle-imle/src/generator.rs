//! The trait of a generator that the search can evaluate level by level.

use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Tensor};

use crate::rows::Rows;

/// A generator that is evaluated level by level, each level with a latent code of its own.
///
/// The generator begins with a conditioning, and each call of [`advance`](Self::advance) evaluates
/// one more level and returns an output. The state in between can be cloned and its rows can be
/// selected, so the search evaluates a chosen prefix once and continues from it with many codes.
///
/// A generator of one level gives plain cIMLE. With the conditioning [`Unconditional`] it gives
/// IMLE. Codes and outputs are associated types: an output can be an image, a point in the plane,
/// or any other batch of tensors.
///
/// [`Unconditional`]: crate::Unconditional
///
/// # Examples
///
/// A generator of points in the plane with one level, a linear map of its code:
///
/// ```
/// use burn::tensor::{Tensor, backend::Backend};
/// use chimle_imle::{StagedGenerator, Unconditional};
///
/// struct Linear<B: Backend> {
///     weight: Tensor<B, 2>, // [code, 2]
/// }
///
/// impl<B: Backend> StagedGenerator<B> for Linear<B> {
///     type Conditioning = Unconditional;
///     type State = Unconditional;
///     type Code = Tensor<B, 2>;
///     type Output = Tensor<B, 2>;
///
///     fn levels(&self) -> usize {
///         1
///     }
///     fn device(&self) -> B::Device {
///         self.weight.device()
///     }
///     fn begin(&self, conditioning: Unconditional) -> Unconditional {
///         conditioning
///     }
///     fn code_len(&self, _: &Unconditional) -> usize {
///         self.weight.dims()[0]
///     }
///     fn code(&self, _: &Unconditional, values: Tensor<B, 2>) -> Tensor<B, 2> {
///         values
///     }
///     fn advance(&self, state: Unconditional, code: Tensor<B, 2>) -> (Unconditional, Tensor<B, 2>) {
///         (state, code.matmul(self.weight.clone()))
///     }
/// }
/// ```
pub trait StagedGenerator<B: Backend> {
    /// The conditioning of a batch of inputs.
    type Conditioning;
    /// The state of a batch after some number of levels.
    type State: Rows<B>;
    /// A batch of latent codes of one level.
    type Code;
    /// A batch of outputs of one level.
    type Output: Output<B>;

    /// Returns the number of levels, at least 1.
    fn levels(&self) -> usize;

    /// Returns the device on which the generator computes.
    fn device(&self) -> B::Device;

    /// Returns the state before the first level.
    fn begin(&self, conditioning: Self::Conditioning) -> Self::State;

    /// Returns the number of values in one code of the next level.
    ///
    /// This function is called only if there is a next level.
    fn code_len(&self, state: &Self::State) -> usize;

    /// Builds codes of the next level from standard normal values `[rows, code_len]`.
    ///
    /// A generator with another prior transforms the values here.
    fn code(&self, state: &Self::State, values: Tensor<B, 2>) -> Self::Code;

    /// Evaluates the next level and returns the state after it and its outputs.
    ///
    /// `code` has one row per row of the state.
    fn advance(&self, state: Self::State, code: Self::Code) -> (Self::State, Self::Output);

    /// Evaluates every level and returns the outputs of all levels, coarse to fine.
    ///
    /// `code` returns the codes of a level, given its index from 0 and the state before it.
    fn evaluate(
        &self,
        conditioning: Self::Conditioning,
        mut code: impl FnMut(usize, &Self::State) -> Self::Code,
    ) -> Vec<Self::Output> {
        let mut state = self.begin(conditioning);
        let mut outputs = Vec::with_capacity(self.levels());
        for level in 0..self.levels() {
            let code = code(level, &state);
            let (next, output) = self.advance(state, code);
            state = next;
            outputs.push(output);
        }
        outputs
    }
}

/// A batch of outputs of a generator.
///
/// The trait is implemented for tensors of any rank.
pub trait Output<B: Backend>: Clone {
    /// Returns which rows hold NaN, `[rows]`.
    ///
    /// The activations of a perceptual distance can turn NaN into a number, so the search and the
    /// loss check the output itself.
    fn has_nan(&self) -> Tensor<B, 1, Bool>;
}

impl<B: Backend, const D: usize> Output<B> for Tensor<B, D> {
    fn has_nan(&self) -> Tensor<B, 1, Bool> {
        let rows = self.dims()[0];
        let width = self.dims()[1..].iter().product::<usize>();
        let nan = self.clone().is_nan().reshape([rows, width]).any_dim(1);
        nan.reshape([rows])
    }
}
