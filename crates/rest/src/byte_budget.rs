//! Bytes that many requests together may take.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::RestError;

pub(crate) struct ByteBudget {
    left: Arc<Semaphore>,
    /// What the bytes belong to.
    of: &'static str,
}

impl ByteBudget {
    pub(crate) fn new(bytes_max: usize, of: &'static str) -> ByteBudget {
        ByteBudget {
            left: Arc::new(Semaphore::new(bytes_max)),
            of,
        }
    }

    /// They count until what is returned is dropped.
    pub(crate) fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, RestError> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let taken = self.left.clone().try_acquire_many_owned(permits);
        taken.map_err(|_| RestError::too_many(format!("Too many bytes of {} are in the works.", self.of)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{BODIES_BYTES_MAX, BODY_BYTES_MAX};

    #[test]
    fn all_bodies_together_are_bounded() {
        let budget = ByteBudget::new(BODIES_BYTES_MAX, "requests");
        let taken: Vec<_> = (0..BODIES_BYTES_MAX / BODY_BYTES_MAX)
            .map(|_| budget.take(BODY_BYTES_MAX).expect("there is room"))
            .collect();
        let refused = budget.take(1).expect_err("there is no room");
        assert_eq!((refused.status().as_u16(), refused.code()), (429, 429));
        drop(taken);
        assert!(budget.take(BODY_BYTES_MAX).is_ok());
    }
}
