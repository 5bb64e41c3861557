//! Makes the pictures that clients ask for.

use axum::body::Bytes;
use chimle_core::perceptual::ImageDistance;
use chimle_core::{Code, Draft, Error, Kernels, Mask, Region};
use image::RgbImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::ApiError;
use crate::session::{Kind, NodeInfo, Session};

/// A request for pictures.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "make", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Make {
    /// More candidates of the next level.
    Continue { from: usize, count: usize },
    /// Other local codes within a region.
    Region {
        node: usize,
        mask: Mask,
        softness: Option<u32>,
        /// The first level whose codes are drawn again, from 1.
        #[serde(default = "one")]
        level: usize,
        count: usize,
    },
    /// Other global codes with the same local codes.
    Tone { node: usize, count: usize },
    /// Other local codes with the same global codes.
    Texture { node: usize, count: usize },
    /// The global codes of one picture and the local codes of another.
    Parts { tone: usize, texture: usize },
    /// Pictures between one picture and another.
    Between {
        from: usize,
        to: usize,
        count: usize,
    },
    /// More like some pictures and less like others.
    Like {
        like: Vec<usize>,
        #[serde(default)]
        unlike: Vec<usize>,
        count: usize,
        /// How much the results differ, from 0 to 1.
        #[serde(default = "usual_share")]
        share: f32,
    },
    /// The pictures that the search finds for a reference.
    Nearest {
        from: usize,
        /// The identifier of an uploaded photograph.
        reference: String,
        /// The number of candidates at the first level that is searched. Finer levels have fewer.
        #[serde(default = "usual_pool")]
        pool: usize,
    },
}

fn one() -> usize {
    1
}

fn usual_share() -> f32 {
    0.35
}

fn usual_pool() -> usize {
    24
}

/// The maximum number of pictures to be like, and to be unlike.
const MOST_LIKED: usize = 16;
/// The largest pool of a search.
const MOST_POOL: usize = 256;

/// A message to the client while pictures are made: one JSON object per line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Told {
    /// A picture is ready.
    Node { node: NodeInfo },
    /// The progress of the work.
    Progress { done: usize, of: usize },
    /// All work is done.
    Done,
    /// Newer work or the client ended this work.
    Stopped,
    /// The work failed.
    Error { error: String },
}

/// Receives results. An error means that nobody wants further results.
pub(crate) trait Listener {
    fn tell(&mut self, told: &Told) -> Result<(), Stopped>;
    /// Returns whether to continue.
    fn goes_on(&self) -> bool;
}

/// Says that nobody wants the results.
#[derive(Debug)]
pub(crate) struct Stopped;

/// Why work ended early.
#[derive(Debug)]
pub(crate) enum Ended {
    Stopped,
    Failed(ApiError),
}

impl From<Stopped> for Ended {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<ApiError> for Ended {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        match error {
            Error::Stopped => Self::Stopped,
            error => Self::Failed(error.into()),
        }
    }
}

/// The approximate number of pixels that are evaluated in one turn. A coarse level therefore evaluates more
/// candidates per turn than a fine level.
const PIXELS_IN_TURN: usize = 1 << 16;

impl<B: Kernels> App<B> {
    /// Checks everything about a request that can be checked before the work begins.
    pub(crate) fn check(&self, session: &Session<B>, make: &Make) -> Result<(), ApiError> {
        let levels = session.model.config().levels();
        let most = self.limits.candidates;
        let counted = |field, count: usize, most: usize| match count {
            count if (1..=most).contains(&count) => Ok(()),
            _ => Err(ApiError::field(field, format!("must be from 1 to {most}"))),
        };
        let tree = session.tree();
        let made = |field, id: usize| match tree.node(id)?.info.level {
            0 => Err(ApiError::field(
                field,
                "must be a picture that was made, not the photograph",
            )),
            level => Ok(level),
        };
        if tree.len() + most > self.limits.pictures {
            let reason = format!(
                "has no room for more pictures (the limit is {}): begin a new session",
                self.limits.pictures
            );
            return Err(ApiError::field("session", reason));
        }
        match make {
            Make::Continue { from, count } => {
                counted("count", *count, most)?;
                if tree.node(*from)?.info.level == levels {
                    return Err(ApiError::field("from", "is finished: no level is left"));
                }
            }
            Make::Region {
                node,
                mask,
                softness,
                level,
                count,
            } => {
                counted("count", *count, most)?;
                let of_node = made("node", *node)?;
                counted("level", *level, of_node)?;
                let mut region = Region::new(mask.clone());
                region.softness = softness.unwrap_or(region.softness);
                let (width, height) = session.size();
                region.validate(width, height)?;
            }
            Make::Tone { node, count } | Make::Texture { node, count } => {
                counted("count", *count, most)?;
                made("node", *node)?;
            }
            Make::Parts { tone, texture } => {
                made("tone", *tone)?;
                made("texture", *texture)?;
            }
            Make::Between { from, to, count } => {
                counted("count", *count, most)?;
                made("from", *from)?;
                made("to", *to)?;
            }
            Make::Like {
                like,
                unlike,
                count,
                share,
            } => {
                counted("count", *count, most)?;
                counted("like", like.len(), MOST_LIKED)?;
                if unlike.len() > MOST_LIKED {
                    return Err(ApiError::field(
                        "unlike",
                        format!("may have at most {MOST_LIKED}"),
                    ));
                }
                if !(0.0..=1.0).contains(share) {
                    return Err(ApiError::field("share", "must be from 0 to 1"));
                }
                for id in like.iter().chain(unlike) {
                    made("like", *id)?;
                }
            }
            Make::Nearest { from, pool, .. } => {
                counted("pool", *pool, MOST_POOL)?;
                if tree.node(*from)?.info.level == levels {
                    return Err(ApiError::field("from", "is finished: no level is left"));
                }
            }
        }
        Ok(())
    }

