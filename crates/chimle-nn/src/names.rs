//! The names of a generator's parameters in the authors' release.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, backend::Backend};

use crate::config::Architecture;
use crate::generator::Generator;

/// A visitor of every parameter of a generator, with its name in the authors' release.
///
/// Parameters have the shapes of this library: the weight of a linear layer is `[inputs, outputs]`,
/// the transpose of the release's.
pub trait NamedVisitor<B: Backend> {
    /// Visits one parameter.
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>);
}

/// A mapper that replaces every parameter of a generator, given its name in the authors' release.
pub(crate) trait NamedMapper<B: Backend> {
    fn map<const D: usize>(
        &mut self,
        name: &str,
        param: Param<Tensor<B, D>>,
    ) -> Param<Tensor<B, D>>;
}

/// Returns whether a parameter of this name belongs to a mapping network. These parameters have a
/// learning rate of their own. The linear layers of AdaIN are not among them.
pub fn is_mapping(name: &str) -> bool {
    name.split('.')
        .next()
        .is_some_and(|level| level.ends_with("_map") || level.ends_with("_map_0"))
}

impl<B: Backend> Generator<B> {
    /// Shows every parameter to `visitor`, in a fixed order. A folded generator has no lengths
    /// (`weight_g`).
    pub fn visit_named(&self, visitor: &mut impl NamedVisitor<B>) {
        self.visit(&mut Visit {
            path: Path::new(self),
            visitor,
        });
    }

    pub(crate) fn map_named(self, mapper: &mut impl NamedMapper<B>) -> Self {
        let path = Path::new(&self);
        self.map(&mut Map { path, mapper })
    }

    /// Numbers the parameters in order. The state of an optimizer is kept by the identities of
    /// parameters, so it fits a generator that is built again.
    pub(crate) fn with_fixed_ids(self) -> Self {
        struct Number(u64);
        impl<B: Backend> ModuleMapper<B> for Number {
            fn map_float<const D: usize>(
                &mut self,
                param: Param<Tensor<B, D>>,
            ) -> Param<Tensor<B, D>> {
                let (_, value, mapper) = param.consume();
                self.0 += 1;
                Param::from_mapped_value(ParamId::from(self.0), value, mapper)
            }
        }
        self.map(&mut Number(0))
    }
}

/// The position of a walk over the module.
struct Path {
    segments: Vec<String>,
    /// The last level, in colorization only. It has no enlargement in front of its `up`
    /// convolutions, so the release numbers them differently.
    flat_level: Option<usize>,
}

impl Path {
    fn new<B: Backend>(generator: &Generator<B>) -> Self {
        let config = generator.config();
        let flat = config.architecture == Architecture::Colorization;
        Self {
            segments: Vec::new(),
            flat_level: flat.then(|| config.levels() - 1),
        }
    }

    /// Returns the release's name of the parameter at this position.
    fn name(&self) -> String {
        let path: Vec<&str> = self.segments.iter().map(String::as_str).collect();
        let number = |digits: &str| digits.parse::<usize>().expect("an element of a list");
        // The release has no encoder, so this name is our own.
        if let ["encoder", "stages", level, conv, p] = path.as_slice() {
            return format!("encoder_{}.{conv}.{p}", number(level) + 1);
        }
        let ["levels", level, rest @ ..] = path.as_slice() else {
            unreachable!("a generator has no part {path:?}");
        };
        let flat = self.flat_level == Some(number(level));
        let prefix = format!("level_{}", number(level) + 1);
        match rest {
            ["mapping", "input", p] => format!("{prefix}_map_0.0.{p}"),
            ["mapping", "layers", k, p] => format!("{prefix}_map.{}.{p}", 2 * number(k)),
            ["feature", p] => format!("{prefix}_feat.0.{p}"),
            ["rrdbs", k, "blocks", b, "convs", c, p] => {
                format!(
                    "{prefix}_style.sub.{k}.RDB{}.conv{}.0.{p}",
                    number(b) + 1,
                    number(c) + 1
                )
            }
            ["adains", k, "affine", p] => format!("{prefix}_style.sub.transform_{k}.{p}"),
            ["chain_end", p] => format!("{prefix}_style.sub.lr_conv.0.{p}"),
            ["up", k, p] => format!("{prefix}_up.{}.{p}", 2 * number(k) + usize::from(!flat)),
            ["out", p] => format!("{prefix}_out.0.{p}"),
            other => unreachable!("a level has no parameter {other:?}"),
        }
    }
}

struct Visit<'a, V> {
    path: Path,
    visitor: &'a mut V,
}

impl<B: Backend, V: NamedVisitor<B>> ModuleVisitor<B> for Visit<'_, V> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.visitor.visit(&self.path.name(), param);
    }
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.segments.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.segments.pop();
    }
}

struct Map<'a, M> {
    path: Path,
    mapper: &'a mut M,
}

impl<B: Backend, M: NamedMapper<B>> ModuleMapper<B> for Map<'_, M> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        self.mapper.map(&self.path.name(), param)
    }
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.segments.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.segments.pop();
    }
}
