//! A value that is known a little later than what surrounds it.

use std::ops::Deref;
use std::sync::OnceLock;

/// Set once, before anybody uses it.
#[derive(Debug)]
pub(crate) struct Late<T>(OnceLock<T>);

impl<T> Late<T> {
    pub(crate) fn new() -> Late<T> {
        Late(OnceLock::new())
    }

    pub(crate) fn set(&self, value: T) {
        assert!(self.0.set(value).is_ok(), "the value is set once");
    }
}

impl<T> Deref for Late<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.get().expect("the value is set before it is used")
    }
}
