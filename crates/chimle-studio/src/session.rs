//! A session: a photograph, a model, and the tree of pictures made from the photograph.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use burn::tensor::backend::Backend;
use chimle_core::{Code, Draft, DraftConfig, Error, Kernels, Layer, Model};
use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;

/// A session: all pictures made from one photograph with one model.
pub(crate) struct Session<B: Backend> {
    pub(crate) model: Arc<Model<B>>,
    /// The index of the model in the list of models.
    pub(crate) model_id: usize,
    pub(crate) photograph: Arc<RgbImage>,
    pub(crate) config: DraftConfig,
    /// The (width, height) of the session's pictures.
    size: (u32, u32),
    /// The number of requests for work. Only the newest one continues.
    newest: AtomicU64,
    used: Mutex<Instant>,
    tree: Mutex<Tree<B>>,
}

/// The pictures of a session.
pub(crate) struct Tree<B: Backend> {
    nodes: Vec<Node<B>>,
    marks: Marks,
    /// The last picture that was made at full size, and its number.
    full: Option<(usize, Bytes)>,
    /// The number of uses of nodes so far. It orders them by their last use.
    clock: u64,
    /// The next candidate index for a picture that is an edit of another picture.
    next_index: u64,
}

/// A picture of a session.
pub(crate) struct Node<B: Backend> {
    pub(crate) info: NodeInfo,
    /// The layers that describe how the picture was made.
    pub(crate) layers: Vec<Layer>,
    pub(crate) png: Bytes,
    /// The state to continue from. It can be dropped and computed again.
    draft: Option<Draft<B>>,
    used: u64,
}

/// How a picture was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Input,
    Continue,
    Region,
    Tone,
    Texture,
    Parts,
    Between,
    Like,
    Nearest,
}

/// The description of a picture that clients receive.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NodeInfo {
    pub(crate) id: usize,
    /// The picture that this picture continues or changes. The photograph has no parent.
    pub(crate) parent: Option<usize>,
    /// The number of levels evaluated.
    pub(crate) level: usize,
    pub(crate) kind: Kind,
    /// The candidate's number, counted from 1, if the picture is a candidate.
    pub(crate) number: Option<u64>,
    /// The distance from the reference, if the search found the picture.
    pub(crate) distance: Option<f32>,
}

/// What the person chose and marked. The server keeps it, so that the page can show it again after a reload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Marks {
    chosen: usize,
    /// Pairs of a picture and the picture that was chosen last to continue or change it.
    taken: Vec<(usize, usize)>,
    /// All pictures that were chosen.
    visited: Vec<usize>,
    favorites: Vec<usize>,
    like: Vec<usize>,
    unlike: Vec<usize>,
}

/// The first index of edits. It is large, so that indices of edits differ from indices of candidates.
pub(crate) const FIRST_EDIT: u64 = 1 << 32;
/// The largest first index of edits after a recipe was opened.
const LAST_EDIT: u64 = 1 << 62;

impl<B: Kernels> Session<B> {
    pub(crate) fn new(
        model: Arc<Model<B>>,
        model_id: usize,
        photograph: Arc<RgbImage>,
        draft: Draft<B>,
        png: Bytes,
    ) -> Self {
        let info = NodeInfo {
            id: 0,
            parent: None,
            level: 0,
            kind: Kind::Input,
            number: None,
            distance: None,
        };
        let config = draft.config();
        let size = draft.picture().dimensions();
        let first = Node {
            info,
            layers: Vec::new(),
            png,
            draft: Some(draft),
            used: 0,
        };
        Self {
            model,
            model_id,
            photograph,
            config,
            size,
            newest: AtomicU64::new(0),
            used: Mutex::new(Instant::now()),
            tree: Mutex::new(Tree {
                nodes: vec![first],
                marks: Marks::default(),
                full: None,
                clock: 0,
                next_index: FIRST_EDIT,
            }),
        }
    }

    pub(crate) fn tree(&self) -> MutexGuard<'_, Tree<B>> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the (width, height) of the pictures.
    pub(crate) fn size(&self) -> (u32, u32) {
        self.size
    }

