//! Which vector instructions the processor has.

use std::any::TypeId;
use std::sync::OnceLock;

use pulp::{Scalar128b, Simd, WithSimd};

/// The most lanes of a vector of 32-bit floats.
pub(crate) const MOST_LANES: usize = 16;

/// A set of vector instructions that this processor has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Processor {
    /// Four lanes, by whatever the compiler makes of them.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
}

impl Processor {
    /// All that this processor has, the widest last.
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

    /// The widest.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Processor> = OnceLock::new();
        *BEST.get_or_init(|| {
            *Self::available()
                .last()
                .expect("every processor is portable")
        })
    }

    /// Lanes of a vector of 32-bit floats: 4, 8 or 16.
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

    /// The operation with these instructions.
    ///
    /// All that it calls must be `#[inline(always)]`, and no closure: a function of its own is
    /// compiled without the instructions.
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

/// Up to a vector of values, then zeros.
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

/// As many lanes as there are values.
#[inline(always)]
pub(crate) fn store_part<S: Simd>(simd: S, values: &mut [f32], value: S::f32s) {
    let mut lanes = [0.0; MOST_LANES];
    store(simd, &mut lanes, 0, value);
    for (value, lane) in values.iter_mut().zip(lanes) {
        *value = lane;
    }
}

/// `a b + c`, rounded once where the processor can.
#[inline(always)]
pub(crate) fn mul_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    if TypeId::of::<S>() == TypeId::of::<Scalar128b>() {
        // Rounding once without an instruction for it is a function call for each lane.
        simd.add_f32s(simd.mul_f32s(a, b), c)
    } else {
        simd.mul_add_f32s(a, b, c)
    }
}
