//! One shared value.

use super::{Element, FrozenArray, SharedArray};
use crate::memory::AllocError;
use ndarray::Ix1;

/// One value in shared memory, under the same ownership rules as [`SharedArray`]: one owner, whose launches
/// borrow it.
///
/// To share it by handles in messages, [`freeze`](SharedValue::freeze) it; for one that many write, use a
/// [`Lock`](crate::sync::Lock).
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

    /// Gives up writing for sharing: the value as a handle that can be cloned and sent in messages.
    ///
    /// # Errors
    /// As [`SharedArray::freeze`].
    pub fn freeze(self) -> Result<FrozenValue<T>, AllocError> {
        Ok(FrozenValue(self.0.freeze()?))
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

/// A value in shared memory that nobody writes any more; see [`FrozenArray`].
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
    /// The value for writing again, if this is the only handle of it anywhere; else the handle itself.
    ///
    /// # Errors
    /// As [`FrozenArray::thaw`].
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
