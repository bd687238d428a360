//! `invariant!`: an assertion that is always on, in every build.
//!
//! In simulation a failed one is a violation of `no-panic`, with a report; in a real agent it stops
//! the process before wrong data is acknowledged.

/// `invariant!(condition, "what is broken: {}", detail)`.
#[macro_export]
macro_rules! invariant {
    ($condition:expr, $($message:tt)+) => {
        assert!($condition, "invariant broken: {}", format_args!($($message)+))
    };
}
