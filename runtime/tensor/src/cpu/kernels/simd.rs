//! The widest vectors that this processor has.

/// Runs `kernel`, compiled for AVX2 and FMA where the processor has them.
///
/// The binary is built for the oldest processor of its kind; what is inlined into the function below is compiled for
/// a newer one, which doubles the width of the vectors. A kernel should be one loop, so that it is inlined.
#[inline(always)]
pub(super) fn widest<R>(kernel: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn avx2<R>(kernel: impl FnOnce() -> R) -> R {
            kernel()
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the processor has been asked for both features just now.
            #[expect(unsafe_code, reason = "a function for a newer processor can only be called so")]
            return unsafe { avx2(kernel) };
        }
    }
    kernel()
}
