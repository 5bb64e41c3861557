//! What stands between two levels of the generator.

use burn::tensor::{Int, Tensor, backend::Backend};
use chimle_kernels::select_rows;

/// The latent code of one level, standard normal.
#[derive(Clone, Debug)]
pub struct LatentCode<B: Backend> {
    /// For the global stream, `[batch, map_code]`.
    pub global: Tensor<B, 2>,
    /// For the local stream, `[batch, code_channels, height, width]` at the level's own side.
    pub local: Tensor<B, 4>,
}

/// A generator evaluated up to some level, for a batch of examples.
///
/// It can be cloned and continued in several ways; [`select`](State::select) picks and repeats
/// rows of the batch, so that many candidates continue from one chosen prefix.
#[derive(Clone, Debug)]
pub struct State<B: Backend> {
    /// Conditioning of the levels still to come, coarse to fine.
    pub(crate) conditioning: Vec<Tensor<B, 4>>,
    pub(crate) handed_up: Option<Tensor<B, 4>>,
    pub(crate) styles: Vec<Tensor<B, 2>>,
    pub(crate) levels: usize,
}

impl<B: Backend> State<B> {
    /// Levels evaluated so far.
    pub fn level(&self) -> usize {
        self.styles.len()
    }

    /// Examples in the batch.
    pub fn batch(&self) -> usize {
        match (self.conditioning.first(), self.styles.first()) {
            (Some(image), _) => image.dims()[0],
            (None, Some(style)) => style.dims()[0],
            (None, None) => 0,
        }
    }

    /// Where its tensors live.
    pub fn device(&self) -> B::Device {
        match (self.conditioning.first(), self.styles.first()) {
            (Some(image), _) => image.device(),
            (None, Some(style)) => style.device(),
            (None, None) => Default::default(),
        }
    }

    /// Height and width of the local code that the next level takes; `None` after the last level.
    pub fn code_size(&self) -> Option<[usize; 2]> {
        (self.level() < self.levels).then(|| {
            let [.., height, width] = self.conditioning[0].dims();
            [height, width]
        })
    }

    /// The given rows of the batch, in the given order; a row may be named many times.
    pub fn select(&self, rows: Tensor<B, 1, Int>) -> Self {
        self.map(
            |x| select_rows(x, rows.clone()),
            |x| x.select(0, rows.clone()),
        )
    }

    /// `count` rows of the batch from row `start`.
    pub fn narrow(&self, start: usize, count: usize) -> Self {
        self.map(|x| x.narrow(0, start, count), |x| x.narrow(0, start, count))
    }

    /// Each row `times` times over: rows `[a, b]` become `[a, a, .., b, b, ..]`.
    pub fn repeat(&self, times: usize) -> Self {
        fn each<B: Backend, const D: usize>(x: Tensor<B, D>, times: usize) -> Tensor<B, D> {
            let mut shape = x.dims();
            let rows = shape[0];
            let width = shape[1..].iter().product::<usize>();
            shape[0] = rows * times;
            x.reshape([rows, 1, width])
                .repeat_dim(1, times)
                .reshape(shape)
        }
        if times == 1 {
            return self.clone();
        }
        self.map(|x| each(x, times), |x| each(x, times))
    }

    /// The rows of all the states, in order. All must stand at the same level.
    ///
    /// # Panics
    /// If `states` is empty.
    pub fn cat(states: Vec<Self>) -> Self {
        let mut rest = states.into_iter();
        let first = rest.next().expect("at least one state");
        rest.fold(first, |all, next| Self {
            conditioning: zip(all.conditioning, next.conditioning, |a, b| {
                Tensor::cat(vec![a, b], 0)
            }),
            handed_up: all
                .handed_up
                .zip(next.handed_up)
                .map(|(a, b)| Tensor::cat(vec![a, b], 0)),
            styles: zip(all.styles, next.styles, |a, b| Tensor::cat(vec![a, b], 0)),
            levels: all.levels,
        })
    }

    fn map(
        &self,
        image: impl Fn(Tensor<B, 4>) -> Tensor<B, 4>,
        style: impl Fn(Tensor<B, 2>) -> Tensor<B, 2>,
    ) -> Self {
        Self {
            conditioning: self.conditioning.iter().cloned().map(&image).collect(),
            handed_up: self.handed_up.clone().map(&image),
            styles: self.styles.iter().cloned().map(style).collect(),
            levels: self.levels,
        }
    }
}

fn zip<T>(a: Vec<T>, b: Vec<T>, f: impl Fn(T, T) -> T) -> Vec<T> {
    a.into_iter().zip(b).map(|(a, b)| f(a, b)).collect()
}
