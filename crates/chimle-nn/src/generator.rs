//! The chain of levels, evaluated one at a time.

use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};
use chimle_imle::{Rows, StagedGenerator};
use chimle_kernels::Kernels;

use crate::compute::Compute;
use crate::config::{Architecture, GeneratorConfig};
use crate::encoder::Encoder;
use crate::lab::lab_to_rgb;
use crate::level::Level;
use crate::state::{LatentCode, State};

/// The CHIMLE generator: a chain of levels that is evaluated one level at a time.
///
/// It implements [`StagedGenerator`], whose outputs are RGB images `[batch, 3, h, w]`. Before the
/// conversion to RGB, a level computes a raw image, which [`advance_raw`](Self::advance_raw)
/// returns:
///
/// | architecture | raw image of a level, `[batch, channels, h, w]` |
/// |---|---|
/// | super-resolution | the output channels in [0, 1], at twice the level's side |
/// | colorization | network Lab `[L', a', b']` in [0, 1] x [-1, 1]^2; see [`lab_to_rgb`] |
/// | image to image | the output channels in [0, 1] |
#[derive(Module, Debug)]
pub struct Generator<B: Backend> {
    /// The levels, coarse to fine.
    pub levels: Vec<Level<B>>,
    /// The encoder of the conditioning image, if the configuration has one.
    pub encoder: Option<Encoder<B>>,
    #[module(skip)]
    config: GeneratorConfig,
    #[module(skip)]
    compute: Compute,
}

impl<B: Backend> Generator<B> {
    pub(crate) fn new(
        config: GeneratorConfig,
        encoder: Option<Encoder<B>>,
        levels: Vec<Level<B>>,
    ) -> Self {
        Self {
            levels,
            encoder,
            config,
            compute: Compute::default(),
        }
    }

    /// Sets how the generator is evaluated.
    pub fn with_compute(self, compute: Compute) -> Self {
        Self { compute, ..self }
    }

    /// Returns how the generator is evaluated.
    pub fn compute(&self) -> Compute {
        self.compute
    }

    /// Returns the configuration that the generator was made from.
    pub fn config(&self) -> &GeneratorConfig {
        &self.config
    }
}

