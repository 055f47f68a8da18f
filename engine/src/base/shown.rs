//! Errors that read the same wherever they are printed.

/// Prints an error's text for `Debug` too: a `main` that returns it and an `unwrap` that meets it print it
/// so.
macro_rules! debug_is_display {
    ($error:ident $(<$($generic:ident),+>)?) => {
        impl$(<$($generic),+>)? std::fmt::Debug for $error$(<$($generic),+>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
}
pub(crate) use debug_is_display;
