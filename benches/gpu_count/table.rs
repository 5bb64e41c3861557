//! The tables, and the time that a device needs at least.

use std::collections::BTreeMap;
use std::fmt::Write;

use chimle_core::nn::Precision;

use crate::counted::{Launches, Part};
use crate::model::{BANDWIDTH, LAUNCH, MACS_BF16, MACS_F32, MACS_TF32};

/// The kinds of kernels, each with the words by which its kernels are known. The first kind whose
/// word is in a kernel's name is the kernel's.
const KINDS: [(&str, &[&str]); 7] = [
    ("convolution", &["conv", "im2col", "col2im"]),
    ("matrix product", &["matmul", "gemm", "gemv", "tile"]),
    ("concatenation and slicing", &["slice", "select", "gather"]),
    (
        "copy to another layout",
        &["contiguous", "copy", "permute", "transpose"],
    ),
    ("sums and means", &["reduce"]),
    (
        "random numbers",
        &["random", "prng", "uniform", "normal", "bernoulli"],
    ),
    ("element by element", &[""]),
];

fn kind(kernel: &str) -> &'static str {
    let kernel = kernel.to_lowercase();
    let found = KINDS
        .iter()
        .find(|(_, words)| words.iter().any(|word| kernel.contains(word)));
    found.expect("the last kind has all kernels").0
}

/// The multiply-adds per second that are compared.
pub struct Rates(Vec<(&'static str, f64)>);

impl Rates {
    pub fn of(precision: Precision) -> Self {
        Self(match precision {
            Precision::F32 => vec![("f32", MACS_F32), ("TF32", MACS_TF32)],
            Precision::Bf16 | Precision::F16 => vec![("bf16", MACS_BF16)],
        })
    }
}

/// Returns the time to read and write these bytes, in milliseconds.
fn traffic_ms(launches: &Launches) -> f64 {
    (launches.read + launches.written) as f64 / BANDWIDTH * 1e3
}

/// Returns a Markdown table of a part by kind of kernel, or by kernel.
pub fn table(name: &str, part: &Part, macs: u64, rates: &Rates, by_kind: bool) -> String {
    let mut rows: BTreeMap<String, Launches> = BTreeMap::new();
    for (kernel, launches) in &part.kernels {
        let row = if by_kind {
            kind(kernel).to_owned()
        } else {
            format!("{}: {kernel}", kind(kernel))
        };
        let row = rows.entry(row).or_default();
        row.count += launches.count;
        row.read += launches.read;
        row.written += launches.written;
    }
    let mut out = format!(
        "| {name} | launches | GB read | GB written | ms of launches | ms of memory |\n|---|--:|--:|--:|--:|--:|\n"
    );
    let total = part.total();
    for (row, launches) in rows.iter().chain([(&"all".to_owned(), &total)]) {
        writeln!(
            out,
            "| {row} | {} | {:.2} | {:.2} | {:.2} | {:.2} |",
            launches.count,
            launches.read as f64 / 1e9,
            launches.written as f64 / 1e9,
            launches.count as f64 * LAUNCH * 1e3,
            traffic_ms(launches),
        )
        .expect("a string takes all");
    }
    write!(out, "\nMultiply-adds: {:.3e}", macs as f64).expect("a string takes all");
    for (precision, rate) in &rates.0 {
        let ms = macs as f64 / rate * 1e3;
        write!(out, ", {ms:.2} ms in {precision}").expect("a string takes all");
    }
    writeln!(out, ". The host waits for values {} times.", part.reads).expect("a string takes all");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_sorted_by_kind() {
        for (kernel, expected) in [
            ("DirectConv2dKernel", "convolution"),
            ("MatmulEntry of a convolution", "convolution"),
            ("MatmulEntry", "matrix product"),
            ("SliceAssignKernel", "concatenation and slicing"),
            ("CopyKernel", "copy to another layout"),
            ("ReduceKernel", "sums and means"),
            ("ElemwiseFuse", "element by element"),
        ] {
            assert_eq!(kind(kernel), expected, "{kernel}");
        }
    }

    #[test]
    fn the_table_has_a_row_per_kind_and_their_sum() {
        let one = Launches {
            count: 2,
            read: 4_000_000_000,
            written: 800_000_000,
        };
        let kernels = ["ElemwiseFuse", "Unary", "DirectConv2dKernel"];
        let kernels = kernels.map(|kernel| (kernel.to_owned(), one));
        let part = Part {
            kernels: kernels.into_iter().collect(),
            reads: 1,
        };
        let found = table("step", &part, 67, &Rates::of(Precision::F32), true);
        assert!(found.contains("| convolution | 2 | 4.00 | 0.80 | 0.01 | 1.00 |"));
        assert!(found.contains("| element by element | 4 | 8.00 | 1.60 | 0.02 | 2.00 |"));
        assert!(found.contains("| all | 6 | 12.00 | 2.40 | 0.03 | 3.00 |"));
    }
}
