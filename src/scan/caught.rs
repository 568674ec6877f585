//! Containment of panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

/// Returns the output of a future, or `None` if it panicked. State that it shares stays as the
/// panic left it.
pub(crate) fn caught<T>(work: impl Future<Output = T>) -> impl Future<Output = Option<T>> {
    // Not an async function, which would hold the future twice: as its argument and as the future
    // it polls.
    let mut work = Box::pin(work);
    std::future::poll_fn(move |context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        match polled {
            Ok(Poll::Ready(value)) => Poll::Ready(Some(value)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(None),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn panic_in_one_future_does_not_affect_another() {
        assert_eq!(caught(async { 1 }).await, Some(1));
        let at_once = async { panic!("at once") };
        assert_eq!(caught::<u8>(at_once).await, None);
        let after_a_wait = async {
            tokio::task::yield_now().await;
            panic!("after a wait")
        };
        let beside = async {
            tokio::task::yield_now().await;
            2
        };
        let both = tokio::join!(caught::<u8>(after_a_wait), caught(beside));
        assert_eq!(both, (None, Some(2)));
    }
}
