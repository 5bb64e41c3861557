//! Descriptions of how the code of one level is made.

use burn::tensor::backend::Backend;
use chimle_imle::{Candidate, CodePool, ExampleId, SeededPool};
use serde::{Deserialize, Serialize};

use super::mask::Mask;
use crate::error::Error;

/// A description of how the code of one level is made: drawn, or made from other codes.
///
/// The values of the code are computed from the description and the seed, so a [`Recipe`](crate::Recipe)
/// contains only descriptions. A code has two parts. The global part acts on the whole picture (tone). The
/// local part is a map over the picture (texture). See also [`Vary`](crate::Vary).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Code {
    /// The candidate with this index in the pool of the level. Output number `index` of
    /// [`Model::sample`](crate::Model::sample) with the same seed has the same code.
    Drawn(u64),
    /// The global part of one code and the local part of another.
    Parts {
        /// The code that provides the global part (tone).
        global: Box<Code>,
        /// The code that provides the local part (texture).
        local: Box<Code>,
    },
    /// The code `outside`, with the local part of `inside` where a region touches the map.
    Region {
        /// The region, in pixels of the picture.
        mask: Mask,
        /// The code that provides the local part inside the region.
        inside: Box<Code>,
        /// The code that provides the global part, and the local part outside the region.
        outside: Box<Code>,
    },
    /// A code on the great circle between two codes (spherical interpolation). The global part and the local
    /// part are interpolated separately.
    Between {
        /// The code at `share` 0.
        from: Box<Code>,
        /// The code at `share` 1.
        to: Box<Code>,
        /// The position between the two codes, in [0, 1].
        share: f32,
    },
    /// A code near the mean of the codes in `like` and away from the mean of the codes in `unlike`, moved
    /// toward the code `varied`.
    Mixed {
        /// The codes that the result resembles. At least one.
        like: Vec<Code>,
        /// The codes that the result differs from.
        unlike: Vec<Code>,
        /// The code toward which the result is moved, for variation.
        varied: Box<Code>,
        /// How far the result is moved toward `varied`, in [0, 1]. At 0 there is no variation.
        share: f32,
    },
}

/// The weight of the codes in `unlike` relative to the codes in `like`.
const UNLIKE: f64 = 0.5;

/// The largest number of descriptions that one code may consist of.
const MOST_PARTS: usize = 1000;
/// The largest depth of nested descriptions.
const MOST_DEPTH: usize = 32;

impl Code {
    /// Returns the code with the global part of `global` and the local part of `local`.
    pub fn parts(global: Self, local: Self) -> Self {
        let (global, local) = (Box::new(global), Box::new(local));
        Self::Parts { global, local }
    }

    /// Returns the code `outside`, with the local part of `inside` where `mask` touches the map.
    pub fn within(mask: Mask, inside: Self, outside: Self) -> Self {
        let (inside, outside) = (Box::new(inside), Box::new(outside));
        Self::Region {
            mask,
            inside,
            outside,
        }
    }

    /// Returns the code at position `share` on the great circle between two codes.
    pub fn between(from: Self, to: Self, share: f32) -> Self {
        let (from, to) = (Box::new(from), Box::new(to));
        Self::Between { from, to, share }
    }

    /// Calls `take` with this code and with all codes that it is made from.
    pub fn each<'a>(&'a self, take: &mut dyn FnMut(&'a Self)) {
        take(self);
        match self {
            Self::Drawn(_) => {}
            Self::Parts {
                global: a,
                local: b,
            }
            | Self::Region {
                inside: a,
                outside: b,
                ..
            }
            | Self::Between { from: a, to: b, .. } => {
                a.each(take);
                b.each(take);
            }
            Self::Mixed {
                like,
                unlike,
                varied,
                ..
            } => {
                let codes = like.iter().chain(unlike).chain([&**varied]);
                codes.for_each(|code| code.each(take));
            }
        }
    }

    /// Checks the shares and the size of the description.
    ///
    /// # Errors
    ///
    /// [`Error::Recipe`] if a share is not in [0, 1], if a `Mixed` code has an empty `like`, or if the
    /// description consists of more than 1000 descriptions or is nested more than 32 levels deep.
    pub fn validate(&self) -> Result<(), Error> {
        let mut parts = 0;
        self.validate_at(MOST_DEPTH, &mut parts)
    }

