//! The vector instructions of the processor.

use std::any::TypeId;
use std::sync::OnceLock;

use pulp::{Scalar128b, Simd, WithSimd};

/// The largest number of lanes of a vector of 32-bit floats.
pub(crate) const MOST_LANES: usize = 16;

/// A set of vector instructions that this processor has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Processor {
    /// Four lanes in portable code, which the compiler translates.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
}

impl Processor {
    /// Returns all sets that this processor has, the widest last.
    pub(crate) fn available() -> Vec<Self> {
        [
            Some(Self::Portable),
            #[cfg(target_arch = "x86_64")]
            pulp::x86::V3::try_new().map(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            pulp::x86::V4::try_new().map(Self::Avx512),
            #[cfg(target_arch = "aarch64")]
            pulp::aarch64::Neon::try_new().map(Self::Neon),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Returns the widest set.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Processor> = OnceLock::new();
        *BEST.get_or_init(|| {
            *Self::available()
                .last()
                .expect("every processor is portable")
        })
    }

    /// Returns the number of lanes of a vector of 32-bit floats: 4, 8 or 16.
    pub(crate) fn lanes(self) -> usize {
        struct Lanes;
        impl WithSimd for Lanes {
            type Output = usize;

            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> usize {
                S::F32_LANES
            }
        }
        self.run(Lanes)
    }

    /// Runs an operation with these instructions.
    ///
    /// All functions that the operation calls must be `#[inline(always)]` and must not be closures.
    /// A function that is not inlined is compiled without these instructions.
    pub(crate) fn run<O: WithSimd>(self, operation: O) -> O::Output {
        match self {
            Self::Portable => Simd::vectorize(Scalar128b, operation),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => Simd::vectorize(simd, operation),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => Simd::vectorize(simd, operation),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => Simd::vectorize(simd, operation),
        }
    }
}

#[inline(always)]
pub(crate) fn load<S: Simd>(_: S, values: &[f32], at: usize) -> S::f32s {
    S::as_simd_f32s(&values[at..at + S::F32_LANES]).0[0]
}

/// Loads at most one vector of values. The remaining lanes are zero.
#[inline(always)]
pub(crate) fn load_part<S: Simd>(simd: S, values: &[f32]) -> S::f32s {
    let mut lanes = [0.0; MOST_LANES];
    for (lane, value) in lanes.iter_mut().zip(values) {
        *lane = *value;
    }
    load(simd, &lanes, 0)
}

#[inline(always)]
pub(crate) fn store<S: Simd>(_: S, values: &mut [f32], at: usize, value: S::f32s) {
    S::as_mut_simd_f32s(&mut values[at..at + S::F32_LANES]).0[0] = value;
}

/// Stores as many lanes as `values` has places.
#[inline(always)]
pub(crate) fn store_part<S: Simd>(simd: S, values: &mut [f32], value: S::f32s) {
    let mut lanes = [0.0; MOST_LANES];
    store(simd, &mut lanes, 0, value);
    for (value, lane) in values.iter_mut().zip(lanes) {
        *value = lane;
    }
}

/// Computes `a b + c`, rounded once if the processor has an instruction for it.
#[inline(always)]
pub(crate) fn mul_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    if TypeId::of::<S>() == TypeId::of::<Scalar128b>() {
        // Without such an instruction, rounding once would be a function call for each lane.
        simd.add_f32s(simd.mul_f32s(a, b), c)
    } else {
        simd.mul_add_f32s(a, b, c)
    }
}
