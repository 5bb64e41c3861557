//! Which backend does what.

#[cfg(feature = "flex")]
mod flex {
    use burn::tensor::ops::{FloatTensor, ModuleOps};
    use burn::tensor::{DType, TensorData, TensorMetadata};
    use burn_flex::{Flex, FlexTensor};

    use crate::conv3x3::{Kernels, options};
    use crate::unrolled::{Map, bias_gradient, convolve, turned, weight_gradient};

    /// The kernels are for 32-bit floats; others take Burn's own operations.
    impl Kernels for Flex {
        fn conv3x3(
            input: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            if input.dtype() != DType::F32 {
                return Self::conv2d(input, weight, Some(bias), options());
            }
            let (input, weight, bias) = (contiguous(input), contiguous(weight), contiguous(bias));
            tensor(convolve(
                &map(&input),
                weight.storage(),
                Some(bias.storage()),
            ))
        }

        fn conv3x3_input_gradient(
            input: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            gradient: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            if gradient.dtype() != DType::F32 {
                return Self::conv2d_x_backward(input, weight, gradient, options());
            }
            let [outputs, inputs, ..] = weight.shape().dims::<4>();
            let (weight, gradient) = (contiguous(weight), contiguous(gradient));
            let weight = turned(weight.storage(), outputs, inputs);
            tensor(convolve(&map(&gradient), &weight, None))
        }

        fn conv3x3_weight_gradient(
            input: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            gradient: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            if gradient.dtype() != DType::F32 {
                return Self::conv2d_weight_backward(input, weight, gradient, options());
            }
            let (input, gradient) = (contiguous(input), contiguous(gradient));
            let values = weight_gradient(&map(&input), &map(&gradient));
            FlexTensor::from_data(TensorData::new(values, weight.shape()))
        }

        fn conv3x3_bias_gradient(
            input: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            gradient: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            if gradient.dtype() != DType::F32 {
                return Self::conv2d_bias_backward(input, bias, gradient);
            }
            let values = bias_gradient(&map(&contiguous(gradient)));
            FlexTensor::from_data(TensorData::new(values, bias.shape()))
        }
    }

    fn contiguous(tensor: FlexTensor) -> FlexTensor {
        if tensor.is_contiguous() && tensor.layout().start_offset() == 0 {
            tensor
        } else {
            tensor.to_contiguous()
        }
    }

    fn map(tensor: &FlexTensor) -> Map<&[f32]> {
        let [batch, channels, height, width] = tensor.shape().dims();
        let values = &tensor.storage()[..batch * channels * height * width];
        Map {
            values,
            batch,
            channels,
            height,
            width,
        }
    }

    fn tensor(map: Map<Vec<f32>>) -> FlexTensor {
        let shape = [map.batch, map.channels, map.height, map.width];
        FlexTensor::from_data(TensorData::new(map.values, shape))
    }
}

#[cfg(feature = "cubecl")]
mod cubecl {
    use burn_cubecl::CubeBackend;
    use burn_fusion::{Fusion, FusionBackend};

    use crate::conv3x3::Kernels;

    impl<R, F, I, BT> Kernels for CubeBackend<R, F, I, BT>
    where
        R: burn_cubecl::CubeRuntime,
        F: burn_cubecl::FloatElement,
        I: burn_cubecl::IntElement,
        BT: burn_cubecl::element::BoolElement,
        Self: burn::tensor::backend::Backend,
    {
    }

    impl<B: FusionBackend> Kernels for Fusion<B> {}
}