    /// Makes the pictures that a request asks for, and sends each one as soon as it is ready.
    pub(crate) fn make(
        &self,
        session: &Session<B>,
        make: Make,
        listener: &mut dyn Listener,
    ) -> Result<(), Ended> {
        // The tree must not stay locked while pictures are made.
        let indices = |count| session.tree().edit_indices(count);
        match make {
            Make::Continue { from, count } => self.continued(session, from, count, listener),
            Make::Region {
                node,
                mask,
                softness,
                level,
                count,
            } => {
                let mut region = Region::new(mask);
                region.softness = softness.unwrap_or(region.softness);
                for index in indices(count) {
                    let make = || {
                        let old = session.draft(node)?;
                        let codes = old.codes().iter().enumerate().map(|(at, code)| {
                            if at + 1 < level {
                                return code.clone();
                            }
                            Code::within(region.mask.clone(), Code::Drawn(index), code.clone())
                        });
                        let new = session.with_codes(&codes.collect::<Vec<_>>())?;
                        Ok(old.within(region.clone(), &new)?)
                    };
                    self.add(session, node, Kind::Region, make, listener)?;
                }
                Ok(())
            }
            Make::Tone { node, count } => {
                for index in indices(count) {
                    let code = |code: &Code| Code::parts(Code::Drawn(index), code.clone());
                    self.edited(
                        session,
                        node,
                        Kind::Tone,
                        &[node],
                        |codes| code(&codes[0]),
                        listener,
                    )?;
                }
                Ok(())
            }
            Make::Texture { node, count } => {
                for index in indices(count) {
                    let code = |code: &Code| Code::parts(code.clone(), Code::Drawn(index));
                    self.edited(
                        session,
                        node,
                        Kind::Texture,
                        &[node],
                        |codes| code(&codes[0]),
                        listener,
                    )?;
                }
                Ok(())
            }
            Make::Parts { tone, texture } => {
                let code = |codes: &[Code]| Code::parts(codes[0].clone(), codes[1].clone());
                self.edited(
                    session,
                    texture,
                    Kind::Parts,
                    &[tone, texture],
                    code,
                    listener,
                )
            }
            Make::Between { from, to, count } => {
                for step in 1..=count {
                    let share = step as f32 / (count + 1) as f32;
                    let code = |codes: &[Code]| match codes[0] == codes[1] {
                        true => codes[0].clone(),
                        false => Code::between(codes[0].clone(), codes[1].clone(), share),
                    };
                    self.edited(session, from, Kind::Between, &[from, to], code, listener)?;
                }
                Ok(())
            }
            Make::Like {
                like,
                unlike,
                count,
                share,
            } => {
                let nodes = [like.as_slice(), &unlike].concat();
                for index in indices(count) {
                    let code = |codes: &[Code]| Code::Mixed {
                        like: codes[..like.len()].to_vec(),
                        unlike: codes[like.len()..].to_vec(),
                        varied: Box::new(Code::Drawn(index)),
                        share,
                    };
                    self.edited(session, like[0], Kind::Like, &nodes, code, listener)?;
                }
                Ok(())
            }
            Make::Nearest {
                from,
                reference,
                pool,
            } => self.nearest(session, from, &reference, pool, listener),
        }
    }

