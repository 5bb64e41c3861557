//! Learning rates as functions of the progress, which is the share of the CPU time that has been
//! used.

/// Returns a rate that is constant for the first half and then falls linearly to 0, as in the
/// release of BicycleGAN.
pub fn constant_then_linear(rate: f64, progress: f64) -> f64 {
    rate * (2.0 * (1.0 - progress)).clamp(0.0, 1.0)
}

/// Returns a rate that is halved at 60 % and at 80 %, as in the presets of the library.
pub fn halved_twice(rate: f64, progress: f64) -> f64 {
    let halvings = [0.6, 0.8].iter().filter(|&&at| progress >= at).count();
    rate * 0.5f64.powi(halvings as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_begin_whole_and_fall() {
        let linear = [0.0, 0.5, 0.75, 1.0].map(|at| constant_then_linear(2.0, at));
        assert_eq!(linear, [2.0, 2.0, 1.0, 0.0]);
        let steps = [0.0, 0.59, 0.6, 0.8, 1.0].map(|at| halved_twice(4.0, at));
        assert_eq!(steps, [4.0, 4.0, 2.0, 1.0, 1.0]);
    }
}
