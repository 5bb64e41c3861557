//! One axis of a plot: its range, the position of a value on it, and its ticks.

/// The scale of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Equal differences have equal lengths.
    #[default]
    Linear,
    /// Equal ratios have equal lengths. Values of 0 and below cannot be shown and leave a gap.
    Log,
}

/// An axis from `low` to `high`. The two values differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
}

/// A value on an axis, with its label.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub value: f64,
    pub label: String,
}

/// The largest absolute value that is shown. Beyond it, and below its inverse on a logarithmic axis,
/// differences overflow.
const LARGEST: f64 = 1e300;

/// The smallest range relative to the size of the values. A smaller range is due to rounding errors.
const SMALLEST_RANGE: f64 = 1e-9;

/// The tolerance for a value that lies on a tick, as a share of a step.
const SLACK: f64 = 1e-6;

impl Axis {
    /// Creates the axis that covers all of `values` that it can show.
    pub fn covering(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values
            .filter(|&value| shown(scale, value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        Self::between(scale, (low, high))
    }

    /// Creates the axis between two values. If the values are equal, the axis extends around them. If they
    /// are not a valid range, a default range is used.
    pub fn between(scale: Scale, (low, high): (f64, f64)) -> Self {
        let usable = shown(scale, low) && shown(scale, high) && low <= high;
        let (low, high) = match scale {
            Scale::Linear if !usable => (0.0, 1.0),
            Scale::Log if !usable => (0.1, 1.0),
            Scale::Linear if high - low <= SMALLEST_RANGE * low.abs().max(high.abs()) => {
                let around = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
                (low - around, high + around)
            }
            Scale::Log if high / low - 1.0 <= SMALLEST_RANGE => (low / 2.0, high * 2.0),
            _ => (low, high),
        };
        Self { scale, low, high }
    }

    /// Extends the axis to round values.
    pub fn rounded(self, count: usize) -> Self {
        let (low, high) = match self.scale {
            Scale::Log if self.decades() > 1.0 => (
                exponent(self.low).map_or(self.low, |power| round_below(self.low, power)),
                exponent(self.high).map_or(self.high, |power| round_above(self.high, power)),
            ),
            // Two passes, because a wider axis can have a larger distance between ticks.
            _ => (0..2).fold((self.low, self.high), |(low, high), _| {
                let step = Self { low, high, ..self }.step(count);
                (
                    (low / step + SLACK).floor() * step,
                    (high / step - SLACK).ceil() * step,
                )
            }),
        };
        match self.scale {
            Scale::Log if low <= 0.0 => Self { high, ..self },
            scale => Self { scale, low, high },
        }
    }

    /// Returns the lowest and the highest value.
    pub fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Returns the position of `value`: 0 at the low end, 1 at the high end, and `None` if the value cannot
    /// be shown.
    pub fn place(&self, value: f64) -> Option<f64> {
        if !shown(self.scale, value) {
            return None;
        }
        Some(match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value.log10() - self.low.log10()) / self.decades(),
        })
    }

    /// Returns about `count` round values. Usually they are multiples of one step, which is 1, 2 or 5
    /// times a power of ten. On a logarithmic axis of more than a decade, the values themselves are 1, 2
    /// or 5 times a power of ten.
    pub fn ticks(&self, count: usize) -> Vec<Tick> {
        if self.scale == Scale::Log && self.decades() > 1.0 {
            return self.log_ticks(count);
        }
        let step = self.step(count);
        let first = (self.low / step - SLACK).ceil();
        let last = (self.high / step + SLACK).floor();
        let largest = self.low.abs().max(self.high.abs());
        (0..=(last - first).clamp(-1.0, 100.0) as i64)
            .map(|k| {
                let value = (first + k as f64) * step;
                Tick {
                    value,
                    label: label(value, step, largest),
                }
            })
            .collect()
    }

    fn decades(&self) -> f64 {
        self.high.log10() - self.low.log10()
    }

    /// Returns the distance between ticks at which there are about `count` ticks.
    fn step(&self, count: usize) -> f64 {
        let rough = (self.high - self.low) / count.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .find(|factor| factor * power >= 0.999 * rough)
            .unwrap_or(10.0);
        factor * power
    }

    fn log_ticks(&self, count: usize) -> Vec<Tick> {
        let (Some(first), Some(last)) = (exponent(self.low), exponent(self.high)) else {
            return Vec::new();
        };
        let every = (self.decades() / count.max(1) as f64).ceil().max(1.0) as i32;
        let factors: &[u32] = if 3.0 * self.decades() <= 1.5 * count as f64 {
            &[1, 2, 5]
        } else {
            &[1]
        };
        (first..=last)
            .filter(|power| power.rem_euclid(every) == 0)
            .flat_map(|power| factors.iter().map(move |factor| (*factor, power)))
            .map(|(factor, power)| Tick {
                value: times_power(factor, power),
                label: power_label(factor, power),
            })
            .filter(|tick| (0.999_999 * self.low..=1.000_001 * self.high).contains(&tick.value))
            .collect()
    }
}

fn shown(scale: Scale, value: f64) -> bool {
    match scale {
        Scale::Linear => value.abs() <= LARGEST,
        Scale::Log => (1.0 / LARGEST..=LARGEST).contains(&value),
    }
}

fn exponent(value: f64) -> Option<i32> {
    let power = value.log10();
    power.is_finite().then(|| (power + 1e-9).floor() as i32)
}

