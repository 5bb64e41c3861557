//! The blocks of Inception-v3: parallel branches whose outputs are concatenated along channels.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::module::{avg_pool2d, max_pool2d};
use chimle_kernels::Kernels;
use chimle_weights::WeightsError;

use super::unit::{Chain, Source, UnitSpec};
use crate::frozen::Window;

const POINT: Window = Window::same([1, 1]);
const ROW: Window = Window::same([1, 7]);
const COLUMN: Window = Window::same([7, 1]);
const SQUARE: Window = Window::same([3, 3]);
const HALVING: Window = Window::valid([3, 3], 2);

/// The 3x3 pooling in a block's last branch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pool {
    /// The mean over the neighbors inside the image, at stride 1.
    ///
    /// TensorFlow's network leaves out the zeros of the padding. torchvision's network counts them.
    Average,
    /// The maximum, at stride 1.
    Max,
    /// The maximum, at stride 2.
    Halve,
}

impl Pool {
    fn forward<B: Backend>(self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::Average => avg_pool2d(x, [3, 3], [1, 1], [1, 1], false, false),
            Self::Max => max_pool2d(x, [3, 3], [1, 1], [1, 1], [1, 1], false),
            Self::Halve => max_pool2d(x, [3, 3], [2, 2], [0, 0], [1, 1], false),
        }
    }
}

/// A chain of units, whose output may be the input of several further chains.
#[derive(Module, Debug)]
struct Branch<B: Backend> {
    stem: Chain<B>,
    /// Parallel chains on the stem's output, concatenated along channels. Without heads, the branch
    /// returns the stem's output.
    heads: Vec<Chain<B>>,
}

impl<B: Kernels> Branch<B> {
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let x = self.stem.forward(x);
        if self.heads.is_empty() {
            return x;
        }
        let heads = self.heads.iter().map(|head| head.forward(x.clone()));
        Tensor::cat(heads.collect(), 1)
    }
}

/// One block: branches on the input, and a last branch on the pooled input.
#[derive(Module, Debug)]
pub(super) struct Mixed<B: Backend> {
    branches: Vec<Branch<B>>,
    #[module(skip)]
    pool: Pool,
    /// The last branch. It has no units if the block halves the image.
    pooled: Chain<B>,
}

impl<B: Kernels> Mixed<B> {
    pub(super) fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let branches = self.branches.iter().map(|branch| branch.forward(x.clone()));
        let mut outputs: Vec<_> = branches.collect();
        outputs.push(self.pooled.forward(self.pool.forward(x)));
        Tensor::cat(outputs, 1)
    }
}

/// The units of a branch's stem, and the units of its heads.
type BranchSpec<'a> = (&'a [UnitSpec], &'a [UnitSpec]);

