//! The parameters of any Burn module: their names, their identities and their files.

use std::collections::HashMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use chimle_weights::{WeightFile, WeightsError};

/// Replaces the identities of a module's parameters with consecutive numbers. An optimizer stores its state by
/// parameter identity, so the state then also fits a module that is created again.
pub(crate) fn numbered<B: Backend, M: Module<B>>(module: M) -> M {
    struct Number(u64);
    impl<B: Backend> ModuleMapper<B> for Number {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
            let (_, value, mapper) = param.consume();
            self.0 += 1;
            Param::from_mapped_value(ParamId::from(self.0), value, mapper)
        }
    }
    module.map(&mut Number(0))
}

/// Returns the identities of all parameters, in order.
pub(crate) fn identities<B: Backend, M: Module<B>>(module: &M) -> Vec<ParamId> {
    struct Identities(Vec<ParamId>);
    impl<B: Backend> ModuleVisitor<B> for Identities {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            self.0.push(param.id);
        }
    }
    let mut identities = Identities(Vec::new());
    module.visit(&mut identities);
    identities.0
}

/// Updates a moving average of a module's parameters: `decay` times the average plus `1 - decay` times the
/// newest parameters. Both modules must have the same parameter identities.
pub fn averaged<B: Backend, M: Module<B>>(average: M, newest: &M, decay: f64) -> M {
    struct Collect<B: Backend>(HashMap<ParamId, Tensor<B, 1>>);
    impl<B: Backend> ModuleVisitor<B> for Collect<B> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            let value = param.val();
            let len = value.shape().num_elements();
            self.0.insert(param.id, value.reshape([len]));
        }
    }
    struct Average<B: Backend> {
        newest: HashMap<ParamId, Tensor<B, 1>>,
        decay: f64,
    }
    impl<B: Backend> ModuleMapper<B> for Average<B> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
            let (id, value, mapper) = param.consume();
            let value = match self.newest.remove(&id) {
                Some(newest) => {
                    let newest = newest.reshape(value.dims());
                    value * self.decay + newest * (1.0 - self.decay)
                }
                None => value,
            };
            Param::from_mapped_value(id, value, mapper)
        }
    }
    let mut collect = Collect(HashMap::new());
    newest.visit(&mut collect);
    average.map(&mut Average {
        newest: collect.0,
        decay,
    })
}

/// Returns whether all parameters of a module are finite.
pub(crate) fn all_finite<B: Backend, M: Module<B>>(module: &M) -> bool {
    struct Finite(bool);
    impl<B: Backend> ModuleVisitor<B> for Finite {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            let mut values = param.val().into_data();
            values = values.convert::<f32>();
            self.0 &= values.iter::<f32>().all(f32::is_finite);
        }
    }
    let mut finite = Finite(true);
    module.visit(&mut finite);
    finite.0
}

/// Writes the parameters of a module to a safetensors file. The name of a parameter is its path in the module.
pub(crate) fn save<B: Backend, M: Module<B>>(
    module: &M,
    path: &Path,
    metadata: &[(&str, String)],
) -> Result<(), WeightsError> {
    struct Collect {
        path: Vec<String>,
        parameters: Vec<(String, TensorData)>,
    }
    impl<B: Backend> ModuleVisitor<B> for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            let name = self.path.join(".");
            self.parameters.push((name, param.val().into_data()));
        }
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
    }
    let mut collect = Collect {
        path: Vec::new(),
        parameters: Vec::new(),
    };
    module.visit(&mut collect);
    chimle_weights::write(path, &collect.parameters, metadata)
}

/// Replaces the parameters of a module with those of a file that [`save`] wrote.
pub(crate) fn load<B: Backend, M: Module<B>>(
    module: M,
    file: &WeightFile,
) -> Result<M, WeightsError> {
    struct Load<'a> {
        path: Vec<String>,
        file: &'a WeightFile,
        error: Option<WeightsError>,
    }
    impl<B: Backend> ModuleMapper<B> for Load<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
            if self.error.is_some() {
                return param;
            }
            let (id, value, mapper) = param.consume();
            let name = self.path.join(".");
            let value = match self
                .file
                .tensor::<B, D>(&name, value.dims(), &value.device())
            {
                Ok(loaded) => loaded.set_require_grad(value.is_require_grad()),
                Err(error) => {
                    self.error = Some(error);
                    value
                }
            };
            Param::from_mapped_value(id, value, mapper)
        }
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
    }
    let mut load = Load {
        path: Vec::new(),
        file,
        error: None,
    };
    let loaded = module.map(&mut load);
    load.error.map_or(Ok(loaded), Err)
}
