//! The backward passes of the comparison of features.

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::TensorMetadata;
use burn::tensor::ops::FloatTensor;

use crate::kernels::Kernels;

#[derive(Debug)]
struct NormalizeChannels;

/// The state that the normalization's backward pass needs.
#[derive(Clone, Debug)]
struct Normalized {
    /// The node of the input.
    node: NodeId,
    epsilon: f64,
}

impl<B: Kernels> Backward<B, 1> for NormalizeChannels {
    type State = Normalized;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let Normalized { node, epsilon } = ops.state;
        let input = checkpointer.retrieve_node_output::<FloatTensor<B>>(node);
        let gradient = gradients.consume::<B>(&ops.node);
        if let [Some(node)] = ops.parents {
            let of_input = B::normalize_channels_gradient(input, gradient, epsilon);
            gradients.register::<B>(node.id, of_input);
        }
    }
}

pub(crate) fn normalized<B: Kernels, C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<B, C>>,
    epsilon: f64,
) -> FloatTensor<Autodiff<B, C>> {
    let operation = NormalizeChannels.prepare::<C>([input.node.clone()]);
    match operation.compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let node = prep.checkpoint(&input);
            let output = B::normalize_channels(input.primitive, epsilon);
            prep.finish(Normalized { node, epsilon }, output)
        }
        OpsKind::UnTracked(prep) => prep.finish(B::normalize_channels(input.primitive, epsilon)),
    }
}

#[derive(Debug)]
struct SquaredDifferences;

impl<B: Kernels> Backward<B, 2> for SquaredDifferences {
    /// The nodes of the images and the targets.
    type State = [NodeId; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [images, targets] = ops
            .state
            .map(|id| checkpointer.retrieve_node_output::<FloatTensor<B>>(id));
        let gradient = gradients.consume::<B>(&ops.node);
        let [images_node, targets_node] = ops.parents;
        let [groups, channels, height, width] = targets.shape().dims();
        let of_images = B::squared_differences_gradient(images, targets, gradient);
        if let Some(node) = targets_node {
            // A target is compared with several images. Its gradient is the negative sum of theirs.
            let count = of_images.shape().dims::<4>()[0] / groups;
            let shape = [groups, count, channels * height * width];
            let sum = B::float_sum_dim(B::float_reshape(of_images.clone(), shape.into()), 1);
            let sum = B::float_reshape(sum, [groups, channels, height, width].into());
            gradients.register::<B>(node.id, B::float_neg(sum));
        }
        if let Some(node) = images_node {
            gradients.register::<B>(node.id, of_images);
        }
    }
}

pub(crate) fn compared<B: Kernels, C: CheckpointStrategy>(
    images: FloatTensor<Autodiff<B, C>>,
    targets: FloatTensor<Autodiff<B, C>>,
) -> FloatTensor<Autodiff<B, C>> {
    let tensors = [&images, &targets];
    let operation = SquaredDifferences.prepare::<C>(tensors.map(|tensor| tensor.node.clone()));
    match operation.compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let nodes = tensors.map(|tensor| prep.checkpoint(tensor));
            let output = B::squared_differences(images.primitive, targets.primitive);
            prep.finish(nodes, output)
        }
        OpsKind::UnTracked(prep) => {
            prep.finish(B::squared_differences(images.primitive, targets.primitive))
        }
    }
}
