//! Inner loops compiled for several instruction sets, the best of which is taken at run time: a program built
//! for any x86-64 uses AVX2 or AVX-512 where the processor has them.

/// Defines functions whose body is compiled for the build's own instruction set, for AVX2 and for AVX-512.
/// Calls of `#[inline(always)]` functions in the body are compiled with it. No lane order, fused operation or
/// rounding changes: the results have the same bits on all.
macro_rules! multiversion {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block)*) => { $(
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body($($arg: $type),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx512cd,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
            fn with_avx512($($arg: $type),*) $(-> $result)? {
                body($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
            fn with_avx2($($arg: $type),*) $(-> $result)? {
                body($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            {
                if $crate::npb::simd::has_avx512() {
                    // SAFETY: the processor has these instructions.
                    #[allow(unsafe_code)]
                    return unsafe { with_avx512($($arg),*) };
                }
                if $crate::npb::simd::has_avx2() {
                    // SAFETY: the processor has these instructions.
                    #[allow(unsafe_code)]
                    return unsafe { with_avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    )* };
}
pub(crate) use multiversion;

/// Whether the processor has what `multiversion` takes for AVX-512. A few loads and tests.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn has_avx512() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512cd")
}

/// Whether the processor has what `multiversion` takes for AVX2.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

#[cfg(test)]
mod tests {
    multiversion! {
        fn scaled(x: &mut [f64], by: f64) -> f64 {
            x.iter_mut().for_each(|x| *x *= by);
            x.iter().sum()
        }
    }

    #[test]
    fn whatever_is_taken_computes_the_same() {
        let mut x: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(scaled(&mut x, 2.0), 9900.0);
        assert_eq!(x[99], 198.0);
    }
}