    /// Estimates the bytes of the state after `level` levels: the features that are handed up, and the picture.
    /// The state before the first level contains the conditioning of all levels instead of features.
    fn state_bytes(&self, level: usize) -> usize {
        let config = self.model.config();
        let levels = config.levels();
        let pixels = self.size.0 as usize * self.size.1 as usize;
        let at = |level: usize| pixels >> (2 * (levels - 1 - level));
        let values = match level {
            0 => (0..levels)
                .map(|level| {
                    let encoded = config
                        .encoder_channels
                        .as_ref()
                        .and_then(|all| all.get(level));
                    (config.in_channels + encoded.unwrap_or(&0)) * at(level)
                })
                .sum(),
            level if level < levels => config.residual_channels[level - 1] * at(level),
            _ => 0,
        };
        4 * values + 3 * pixels
    }

    /// Estimates the bytes of all states that are kept.
    pub(crate) fn kept_bytes(&self) -> u64 {
        let levels = self.tree().kept_levels();
        levels
            .into_iter()
            .map(|level| self.state_bytes(level) as u64)
            .sum()
    }

    /// Drops states until they take at most `most` bytes. The states that were used longest ago are dropped first,
    /// and the photograph's state is dropped last.
    pub(crate) fn shrink(&self, most: u64) {
        let mut kept = self.kept_bytes();
        while kept > most {
            let Some(level) = self.tree().drop_oldest() else {
                return;
            };
            kept = kept.saturating_sub(self.state_bytes(level) as u64);
        }
    }

    /// Notes that the session is in use.
    pub(crate) fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(crate) fn idle(&self) -> Duration {
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }

