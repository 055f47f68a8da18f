//! Ids, index spans, padding, values as bytes. Pure; asks the operating system nothing.

pub(crate) mod atomic;
pub(crate) mod bytes;
mod line;
mod local;
pub(crate) mod member;
#[cfg(test)]
pub(crate) mod model;
pub(crate) mod notation;
pub(crate) mod panicked;
#[cfg(all(test, not(loom)))]
pub(crate) mod random_tests;
mod shown;
mod span;
mod travel;

pub(crate) use line::Line;
pub(crate) use local::with_own;
pub use member::MemberId;
pub(crate) use shown::debug_is_display;
pub use span::Span;
pub use travel::{Argument, Output};

/// Calls a macro with the type parameters and fields of tuples of 1 to 8 elements: what operands can be
/// tuples of.
macro_rules! up_to_eight {
    ($then:ident) => {
        $then! {
            (A 0)
            (A 0, B 1)
            (A 0, B 1, C 2)
            (A 0, B 1, C 2, D 3)
            (A 0, B 1, C 2, D 3, E 4)
            (A 0, B 1, C 2, D 3, E 4, F 5)
            (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
            (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
        }
    };
}
pub(crate) use up_to_eight;

/// Calls a macro with the types that travel as their bytes: the primitive numbers.
macro_rules! plain_numbers {
    ($then:ident) => {
        $then! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 }
    };
}
pub(crate) use plain_numbers;
