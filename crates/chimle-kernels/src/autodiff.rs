//! The backward passes: each gradient by the kernel of the backend below.

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::ops::FloatTensor;

use crate::activation::Activation;
use crate::dense_block::{CONVOLUTIONS, DenseBlockParameters};
use crate::kernels::Kernels;
use crate::rrdb::{self, RrdbParameters};

#[derive(Debug)]
struct Conv3x3;

/// What the convolution's backward pass needs.
#[derive(Clone, Debug)]
struct Convolved<T> {
    /// Where input, weight and bias are remembered.
    nodes: [NodeId; 3],
    activation: Activation,
    /// If there is an activation.
    output: Option<T>,
}

impl<B: Kernels> Backward<B, 3> for Conv3x3 {
    type State = Convolved<FloatTensor<B>>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [input_node, weight_node, bias_node] = ops.parents;
        let [input, weight, bias] = ops
            .state
            .nodes
            .map(|id| checkpointer.retrieve_node_output::<FloatTensor<B>>(id));
        let mut gradient = gradients.consume::<B>(&ops.node);
        if let Some(output) = ops.state.output {
            gradient = B::activation_gradient(output, gradient, ops.state.activation);
        }
        if let Some(node) = input_node {
            let of_input =
                B::conv3x3_input_gradient(input.clone(), weight.clone(), gradient.clone());
            gradients.register::<B>(node.id, of_input);
        }
        if let Some(node) = weight_node {
            let of_weight = B::conv3x3_weight_gradient(input.clone(), weight, gradient.clone());
            gradients.register::<B>(node.id, of_weight);
        }
        if let Some(node) = bias_node {
            gradients.register::<B>(node.id, B::conv3x3_bias_gradient(input, bias, gradient));
        }
    }
}

/// The input, the weights and the biases.
const PARENTS: usize = 1 + 2 * CONVOLUTIONS;

#[derive(Debug)]
struct DenseBlock;

/// What the dense block's backward pass needs.
#[derive(Clone, Debug)]
struct Densed<T> {
    /// Where the weights and the biases are remembered.
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

#[derive(Debug)]
struct Modulate;

/// What the modulation's backward pass needs.
#[derive(Clone, Debug)]
struct Modulated {
    /// Where the input and the gains are remembered.
    nodes: [NodeId; 2],
    epsilon: f64,
}

impl<B: Kernels> Backward<B, 3> for Modulate {
    type State = Modulated;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [input, gain] = ops
            .state
            .nodes
            .map(|id| checkpointer.retrieve_node_output::<FloatTensor<B>>(id));
        let gradient = gradients.consume::<B>(&ops.node);
        let found = B::modulate_gradients(input, gain, gradient, ops.state.epsilon);
        let found = [found.input, found.gain, found.bias];
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: Kernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn conv3x3(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let parents = [input.node.clone(), weight.node.clone(), bias.node.clone()];
        match Conv3x3.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let nodes = [&input, &weight, &bias].map(|tensor| prep.checkpoint(tensor));
                let output = B::conv3x3(
                    input.primitive,
                    weight.primitive,
                    bias.primitive,
                    activation,
                );
                let state = Convolved {
                    nodes,
                    activation,
                    output: (activation != Activation::Linear).then(|| output.clone()),
                };
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::conv3x3(
                input.primitive,
                weight.primitive,
                bias.primitive,
                activation,
            )),
        }
    }

    fn dense_block(
        input: FloatTensor<Self>,
        parameters: DenseBlockParameters<Self>,
        slope: f64,
        scale: f64,
    ) -> FloatTensor<Self> {
        let DenseBlockParameters { weights, biases } = parameters;
        let [w1, w2, w3, w4, w5] = weights.each_ref().map(|weight| weight.node.clone());
        let [b1, b2, b3, b4, b5] = biases.each_ref().map(|bias| bias.node.clone());
        let parents = [input.node.clone(), w1, w2, w3, w4, w5, b1, b2, b3, b4, b5];
        let inner = |weights: [FloatTensor<Self>; 5], biases: [FloatTensor<Self>; 5]| {
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

    fn modulate(
        input: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let parents = [input.node.clone(), gain.node.clone(), bias.node.clone()];
        match Modulate.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let nodes = [&input, &gain].map(|tensor| prep.checkpoint(tensor));
                let output = B::modulate(input.primitive, gain.primitive, bias.primitive, epsilon);
                prep.finish(Modulated { nodes, epsilon }, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::modulate(
                input.primitive,
                gain.primitive,
                bias.primitive,
                epsilon,
            )),
        }
    }

    fn rrdb_recomputed(
        input: FloatTensor<Self>,
        blocks: RrdbParameters<Self>,
        slope: f64,
        scale: f64,
    ) -> FloatTensor<Self> {
        rrdb::recorded::<B, C>(input, blocks, slope, scale)
    }
}