    /// Begins new work and returns its number. All earlier work of the session ends.
    pub(crate) fn begin_work(&self) -> u64 {
        self.newest.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Returns whether no newer work has begun.
    pub(crate) fn is_newest(&self, work: u64) -> bool {
        self.newest.load(Ordering::SeqCst) == work
    }

    /// Returns the draft of a picture. A draft that was dropped is computed again.
    pub(crate) fn draft(&self, id: usize) -> Result<Draft<B>, ApiError> {
        let layers = {
            let mut tree = self.tree();
            if let Some(draft) = tree.draft(id)? {
                return Ok(draft);
            }
            tree.node(id)?.layers.clone()
        };
        let draft = match id {
            0 => self.begin_again()?,
            _ => self.model.remake(&self.draft(0)?, &layers)?,
        };
        Ok(self.tree().keep(id, draft))
    }

    /// Computes the photograph's draft again. All other drafts are dropped, because they began with the old one.
    fn begin_again(&self) -> Result<Draft<B>, Error> {
        let draft = self.model.draft(&self.photograph, self.config)?;
        self.tree().drop_drafts();
        Ok(draft)
    }

    /// Returns a draft with these codes. It continues the kept draft that already has the most of them.
    pub(crate) fn with_codes(&self, codes: &[Code]) -> Result<Draft<B>, ApiError> {
        let start = self.tree().deepest(codes);
        let start = match start {
            Some(draft) => draft,
            None => self.draft(0)?,
        };
        Ok(self.model.advance_by(&start, &codes[start.level()..])?)
    }
}

impl<B: Backend> Tree<B> {
    /// Returns a picture.
    ///
    /// # Errors
    ///
    /// If the session has no picture with this number.
    pub(crate) fn node(&self, id: usize) -> Result<&Node<B>, ApiError> {
        let error = || ApiError::NotFound(format!("the session has no picture {id}"));
        self.nodes.get(id).ok_or_else(error)
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn infos(&self) -> Vec<NodeInfo> {
        self.nodes.iter().map(|node| node.info.clone()).collect()
    }

    fn draft(&mut self, id: usize) -> Result<Option<Draft<B>>, ApiError> {
        self.node(id)?;
        self.clock += 1;
        let node = &mut self.nodes[id];
        node.used = self.clock;
        Ok(node.draft.clone())
    }

    /// Keeps a draft that was computed again, and returns it. If another request was faster, returns the draft of
    /// that request, so that all drafts of a session share one beginning.
    fn keep(&mut self, id: usize, draft: Draft<B>) -> Draft<B> {
        self.nodes[id].draft.get_or_insert(draft).clone()
    }

    /// Returns the draft whose codes are the longest beginning of `codes`.
    fn deepest(&self, codes: &[Code]) -> Option<Draft<B>> {
        let drafts = self.nodes.iter().filter_map(|node| node.draft.as_ref());
        let fitting =
            drafts.filter(|draft| !draft.has_regions() && codes.starts_with(draft.codes()));
        fitting.max_by_key(|draft| draft.level()).cloned()
    }

    /// Adds a picture, and returns its description.
    pub(crate) fn add(
        &mut self,
        parent: usize,
        kind: Kind,
        number: Option<u64>,
        distance: Option<f32>,
        (draft, png): (Draft<B>, Bytes),
    ) -> NodeInfo {
        let info = NodeInfo {
            id: self.nodes.len(),
            parent: Some(parent),
            level: draft.level(),
            kind,
            number,
            distance,
        };
        self.clock += 1;
        self.nodes.push(Node {
            info: info.clone(),
            layers: draft.layers(),
            png,
            draft: Some(draft),
            used: self.clock,
        });
        info
    }

    /// Returns the smallest candidate indices with which this picture was not continued yet.
    pub(crate) fn next_candidates(&self, parent: usize, count: usize) -> Vec<u64> {
        let drawn: HashSet<u64> = self
            .nodes
            .iter()
            .filter(|node| node.info.parent == Some(parent) && node.info.kind == Kind::Continue)
            .filter_map(|node| Some(node.info.number? - 1))
            .collect();
        let free = (0..).filter(|index| !drawn.contains(index));
        free.take(count).collect()
    }

    pub(crate) fn marks(&self) -> Marks {
        self.marks.clone()
    }

    /// Replaces the choices and marks.
    ///
    /// # Errors
    ///
    /// If a list names a picture twice, or a picture that the session does not have.
    pub(crate) fn set_marks(&mut self, marks: Marks) -> Result<(), ApiError> {
        self.node(marks.chosen)?;
        for &(_, taken) in &marks.taken {
            self.node(taken)?;
        }
        let parents: Vec<usize> = marks.taken.iter().map(|&(parent, _)| parent).collect();
        for (field, ids) in [
            ("taken", &parents),
            ("visited", &marks.visited),
            ("favorites", &marks.favorites),
            ("like", &marks.like),
            ("unlike", &marks.unlike),
        ] {
            let mut seen = HashSet::new();
            for &id in ids {
                self.node(id)?;
                if !seen.insert(id) {
                    return Err(ApiError::field(field, format!("names picture {id} twice")));
                }
            }
        }
        self.marks = marks;
        Ok(())
    }

    /// Marks a picture as chosen, together with the path that leads to it.
    pub(crate) fn choose(&mut self, id: usize) {
        let mut taken = Vec::new();
        let mut at = id;
        while let Some(parent) = self.nodes[at].info.parent {
            taken.push((parent, at));
            at = parent;
        }
        self.marks.chosen = id;
        self.marks.taken = taken;
        self.marks.visited = vec![id];
    }

    /// Reserves the indices up to `last`, so that edits do not use them.
    pub(crate) fn reserve_indices(&mut self, last: u64) {
        // An index near the end of the numbers comes from a recipe that somebody wrote by hand.
        let next = last.saturating_add(1).min(LAST_EDIT);
        self.next_index = self.next_index.max(next);
    }

    /// Returns new indices for edits. Each index is returned only once.
    pub(crate) fn edit_indices(&mut self, count: usize) -> Vec<u64> {
        let first = self.next_index;
        self.next_index += count as u64;
        (first..self.next_index).collect()
    }

    pub(crate) fn set_full(&mut self, id: usize, png: Bytes) {
        self.full = Some((id, png));
    }

    pub(crate) fn full(&self, id: usize) -> Option<Bytes> {
        let full = self.full.as_ref().filter(|(of, _)| *of == id);
        full.map(|(_, png)| png.clone())
    }

    fn drop_drafts(&mut self) {
        for node in &mut self.nodes {
            node.draft = None;
        }
    }

    /// Drops the draft that was used longest ago, and returns its level. The photograph's draft is dropped last.
    fn drop_oldest(&mut self) -> Option<usize> {
        let kept = self.nodes.iter_mut().filter(|node| node.draft.is_some());
        let oldest = kept.min_by_key(|node| (node.info.level == 0, node.used))?;
        oldest.draft = None;
        Some(oldest.info.level)
    }

    /// Returns the levels of the drafts that are kept.
    fn kept_levels(&self) -> Vec<usize> {
        let kept = self.nodes.iter().filter(|node| node.draft.is_some());
        kept.map(|node| node.info.level).collect()
    }

    /// Returns the bytes of all pictures.
    pub(crate) fn picture_bytes(&self) -> usize {
        let full = self.full.as_ref().map_or(0, |(_, png)| png.len());
        full + self.nodes.iter().map(|node| node.png.len()).sum::<usize>()
    }
}
