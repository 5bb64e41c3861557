//! The latent search from a draft: finding the picture nearest to a reference.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_data::{Planes, downsample};
use chimle_imle::{
    Candidate, CodePool, Distance, ExampleId, Search, SeededPool, StagedGenerator, Strategy, Target,
};
use image::RgbImage;

use super::{Draft, DraftOf, enlarged};
use crate::error::Error;
use crate::generator::ImageGenerator;
use crate::model::{Model, extend};

/// The number of candidates that are compared between two calls of `watch`.
const AT_ONCE: usize = 8;

/// The result of the search at one level.
#[derive(Clone, Debug)]
pub struct Nearest<D> {
    /// The draft that continues with the nearest candidate.
    pub draft: D,
    /// The index of the candidate in the pool of the level.
    pub candidate: u64,
    /// The candidate's distance from the reference at the level's resolution.
    pub distance: f32,
}

impl<B: Backend, G: ImageGenerator<B>> Model<B, G> {
    /// Continues a draft to the picture nearest to a reference, by hierarchical search. Returns the chosen
    /// draft of each remaining level.
    ///
    /// This is the [`Search`] of training for one input and one observed output. `pools` has the number of
    /// candidates for each remaining level. At each level, all candidates of the pool are compared with the
    /// reference, and the nearest candidate is continued at the next level. `reference` is resized to the
    /// size of the picture. If its aspect ratio differs, it is first cropped around its center.
    ///
    /// `watch` is called with the number of candidates compared so far and the number of all candidates. If
    /// it returns false, the search stops.
    ///
    /// # Errors
    ///
    /// - [`Error::Stopped`] if `watch` returns false.
    /// - [`Error::Setting`] if the draft has regions.
    /// - [`Error::Search`] if the number of pools differs from the number of remaining levels, if a pool is
    ///   empty, or if a distance is not finite.
    pub fn nearest<D>(
        &self,
        draft: &Draft<B, G::State>,
        reference: &RgbImage,
        distance: &D,
        pools: &[usize],
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Vec<Nearest<DraftOf<B, G>>>, Error>
    where
        D: Distance<B, Output = Tensor<B, 4>>,
    {
        if draft.has_regions() {
            return Err(Error::Setting {
                field: "draft",
                reason: "has regions: only a picture without regions can be searched".to_owned(),
            });
        }
        let begun = &draft.begun;
        Search::new(
            Strategy::Hierarchical {
                pools: pools.to_vec(),
            },
            AT_ONCE,
        )
        .validate(begun.levels - draft.level())?;
        let targets = self.targets_of(draft, reference)?;
        let (mut done, of) = (0, pools.iter().sum());
        let mut found = Vec::with_capacity(pools.len());
        let mut current = draft.clone();
        for &pool in pools {
            let level = current.level();
            let target = targets[level].to_tensor(self.device());
            let target = Target::new::<B, D>(distance, vec![target]);
            let one_level = OneLevel {
                generator: self.generator(),
            };
            let (mut nearest, mut smallest) = (0, f32::INFINITY);
            for start in (0..pool).step_by(AT_ONCE) {
                if !watch(done, of) {
                    return Err(Error::Stopped);
                }
                let count = AT_ONCE.min(pool - start);
                let pools = vec![count];
                let search = Search::new(Strategy::Hierarchical { pools }, AT_ONCE);
                let candidates = Later {
                    pool: SeededPool::new(begun.config.seed),
                    level,
                    start,
                };
                let state = current.strands[0].state.clone();
                let input = [ExampleId(0)];
                let chosen =
                    search.run(&one_level, distance, state, &target, &candidates, &input)?;
                let distance = chosen[0].nearest()[0];
                if distance < smallest {
                    (nearest, smallest) = (start + chosen[0].candidates[0], distance);
                }
                done += count;
            }
            let code = super::Code::Drawn(nearest as u64);
            current = self.advance_by(&current, &[code])?;
            found.push(Nearest {
                draft: current.clone(),
                candidate: nearest as u64,
                distance: smallest,
            });
        }
        watch(of, of);
        Ok(found)
    }

    /// Returns the reference at the resolution of each level.
    fn targets_of(
        &self,
        draft: &Draft<B, G::State>,
        reference: &RgbImage,
    ) -> Result<Vec<Planes>, Error> {
        let reference = covering(reference, draft.picture().dimensions())?;
        let extended = extend(&Planes::from_rgb(&reference), self.multiple()).to_rgb();
        let sizes = &draft.begun.conditioned.sizes;
        Ok(self.task().targets(&extended, sizes)?)
    }
}

/// Crops a picture around its center to the aspect ratio of `(width, height)`, and resizes it to this size.
fn covering(picture: &RgbImage, (width, height): (u32, u32)) -> Result<RgbImage, Error> {
    let (w, h) = picture.dimensions();
    let (w, h) = (u64::from(w), u64::from(h));
    let (wide, high) = (u64::from(width), u64::from(height));
    // The largest part with the target's aspect ratio.
    let (part_w, part_h) = match w * high >= h * wide {
        true => ((h * wide / high).max(1), h),
        false => (w, (w * high / wide).max(1)),
    };
    let (left, top) = ((w - part_w) / 2, (h - part_h) / 2);
    let [left, top, part_w, part_h] = [left, top, part_w, part_h].map(|side| side as u32);
    let part = image::imageops::crop_imm(picture, left, top, part_w, part_h).to_image();
    if part_w < width || part_h < height {
        return Ok(enlarged(&part, (width, height)));
    }
    Ok(downsample(&part, width, height)?)
}

/// A generator with one level: the next level of another generator. Its conditioning is the other generator's
/// state.
struct OneLevel<'a, G> {
    generator: &'a G,
}

impl<B: Backend, G: StagedGenerator<B>> StagedGenerator<B> for OneLevel<'_, G> {
    type Conditioning = G::State;
    type State = G::State;
    type Code = G::Code;
    type Output = G::Output;

    fn levels(&self) -> usize {
        1
    }

    fn device(&self) -> B::Device {
        self.generator.device()
    }

    fn begin(&self, state: G::State) -> G::State {
        state
    }

    fn code_len(&self, state: &G::State) -> usize {
        self.generator.code_len(state)
    }

    fn code(&self, state: &G::State, values: Tensor<B, 2>) -> G::Code {
        self.generator.code(state, values)
    }

    fn advance(&self, state: G::State, code: G::Code) -> (G::State, G::Output) {
        self.generator.advance(state, code)
    }
}

/// The candidates of a level from index `start` on.
struct Later {
    pool: SeededPool,
    level: usize,
    start: usize,
}

impl<B: Backend> CodePool<B> for Later {
    fn draw(
        &self,
        _: usize,
        candidates: &[Candidate],
        len: usize,
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let later = |candidate: &Candidate| Candidate {
            index: candidate.index + self.start,
            ..*candidate
        };
        let candidates: Vec<Candidate> = candidates.iter().map(later).collect();
        self.pool.draw(self.level, &candidates, len, device)
    }
}
