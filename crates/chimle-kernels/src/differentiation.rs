//! New leaves for a module whose gradients are computed more than once.

use burn::module::{AutodiffModule, ModuleMapper, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;

/// Gives each parameter of a module a new leaf of the autodiff graph. The values, the identities
/// and the `require_grad` flags stay the same. No value is copied.
///
/// Some programs compute the gradients of a module several times without an optimizer's step in
/// between. If other threads of the process differentiate too, such a module needs new leaves each
/// time. After a backward pass, Burn 0.21 forgets the leaves of its graph. A later graph from the
/// same leaves holds only intermediate results, and an operation such as `cat` releases its inputs
/// before its result is recorded. If another thread ends a backward pass at that moment, Burn finds
/// no tensor that refers to the graph and removes part of it. Gradients then go missing without an
/// error. A new leaf, to which a parameter refers, keeps its graph alive.
pub fn fresh_leaves<B: AutodiffBackend, M: AutodiffModule<B>>(module: M) -> M {
    struct Fresh;
    impl<B: AutodiffBackend> ModuleMapper<B> for Fresh {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
            let (id, value, mapper) = param.consume();
            let requires = value.is_require_grad();
            let leaf = Tensor::from_inner(value.inner()).set_require_grad(requires);
            Param::from_mapped_value(id, leaf, mapper)
        }
    }
    module.map(&mut Fresh)
}