    fn validate_at(&self, depth: usize, parts: &mut usize) -> Result<(), Error> {
        let refused = |reason: &str| {
            Err(Error::Recipe {
                reason: reason.to_owned(),
            })
        };
        *parts += 1;
        if depth == 0 || *parts > MOST_PARTS {
            return refused(
                "a code is made of too many other codes: start again from a drawn code",
            );
        }
        let mut each = |code: &Self| code.validate_at(depth - 1, parts);
        let share = match self {
            Self::Drawn(_) => return Ok(()),
            Self::Parts { global, local } => {
                each(global)?;
                return each(local);
            }
            Self::Region {
                inside, outside, ..
            } => {
                each(inside)?;
                return each(outside);
            }
            Self::Between { from, to, share } => {
                each(from)?;
                each(to)?;
                share
            }
            Self::Mixed {
                like,
                unlike,
                varied,
                share,
            } => {
                if like.is_empty() {
                    return refused("a mixed code needs at least one code to be like");
                }
                like.iter().chain(unlike).try_for_each(&mut each)?;
                each(varied)?;
                share
            }
        };
        if !(0.0..=1.0).contains(share) {
            return refused(&format!("a share is {share}, but must be from 0 to 1"));
        }
        Ok(())
    }
}

/// The source of the values of a level's codes.
pub(crate) struct Values<'a, B: Backend> {
    pub(crate) pool: SeededPool,
    /// The level, from 0.
    pub(crate) level: usize,
    /// The number of values of a code.
    pub(crate) len: usize,
    /// The number of global values at the beginning of a code.
    pub(crate) global: usize,
    /// The height and the width of the local map.
    pub(crate) map: (usize, usize),
    pub(crate) device: &'a B::Device,
}

impl<B: Backend> Values<'_, B> {
    /// Computes the values of a code.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the code has a region, but the local part of the model's codes is not a map.
    pub(crate) fn of(&self, code: &Code) -> Result<Vec<f32>, Error> {
        Ok(match code {
            Code::Drawn(index) => self.drawn(ExampleId(0), *index),
            Code::Parts { global, local } => {
                let mut values = self.of(local)?;
                values[..self.global].copy_from_slice(&self.of(global)?[..self.global]);
                values
            }
            Code::Region {
                mask,
                inside,
                outside,
            } => {
                let mut values = self.of(outside)?;
                let new = self.of(inside)?;
                let (height, width) = self.map;
                let touched = mask.touched(height, width);
                if !(self.len - self.global).is_multiple_of(touched.len()) {
                    return Err(Error::Setting {
                        field: "region",
                        reason: "cannot be used: the local codes of this model are not maps"
                            .to_owned(),
                    });
                }
                let local = values[self.global..].iter_mut().zip(&new[self.global..]);
                for ((value, new), touched) in local.zip(touched.iter().cycle()) {
                    if *touched {
                        *value = *new;
                    }
                }
                values
            }
            Code::Between { from, to, share } => {
                let (from, to) = (self.of(from)?, self.of(to)?);
                self.by_part(&[&from, &to], |parts| slerp(parts[0], parts[1], *share))
            }
            Code::Mixed {
                like,
                unlike,
                varied,
                share,
            } => {
                let all = |codes: &[Code]| -> Result<Vec<Vec<f32>>, Error> {
                    codes.iter().map(|code| self.of(code)).collect()
                };
                let (liked, unliked) = (all(like)?, all(unlike)?);
                let mut sources: Vec<&[f32]> = vec![];
                sources.extend(liked.iter().map(Vec::as_slice));
                sources.extend(unliked.iter().map(Vec::as_slice));
                let varied = self.of(varied)?;
                sources.push(&varied);
                self.by_part(&sources, |parts| {
                    let (varied, parts) = parts.split_last().expect("there is a variation");
                    let (like, unlike) = parts.split_at(liked.len());
                    slerp(&direction(like, unlike), varied, *share)
                })
            }
        })
    }

    /// Draws the candidate with an index for an example.
    pub(crate) fn drawn(&self, example: ExampleId, index: u64) -> Vec<f32> {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let candidate = Candidate { example, index };
        let drawn =
            CodePool::<B>::draw(&self.pool, self.level, &[candidate], self.len, self.device);
        drawn.into_data().iter::<f32>().collect()
    }

    /// Makes the global part and the local part separately, and joins them.
    fn by_part(&self, codes: &[&[f32]], make: impl Fn(&[&[f32]]) -> Vec<f32>) -> Vec<f32> {
        let parts = [0..self.global, self.global..self.len];
        let made = parts.map(|part| {
            let codes: Vec<&[f32]> = codes.iter().map(|code| &code[part.clone()]).collect();
            make(&codes)
        });
        made.concat()
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    let products = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b));
    products.sum()
}

/// Interpolates between two vectors on the great circle between them (spherical interpolation, Shoemake
/// 1985). If both vectors are standard normal codes, the interpolated code is about as probable as they are.
fn slerp(from: &[f32], to: &[f32], share: f32) -> Vec<f32> {
    let share = f64::from(share);
    let norms = (dot(from, from) * dot(to, to)).sqrt();
    let cosine = if norms > 0.0 {
        dot(from, to) / norms
    } else {
        1.0
    };
    let angle = cosine.clamp(-1.0, 1.0).acos();
    let (first, second) = match angle.sin() {
        // If both vectors have the same or opposite directions, the great circle between them is not unique.
        sine if sine < 1e-6 => (1.0 - share, share),
        sine => (
            ((1.0 - share) * angle).sin() / sine,
            (share * angle).sin() / sine,
        ),
    };
    let values = from.iter().zip(to);
    values
        .map(|(&from, &to)| (first * f64::from(from) + second * f64::from(to)) as f32)
        .collect()
}

