//! What a type must be to go from one process to another.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type that can be the argument of a task: any serde type that owns its data. Numbers cost one copy.
pub trait Argument: Serialize + DeserializeOwned + Send + 'static {}
impl<T: Serialize + DeserializeOwned + Send + 'static> Argument for T {}

/// A type that can be the result of a task, or of the kernel of a [fold](crate::Pool::fold) or search: the
/// same types as for [`Argument`].
pub trait Output: Serialize + DeserializeOwned + Send + 'static {}
impl<T: Serialize + DeserializeOwned + Send + 'static> Output for T {}