    /// Makes candidates of the next level, as many per turn as fit.
    fn continued(
        &self,
        session: &Session<B>,
        from: usize,
        count: usize,
        listener: &mut dyn Listener,
    ) -> Result<(), Ended> {
        let indices = session.tree().next_candidates(from, count);
        let level = session.tree().node(from)?.info.level;
        let halvings = session.model.config().levels() - 1 - level;
        let (width, height) = session.size();
        let pixels = (width as usize * height as usize) >> (2 * halvings);
        let in_turn = (PIXELS_IN_TURN / pixels.max(1)).clamp(1, count);
        for part in indices.chunks(in_turn) {
            if !listener.goes_on() {
                return Err(Ended::Stopped);
            }
            let made = self.in_turn(|| -> Result<Vec<_>, ApiError> {
                let draft = session.draft(from)?;
                let codes: Vec<Code> = part.iter().copied().map(Code::Drawn).collect();
                let drafts = session.model.advance(&draft, &codes)?;
                drafts.into_par_iter().map(with_png).collect()
            })?;
            for (made, index) in made.into_iter().zip(part) {
                let node = session
                    .tree()
                    .add(from, Kind::Continue, Some(index + 1), None, made);
                listener.tell(&Told::Node { node })?;
            }
        }
        Ok(())
    }

    /// Makes a picture whose code at each level is computed from the codes of other pictures.
    fn edited(
        &self,
        session: &Session<B>,
        parent: usize,
        kind: Kind,
        nodes: &[usize],
        code: impl Fn(&[Code]) -> Code,
        listener: &mut dyn Listener,
    ) -> Result<(), Ended> {
        let make = || {
            let drafts: Vec<Draft<B>> = nodes
                .iter()
                .map(|&node| session.draft(node))
                .collect::<Result<_, _>>()?;
            // Only the levels that all of these pictures have.
            let levels = drafts.iter().map(Draft::level).min().unwrap_or(0);
            let codes: Vec<Code> = (0..levels)
                .map(|level| {
                    let of_level: Vec<Code> = drafts
                        .iter()
                        .map(|draft| draft.codes()[level].clone())
                        .collect();
                    code(&of_level)
                })
                .collect();
            session.with_codes(&codes)
        };
        self.add(session, parent, kind, make, listener)
    }

    /// Makes a picture in its turn and adds it to the tree.
    fn add(
        &self,
        session: &Session<B>,
        parent: usize,
        kind: Kind,
        make: impl FnOnce() -> Result<Draft<B>, ApiError>,
        listener: &mut dyn Listener,
    ) -> Result<(), Ended> {
        if !listener.goes_on() {
            return Err(Ended::Stopped);
        }
        let draft = self.in_turn(make)?;
        let made = with_png(draft)?;
        let node = session.tree().add(parent, kind, None, None, made);
        listener.tell(&Told::Node { node })?;
        Ok(())
    }

    fn nearest(
        &self,
        session: &Session<B>,
        from: usize,
        reference: &str,
        pool: usize,
        listener: &mut dyn Listener,
    ) -> Result<(), Ended> {
        let reference = self.photograph(reference)?;
        let draft = self.in_turn(|| session.draft(from))?;
        let levels = session.model.config().levels() - draft.level();
        // Candidates of fine levels take longer to evaluate and differ less.
        let pools: Vec<usize> = (0..levels)
            .map(|level| (pool >> level).max(2).min(pool))
            .collect();
        let distance = ImageDistance::<B>::LaplacianPyramid;
        let watch =
            |done, of| listener.goes_on() && listener.tell(&Told::Progress { done, of }).is_ok();
        let found = self.in_turns(watch, |watch| {
            session
                .model
                .nearest(&draft, &reference, &distance, &pools, watch)
        })?;
        let mut parent = from;
        for nearest in found {
            let made = with_png(nearest.draft)?;
            let number = Some(nearest.candidate + 1);
            let distance = Some(nearest.distance);
            let node = session
                .tree()
                .add(parent, Kind::Nearest, number, distance, made);
            parent = node.id;
            listener.tell(&Told::Node { node })?;
        }
        Ok(())
    }
}

/// Returns a draft together with its picture as PNG.
pub(crate) fn with_png<B: Kernels>(draft: Draft<B>) -> Result<(Draft<B>, Bytes), ApiError> {
    let png = png(draft.picture(), Effort::Fast)?;
    Ok((draft, png))
}

/// How much effort is made to keep a PNG small.
#[derive(Clone, Copy)]
pub(crate) enum Effort {
    /// For the screen.
    Fast,
    /// For a file that is kept.
    Small,
}

/// Encodes a picture as PNG.
pub(crate) fn png(picture: &RgbImage, effort: Effort) -> Result<Bytes, ApiError> {
    let (compression, filter) = match effort {
        Effort::Fast => (CompressionType::Fast, FilterType::Sub),
        Effort::Small => (CompressionType::Level(6), FilterType::Adaptive),
    };
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, compression, filter);
    let (width, height) = picture.dimensions();
    encoder
        .write_image(picture, width, height, ExtendedColorType::Rgb8)
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(bytes.into())
}
