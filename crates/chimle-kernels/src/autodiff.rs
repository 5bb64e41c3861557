//! The convolution's backward pass: each gradient by the kernel of the backend below.

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::ops::FloatTensor;

use crate::conv3x3::Kernels;

#[derive(Debug)]
struct Conv3x3;

impl<B: Kernels> Backward<B, 3> for Conv3x3 {
    /// Where input, weight and bias are remembered.
    type State = [NodeId; 3];

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [input_node, weight_node, bias_node] = ops.parents;
        let [input, weight, bias] = ops
            .state
            .map(|id| checkpointer.retrieve_node_output::<B::FloatTensorPrimitive>(id));
        let gradient = gradients.consume::<B>(&ops.node);
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

impl<B: Kernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn conv3x3(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let parents = [input.node.clone(), weight.node.clone(), bias.node.clone()];
        match Conv3x3.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = [&input, &weight, &bias].map(|tensor| prep.checkpoint(tensor));
                let output = B::conv3x3(input.primitive, weight.primitive, bias.primitive);
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::conv3x3(
                input.primitive,
                weight.primitive,
                bias.primitive,
            )),
        }
    }
}
