//! Feature maps in a buffer, and the order of their planes.

use std::marker::PhantomData;
use std::ops::Range;

/// The size of a batch of feature maps, and the position at which each plane begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) images: usize,
    pub(crate) planes: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    image_stride: usize,
    plane_stride: usize,
}

impl Frame {
    /// Creates a frame in Burn's order: `[images, planes, height, width]`, row-major.
    pub(crate) fn by_image([images, planes, height, width]: [usize; 4]) -> Self {
        let (image_stride, plane_stride) = (planes * height * width, height * width);
        Self {
            images,
            planes,
            height,
            width,
            image_stride,
            plane_stride,
        }
    }

    /// Creates a frame in the order `[planes, images, height, width]`, row-major. The first planes
    /// of all images are one slice.
    pub(crate) fn by_plane([images, planes, height, width]: [usize; 4]) -> Self {
        let (image_stride, plane_stride) = (height * width, images * height * width);
        Self {
            images,
            planes,
            height,
            width,
            image_stride,
            plane_stride,
        }
    }

    pub(crate) fn values(&self) -> usize {
        self.images * self.planes * self.height * self.width
    }

    pub(crate) fn pixels(&self) -> usize {
        self.height * self.width
    }

    #[inline(always)]
    fn start(&self, image: usize, plane: usize) -> usize {
        image * self.image_stride + plane * self.plane_stride
    }

    /// Returns the number of values up to the end of the last plane.
    fn end(&self) -> usize {
        if self.values() == 0 {
            return 0;
        }
        self.start(self.images - 1, self.planes - 1) + self.pixels()
    }

    /// Returns whether no two planes share a pixel. Either each image, or each plane of all images,
    /// begins after the end of the one before.
    fn is_disjoint(&self) -> bool {
        let in_turn = |inner: (usize, usize), outer: (usize, usize)| {
            let ((count, stride), (others, outer_stride)) = (inner, outer);
            let inner_fits = count <= 1 || stride >= self.pixels();
            let length = count.saturating_sub(1) * stride + self.pixels();
            inner_fits && (others <= 1 || outer_stride >= length)
        };
        let images = (self.images, self.image_stride);
        let planes = (self.planes, self.plane_stride);
        self.values() == 0 || in_turn(planes, images) || in_turn(images, planes)
    }

    /// Returns whether both frames have the same number of images, of the same size.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        (self.images, self.height, self.width) == (other.images, other.height, other.width)
    }

    /// Returns the same frame with `planes` planes.
    pub(crate) fn with_planes(self, planes: usize) -> Self {
        Self { planes, ..self }
    }
}

/// Feature maps that are read.
#[derive(Clone, Copy)]
pub(crate) struct Maps<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) frame: Frame,
}

impl<'a> Maps<'a> {
    #[inline(always)]
    pub(crate) fn plane(&self, image: usize, plane: usize) -> &'a [f32] {
        &self.values[self.frame.start(image, plane)..][..self.frame.pixels()]
    }

    /// Returns a stretch of a row.
    #[inline(always)]
    pub(crate) fn pixels(
        &self,
        image: usize,
        plane: usize,
        row: usize,
        columns: Range<usize>,
    ) -> &'a [f32] {
        &self.plane(image, plane)[row * self.frame.width..][columns]
    }
}

/// Feature maps that are written.
///
/// A target has exclusive access to its values: it is not `Copy`, and a kernel that writes takes it
/// by `&mut`.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    values: &'a mut [f32],
    frame: Frame,
}

impl<'a> Target<'a> {
    /// Creates a target of these values.
    ///
    /// # Panics
    ///
    /// If a plane of the frame is not within the values, or two planes share a pixel.
    pub(crate) fn new(values: &'a mut [f32], frame: Frame) -> Self {
        assert!(frame.end() <= values.len(), "planes within the values");
        assert!(frame.is_disjoint(), "planes without overlap");
        Self { values, frame }
    }

    pub(crate) fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Returns the same maps for several threads that write different pixels at the same time.
    /// Until all of them are done, no one else has access to the values.
    pub(crate) fn shared(&mut self) -> Shared<'_> {
        Shared {
            start: self.values.as_mut_ptr(),
            length: self.values.len(),
            frame: self.frame,
            values: PhantomData,
        }
    }
}

/// A [`Target`] that several threads write at the same time. No two threads write the same pixel.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    start: *mut f32,
    length: usize,
    pub(crate) frame: Frame,
    values: PhantomData<&'a mut [f32]>,
}

