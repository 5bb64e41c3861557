//! Gradients computed by several threads at the same time.

mod small;

use std::thread;

use burn::backend::Autodiff;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use burn_flex::Flex;
use chimle_nn::{Architecture, Generator, fresh_leaves};
use small::{codes, conditioning, generator};

type B = Autodiff<Flex>;
type Gradients = <B as AutodiffBackend>::Gradients;

/// Counts the parameters without a gradient.
fn without_gradient(generator: &Generator<B>) -> usize {
    struct Count<'a> {
        gradients: &'a Gradients,
        missing: usize,
    }
    impl ModuleVisitor<B> for Count<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            self.missing += usize::from(param.val().grad(self.gradients).is_none());
        }
    }
    let inputs = conditioning(generator.config(), 2, [4, 6]);
    let images = generator.forward(inputs, codes(generator.config(), 2, [4, 6]));
    let loss = images.into_iter().map(|image| image.square().mean());
    let gradients = loss.reduce(|sum, term| sum + term).unwrap().backward();
    let mut count = Count {
        gradients: &gradients,
        missing: 0,
    };
    generator.visit(&mut count);
    count.missing
}

/// When this test was written, 3 of its 160 backward passes lost gradients without the new leaves.
#[test]
fn no_gradient_is_lost_when_several_threads_differentiate() {
    let workers = (0..4).map(|_| {
        thread::spawn(|| {
            let mut generator = generator::<B>(Architecture::Colorization, 3);
            let counts = (0..40).map(|_| {
                generator = fresh_leaves::<B, _>(generator.clone());
                without_gradient(&generator)
            });
            counts.sum::<usize>()
        })
    });
    let workers: Vec<_> = workers.collect();
    for worker in workers {
        assert_eq!(worker.join().unwrap(), 0);
    }
}
