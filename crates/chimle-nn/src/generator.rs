//! The chain of levels, evaluated one at a time.

use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};
use chimle_kernels::Kernels;

use crate::compute::Compute;
use crate::config::{Architecture, GeneratorConfig};
use crate::level::Level;
use crate::state::{LatentCode, State};

/// The CHIMLE generator: a fold over its levels.
///
/// What the three architectures show at a level:
///
/// | architecture | image shown, `[batch, channels, h, w]` |
/// |---|---|
/// | super-resolution | RGB in [0, 1], at twice the level's side |
/// | colorization | network Lab `[L', a', b']` in [0, 1] x [-1, 1]^2 |
/// | image to image | RGB in [0, 1] |
#[derive(Module, Debug)]
pub struct Generator<B: Backend> {
    /// Coarse to fine.
    pub levels: Vec<Level<B>>,
    #[module(skip)]
    config: GeneratorConfig,
    #[module(skip)]
    compute: Compute,
}

impl<B: Backend> Generator<B> {
    pub(crate) fn new(config: GeneratorConfig, levels: Vec<Level<B>>) -> Self {
        Self {
            levels,
            config,
            compute: Compute::default(),
        }
    }

    /// The same generator, evaluated in another way.
    pub fn with_compute(self, compute: Compute) -> Self {
        Self { compute, ..self }
    }

    /// How it is evaluated.
    pub fn compute(&self) -> Compute {
        self.compute
    }

    /// The configuration it was made from.
    pub fn config(&self) -> &GeneratorConfig {
        &self.config
    }
}

impl<B: Kernels> Generator<B> {
    /// A state in which nothing is evaluated yet.
    ///
    /// `conditioning` is one image `[batch, in_channels, h, w]` for super-resolution, and one for
    /// each level, coarse to fine, each twice the side of the one before, otherwise.
    ///
    /// # Panics
    /// If the number of images is not the one that the architecture takes.
    pub fn begin(&self, conditioning: Vec<Tensor<B, 4>>) -> State<B> {
        let expected = self.config.conditioning_images();
        assert_eq!(conditioning.len(), expected, "conditioning images");
        State {
            conditioning,
            handed_up: None,
            styles: Vec::new(),
            levels: self.levels.len(),
        }
    }

    /// Evaluates the next level with its code: the state after it, and the image it shows.
    ///
    /// # Panics
    /// If every level has been evaluated, or the code's shapes are not those that
    /// [`State::code_size`] and the configuration ask for.
    pub fn advance(&self, mut state: State<B>, code: LatentCode<B>) -> (State<B>, Tensor<B, 4>) {
        let index = state.level();
        let level = &self.levels[index];
        let last = index + 1 == self.levels.len();
        let base = state.conditioning.remove(0);
        let handed_up = state.handed_up.take();
        let (features, style) =
            level.streams(base.clone(), code, handed_up, &state.styles, self.compute);
        state.styles.push(style);

        // A last level hands nothing up.
        let (handed_up, shown) = match self.config.architecture {
            Architecture::SuperResolution => {
                let features = level.up(features);
                let image = level.image(features.clone());
                if !last {
                    state.conditioning.push(image.clone());
                }
                ((!last).then_some(features), unit_range(image))
            }
            Architecture::Colorization => {
                let features = if last {
                    level.refine(features)
                } else {
                    features
                };
                let shown = Tensor::cat(vec![base, level.image(features.clone())], 1);
                ((!last).then(|| level.up(features)), shown)
            }
            Architecture::ImageToImage => {
                let image = level.image(features.clone());
                ((!last).then(|| level.up(features)), unit_range(image))
            }
        };
        state.handed_up = handed_up;
        (state, shown)
    }

    /// Every level in turn: the images they show, coarse to fine.
    ///
    /// # Panics
    /// As [`begin`](Self::begin) and [`advance`](Self::advance); also if there are more codes than
    /// levels.
    pub fn forward(
        &self,
        conditioning: Vec<Tensor<B, 4>>,
        codes: Vec<LatentCode<B>>,
    ) -> Vec<Tensor<B, 4>> {
        let mut state = self.begin(conditioning);
        codes
            .into_iter()
            .map(|code| {
                let (next, image) = self.advance(state.clone(), code);
                state = next;
                image
            })
            .collect()
    }

    /// The generator with every weight normalization worked out once: the same images, faster, for
    /// evaluation only. A search or a sampler folds first.
    pub fn fold(self) -> Self {
        Self {
            levels: self.levels.into_iter().map(Level::fold).collect(),
            config: self.config,
            compute: self.compute,
        }
    }
}

/// tanh's [-1, 1] to [0, 1].
fn unit_range<B: Backend>(image: Tensor<B, 4>) -> Tensor<B, 4> {
    (image + 1.0).div_scalar(2.0)
}
