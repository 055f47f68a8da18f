//! One shared value.

use super::{Element, SharedArray};
use crate::memory::AllocError;
use ndarray::Ix1;

/// One value in shared memory, under the same ownership rules as [`SharedArray`].
///
/// ```
/// use phalanx::SharedValue;
///
/// let mut best = SharedValue::new(1.5)?;
/// best.set(2.5);
/// assert_eq!(best.get(), 2.5);
/// # Ok::<(), phalanx::AllocError>(())
/// ```
pub struct SharedValue<T>(SharedArray<T, Ix1>);

impl<T: Element> SharedValue<T> {
    /// Makes a shared value.
    ///
    /// # Errors
    /// As [`SharedArray::zeros`].
    pub fn new(value: T) -> Result<SharedValue<T>, AllocError> {
        Ok(SharedValue(SharedArray::from_slice(&[value])?))
    }

    /// The value now.
    pub fn get(&self) -> T {
        self.0.as_slice()[0]
    }

    /// Sets it.
    pub fn set(&mut self, value: T) {
        self.0.as_mut_slice()[0] = value;
    }

    /// Borrows it for changes in place.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.0.as_mut_slice()[0]
    }

    /// The one-element array it is, for grants.
    pub fn as_array(&self) -> &SharedArray<T, Ix1> {
        &self.0
    }
}

impl<T: Element + std::fmt::Debug> std::fmt::Debug for SharedValue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedValue({:?})", self.get())
    }
}
