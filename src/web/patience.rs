//! A connection that ends when its other side is too slow: between two requests it may rest, but a head that has
//! begun has to come to its end, and an answer has to be taken.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// A stream with deadlines.
pub(super) struct Patient<S> {
    stream: S,
    /// Set while a request is answered: what comes then is its body, which is the service's to bound.
    is_answering: Arc<AtomicBool>,
    head_time: Duration,
    /// By when the head has to be there.
    head: Option<Pin<Box<Sleep>>>,
    stall_time: Duration,
    /// By when the other side has to take more.
    stall: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// The first head is due `head_time` from now, and each later one `head_time` after it began.
    pub(super) fn new(
        stream: S,
        is_answering: Arc<AtomicBool>,
        head_time: Duration,
        stall_time: Duration,
    ) -> Self {
        Self {
            stream,
            is_answering,
            head_time,
            head: Some(after(head_time)),
            stall_time,
            stall: None,
        }
    }

    /// Hands on what became of a write, unless nothing has been taken for too long.
    fn or_stalled<T>(&mut self, cx: &mut Context<'_>, wrote: Poll<Result<T>>) -> Poll<Result<T>> {
        if wrote.is_ready() {
            self.stall = None;
            return wrote;
        }
        let stall = self.stall.get_or_insert_with(|| after(self.stall_time));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(Error::new(
            ErrorKind::TimedOut,
            "nobody takes the answer",
        )))
    }
}

fn after(time: Duration) -> Pin<Box<Sleep>> {
    Box::pin(sleep_until(Instant::now() + time))
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = &mut *self;
        let is_answering = this.is_answering.load(Ordering::Relaxed);
        if is_answering {
            this.head = None;
        } else if let Some(head) = &mut this.head
            && head.as_mut().poll(cx).is_ready()
        {
            let error = Error::new(ErrorKind::TimedOut, "the head of a request is not complete");
            return Poll::Ready(Err(error));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        if !is_answering && this.head.is_none() && buffer.filled().len() > before {
            this.head = Some(after(this.head_time));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.or_stalled(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.or_stalled(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.or_stalled(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.or_stalled(cx, closed)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt as _, duplex};

    use super::*;

    /// Each time that the other side takes something, it has the whole time again.
    #[tokio::test]
    async fn a_stall_ends_when_something_is_taken() {
        let hour = Duration::from_secs(3600);
        let (stream, mut other) = duplex(4);
        let mut patient = Patient::new(stream, Arc::default(), hour, hour);
        let mut cx = Context::from_waker(Waker::noop());
        let mut write = |patient: &mut Patient<_>| Pin::new(patient).poll_write(&mut cx, b"abcd");
        assert!(write(&mut patient).is_ready() && patient.stall.is_none());
        assert!(write(&mut patient).is_pending());
        let due = patient.stall.as_ref().map(|stall| stall.deadline());
        assert!(write(&mut patient).is_pending());
        let still = patient.stall.as_ref().map(|stall| stall.deadline());
        assert_eq!(still, due, "asking again gives no more time");
        other.read_exact(&mut [0; 4]).await.unwrap();
        assert!(write(&mut patient).is_ready() && patient.stall.is_none());
    }
}