// SAFETY: a `Shared` stands for the mutable slice of a target, which may be sent to another thread.
// A part of the slice is accessed only through an unsafe method, whose caller promises that no
// other reference to this part exists.
#[allow(unsafe_code)]
unsafe impl Send for Shared<'_> {}
// SAFETY: a shared reference to a `Shared` allows no more than a copy of it. See `Send`.
#[allow(unsafe_code)]
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    /// Returns a stretch of a row.
    ///
    /// # Safety
    ///
    /// No other reference to any of these pixels may exist as long as this one does.
    #[allow(unsafe_code)]
    #[inline(always)]
    pub(crate) unsafe fn pixels(
        &self,
        image: usize,
        plane: usize,
        row: usize,
        columns: Range<usize>,
    ) -> &'a mut [f32] {
        let start = self.frame.start(image, plane) + row * self.frame.width + columns.start;
        assert!(start + columns.len() <= self.length, "pixels of the map");
        // SAFETY: by the assertion the pixels are within the slice that `Target::shared` borrows for
        // 'a, and by the caller's promise no other reference to them exists.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), columns.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(count: usize) -> Vec<f32> {
        (0..count).map(|index| index as f32).collect()
    }

    #[test]
    fn planes_lie_where_the_frame_says() {
        let values = numbered(2 * 3 * 4 * 5);
        for frame in [Frame::by_image([2, 3, 4, 5]), Frame::by_plane([2, 3, 4, 5])] {
            let maps = Maps {
                values: &values,
                frame,
            };
            let mut seen: Vec<f32> = Vec::new();
            for image in 0..2 {
                for plane in 0..3 {
                    let map = maps.plane(image, plane);
                    assert_eq!(map.len(), 20);
                    assert_eq!(maps.pixels(image, plane, 2, 1..4), &map[11..14]);
                    seen.extend(map);
                }
            }
            seen.sort_by(f32::total_cmp);
            assert_eq!(seen, values);
        }
    }

    #[test]
    fn several_threads_write_different_pixels_of_a_target() {
        for frame in [Frame::by_image([2, 3, 2, 4]), Frame::by_plane([2, 3, 2, 4])] {
            let mut values = vec![0.0; 48];
            let mut target = Target::new(&mut values, frame);
            let shared = target.shared();
            std::thread::scope(|scope| {
                for plane in 0..3 {
                    scope.spawn(move || {
                        for (image, row) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                            for columns in [0..3, 3..4] {
                                // SAFETY: each thread has its own plane, and each stretch is
                                // dropped before the next one is taken.
                                #[allow(unsafe_code)]
                                let pixels = unsafe { shared.pixels(image, plane, row, columns) };
                                pixels
                                    .iter_mut()
                                    .for_each(|pixel| *pixel += 1.0 + plane as f32);
                            }
                        }
                    });
                }
            });
            let maps = Maps {
                values: &values,
                frame,
            };
            for plane in 0..3 {
                let expected = [1.0 + plane as f32; 8];
                assert_eq!(maps.plane(0, plane), expected);
                assert_eq!(maps.plane(1, plane), expected);
            }
        }
    }

    #[test]
    fn a_stretch_that_is_not_within_the_values_is_a_panic() {
        let mut values = vec![0.0; 4];
        let mut target = Target::new(&mut values, Frame::by_image([1, 1, 2, 2]));
        let shared = target.shared();
        for (image, plane, row, columns) in [(1, 0, 0, 0..1), (0, 0, 2, 0..1), (0, 0, 1, 0..3)] {
            let taken = std::panic::catch_unwind(|| {
                // SAFETY: there is no other reference to the values.
                #[allow(unsafe_code)]
                unsafe {
                    shared.pixels(image, plane, row, columns).len()
                }
            });
            assert!(taken.is_err());
        }
    }

    #[test]
    fn a_target_has_room_for_its_planes_and_none_twice() {
        let refused = |length: usize, frame: Frame| {
            std::panic::catch_unwind(|| Target::new(&mut vec![0.0; length], frame).frame.values())
                .is_err()
        };
        let frame = Frame::by_image([2, 3, 2, 2]);
        assert!(!refused(24, frame));
        assert!(refused(23, frame));
        // The strides are those of fewer planes, so the second image would begin within the first.
        assert!(refused(48, frame.with_planes(4)));
        let frame = Frame::by_plane([2, 3, 2, 2]);
        assert!(!refused(32, frame.with_planes(4)));
        assert!(refused(31, frame.with_planes(4)));
        for empty in [[0, 3, 2, 2], [2, 0, 2, 2], [2, 3, 0, 2], [2, 3, 2, 0]] {
            assert!(!refused(0, Frame::by_image(empty)));
            assert!(!refused(0, Frame::by_plane(empty)));
        }
    }
}
