//! The backward pass of the dense blocks of an RRDB when only their input is kept.

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::ops::FloatTensor;

use crate::burn_ops;
use crate::dense_block::{BLOCKS, CONVOLUTIONS, DenseBlockParameters, DenseBlocksParameters};
use crate::kernels::Kernels;

/// The number of parameter tensors of a dense block.
const OF_A_BLOCK: usize = 2 * CONVOLUTIONS;

/// The number of tensors that can have a gradient: the input and the parameters of all blocks.
const PARENTS: usize = 1 + BLOCKS * OF_A_BLOCK;

#[derive(Debug)]
struct Recomputed;

/// The nodes of the input and the parameters, and the slope and the scale of the forward pass.
#[derive(Clone, Debug)]
struct Remembered {
    nodes: [NodeId; PARENTS],
    slope: f64,
    scale: f64,
}

impl<B: Kernels> Backward<B, PARENTS> for Recomputed {
    type State = Remembered;

    fn backward(
        self,
        ops: Ops<Self::State, PARENTS>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let Remembered {
            nodes,
            slope,
            scale,
        } = ops.state;
        let [mut x, parameters @ ..] =
            nodes.map(|id| checkpointer.retrieve_node_output::<FloatTensor<B>>(id));
        let mut parameters = parameters.into_iter();
        let mut next = || parameters.next().expect("the parameters of all blocks");
        let blocks: [DenseBlockParameters<B>; BLOCKS] =
            std::array::from_fn(|_| DenseBlockParameters {
                weights: std::array::from_fn(|_| next()),
                biases: std::array::from_fn(|_| next()),
            });
        let maps = blocks.each_ref().map(|block| {
            let (output, maps) = B::dense_block_maps(x.clone(), block.clone(), slope, scale);
            x = output;
            maps
        });

        let [input, of_blocks @ ..] = ops.parents;
        let of_parameters = of_blocks.iter().any(Option::is_some);
        let mut below = gradients.consume::<B>(&ops.node);
        let of_blocks = of_blocks.as_chunks::<OF_A_BLOCK>().0;
        for ((block, maps), parents) in blocks.into_iter().zip(maps).zip(of_blocks).rev() {
            let found = B::dense_block_gradients(maps, block, below, slope, scale, of_parameters);
            below = found.input;
            if let Some(DenseBlockParameters { weights, biases }) = found.parameters {
                for (node, gradient) in parents.iter().zip(weights.into_iter().chain(biases)) {
                    if let Some(node) = node {
                        gradients.register::<B>(node.id, gradient);
                    }
                }
            }
        }
        if let Some(node) = input {
            gradients.register::<B>(node.id, below);
        }
    }
}

pub(crate) fn recorded<B: Kernels, C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<B, C>>,
    blocks: DenseBlocksParameters<Autodiff<B, C>>,
    slope: f64,
    scale: f64,
) -> FloatTensor<Autodiff<B, C>> {
    let parameters = blocks
        .iter()
        .flat_map(|block| block.weights.iter().chain(&block.biases));
    let tensors: Vec<_> = std::iter::once(&input).chain(parameters).cloned().collect();
    let tensors: [_; PARENTS] = tensors.try_into().expect("the parameters of all blocks");
    let inner = |block: DenseBlockParameters<Autodiff<B, C>>| DenseBlockParameters::<B> {
        weights: block.weights.map(|weight| weight.primitive),
        biases: block.biases.map(|bias| bias.primitive),
    };
    let output = |input: FloatTensor<Autodiff<B, C>>| {
        let blocks = blocks.map(inner);
        burn_ops::dense_blocks_recomputed::<B>(input.primitive, blocks, slope, scale)
    };
    let parents = tensors.each_ref().map(|tensor| tensor.node.clone());
    match Recomputed.prepare::<C>(parents).compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let nodes = tensors.each_ref().map(|tensor| prep.checkpoint(tensor));
            let state = Remembered {
                nodes,
                slope,
                scale,
            };
            prep.finish(state, output(input))
        }
        OpsKind::UnTracked(prep) => prep.finish(output(input)),
    }
}
