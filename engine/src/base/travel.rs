//! What a type must be to go from one process to another.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type that can be the argument of a task: any serde type that owns its data. Numbers cost one copy.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the argument of a task",
    label = "not an argument of a task",
    note = "arguments own their data and have serde's traits: `#[derive(serde::Serialize, serde::Deserialize)]`; take `String` and not `&str`, `Vec<T>` and not `&[T]`",
    note = "to read a `SharedArray` in a task, pass `array.freeze()?`, which tasks take as `FrozenArray`; to write it, pass `array.split_mut()` to `pool.for_each`, or the parts of `array.into_parts(&cuts)?` to tasks"
)]
pub trait Argument: Serialize + DeserializeOwned + Send + 'static {}
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Argument for T {}

/// A type that can be the result of a task, of the kernel of a [fold](crate::Pool::fold) or search, or of an
/// [exit function](crate::PoolBuilder::at_exit): the same types as for [`Argument`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be handed back by a worker",
    label = "not a result, or error, of what runs in a worker",
    note = "results and errors own their data and have serde's traits: `#[derive(serde::Serialize, serde::Deserialize)]`; return `String` and not `&str`, `Vec<T>` and not an iterator"
)]
pub trait Output: Serialize + DeserializeOwned + Send + 'static {}
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Output for T {}
