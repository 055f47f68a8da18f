//! Arrays made by the workers, each its own block.

use super::Pool;
use crate::array::{Element, Shape, SharedArray};
use crate::launch::{LaunchError, Schedule};
use crate::memory::{AllocError, ArrayOptions};
use ndarray::{IntoDimension, Ix1};

impl Pool {
    /// Makes an array of zeros whose pages lie beside the workers that own them under [`Schedule::Static`].
    ///
    /// Each worker reserves and touches its own block, in parallel, under its own memory policy; arrays under 1 MiB come from the
    /// shared arena. `shape` is a length, or a tuple of lengths.
    ///
    /// # Errors
    /// As [`SharedArray::zeros`].
    pub fn zeros<T: Element>(&self, len: usize) -> Result<SharedArray<T, Ix1>, AllocError> {
        self.zeros_with(len, &ArrayOptions::default())
    }

    /// As [`Self::zeros`], of any shape and with wishes for pages.
    ///
    /// # Errors
    /// As [`SharedArray::zeros_with`].
    pub fn zeros_with<T: Element, I: IntoDimension>(
        &self,
        shape: I,
        options: &ArrayOptions,
    ) -> Result<SharedArray<T, I::Dim>, AllocError>
    where
        I::Dim: Shape,
    {
        SharedArray::zeros_with(shape, options)
    }

    /// Makes an array from a function of the index, in parallel by the workers.
    ///
    /// # Errors
    /// As [`SharedArray::zeros`]; a launch that fails is an error too.
    pub fn from_fn<T: Element, F>(&self, len: usize, f: F) -> Result<SharedArray<T, Ix1>, crate::Error>
    where
        F: Fn(usize) -> T + Copy + Send + Sync + 'static,
    {
        let mut array = self.zeros(len)?;
        self.launch().schedule(Schedule::Static).fill_with(array.split_out(), f).map_err(as_error)?;
        Ok(array)
    }
}

fn as_error(error: LaunchError) -> crate::Error {
    crate::Error::Launch(error)
}
