//! The wait of one Produce request for all of its partitions.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use dohle_protocol::ErrorCode;
use parking_lot::Mutex;

/// What became of the records of one partition: the place of the partition in the request, and the outcome.
pub(crate) type Outcome = (usize, Result<(), ErrorCode>);

/// Ready when each of its tickets is answered. The request wakes once, not once per partition.
#[derive(Debug, Default)]
pub(crate) struct ProduceWait {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tickets: usize,
    outcomes: Vec<Outcome>,
    waker: Option<Waker>,
}

/// Parked at a partition until its records are acknowledged.
#[derive(Debug)]
pub(crate) struct ProduceTicket {
    wait: Arc<ProduceWait>,
    place: usize,
}

impl ProduceWait {
    pub(crate) fn ticket(self: &Arc<ProduceWait>, place: usize) -> ProduceTicket {
        self.state.lock().tickets += 1;
        ProduceTicket {
            wait: Arc::clone(self),
            place,
        }
    }

    pub(crate) async fn all_answered(&self) {
        poll_fn(|cx| {
            let mut state = self.state.lock();
            if state.outcomes.len() == state.tickets {
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The outcomes so far. Tickets that are missing are still parked.
    pub(crate) fn take_outcomes(&self) -> Vec<Outcome> {
        std::mem::take(&mut self.state.lock().outcomes)
    }
}

impl ProduceTicket {
    pub(crate) fn answer(self, outcome: Result<(), ErrorCode>) {
        let waker = {
            let mut state = self.wait.state.lock();
            state.outcomes.push((self.place, outcome));
            if state.outcomes.len() == state.tickets {
                state.waker.take()
            } else {
                None
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
