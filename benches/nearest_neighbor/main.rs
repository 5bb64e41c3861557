//! Measures nearest-neighbor search: the time to build and to query each structure, and its recall.
//!
//! `cargo bench -p chimle-benches --bench nearest_neighbor` takes about ten minutes on two cores. With
//! a filter such as ` -- "d=3 "` at the end, it runs only the matching cases. Then
//! `nearest_neighbor_report` writes the tables and the plot of `docs/nearest-neighbour.md`.

mod case;
mod points;
mod structure;

use std::cell::{Cell, LazyCell};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::time::{Duration, Instant};

use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, measurement::WallTime};

use case::{BUILD, Case, MANY_QUERIES, MATRIX_PRODUCT, MATRIX_SIDE, ONE_QUERY, Record, records};
use points::Data;
use structure::Structure;

/// The dimension, the intrinsic dimension, and the exponents of the numbers of points.
const CASES: [(usize, usize, std::ops::RangeInclusive<u32>); 5] = [
    (3, 3, 2..=6),
    (16, 16, 2..=6),
    (100, 20, 2..=6),
    (1000, 20, 2..=5),
    (1000, 5, 2..=5),
];

fn main() {
    let mut criterion = Criterion::default()
        .output_directory(&case::criterion_folder())
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .configure_from_args();
    matrix_product(&mut criterion);
    for (d, intrinsic, exponents) in CASES {
        for exponent in exponents {
            let n = 10usize.pow(exponent);
            measure(&mut criterion, Case { d, intrinsic, n });
        }
    }
    criterion.final_summary();
}

/// Measures the speed of the machine by the product of two square matrices on all cores.
fn matrix_product(criterion: &mut Criterion) {
    let mut group = group(criterion, MATRIX_PRODUCT);
    group.bench_function(BenchmarkId::from_parameter(MATRIX_SIDE), |bencher| {
        let side = MATRIX_SIDE;
        let (left, right) = (vec![0.5f32; side * side], vec![0.25f32; side * side]);
        let mut product = vec![0.0f32; side * side];
        bencher.iter(|| {
            // SAFETY: all three are column-major matrices of `side` rows and columns, and only the
            // product is written.
            unsafe {
                gemm::gemm(
                    side,
                    side,
                    side,
                    product.as_mut_ptr(),
                    side as isize,
                    1,
                    false,
                    left.as_ptr(),
                    side as isize,
                    1,
                    right.as_ptr(),
                    side as isize,
                    1,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::Rayon(0),
                );
            }
        });
    });
    group.finish();
}

fn measure(criterion: &mut Criterion, case: Case) {
    // The points are drawn when a bench first needs them, so a case that is filtered out costs
    // nothing.
    let data = LazyCell::new(|| Data::new(case));
    for structure in Structure::ALL {
        if !structure.suits(case) {
            continue;
        }
        let built = Cell::new(None);
        let index = LazyCell::new(|| {
            let data = &*data;
            let start = Instant::now();
            let index = structure.build(data);
            built.set(Some(start.elapsed().as_secs_f64()));
            index
        });
        let id = || BenchmarkId::new(structure.name(), case.name());

        let mut one = group(criterion, ONE_QUERY);
        one.bench_function(id(), |bencher| {
            let mut queries = data.queries().rows().cycle();
            let index = &*index;
            bencher.iter(|| index.nearest(queries.next().expect("without an end")));
        });
        one.finish();

        if structure.answers_many_quickly(case) {
            let mut many = group(criterion, MANY_QUERIES);
            many.bench_function(id(), |bencher| {
                let (index, queries) = (&*index, data.queries());
                bencher.iter(|| index.nearest_many(queries));
            });
            many.finish();
        }

        if structure.builds_quickly(case) {
            let mut build = group(criterion, BUILD);
            build.bench_function(id(), |bencher| bencher.iter(|| structure.build(&data)));
            build.finish();
        }

        if let Some(build_seconds) = built.get() {
            let recall = match structure {
                // The exact answers are the reference of the recall.
                Structure::Exact => 1.0,
                _ => data.recall(|query| index.nearest(query)),
            };
            let record = Record {
                structure: structure.name().to_owned(),
                case,
                build_seconds,
                recall,
            };
            println!("{}, {}: recall {recall:.3}", structure.name(), case.name());
            append(&record).expect("the record can be written");
        }
    }
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    group
}

fn append(record: &Record) -> std::io::Result<()> {
    std::fs::create_dir_all(case::criterion_folder())?;
    let mut file: File = OpenOptions::new()
        .create(true)
        .append(true)
        .open(records())?;
    writeln!(file, "{}", serde_json::to_string(record)?)
}
