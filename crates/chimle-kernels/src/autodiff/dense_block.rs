//! The backward pass of the dense block.

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::ops::FloatTensor;

use crate::dense_block::{CONVOLUTIONS, DenseBlockParameters};
use crate::kernels::Kernels;

/// The number of tensors that can have a gradient: the input, the weights and the biases.
const PARENTS: usize = 1 + 2 * CONVOLUTIONS;

#[derive(Debug)]
struct DenseBlock;

/// The state that the dense block's backward pass needs.
#[derive(Clone, Debug)]
struct Densed<T> {
    /// The nodes of the weights.
    weights: [NodeId; CONVOLUTIONS],
    biases: [NodeId; CONVOLUTIONS],
    maps: T,
    slope: f64,
    scale: f64,
}

impl<B: Kernels> Backward<B, PARENTS> for DenseBlock {
    type State = Densed<FloatTensor<B>>;

    fn backward(
        self,
        ops: Ops<Self::State, PARENTS>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let state = ops.state;
        let mut retrieve = |id| checkpointer.retrieve_node_output::<FloatTensor<B>>(id);
        let parameters = DenseBlockParameters {
            weights: state.weights.map(&mut retrieve),
            biases: state.biases.map(&mut retrieve),
        };
        let gradient = gradients.consume::<B>(&ops.node);
        let [input, parents @ ..] = ops.parents;
        let of_parameters = parents.iter().any(Option::is_some);
        let (slope, scale) = (state.slope, state.scale);
        let found = B::dense_block_gradients(
            state.maps,
            parameters,
            gradient,
            slope,
            scale,
            of_parameters,
        );
        if let Some(node) = input {
            gradients.register::<B>(node.id, found.input);
        }
        if let Some(DenseBlockParameters { weights, biases }) = found.parameters {
            for (node, gradient) in parents.into_iter().zip(weights.into_iter().chain(biases)) {
                if let Some(node) = node {
                    gradients.register::<B>(node.id, gradient);
                }
            }
        }
    }
}

pub(crate) fn recorded<B: Kernels, C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<B, C>>,
    parameters: DenseBlockParameters<Autodiff<B, C>>,
    slope: f64,
    scale: f64,
) -> FloatTensor<Autodiff<B, C>> {
    let DenseBlockParameters { weights, biases } = parameters;
    let [w1, w2, w3, w4, w5] = weights.each_ref().map(|weight| weight.node.clone());
    let [b1, b2, b3, b4, b5] = biases.each_ref().map(|bias| bias.node.clone());
    let parents = [input.node.clone(), w1, w2, w3, w4, w5, b1, b2, b3, b4, b5];
    let inner = |weights: [FloatTensor<Autodiff<B, C>>; CONVOLUTIONS],
                 biases: [FloatTensor<Autodiff<B, C>>; CONVOLUTIONS]| {
        DenseBlockParameters::<B> {
            weights: weights.map(|weight| weight.primitive),
            biases: biases.map(|bias| bias.primitive),
        }
    };
    match DenseBlock.prepare::<C>(parents).compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let weight_nodes = weights.each_ref().map(|weight| prep.checkpoint(weight));
            let bias_nodes = biases.each_ref().map(|bias| prep.checkpoint(bias));
            let parameters = inner(weights, biases);
            let (output, maps) = B::dense_block_maps(input.primitive, parameters, slope, scale);
            let state = Densed {
                weights: weight_nodes,
                biases: bias_nodes,
                maps,
                slope,
                scale,
            };
            prep.finish(state, output)
        }
        OpsKind::UnTracked(prep) => {
            let parameters = inner(weights, biases);
            prep.finish(B::dense_block(input.primitive, parameters, slope, scale))
        }
    }
}
