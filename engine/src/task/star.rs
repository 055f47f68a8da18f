//! Functions of several arguments, for `starmap`.
#![deny(clippy::arithmetic_side_effects)]

mod sealed {
    /// Keeps values that are no functions, and may be without size for a reason, from standing for one.
    pub trait Sealed<A> {}
}

/// A function that takes the parts of the tuple `A`, two to eight, as its arguments.
///
/// Implemented for functions and for closures that capture nothing; nothing else can implement it. A closure
/// has to state the types of its arguments: `|x: u64, y: u32| x.pow(y)`. A closure that captures a value with
/// a size does not compile. One that captures a zero-sized value does compile: each worker makes the value
/// itself, so it must mean the same in every process (premise P8 in docs/memory-model.md). Pass such a value
/// as an argument instead, or do not capture it.
///
/// ```compile_fail,E0277
/// #[derive(Clone, Copy)]
/// struct Token(());
/// impl phalanx::Star<(u8, u8)> for Token {
///     type Output = ();
///     fn call(self, _: (u8, u8)) {}
/// }
/// ```
pub trait Star<A>: sealed::Sealed<A> + Copy + Send + Sync + 'static {
    /// The function's return type.
    type Output;
    /// Calls the function with the parts of `arguments`.
    fn call(self, arguments: A) -> Self::Output;
}

macro_rules! star {
    ($($part:ident $value:ident),*) => {
        impl<F, R, $($part),*> sealed::Sealed<($($part,)*)> for F
        where
            F: Fn($($part),*) -> R,
        {
        }

        impl<F, R, $($part),*> Star<($($part,)*)> for F
        where
            F: Fn($($part),*) -> R + Copy + Send + Sync + 'static,
        {
            type Output = R;
            fn call(self, ($($value,)*): ($($part,)*)) -> R {
                self($($value),*)
            }
        }
    };
}

star!(A a, B b);
star!(A a, B b, C c);
star!(A a, B b, C c, D d);
star!(A a, B b, C c, D d, E e);
star!(A a, B b, C c, D d, E e, G g);
star!(A a, B b, C c, D d, E e, G g, H h);
star!(A a, B b, C c, D d, E e, G g, H h, I i);