/// Functions that load a block, given its name in the file and its input channels. The letters are
/// torchvision's.
impl<B: Backend> Source<'_, B> {
    /// Loads a block at 35x35. `pooled` is the number of output channels of the last branch.
    pub(super) fn block_a(
        &self,
        name: &str,
        inputs: usize,
        pooled: usize,
    ) -> Result<Mixed<B>, WeightsError> {
        let five = Window::same([5, 5]);
        self.mixed(
            name,
            inputs,
            &[
                (&[("branch1x1", 64, POINT)], &[]),
                (
                    &[("branch5x5_1", 48, POINT), ("branch5x5_2", 64, five)],
                    &[],
                ),
                (
                    &[
                        ("branch3x3dbl_1", 64, POINT),
                        ("branch3x3dbl_2", 96, SQUARE),
                        ("branch3x3dbl_3", 96, SQUARE),
                    ],
                    &[],
                ),
            ],
            Pool::Average,
            &[("branch_pool", pooled, POINT)],
        )
    }

    /// Loads the block from 35x35 to 17x17.
    pub(super) fn block_b(&self, name: &str, inputs: usize) -> Result<Mixed<B>, WeightsError> {
        self.mixed(
            name,
            inputs,
            &[
                (&[("branch3x3", 384, HALVING)], &[]),
                (
                    &[
                        ("branch3x3dbl_1", 64, POINT),
                        ("branch3x3dbl_2", 96, SQUARE),
                        ("branch3x3dbl_3", 96, HALVING),
                    ],
                    &[],
                ),
            ],
            Pool::Halve,
            &[],
        )
    }

    /// Loads a block at 17x17. `narrow` is the number of channels inside a branch, between its first and
    /// its last unit.
    pub(super) fn block_c(
        &self,
        name: &str,
        inputs: usize,
        narrow: usize,
    ) -> Result<Mixed<B>, WeightsError> {
        self.mixed(
            name,
            inputs,
            &[
                (&[("branch1x1", 192, POINT)], &[]),
                (
                    &[
                        ("branch7x7_1", narrow, POINT),
                        ("branch7x7_2", narrow, ROW),
                        ("branch7x7_3", 192, COLUMN),
                    ],
                    &[],
                ),
                (
                    &[
                        ("branch7x7dbl_1", narrow, POINT),
                        ("branch7x7dbl_2", narrow, COLUMN),
                        ("branch7x7dbl_3", narrow, ROW),
                        ("branch7x7dbl_4", narrow, COLUMN),
                        ("branch7x7dbl_5", 192, ROW),
                    ],
                    &[],
                ),
            ],
            Pool::Average,
            &[("branch_pool", 192, POINT)],
        )
    }

    /// Loads the block from 17x17 to 8x8.
    pub(super) fn block_d(&self, name: &str, inputs: usize) -> Result<Mixed<B>, WeightsError> {
        self.mixed(
            name,
            inputs,
            &[
                (
                    &[("branch3x3_1", 192, POINT), ("branch3x3_2", 320, HALVING)],
                    &[],
                ),
                (
                    &[
                        ("branch7x7x3_1", 192, POINT),
                        ("branch7x7x3_2", 192, ROW),
                        ("branch7x7x3_3", 192, COLUMN),
                        ("branch7x7x3_4", 192, HALVING),
                    ],
                    &[],
                ),
            ],
            Pool::Halve,
            &[],
        )
    }

    /// Loads a block at 8x8. Two of its branches end in two parallel convolutions, 1x3 and 3x1.
    pub(super) fn block_e(
        &self,
        name: &str,
        inputs: usize,
        pool: Pool,
    ) -> Result<Mixed<B>, WeightsError> {
        let (row, column) = (Window::same([1, 3]), Window::same([3, 1]));
        self.mixed(
            name,
            inputs,
            &[
                (&[("branch1x1", 320, POINT)], &[]),
                (
                    &[("branch3x3_1", 384, POINT)],
                    &[("branch3x3_2a", 384, row), ("branch3x3_2b", 384, column)],
                ),
                (
                    &[
                        ("branch3x3dbl_1", 448, POINT),
                        ("branch3x3dbl_2", 384, SQUARE),
                    ],
                    &[
                        ("branch3x3dbl_3a", 384, row),
                        ("branch3x3dbl_3b", 384, column),
                    ],
                ),
            ],
            pool,
            &[("branch_pool", 192, POINT)],
        )
    }

    fn mixed(
        &self,
        name: &str,
        inputs: usize,
        branches: &[BranchSpec],
        pool: Pool,
        pooled: &[UnitSpec],
    ) -> Result<Mixed<B>, WeightsError> {
        let load = |units: &[UnitSpec], inputs| self.chain(Some(name), inputs, units);
        let branch = |&(stem, heads): &BranchSpec| {
            let stem = load(stem, inputs)?;
            let heads = heads
                .iter()
                .map(|head| load(std::slice::from_ref(head), stem.outputs(inputs)))
                .collect::<Result<_, _>>()?;
            Ok(Branch { stem, heads })
        };
        Ok(Mixed {
            branches: branches.iter().map(branch).collect::<Result<_, _>>()?,
            pool,
            pooled: load(pooled, inputs)?,
        })
    }
}
