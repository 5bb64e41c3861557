//! The generator's convolution, forward and with both gradients, beside Burn's own.

use burn::backend::Autodiff;
use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use chimle_benches::{Cpu, uniform};
use chimle_kernels::conv3x3;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Batch, channels in, channels out, side: from a tiny generator's levels to a paper-scale one's.
const SHAPES: [[usize; 4]; 5] = [
    [8, 32, 16, 32],
    [8, 80, 32, 32],
    [4, 64, 64, 64],
    [1, 128, 256, 32],
    [1, 64, 64, 128],
];

fn bench(criterion: &mut Criterion) {
    let burns = |input: Tensor<Autodiff<Cpu>, 4>, weight, bias| {
        conv2d(
            input,
            weight,
            Some(bias),
            ConvOptions::new([1, 1], [1, 1], [1, 1], 1),
        )
    };
    for [batch, inputs, outputs, side] in SHAPES {
        let operations = 2 * batch * inputs * outputs * 9 * side * side;
        let name = format!("{batch}x{inputs}x{side}x{side} to {outputs}");

        let mut group = criterion.benchmark_group("convolution forward");
        group
            .sample_size(10)
            .throughput(Throughput::Elements(operations as u64));
        let (input, weight) = (
            uniform::<Cpu, 4>([batch, inputs, side, side]),
            uniform([outputs, inputs, 3, 3]),
        );
        let bias = uniform([outputs]);
        group.bench_function(BenchmarkId::new("chimle", &name), |b| {
            b.iter(|| conv3x3(input.clone(), weight.clone(), bias.clone()));
        });
        group.finish();

        let mut group = criterion.benchmark_group("convolution with gradients");
        group
            .sample_size(10)
            .throughput(Throughput::Elements(3 * operations as u64));
        let input = uniform::<Autodiff<Cpu>, 4>([batch, inputs, side, side]).require_grad();
        let weight = uniform::<Autodiff<Cpu>, 4>([outputs, inputs, 3, 3]).require_grad();
        let bias = uniform::<Autodiff<Cpu>, 1>([outputs]).require_grad();
        group.bench_function(BenchmarkId::new("chimle", &name), |b| {
            b.iter(|| {
                conv3x3(input.clone(), weight.clone(), bias.clone())
                    .sum()
                    .backward()
            });
        });
        group.bench_function(BenchmarkId::new("burn", &name), |b| {
            b.iter(|| {
                burns(input.clone(), weight.clone(), bias.clone())
                    .sum()
                    .backward()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
