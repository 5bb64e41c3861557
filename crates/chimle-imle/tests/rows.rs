//! Selecting, repeating and joining the rows of batches.

use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use chimle_imle::{Rows, Selection, Unconditional};

/// A tensor `[rows, ..]` whose values count up from `first`.
fn counting<const D: usize>(shape: [usize; D], first: usize) -> Tensor<Flex, D> {
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> = (first..first + count).map(|v| v as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

/// The values of each row.
fn rows_of<const D: usize>(tensor: &Tensor<Flex, D>) -> Vec<Vec<f32>> {
    let rows = tensor.dims()[0];
    let values: Vec<f32> = tensor.clone().into_data().into_vec().unwrap();
    let width = tensor.dims()[1..].iter().product::<usize>();
    assert_eq!(values.len(), rows * width);
    values.chunks(width.max(1)).map(<[f32]>::to_vec).collect()
}

/// Selections from three rows, with the indices that each stands for.
fn selections() -> Vec<(Selection<Flex>, Vec<usize>)> {
    vec![
        (Selection::indices([2, 0, 2, 1]), vec![2, 0, 2, 1]),
        (Selection::indices([1]), vec![1]),
        (Selection::range(1..3), vec![1, 2]),
        (Selection::range(0..3), vec![0, 1, 2]),
        (Selection::repeat_each(1), vec![0, 1, 2]),
        (Selection::repeat_each(3), vec![0, 0, 0, 1, 1, 1, 2, 2, 2]),
    ]
}

fn pick<T: Clone>(rows: &[T], which: &[usize]) -> Vec<T> {
    which.iter().map(|&row| rows[row].clone()).collect()
}

fn check_tensor<const D: usize>(shape: [usize; D]) {
    assert_eq!(shape[0], 3);
    let tensor = counting(shape, 0);
    let all = rows_of(&tensor);
    assert_eq!(Rows::<Flex>::rows(&tensor), 3);
    for (selection, which) in selections() {
        assert_eq!(selection.count(3), which.len());
        let selected = tensor.select_rows(&selection);
        assert_eq!(selected.dims()[1..], shape[1..]);
        assert_eq!(rows_of(&selected), pick(&all, &which), "{which:?}");
    }
    let more = counting(shape, 1000);
    let joined = Rows::<Flex>::concat(vec![more.clone(), tensor.clone(), more.clone()]);
    let expected = [rows_of(&more), all.clone(), rows_of(&more)].concat();
    assert_eq!(rows_of(&joined), expected);
    assert_eq!(rows_of(&Rows::<Flex>::concat(vec![tensor])), all);
}

#[test]
fn tensors_of_any_rank_have_rows() {
    check_tensor([3]);
    check_tensor([3, 4]);
    check_tensor([3, 1, 1]);
    check_tensor([3, 5, 1, 1]);
    check_tensor([3, 2, 3, 4]);
    check_tensor([3, 2, 1, 2, 3]);
}

#[test]
fn one_selection_applies_to_tensors_of_different_shape() {
    let selection = Selection::indices([2, 2, 0]);
    let (a, b) = (counting([3, 2], 0), counting([3, 1, 4, 2], 50));
    assert_eq!(
        rows_of(&a.select_rows(&selection)),
        pick(&rows_of(&a), &[2, 2, 0])
    );
    assert_eq!(
        rows_of(&b.select_rows(&selection)),
        pick(&rows_of(&b), &[2, 2, 0])
    );
}

#[test]
fn batches_of_batches_are_selected_and_joined_part_by_part() {
    type Batch = (Vec<Tensor<Flex, 2>>, Option<Tensor<Flex, 3>>);
    let batch = |first| -> Batch {
        let list = vec![counting([3, 2], first), counting([3, 4], first + 100)];
        (list, Some(counting([3, 1, 2], first + 200)))
    };
    let parts = |batch: &Batch| {
        let mut parts: Vec<_> = batch.0.iter().map(rows_of).collect();
        parts.extend(batch.1.as_ref().map(rows_of));
        parts
    };
    let (a, b) = (batch(0), batch(1000));
    assert_eq!(Rows::<Flex>::rows(&a), 3);
    for (selection, which) in selections() {
        let selected = a.select_rows(&selection);
        let expected: Vec<_> = parts(&a).iter().map(|part| pick(part, &which)).collect();
        assert_eq!(parts(&selected), expected, "{which:?}");
        assert_eq!(Rows::<Flex>::rows(&selected), which.len());
    }
    let joined = Rows::<Flex>::concat(vec![b.clone(), a.clone()]);
    let both = parts(&b).into_iter().zip(parts(&a));
    let expected: Vec<_> = both.map(|(b, a)| [b, a].concat()).collect();
    assert_eq!(parts(&joined), expected);
    assert_eq!(Rows::<Flex>::rows(&joined), 6);
}

#[test]
fn what_is_absent_or_empty_stays_so() {
    let absent: Option<Tensor<Flex, 2>> = None;
    let none: Vec<Tensor<Flex, 2>> = Vec::new();
    assert_eq!(Rows::<Flex>::rows(&absent), 0);
    assert_eq!(Rows::<Flex>::rows(&none), 0);
    for (selection, _) in selections() {
        assert!(absent.select_rows(&selection).is_none());
        assert!(none.select_rows(&selection).is_empty());
    }
    assert!(Rows::<Flex>::concat(vec![absent.clone(), absent]).is_none());
    assert!(Rows::<Flex>::concat(vec![none.clone(), none]).is_empty());
}

#[test]
#[should_panic(expected = "lists of different lengths")]
fn lists_of_different_lengths_are_not_joined() {
    let list = |len| vec![counting([3, 2], 0); len];
    Rows::<Flex>::concat(vec![list(2), list(1)]);
}

#[test]
fn the_empty_conditioning_counts_its_rows() {
    for (selection, which) in selections() {
        let selected = Unconditional(3).select_rows(&selection);
        assert_eq!(selected, Unconditional(which.len()));
    }
    assert_eq!(Rows::<Flex>::rows(&Unconditional(4)), 4);
    let joined = <Unconditional as Rows<Flex>>::concat(vec![Unconditional(2), Unconditional(5)]);
    assert_eq!(joined, Unconditional(7));
}