/// Computes the mean of the codes in `like` minus [`UNLIKE`] times the mean of the codes in `unlike`. The
/// result is scaled to the square root of its number of values, the typical norm of a standard normal code.
fn direction(like: &[&[f32]], unlike: &[&[f32]]) -> Vec<f32> {
    let len = like[0].len();
    let mut sum = vec![0f64; len];
    let mut add = |codes: &[&[f32]], weight: f64| {
        for code in codes {
            for (sum, &value) in sum.iter_mut().zip(*code) {
                *sum += weight / codes.len() as f64 * f64::from(value);
            }
        }
    };
    add(like, 1.0);
    add(unlike, -UNLIKE);
    let norm = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
    let scale = if norm > 0.0 {
        (len as f64).sqrt() / norm
    } else {
        0.0
    };
    sum.iter().map(|value| (value * scale) as f32).collect()
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;

    fn values(device: &burn_flex::FlexDevice) -> Values<'_, Flex> {
        Values {
            pool: SeededPool::new(5),
            level: 1,
            len: 8 + 3 * 4 * 4,
            global: 8,
            map: (4, 4),
            device,
        }
    }

    #[test]
    fn parts_and_regions_take_what_they_say_and_nothing_else() {
        let device = Default::default();
        let values = values(&device);
        let [a, b] = [3, 9].map(Code::Drawn);
        let [of_a, of_b] = [&a, &b].map(|code| values.of(code).unwrap());

        let parts = values.of(&Code::parts(a.clone(), b.clone())).unwrap();
        assert_eq!((&parts[..8], &parts[8..]), (&of_a[..8], &of_b[8..]));

        // A quarter of the picture.
        let mask = Mask::from_fn(32, 32, |x, y| x < 16 && y < 16);
        let within = values.of(&Code::within(mask, b, a)).unwrap();
        assert_eq!(within[..8], of_a[..8]);
        for channel in 0..3 {
            for (row, column) in (0..4).flat_map(|row| (0..4).map(move |column| (row, column))) {
                let at = 8 + (channel * 4 + row) * 4 + column;
                let source = if row < 2 && column < 2 { &of_b } else { &of_a };
                assert_eq!(within[at], source[at], "{channel} {row} {column}");
            }
        }
    }

    #[test]
    fn interpolation_begins_and_ends_at_its_codes_and_keeps_their_length() {
        let device = Default::default();
        let values = values(&device);
        let at = |share| {
            let code = Code::between(Code::Drawn(0), Code::Drawn(1), share);
            values.of(&code).unwrap()
        };
        assert_eq!(at(0.0), values.of(&Code::Drawn(0)).unwrap());
        assert_eq!(at(1.0), values.of(&Code::Drawn(1)).unwrap());
        let length = |part: &[f32]| dot(part, part).sqrt();
        let (first, half, last) = (at(0.0), at(0.5), at(1.0));
        let bounds = [length(&first[8..]), length(&last[8..])];
        let longest = bounds[0].max(bounds[1]);
        assert!(length(&half[8..]) > 0.9 * bounds[0].min(bounds[1]));
        assert!(length(&half[8..]) < 1.1 * longest);
    }

    #[test]
    fn a_mixed_code_is_nearer_to_what_it_should_be_like() {
        let device = Default::default();
        let values = values(&device);
        let [like, unlike, varied] = [0, 1, 2].map(Code::Drawn);
        let mixed = Code::Mixed {
            like: vec![like.clone()],
            unlike: vec![unlike.clone()],
            varied: Box::new(varied),
            share: 0.2,
        };
        let [mixed, like, unlike] = [&mixed, &like, &unlike].map(|code| values.of(code).unwrap());
        let cosine = |a: &[f32], b: &[f32]| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
        assert!(cosine(&mixed[8..], &like[8..]) > 0.6);
        assert!(cosine(&mixed[8..], &unlike[8..]) < 0.0);
    }

    #[test]
    fn descriptions_without_bound_are_refused() {
        let mut code = Code::Drawn(0);
        for _ in 0..40 {
            code = Code::between(code, Code::Drawn(1), 0.5);
        }
        assert!(code.validate().is_err());
        let wide = Code::Mixed {
            like: vec![Code::Drawn(0); 2000],
            unlike: vec![],
            varied: Box::new(Code::Drawn(1)),
            share: 0.5,
        };
        assert!(wide.validate().is_err());
        for share in [-0.1, 1.5, f32::NAN] {
            assert!(
                Code::between(Code::Drawn(0), Code::Drawn(1), share)
                    .validate()
                    .is_err()
            );
        }
        assert!(
            Code::between(Code::Drawn(0), Code::Drawn(1), 0.5)
                .validate()
                .is_ok()
        );
    }
}
