//! The latent search: hierarchical and flat, with the same number of evaluations of whole codes.

use chimle_benches::{Cpu, uniform};
use chimle_imle::{Search, SeededPool, Strategy, Target};
use chimle_nn::{Architecture, GeneratorConfig, Preset};
use chimle_perceptual::Distance;
use criterion::{Criterion, criterion_group, criterion_main};

const EXAMPLES: usize = 4;
const CANDIDATES: usize = 16;

fn bench(criterion: &mut Criterion) {
    let device = Default::default();
    let config = GeneratorConfig::preset(Preset::Tiny, Architecture::Colorization);
    let generator = config.init::<Cpu>(&device).fold();
    let distance = Distance::L2;
    let sides: Vec<usize> = (0..config.levels()).map(|level| 8 << level).collect();
    let lightness: Vec<_> = sides
        .iter()
        .map(|&side| uniform([EXAMPLES, 1, side, side]))
        .collect();
    let images = sides
        .iter()
        .map(|&side| uniform([EXAMPLES, 3, side, side]))
        .collect();
    let target = Target::new(&distance, images);
    let pool = SeededPool::new(&config, 0);

    let mut group = criterion.benchmark_group("latent search");
    group.sample_size(10);
    let strategies = [
        (
            "hierarchical",
            Strategy::Hierarchical {
                pools: vec![CANDIDATES; sides.len()],
            },
        ),
        (
            "flat",
            Strategy::Flat {
                candidates: CANDIDATES,
            },
        ),
    ];
    for (name, strategy) in strategies {
        let search = Search::new(strategy, EXAMPLES * CANDIDATES);
        group.bench_function(name, |b| {
            b.iter(|| search.run(&generator, &distance, lightness.clone(), &target, &pool, 0));
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
