//! One shared value.

use super::{Element, FrozenArray, SharedArray};
use crate::memory::AllocError;
use ndarray::Ix1;

/// One value in shared memory, with the ownership rules of [`SharedArray`]: it has one owner, and launches
/// borrow it.
///
/// To send handles of it in messages, [`freeze`](SharedValue::freeze) it. For a value that several processes
/// write, use a [`Lock`](crate::sync::Lock).
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
    /// Creates a shared value.
    ///
    /// # Errors
    /// Same as [`SharedArray::zeros`].
    pub fn new(value: T) -> Result<SharedValue<T>, AllocError> {
        Ok(SharedValue(SharedArray::from_slice(&[value])?))
    }

    /// Returns the value.
    pub fn get(&self) -> T {
        self.0.as_slice()[0]
    }

    /// Sets the value.
    pub fn set(&mut self, value: T) {
        self.0.as_mut_slice()[0] = value;
    }

    /// Returns a mutable reference to the value.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.0.as_mut_slice()[0]
    }

    /// Makes the value read-only and returns a handle that can be cloned and sent in messages.
    ///
    /// # Errors
    /// Same as [`SharedArray::freeze`].
    pub fn freeze(self) -> Result<FrozenValue<T>, AllocError> {
        Ok(FrozenValue(self.0.freeze()?))
    }

    /// Returns the underlying one-element array, for grants.
    pub fn as_array(&self) -> &SharedArray<T, Ix1> {
        &self.0
    }
}

impl<T: Element + std::fmt::Debug> std::fmt::Debug for SharedValue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedValue({:?})", self.get())
    }
}

/// A read-only value in shared memory; see [`FrozenArray`].
///
/// ```
/// let limit = phalanx::SharedValue::new(2.5)?.freeze()?;
/// assert_eq!(*limit.clone(), 2.5);
/// # Ok::<(), phalanx::AllocError>(())
/// ```
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(transparent, bound = "T: Element")]
pub struct FrozenValue<T>(FrozenArray<T, Ix1>);

impl<T: Element> FrozenValue<T> {
    /// Turns the handle back into a writable value if no other handle exists in any process.
    ///
    /// # Errors
    /// Same as [`FrozenArray::thaw`].
    pub fn thaw(self) -> Result<SharedValue<T>, FrozenValue<T>> {
        self.0.thaw().map(SharedValue).map_err(FrozenValue)
    }
}

impl<T> Clone for FrozenValue<T> {
    fn clone(&self) -> Self {
        FrozenValue(self.0.clone())
    }
}

impl<T: Element> std::ops::Deref for FrozenValue<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0[0]
    }
}

impl<T: Element + std::fmt::Debug> std::fmt::Debug for FrozenValue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrozenValue({:?})", **self)
    }
}
