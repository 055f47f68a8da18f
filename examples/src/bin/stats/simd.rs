//! Compiles a loop twice: for any CPU of the target, and for those with wider vectors, chosen when it runs.
//!
//! # Safety
//!
//! The only unsafe operation is the call of a function compiled for CPU features that this CPU was just asked for.
//! The macro allows unsafe code for that call, wherever it is used.

/// Defines a function whose body is compiled for plain and for wide vectors; the results have the same bits, because
/// the order of operations is written out in the body and no feature licenses the compiler to change it.
macro_rules! widen {
    ($(#[$doc:meta])* pub fn $name:ident<$t:ident: $bound:ident>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident) => {
        $(#[$doc])*
        #[allow(unsafe_code)]
        pub fn $name<$t: $bound>($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
                fn wide<$t: $bound>($($arg: $ty),*) $(-> $ret)? { $body($($arg),*) }
                if std::arch::is_x86_feature_detected!("avx2")
                    && std::arch::is_x86_feature_detected!("bmi1")
                    && std::arch::is_x86_feature_detected!("bmi2")
                    && std::arch::is_x86_feature_detected!("lzcnt")
                    && std::arch::is_x86_feature_detected!("popcnt")
                {
                    // SAFETY: every feature that `wide` was compiled for was found on this CPU in the lines above.
                    return unsafe { wide($($arg),*) };
                }
            }
            $body($($arg),*)
        }
    };
}
pub(crate) use widen;
