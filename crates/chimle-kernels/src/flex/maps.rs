//! Feature maps as they lie in a buffer.

use std::marker::PhantomData;
use std::ops::Range;

/// The size of a batch of feature maps, and where each plane of it begins.
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
    /// `[images, planes, height, width]`, row-major: Burn's order.
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

    /// `[planes, images, height, width]`, row-major: the first planes of all images are a slice.
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

    /// The same with `planes` planes.
    pub(crate) fn with_planes(self, planes: usize) -> Self {
        Self { planes, ..self }
    }
}

/// Feature maps to read.
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

    /// A stretch of a row.
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

/// Feature maps that several threads write at once, no pixel by two.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    start: *mut f32,
    length: usize,
    pub(crate) frame: Frame,
    values: PhantomData<&'a mut [f32]>,
}

// SAFETY: a target stands for the mutable slice that it is made of, which may be sent; whoever
// takes a part of it vouches that nobody else does.
#[allow(unsafe_code)]
unsafe impl Send for Target<'_> {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Target<'_> {}

impl<'a> Target<'a> {
    pub(crate) fn new(values: &'a mut [f32], frame: Frame) -> Self {
        Self {
            start: values.as_mut_ptr(),
            length: values.len(),
            frame,
            values: PhantomData,
        }
    }

    /// A stretch of a row.
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
        // SAFETY: within the slice by the assertion, and not aliased by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), columns.len()) }
    }
}
