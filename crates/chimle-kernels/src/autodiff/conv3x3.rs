//! The backward pass of the convolution.

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::ops::FloatTensor;

use crate::activation::Activation;
use crate::kernels::Kernels;

#[derive(Debug)]
struct Conv3x3;

/// The state that the convolution's backward pass needs.
#[derive(Clone, Debug)]
struct Convolved<T> {
    /// The nodes of the input, the weight and the bias.
    nodes: [NodeId; 3],
    activation: Activation,
    /// The output, if there is an activation.
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

pub(crate) fn recorded<B: Kernels, C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<B, C>>,
    weight: FloatTensor<Autodiff<B, C>>,
    bias: FloatTensor<Autodiff<B, C>>,
    activation: Activation,
) -> FloatTensor<Autodiff<B, C>> {
    let tensors = [&input, &weight, &bias];
    let parents = tensors.map(|tensor| tensor.node.clone());
    let preparation = Conv3x3.prepare::<C>(parents).compute_bound().stateful();
    match preparation {
        OpsKind::Tracked(mut prep) => {
            let nodes = tensors.map(|tensor| prep.checkpoint(tensor));
            let (input, weight, bias) = (input.primitive, weight.primitive, bias.primitive);
            let output = B::conv3x3(input, weight, bias, activation);
            let state = Convolved {
                nodes,
                activation,
                output: (activation != Activation::Linear).then(|| output.clone()),
            };
            prep.finish(state, output)
        }
        OpsKind::UnTracked(prep) => {
            let (input, weight, bias) = (input.primitive, weight.primitive, bias.primitive);
            prep.finish(B::conv3x3(input, weight, bias, activation))
        }
    }
}
