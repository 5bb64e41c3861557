//! Agreement with the authors' release: what the search finds, the losses, and their gradients.

mod reference;

use burn::backend::Autodiff;
use burn::module::Param;
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use burn_flex::Flex;
use chimle_imle::{CodePool, Objective, Search, Strategy, Target};
use chimle_nn::{NamedVisitor, WeightFile};
use reference::{Reference, TASKS, lpips, relative_error, shared, values};

#[test]
fn the_search_chooses_what_the_release_chooses() {
    let Some(distance) = lpips::<Flex>() else {
        return;
    };
    for (task, architecture) in TASKS {
        let Some(reference) = Reference::<Flex>::open(task, architecture) else {
            continue;
        };
        let pool = reference.pool();
        let pools: Vec<usize> = pool.levels.iter().map(|codes| codes.dims()[1]).collect();
        let target = Target::new(&distance, reference.levels("target"));
        let conditioning = reference.conditioning();
        let strategy = Strategy::Hierarchical {
            pools: pools.clone(),
        };
        let found = Search::new(strategy, 12)
            .run(
                &reference.generator.clone().fold(),
                &distance,
                conditioning.clone(),
                &target,
                &pool,
                0,
            )
            .unwrap();

        let candidates: Vec<_> = found.iter().map(|c| c.candidates.clone()).collect();
        assert_eq!(candidates, reference.selected(), "{task}");
        let stored = reference.tensor::<3>("search.distance");
        for (level, count) in pools.iter().enumerate() {
            let expected = values(stored.clone().slice([0..2, level..level + 1, 0..*count]));
            let distances = found.iter().map(|c| c.distances[level].clone());
            let error = relative_error(&distances.collect::<Vec<_>>().concat(), &expected);
            println!("{task}, distances of level {}: {error:e}", level + 1);
            assert!(error < 1e-3, "{task}, level {}: {error}", level + 1);
        }

        // Training on the chosen codes starts from the distances that the search has seen.
        let [.., height, width] = conditioning[0].dims();
        let codes: Vec<_> = (0..pools.len())
            .map(|level| {
                let rows = found.iter().enumerate().map(|(example, chosen)| {
                    let k = chosen.candidates[level];
                    let size = [height << level, width << level];
                    pool.draw(level, &[(example, k)], size, &Default::default())
                });
                let (global, local) = rows.map(|code| (code.global, code.local)).unzip();
                chimle_nn::LatentCode {
                    global: Tensor::cat(global, 0),
                    local: Tensor::cat(local, 0),
                }
            })
            .collect();
        let objective = Objective {
            intermediate_supervision: true,
        };
        let losses = objective.losses(
            &reference.generator,
            &distance,
            conditioning,
            codes,
            &target,
        );
        for (level, loss) in losses.into_iter().enumerate() {
            let nearest: Vec<f32> = found.iter().map(|c| c.nearest()[level]).collect();
            let error = relative_error(&values(loss), &nearest);
            println!(
                "{task}, chosen codes anew at level {}: {error:e}",
                level + 1
            );
            assert!(error < 1e-5, "{task}, level {}: {error}", level + 1);
        }
    }
}

#[test]
fn losses_and_gradients_are_the_release_s() {
    type B = Autodiff<Flex>;
    struct Gradients<'a> {
        of: &'a <B as AutodiffBackend>::Gradients,
        expected: &'a WeightFile,
        compared: usize,
        error: f32,
    }
    impl NamedVisitor<B> for Gradients<'_> {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
            let Some(gradient) = param.val().grad(self.of) else {
                assert!(self.expected.shape(name).is_err(), "{name}");
                return;
            };
            let mut shape = gradient.dims();
            let gradient = if D == 2 {
                shape.reverse();
                gradient.transpose()
            } else {
                gradient
            };
            let expected = self
                .expected
                .tensor::<Flex, D>(name, shape, &Default::default())
                .unwrap();
            // Where the gradient is zero but for rounding, that rounding is no yardstick.
            let size = values(expected.clone().abs().max())[0].max(1e-5);
            let differences = values((gradient - expected).abs());
            assert!(differences.iter().all(|d| d.is_finite()), "{name}");
            let error = differences.into_iter().fold(0.0, f32::max) / size;
            // A ReLU whose input is near zero may take the other slope for a rounding error.
            assert!(error < 5e-2, "{name}: {error}");
            self.error = self.error.max(error);
            self.compared += 1;
        }
    }
    let Some(distance) = lpips::<B>() else {
        return;
    };
    for (task, architecture) in TASKS {
        let (Some(reference), Some(gradients)) = (
            Reference::<B>::open(task, architecture),
            shared(&format!("reference/tim_{task}_grads.safetensors")),
        ) else {
            continue;
        };
        let target = Target::new(&distance, reference.levels("target"));
        let losses = |intermediate_supervision| {
            let objective = Objective {
                intermediate_supervision,
            };
            objective.losses(
                &reference.generator,
                &distance,
                reference.conditioning(),
                reference.codes(),
                &target,
            )
        };
        let all = losses(true);
        assert_eq!(all.len(), reference.generator.levels.len());
        for (level, loss) in all.iter().enumerate() {
            let expected = values(reference.tensor::<1>(&format!("loss.{level}")));
            let error = relative_error(&values(loss.clone()), &expected);
            println!("{task}, loss of level {}: {error:e}", level + 1);
            assert!(error < 1e-3, "{task}, level {}: {error}", level + 1);
        }
        let last = losses(false);
        assert_eq!(last.len(), 1);
        assert_eq!(values(last[0].clone()), values(all[all.len() - 1].clone()));

        // The release sums over the examples, too.
        let total = all.into_iter().map(Tensor::sum).reduce(|a, b| a + b);
        let total = total.unwrap();
        let expected = values(reference.tensor::<1>("loss.total"));
        println!(
            "{task}, total: {:?}, release: {expected:?}",
            values(total.clone())
        );
        assert!(relative_error(&values(total.clone()), &expected) < 1e-4);

        let expected = WeightFile::open(gradients).unwrap();
        let mut gradients = Gradients {
            of: &total.backward(),
            expected: &expected,
            compared: 0,
            error: 0.0,
        };
        reference.generator.visit_named(&mut gradients);
        assert_eq!(gradients.compared, expected.names().len());
        println!("{task}, gradients: {:e}", gradients.error);
    }
}
