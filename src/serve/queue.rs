//! A few are served at a time and a bounded number waits: each of them has a seat, and the rest of the seats are for others.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places and the hands.
pub(super) struct Queue {
    /// Of those who are served and those who wait.
    places: Arc<Semaphore>,
    hands: Arc<Semaphore>,
}

/// A turn, which ends when it is dropped.
pub(super) struct Turn {
    place: OwnedSemaphorePermit,
    _hand: OwnedSemaphorePermit,
}

impl Queue {
    /// So many at a time, and so many with those who wait; at least one of each.
    pub(super) fn new(at_a_time: usize, in_all: usize) -> Self {
        let of = |count: usize| Arc::new(Semaphore::new(count.max(1)));
        Self {
            places: of(in_all),
            hands: of(at_a_time),
        }
    }

    /// Waits for a turn; `None` at once where too many wait.
    pub(super) async fn turn(&self) -> Option<Turn> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let hand = self.hands.clone().acquire_owned().await.ok()?;
        Some(Turn { place, _hand: hand })
    }
}

impl Turn {
    /// Ends the turn of who still needs the place.
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
