//! A promise that was broken, in words.

/// Built by `violation!`; the first one ends the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

/// Returns from the function with a [`Violation`] unless the condition holds.
macro_rules! demand {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err($crate::violation::Violation(format!($($what)+)));
        }
    };
}

pub(crate) use demand;
