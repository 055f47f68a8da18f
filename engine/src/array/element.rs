//! What may be an element.

/// Plain data that may lie in shared memory: any bit pattern is a value, no padding, no pointers.
///
/// Implemented for everything that is [`bytemuck::Pod`], `Send` and `Sync`: all integers and floats, arrays
/// of them, and structs that derive `Pod`. A worker may be killed in the middle of a store, so every mixture
/// of old and new bytes must be a value too; that is why `bool`, `char`, enums and references are not
/// elements.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot lie in shared memory",
    label = "not an element",
    note = "elements are plain numbers, arrays of them, and structs that derive `bytemuck::Pod`",
    note = "to reduce to a tuple, a map, a list or a text use `pool.fold`; where a `bool` is meant take a `u8`"
)]
pub trait Element: bytemuck::Pod + Send + Sync {}

impl<T: bytemuck::Pod + Send + Sync> Element for T {}
