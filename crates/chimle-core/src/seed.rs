//! Deriving independent random streams from one seed.

/// The purpose of a random stream. Each purpose has its own stream.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    Initialization,
    Order,
    Augmentation,
    Pool,
    Batches,
    Perturbation,
    Validation,
    HeldOut,
}

/// Computes the seed of the `index`-th stream of a kind, with two rounds of SplitMix64's finalizer (Steele et
/// al. 2014). Every stream can be computed from the configuration's seed and the position of the run, so
/// checkpoints need no random state.
pub(crate) fn derive(seed: u64, stream: Stream, index: u64) -> u64 {
    let mix = |x: u64| {
        let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    mix(mix(seed ^ (stream as u64) << 56).wrapping_add(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_kind_and_index() {
        let mut seen = std::collections::HashSet::new();
        for seed in 0..20 {
            for stream in [Stream::Order, Stream::Pool, Stream::Batches] {
                for index in 0..20 {
                    assert!(seen.insert(derive(seed, stream, index)));
                }
            }
        }
    }
}
