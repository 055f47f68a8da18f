//! Functions of several arguments, for `starmap`.

use crate::task::entry::Invoke;

/// A function that takes the parts of the tuple `A` as its arguments: two to eight.
///
/// Functions and closures that capture nothing have it; a closure writes its arguments' types, `|x: u64, y: u32| x.pow(y)`.
pub trait Star<A>: Copy + Send + Sync + 'static {
    /// What it returns.
    type Output;
    /// Calls it.
    fn call(self, arguments: A) -> Self::Output;
}

macro_rules! star {
    ($($part:ident $value:ident),*) => {
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
        // SAFETY: a type without size has one value, which no bytes are read for; the driver held such a value when it made the
        // task, so one exists, and it is `Copy`.
        let function = unsafe { std::ptr::NonNull::<F>::dangling().read() };
        function.call(arguments)
    }
}
