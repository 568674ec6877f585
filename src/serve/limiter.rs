//! Limiter of requests: a few are served concurrently and a bounded number waits. The remaining
//! connection slots are free for other requests.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Limiter of requests.
pub(super) struct Limiter {
    /// Permits of the requests that are served or wait.
    all: Arc<Semaphore>,
    /// Permits of the requests that are served.
    served: Arc<Semaphore>,
}

/// Permit to be served, released on drop.
pub(super) struct Permit {
    /// Permit of a request that is served or waits.
    place: OwnedSemaphorePermit,
    _served: OwnedSemaphorePermit,
}

impl Limiter {
    /// Returns a limiter with these maximum numbers of served requests, and of served and waiting
    /// requests; at least one of each.
    pub(super) fn new(max_served: usize, max_all: usize) -> Self {
        let of = |count: usize| Arc::new(Semaphore::new(count.max(1)));
        Self {
            all: of(max_all),
            served: of(max_served),
        }
    }

    /// Waits for a permit. Returns `None` immediately if too many requests wait.
    pub(super) async fn acquire(&self) -> Option<Permit> {
        let place = self.all.clone().try_acquire_owned().ok()?;
        let served = self.served.clone().acquire_owned().await.ok()?;
        Some(Permit {
            place,
            _served: served,
        })
    }
}

impl Permit {
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
        let limiter = Limiter::new(1, 2);
        let mut cx = Context::from_waker(Waker::noop());
        let (mut first, mut second, mut third) = (
            pin!(limiter.acquire()),
            pin!(limiter.acquire()),
            pin!(limiter.acquire()),
        );
        let Poll::Ready(Some(permit)) = first.as_mut().poll(&mut cx) else {
            panic!("there is a permit")
        };
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert!(matches!(third.as_mut().poll(&mut cx), Poll::Ready(None)));
        drop(permit);
        assert!(matches!(
            second.as_mut().poll(&mut cx),
            Poll::Ready(Some(_))
        ));
    }
}
