//! Flex's tensors as slices, and back.

use burn::tensor::ops::FloatTensorOps;
use burn::tensor::{DType, TensorData, TensorMetadata};
use burn_flex::{Flex, FlexTensor};

use crate::flex::maps::{Frame, Maps};

/// Converts a tensor to 32 bits and makes it contiguous, as [`values`] and [`maps`] require.
pub(crate) fn single(tensor: FlexTensor) -> FlexTensor {
    let tensor = cast(tensor, DType::F32);
    if tensor.is_contiguous() && tensor.layout().start_offset() == 0 {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

/// Converts a tensor to another float type.
pub(crate) fn cast(tensor: FlexTensor, dtype: DType) -> FlexTensor {
    if tensor.dtype() == dtype {
        tensor
    } else {
        Flex::float_cast(tensor, dtype.into())
    }
}

/// Returns the values of a contiguous 32-bit tensor. Its storage may be longer than the tensor.
pub(crate) fn values(tensor: &FlexTensor) -> &[f32] {
    &tensor.storage()[..tensor.layout().num_elements()]
}

/// Returns the values of a contiguous 32-bit tensor to write to. If another tensor shares them, they
/// are copied first.
pub(crate) fn values_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    let length = tensor.layout().num_elements();
    &mut tensor.storage_mut()[..length]
}

/// Returns a contiguous 32-bit tensor `[images, planes, height, width]` as feature maps.
pub(crate) fn maps(tensor: &FlexTensor) -> Maps<'_> {
    Maps {
        values: values(tensor),
        frame: Frame::by_image(tensor.shape().dims()),
    }
}

/// Makes a tensor from values in row-major order.
pub(crate) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
