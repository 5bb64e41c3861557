//! The convolution on the CPU: each band of rows unrolled into columns, then one matrix product.
//!
//! A band is small enough that its columns stay in a core's cache, and bands are what the cores
//! share out. Every sum is taken in an order that depends on the shapes and the number of threads
//! alone, so that a run repeats exactly.

use std::ops::Range;

use rayon::prelude::*;

/// Taps of the kernel.
const TAPS: usize = 9;
/// The most values in a band's columns: 512 KiB, half of a usual second-level cache.
const COLUMN_VALUES: usize = 1 << 17;

/// A batch of feature maps, `[batch, channels, height, width]` row-major.
pub(crate) struct Map<V> {
    pub(crate) values: V,
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

/// A stretch of rows of one image.
#[derive(Clone)]
struct Band {
    image: usize,
    rows: Range<usize>,
}

impl<V> Map<V> {
    fn pixels(&self) -> usize {
        self.height * self.width
    }

    fn bands(&self, channels: usize) -> Vec<Band> {
        let row = (channels * TAPS * self.width).max(1);
        // Enough bands for every core, of a size that fits the cache.
        let threads = rayon::current_num_threads();
        let for_cores = (self.batch * self.height).div_ceil(threads).max(1);
        let rows = (COLUMN_VALUES / row)
            .clamp(1, self.height.max(1))
            .min(for_cores);
        let starts = (0..self.height).step_by(rows);
        (0..self.batch)
            .flat_map(|image| {
                let height = self.height;
                starts.clone().map(move |start| Band {
                    image,
                    rows: start..(start + rows).min(height),
                })
            })
            .collect()
    }
}

impl Map<&[f32]> {
    /// A band's columns, `[channels * 9, rows * width]`: at each pixel its neighbor at each tap,
    /// zero outside the image.
    fn unroll(&self, band: &Band, columns: &mut Vec<f32>) {
        let (width, pixels) = (self.width, self.pixels());
        let size = band.rows.len() * width;
        columns.clear();
        columns.resize(self.channels * TAPS * size, 0.0);
        let image = &self.values[band.image * self.channels * pixels..][..self.channels * pixels];
        for (channel, columns) in image
            .chunks_exact(pixels)
            .zip(columns.chunks_exact_mut(TAPS * size))
        {
            for (tap, column) in columns.chunks_exact_mut(size).enumerate() {
                let (dy, dx) = (tap / 3, tap % 3);
                for (row, line) in band.rows.clone().zip(column.chunks_exact_mut(width)) {
                    // Row y of the image is row y + 1 of the padded one.
                    let Some(y) = (row + dy).checked_sub(1).filter(|&y| y < self.height) else {
                        continue;
                    };
                    let source = &channel[y * width..][..width];
                    match dx {
                        0 => line[1..].copy_from_slice(&source[..width - 1]),
                        1 => line.copy_from_slice(source),
                        _ => line[..width - 1].copy_from_slice(&source[1..]),
                    }
                }
            }
        }
    }
}

/// The convolution of `input` with `weight` `[out, in, 3, 3]` and, if given, `bias` `[out]`.
pub(crate) fn convolve(input: &Map<&[f32]>, weight: &[f32], bias: Option<&[f32]>) -> Map<Vec<f32>> {
    let depth = input.channels * TAPS;
    let outputs = weight.len() / depth.max(1);
    let pixels = input.pixels();
    let mut values = vec![0.0; input.batch * outputs * pixels];
    let bands = input.bands(input.channels);

    let computed = bands.par_iter().map_init(Vec::new, |columns, band| {
        let size = band.rows.len() * input.width;
        input.unroll(band, columns);
        let mut product = vec![0.0; outputs * size];
        if let Some(bias) = bias {
            for (line, &bias) in product.chunks_exact_mut(size).zip(bias) {
                line.fill(bias);
            }
        }
        multiply_add(
            Matrix::rows(weight, depth),
            Matrix::rows(columns, size),
            &mut product,
            size,
        );
        product
    });
    let computed: Vec<Vec<f32>> = computed.collect();
    for (band, product) in bands.iter().zip(computed) {
        let size = band.rows.len() * input.width;
        let image = &mut values[band.image * outputs * pixels..][..outputs * pixels];
        for (line, channel) in product
            .chunks_exact(size)
            .zip(image.chunks_exact_mut(pixels))
        {
            channel[band.rows.start * input.width..][..size].copy_from_slice(line);
        }
    }
    Map {
        values,
        batch: input.batch,
        channels: outputs,
        height: input.height,
        width: input.width,
    }
}

/// The weight's gradient `[out, in, 3, 3]`: the output's gradient times the input's columns, over
/// all pixels of all images.
pub(crate) fn weight_gradient(input: &Map<&[f32]>, gradient: &Map<&[f32]>) -> Vec<f32> {
    let depth = input.channels * TAPS;
    let (outputs, pixels) = (gradient.channels, input.pixels());
    let bands = input.bands(input.channels);
    // Each thread sums over a fixed stretch of bands, and the sums are added in order.
    let stretch = bands.len().div_ceil(rayon::current_num_threads()).max(1);
    let parts: Vec<Vec<f32>> = bands
        .par_chunks(stretch)
        .map(|bands| {
            let (mut sum, mut columns) = (vec![0.0; outputs * depth], Vec::new());
            for band in bands {
                let size = band.rows.len() * input.width;
                input.unroll(band, &mut columns);
                let image = &gradient.values[band.image * outputs * pixels..][..outputs * pixels];
                let rows = Matrix {
                    values: &image[band.rows.start * input.width..],
                    rows: outputs,
                    columns: size,
                    row_stride: pixels,
                    column_stride: 1,
                };
                multiply_add(
                    rows,
                    Matrix::rows(&columns, size).transposed(),
                    &mut sum,
                    depth,
                );
            }
            sum
        })
        .collect();
    let sums = parts.into_iter().reduce(|mut sum, part| {
        sum.iter_mut()
            .zip(part)
            .for_each(|(sum, part)| *sum += part);
        sum
    });
    sums.unwrap_or_else(|| vec![0.0; outputs * depth])
}

/// The bias's gradient `[out]`: the output's, summed over all pixels of all images.
pub(crate) fn bias_gradient(gradient: &Map<&[f32]>) -> Vec<f32> {
    let mut sums = vec![0.0; gradient.channels];
    for image in gradient
        .values
        .chunks_exact((gradient.channels * gradient.pixels()).max(1))
    {
        for (sum, channel) in sums.iter_mut().zip(image.chunks_exact(gradient.pixels())) {
            *sum += channel.iter().sum::<f32>();
        }
    }
    sums
}

/// The weight `[out, in, 3, 3]` turned by half a turn and its channels exchanged, `[in, out, 3, 3]`:
/// the input's gradient is the convolution of the output's gradient with it.
pub(crate) fn turned(weight: &[f32], outputs: usize, inputs: usize) -> Vec<f32> {
    let mut turned = Vec::with_capacity(weight.len());
    for input in 0..inputs {
        for output in 0..outputs {
            let taps = &weight[(output * inputs + input) * TAPS..][..TAPS];
            turned.extend(taps.iter().rev());
        }
    }
    turned
}

/// A matrix in a slice.
struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    fn rows(values: &'a [f32], columns: usize) -> Self {
        let rows = values.len() / columns.max(1);
        Self {
            values,
            rows,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

    fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    fn is_within(&self) -> bool {
        let last = |count: usize, stride: usize| count.saturating_sub(1) * stride;
        self.rows * self.columns == 0
            || last(self.rows, self.row_stride) + last(self.columns, self.column_stride)
                < self.values.len()
    }
}

/// `sum += left * right`, where `sum` is row-major with `columns` columns, on this thread.
fn multiply_add(left: Matrix, right: Matrix, sum: &mut [f32], columns: usize) {
    assert_eq!(left.columns, right.rows, "inner dimensions");
    assert_eq!(right.columns, columns, "columns");
    assert_eq!(sum.len(), left.rows * columns, "size of the sum");
    assert!(
        left.is_within() && right.is_within(),
        "matrices lie within their slices"
    );
    // SAFETY: the assertions above say that every element named by the dimensions and strides lies
    // within its slice; `sum` is borrowed mutably, so that it overlaps neither factor.
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            left.rows,
            columns,
            left.columns,
            sum.as_mut_ptr(),
            1,
            columns as isize,
            true,
            left.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
