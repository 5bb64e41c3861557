//! Which backend does what.

#[cfg(feature = "flex")]
mod flex {
    use burn::tensor::ops::FloatTensor;
    use burn_flex::Flex;

    use crate::conv3x3::Kernels;
    use crate::gradients::{input_by_convolution, weight_by_products};

    impl Kernels for Flex {
        fn conv3x3_input_gradient(
            _input: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            gradient: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            input_by_convolution::<Self>(weight, gradient)
        }

        fn conv3x3_weight_gradient(
            input: FloatTensor<Self>,
            _weight: FloatTensor<Self>,
            gradient: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            weight_by_products::<Self>(input, gradient)
        }
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
