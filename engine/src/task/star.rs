//! Functions of several arguments, for `starmap`.
#![deny(clippy::arithmetic_side_effects)]

mod sealed {
    /// Keeps values that are no functions, and may be without size for a reason, from standing for one.
    pub trait Sealed<A> {}
}

use crate::task::entry::Invoke;

/// A function that takes the parts of the tuple `A`, two to eight, as its arguments.
///
/// Implemented for functions and for closures that capture nothing; nothing else can implement it. A closure
/// has to state the types of its arguments: `|x: u64, y: u32| x.pow(y)`. A closure that captures a value with
/// a size does not compile. One that captures a zero-sized value does compile: the value is made anew in each
/// worker, so it must mean the same in every process (premise P8 in docs/memory-model.md). Pass such a value
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

/// Calls a function that has no size, hence no captures: its type is all there is to it.
pub(crate) struct ByType<F>(std::marker::PhantomData<fn() -> F>);

impl<F> ByType<F> {
    /// Fails the build where `F` holds values.
    pub(crate) const NO_CAPTURE: () = assert!(
        size_of::<F>() == 0,
        "a starmap's function must capture nothing, since workers are other processes: give what it captures as an argument"
    );
}

impl<A, F: Star<A>> Invoke<A, F::Output> for ByType<F> {
    #[allow(unsafe_code)]
    unsafe fn invoke(_function: usize, arguments: A) -> F::Output {
        const { ByType::<F>::NO_CAPTURE };
        // SAFETY: a function or closure without size, as `Star` is sealed: no bytes are read for it. The
        // driver held one when it made the task, and it is `Copy`. A value without size that it captured
        // means the same here, by P8.
        let function = unsafe { std::ptr::NonNull::<F>::dangling().read() };
        function.call(arguments)
    }
}