impl<B: Kernels> Generator<B> {
    /// Evaluates the next level and returns the state after it and its raw image (see
    /// [`Generator`]).
    ///
    /// # Panics
    ///
    /// If every level has been evaluated, or the code's shapes do not fit [`State::code_size`] and
    /// the configuration.
    pub fn advance_raw(
        &self,
        mut state: State<B>,
        code: LatentCode<B>,
    ) -> (State<B>, Tensor<B, 4>) {
        let index = state.level();
        let level = &self.levels[index];
        let last = index + 1 == self.levels.len();
        let base = state.take_conditioning();
        let handed_up = state.handed_up.take();
        let (features, style) =
            level.streams(base.clone(), code, handed_up, &state.styles, self.compute);
        state.styles.push(style);

        // The last level hands nothing up.
        let (handed_up, shown) = match self.config.architecture {
            Architecture::SuperResolution => {
                let features = level.up(features);
                let image = level.image(features.clone());
                if !last {
                    state.below = Some(image.clone());
                }
                ((!last).then_some(features), unit_range(image))
            }
            Architecture::Colorization => {
                let features = if last {
                    level.refine(features)
                } else {
                    features
                };
                let lightness = base.narrow(1, 0, self.config.in_channels);
                let shown = Tensor::cat(vec![lightness, level.image(features.clone())], 1);
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

    /// Evaluates every level and returns the raw images, coarse to fine.
    ///
    /// # Panics
    ///
    /// If [`begin`](StagedGenerator::begin) or [`advance_raw`](Self::advance_raw) panics, or if
    /// there are more codes than levels.
    pub fn forward_raw(
        &self,
        conditioning: Vec<Tensor<B, 4>>,
        codes: Vec<LatentCode<B>>,
    ) -> Vec<Tensor<B, 4>> {
        let mut state = self.begin(conditioning);
        let mut images = Vec::with_capacity(codes.len());
        for code in codes {
            let (next, image) = self.advance_raw(state, code);
            state = next;
            images.push(image);
        }
        images
    }

    /// Evaluates every level and returns the RGB images, coarse to fine.
    ///
    /// # Panics
    ///
    /// If [`forward_raw`](Self::forward_raw) panics.
    pub fn forward(
        &self,
        conditioning: Vec<Tensor<B, 4>>,
        codes: Vec<LatentCode<B>>,
    ) -> Vec<Tensor<B, 4>> {
        let images = self.forward_raw(conditioning, codes).into_iter();
        images.map(|image| self.raw_to_rgb(image)).collect()
    }

    /// Converts a raw image of a level to the RGB image that it stands for.
    pub fn raw_to_rgb(&self, image: Tensor<B, 4>) -> Tensor<B, 4> {
        match self.config.architecture {
            Architecture::Colorization => lab_to_rgb(image),
            Architecture::SuperResolution | Architecture::ImageToImage => image,
        }
    }

    /// Computes every weight normalization once, for evaluation only. The images stay the same, and
    /// the evaluation is faster. A search or a sampler folds the generator first.
    pub fn fold(self) -> Self {
        Self {
            levels: self.levels.into_iter().map(Level::fold).collect(),
            encoder: self.encoder.map(Encoder::fold),
            config: self.config,
            compute: self.compute,
        }
    }
}

impl<B: Kernels> StagedGenerator<B> for Generator<B> {
    /// One image `[batch, in_channels, h, w]` for super-resolution. Otherwise one image per level,
    /// coarse to fine, each with twice the side of the one before.
    type Conditioning = Vec<Tensor<B, 4>>;
    type State = State<B>;
    type Code = LatentCode<B>;
    /// RGB in [0, 1], `[batch, 3, h, w]`. Colors outside sRGB exceed this range.
    type Output = Tensor<B, 4>;

    fn levels(&self) -> usize {
        self.levels.len()
    }

    fn device(&self) -> B::Device {
        self.levels[0].out.bias.val().device()
    }

    /// # Panics
    ///
    /// If the number of images does not fit the architecture.
    fn begin(&self, conditioning: Vec<Tensor<B, 4>>) -> State<B> {
        let expected = self.config.conditioning_images();
        assert_eq!(conditioning.len(), expected, "conditioning images");
        let conditioning = match &self.encoder {
            None => conditioning,
            Some(encoder) => {
                let finest = conditioning[expected - 1].clone();
                let images = conditioning.into_iter().zip(encoder.forward(finest));
                images
                    .map(|(image, features)| Tensor::cat(vec![image, features], 1))
                    .collect()
            }
        };
        State::new(conditioning, self.levels.len())
    }

    fn code_len(&self, state: &State<B>) -> usize {
        let [height, width] = state.code_size().expect("a level is still to come");
        self.config.map_code + self.config.code_channels * height * width
    }

    /// The global part comes first, then the local part `[code_channels, h, w]` in row-major order,
    /// as in the authors' release.
    fn code(&self, state: &State<B>, values: Tensor<B, 2>) -> LatentCode<B> {
        let [height, width] = state.code_size().expect("a level is still to come");
        let (rows, map_code) = (values.rows(), self.config.map_code);
        let local_len = self.config.code_channels * height * width;
        LatentCode {
            global: values.clone().narrow(1, 0, map_code),
            local: values.narrow(1, map_code, local_len).reshape([
                rows,
                self.config.code_channels,
                height,
                width,
            ]),
        }
    }

    fn advance(&self, state: State<B>, code: LatentCode<B>) -> (State<B>, Tensor<B, 4>) {
        let (state, image) = self.advance_raw(state, code);
        (state, self.raw_to_rgb(image))
    }
}

/// Maps tanh's [-1, 1] to [0, 1].
fn unit_range<B: Backend>(image: Tensor<B, 4>) -> Tensor<B, 4> {
    (image + 1.0).div_scalar(2.0)
}
