//! Times the latent search, hierarchical and flat, with the same number of evaluations of whole
//! codes.

use chimle_benches::{Cpu, uniform};
use chimle_imle::{ExampleId, Search, SeededPool, Strategy, Target};
use chimle_nn::{Architecture, GeneratorConfig, Preset};
use chimle_perceptual::ImageDistance;
use criterion::{Criterion, criterion_group, criterion_main};

const EXAMPLES: usize = 4;
const CANDIDATES: usize = 16;

fn bench(criterion: &mut Criterion) {
    let device = Default::default();
    let config = GeneratorConfig::preset(Preset::Tiny, Architecture::Colorization);
    let generator = config.init::<Cpu>(&device).fold();
    let distance: ImageDistance<Cpu> = ImageDistance::L2;
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
    let pool = SeededPool::new(0);
    let examples: Vec<ExampleId> = (0..EXAMPLES as u64).map(ExampleId).collect();

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
            b.iter(|| {
                let conditioning = lightness.clone();
                search.run(
                    &generator,
                    &distance,
                    conditioning,
                    &target,
                    &pool,
                    &examples,
                )
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
