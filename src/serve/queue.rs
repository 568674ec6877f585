//! Limiter of requests: a few are served concurrently and a bounded number waits. The remaining
//! connection slots are free for other requests.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits of a limiter.
pub(super) struct Queue {
    /// Permits of the requests that are served or wait.
    places: Arc<Semaphore>,
    hands: Arc<Semaphore>,
}

/// Permit to be served, released on drop.
pub(super) struct Turn {
    place: OwnedSemaphorePermit,
    _hand: OwnedSemaphorePermit,
}

impl Queue {
    /// Returns a limiter with these maximum numbers of served requests, and of served and waiting
    /// requests; at least one of each.
    pub(super) fn new(at_a_time: usize, in_all: usize) -> Self {
        let of = |count: usize| Arc::new(Semaphore::new(count.max(1)));
        Self {
            places: of(in_all),
            hands: of(at_a_time),
        }
    }

    /// Waits for a permit. Returns `None` immediately if too many requests wait.
    pub(super) async fn turn(&self) -> Option<Turn> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let hand = self.hands.clone().acquire_owned().await.ok()?;
        Some(Turn { place, _hand: hand })
    }
}

impl Turn {
    /// Releases the permit to be served, and keeps the other one.
    pub(super) fn into_place(self) -> OwnedSemaphorePermit {
        self.place
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_few_are_served_some_wait_and_the_rest_is_told_at_once() {
        let queue = Queue::new(1, 2);
        let mut cx = Context::from_waker(Waker::noop());
        let (mut first, mut second, mut third) =
            (pin!(queue.turn()), pin!(queue.turn()), pin!(queue.turn()));
        let Poll::Ready(Some(turn)) = first.as_mut().poll(&mut cx) else {
            panic!("there is a turn")
        };
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert!(matches!(third.as_mut().poll(&mut cx), Poll::Ready(None)));
        drop(turn);
        assert!(matches!(
            second.as_mut().poll(&mut cx),
            Poll::Ready(Some(_))
        ));
    }
}
