//! Times the generator's convolution, forward and with all gradients, and Burn's own convolution
//! for comparison.

use burn::backend::Autodiff;
use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use chimle_benches::{Cpu, uniform};
use chimle_kernels::conv3x3;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Batch, input channels, output channels and side. They are the shapes of `torch_conv.py`, with
/// which `versus_torch.py` compares.
const SHAPES: [[usize; 4]; 12] = [
    [1, 64, 64, 64],
    [4, 64, 64, 64],
    [1, 128, 256, 32],
    [1, 256, 256, 32],
    [8, 128, 128, 32],
    [1, 64, 64, 128],
    [1, 320, 64, 64],
    [1, 64, 64, 256],
    [8, 32, 16, 32],
    [8, 80, 32, 32],
    [4, 24, 12, 64],
    [4, 16, 8, 64],
];

fn bench(criterion: &mut Criterion) {
    let burns = |input: Tensor<Autodiff<Cpu>, 4>, weight, bias| {
        let same_size = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        conv2d(input, weight, Some(bias), same_size)
    };
    for [batch, inputs, outputs, side] in SHAPES {
        let operations = 2 * batch * inputs * outputs * 9 * side * side;
        let name = format!("{batch}x{inputs}x{side}x{side} to {outputs}");

        let mut group = criterion.benchmark_group("convolution forward");
        group
            .sample_size(20)
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
            .sample_size(20)
            .throughput(Throughput::Elements(3 * operations as u64));
        let gradient = uniform::<Cpu, 4>([batch, outputs, side, side]);
        let gradient = Tensor::<Autodiff<Cpu>, 4>::from_inner(gradient);
        let input = uniform::<Autodiff<Cpu>, 4>([batch, inputs, side, side]).require_grad();
        let weight = uniform::<Autodiff<Cpu>, 4>([outputs, inputs, 3, 3]).require_grad();
        let bias = uniform::<Autodiff<Cpu>, 1>([outputs]).require_grad();
        // The gradient of this sum with respect to the output is `gradient`.
        let backward =
            |output: Tensor<Autodiff<Cpu>, 4>| (output * gradient.clone()).sum().backward();
        group.bench_function(BenchmarkId::new("chimle", &name), |b| {
            b.iter(|| backward(conv3x3(input.clone(), weight.clone(), bias.clone())));
        });
        group.bench_function(BenchmarkId::new("burn", &name), |b| {
            b.iter(|| backward(burns(input.clone(), weight.clone(), bias.clone())));
        });
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