/// Returns the double that is nearest to `factor` times ten to the `power`.
fn times_power(factor: u32, power: i32) -> f64 {
    format!("{factor}e{power}").parse().unwrap_or(f64::NAN)
}

fn round_below(value: f64, power: i32) -> f64 {
    [5, 2, 1]
        .map(|factor| times_power(factor, power))
        .into_iter()
        .find(|round| *round <= value)
        .unwrap_or(value)
}

fn round_above(value: f64, power: i32) -> f64 {
    [1, 2, 5, 10]
        .map(|factor| times_power(factor, power))
        .into_iter()
        .find(|round| *round >= value)
        .unwrap_or(value)
}

/// Formats `value`, a multiple of `step`, with as many digits as `step` needs.
fn label(value: f64, step: f64, largest: f64) -> String {
    let digit = exponent(step).unwrap_or(0);
    let written = if value.abs() < step / 2.0 {
        "0".into()
    } else if largest >= 1e7 || digit < -6 {
        let digits = (exponent(largest).unwrap_or(0) - digit).clamp(0, 9) as usize;
        format!("{value:.digits$e}")
    } else {
        grouped(&format!("{value:.*}", (-digit).max(0) as usize))
    };
    written.replace('-', "\u{2212}")
}

fn power_label(factor: u32, power: i32) -> String {
    let written = match power {
        -4..0 => format!("{:.*}", -power as usize, times_power(factor, power)),
        0..7 => grouped(&format!("{}", times_power(factor, power))),
        _ => format!("{factor}e{power}"),
    };
    written.replace('-', "\u{2212}")
}

/// Inserts commas between groups of three digits, for numbers from ten thousand on.
fn grouped(number: &str) -> String {
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let digits = whole.trim_start_matches('-').len();
    if digits < 5 {
        return number.to_owned();
    }
    let mut grouped = String::new();
    let sign = whole.len() - digits;
    for (index, character) in whole.chars().enumerate() {
        if index > sign && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(character);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, low: f64, high: f64, count: usize) -> Vec<String> {
        Axis::between(scale, (low, high))
            .ticks(count)
            .into_iter()
            .map(|tick| tick.label)
            .collect()
    }

    #[test]
    fn linear_ticks_are_multiples_of_one_two_or_five() {
        use Scale::Linear;
        assert_eq!(
            labels(Linear, 0.0, 1.0, 5),
            ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels(Linear, 1.0, 812.0, 5), ["200", "400", "600", "800"]);
        assert_eq!(
            labels(Linear, 0.0, 240_000.0, 5),
            ["0", "50,000", "100,000", "150,000", "200,000"]
        );
        assert_eq!(labels(Linear, -3.0, 3.0, 3), ["−2", "0", "2"]);
        assert_eq!(labels(Linear, 0.0, 3e8, 3), ["0", "1e8", "2e8", "3e8"]);
    }

    #[test]
    fn log_ticks_are_powers_of_ten_and_between_few_of_these_twice_and_five_times_them() {
        use Scale::Log;
        assert_eq!(
            labels(Log, 0.01, 1000.0, 6),
            ["0.01", "0.1", "1", "10", "100", "1000"]
        );
        assert_eq!(
            labels(Log, 0.02, 1.0, 6),
            ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]
        );
        assert_eq!(
            labels(Log, 1e-9, 1e9, 6),
            ["1e−9", "1e−6", "0.001", "1", "1000", "1,000,000", "1e9"]
        );
        assert_eq!(labels(Log, 0.28, 0.31, 3), ["0.28", "0.29", "0.30", "0.31"]);
    }

    #[test]
    fn values_that_agree_or_cannot_be_shown_still_make_an_axis() {
        for scale in [Scale::Linear, Scale::Log] {
            for values in [
                vec![],
                vec![f64::NAN, f64::INFINITY],
                vec![3.0],
                vec![0.0, 0.0],
                vec![-2.0, -2.0],
                vec![f64::MIN, f64::MAX],
                vec![1.0, 1.0 + f64::EPSILON],
                vec![1e-320, 1e-310],
            ] {
                let axis = Axis::covering(scale, values.iter().copied()).rounded(5);
                assert!(axis.low < axis.high, "{scale:?} {values:?}: {axis:?}");
                let ticks = axis.ticks(5);
                assert!(
                    (2..20).contains(&ticks.len()),
                    "{scale:?} {values:?}: {ticks:?}"
                );
            }
        }
    }

    #[test]
    fn a_value_lies_between_its_ends() {
        let linear = Axis::between(Scale::Linear, (10.0, 20.0));
        assert_eq!(linear.place(15.0), Some(0.5));
        assert_eq!(linear.place(f64::NAN), None);
        let log = Axis::between(Scale::Log, (0.01, 100.0));
        assert!((log.place(1.0).expect("shown") - 0.5).abs() < 1e-12);
        assert_eq!(log.place(0.0), None);
        assert_eq!(log.place(-1.0), None);
    }

    #[test]
    fn rounding_extends_an_axis_to_ticks() {
        let axis = Axis::covering(Scale::Linear, [0.117, 0.157].into_iter()).rounded(5);
        assert!((axis.low - 0.11).abs() < 1e-12 && (axis.high - 0.16).abs() < 1e-12);
        let axis = Axis::covering(Scale::Linear, [0.199_999_999_9, 1.0].into_iter()).rounded(8);
        assert!((axis.low - 0.2).abs() < 1e-9, "{axis:?}");
        let axis = Axis::covering(Scale::Log, [0.03, 7.0].into_iter()).rounded(5);
        assert_eq!((axis.low, axis.high), (0.02, 10.0));
    }
}
