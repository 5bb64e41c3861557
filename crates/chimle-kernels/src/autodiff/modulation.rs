//! The backward pass of the modulation.

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::ops::FloatTensor;

use crate::kernels::Kernels;

#[derive(Debug)]
struct Modulate;

/// The state that the modulation's backward pass needs.
#[derive(Clone, Debug)]
struct Modulated {
    /// The nodes of the input and the gains.
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

pub(crate) fn recorded<B: Kernels, C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<B, C>>,
    gain: FloatTensor<Autodiff<B, C>>,
    bias: FloatTensor<Autodiff<B, C>>,
    epsilon: f64,
) -> FloatTensor<Autodiff<B, C>> {
    let parents = [&input, &gain, &bias].map(|tensor| tensor.node.clone());
    match Modulate.prepare::<C>(parents).compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let nodes = [&input, &gain].map(|tensor| prep.checkpoint(tensor));
            let output = B::modulate(input.primitive, gain.primitive, bias.primitive, epsilon);
            prep.finish(Modulated { nodes, epsilon }, output)
        }
        OpsKind::UnTracked(prep) => {
            let (input, gain, bias) = (input.primitive, gain.primitive, bias.primitive);
            prep.finish(B::modulate(input, gain, bias, epsilon))
        }
    }
}
