//! The backward pass of the weight normalization.

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::ops::FloatTensor;

use crate::kernels::Kernels;

#[derive(Debug)]
struct WeightNorm;

impl<B: Kernels> Backward<B, 2> for WeightNorm {
    /// The nodes of the direction and the length.
    type State = [NodeId; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [direction, length] = ops
            .state
            .map(|id| checkpointer.retrieve_node_output::<FloatTensor<B>>(id));
        let gradient = gradients.consume::<B>(&ops.node);
        let found = B::weight_norm_gradients(direction, length, gradient);
        let found = [found.direction, found.length];
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

pub(crate) fn recorded<B: Kernels, C: CheckpointStrategy>(
    direction: FloatTensor<Autodiff<B, C>>,
    length: FloatTensor<Autodiff<B, C>>,
) -> FloatTensor<Autodiff<B, C>> {
    let parents = [&direction, &length].map(|tensor| tensor.node.clone());
    match WeightNorm.prepare::<C>(parents).compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let nodes = [&direction, &length].map(|tensor| prep.checkpoint(tensor));
            let weight = B::weight_norm(direction.primitive, length.primitive);
            prep.finish(nodes, weight)
        }
        OpsKind::UnTracked(prep) => {
            prep.finish(B::weight_norm(direction.primitive, length.primitive))
        }
    }
}
