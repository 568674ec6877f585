//! Connection that fails if the client is too slow. It may be idle between two requests, but a
//! request head must be complete within a time limit, and the client must receive a response at a
//! minimum rate.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::slots::ConnectionState;

/// Stream with deadlines.
pub(super) struct Patient<S> {
    stream: S,
    /// Connection state. While it is answering, received data is the request body, which the
    /// service limits.
    state: Arc<ConnectionState>,
    head_time: Duration,
    /// Deadline for the request head.
    head: Option<Pin<Box<Sleep>>>,
    pace: Pace,
    /// Deadline for the client to receive more data, and the bytes that are still missing.
    stall: Option<(Pin<Box<Sleep>>, usize)>,
}

/// Minimum rate at which a client must receive a response that does not fit into the socket's
/// buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Bytes.
    pub(super) bytes: usize,
    /// Time for these bytes.
    pub(super) time: Duration,
}

impl<S> Patient<S> {
    /// Creates a stream whose first head is due `head_time` from now, and each later one
    /// `head_time` after its first byte.
    pub(super) fn new(
        stream: S,
        state: Arc<ConnectionState>,
        head_time: Duration,
        pace: Pace,
    ) -> Self {
        Self {
            stream,
            state,
            head_time,
            head: Some(after(head_time)),
            pace,
            stall: None,
        }
    }

    /// Returns the result of a write, or an error if the client received too few bytes within the
    /// time limit. A slow client therefore cannot occupy a connection slot forever.
    fn or_stalled(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<Result<usize>>,
    ) -> Poll<Result<usize>> {
        self.state.set_writing(wrote.is_pending());
        if let Poll::Ready(Ok(count)) = wrote {
            if let Some((_, left)) = &mut self.stall {
                *left = left.saturating_sub(count);
            }
            self.stall.take_if(|(_, left)| *left == 0);
        }
        if wrote.is_ready() {
            return wrote;
        }
        let Pace { bytes, time } = self.pace;
        let (due, _) = self.stall.get_or_insert_with(|| (after(time), bytes));
        ready!(due.as_mut().poll(cx));
        Poll::Ready(Err(Error::new(
            ErrorKind::TimedOut,
            "the answer is taken too slowly",
        )))
    }

    /// Does the same for an operation that writes no bytes.
    fn or_stuck(&mut self, cx: &mut Context<'_>, done: Poll<Result<()>>) -> Poll<Result<()>> {
        let done = done.map_ok(|()| 0);
        self.or_stalled(cx, done).map_ok(|_| ())
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
        let is_answering = this.state.is_answering();
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
            // The previous response has been received.
            this.stall = None;
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
        self.or_stuck(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.or_stuck(cx, closed)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const PACE: Pace = Pace {
        bytes: 8,
        time: Duration::from_secs(3600),
    };

    /// A client that receives the required bytes gets a new time limit. A slower one does not.
    #[tokio::test]
    async fn stall_timeout_resets_when_enough_bytes_are_read() {
        let (stream, mut other) = duplex(4);
        let state = Arc::new(ConnectionState::new());
        let mut patient = Patient::new(stream, state, PACE.time, PACE);
        let mut cx = Context::from_waker(Waker::noop());
        let mut write = |patient: &mut Patient<_>| Pin::new(patient).poll_write(&mut cx, b"abcd");
        let due = |patient: &Patient<_>| patient.stall.as_ref().map(|(due, _)| due.deadline());
        assert!(write(&mut patient).is_ready() && patient.stall.is_none());
        assert!(write(&mut patient).is_pending());
        let first = due(&patient);
        assert!(write(&mut patient).is_pending());
        assert_eq!(due(&patient), first, "asking again gives no more time");
        other.read_exact(&mut [0; 4]).await.unwrap();
        assert!(write(&mut patient).is_ready());
        assert_eq!(
            due(&patient),
            first,
            "nor does taking less than is asked for"
        );
        assert!(write(&mut patient).is_pending());
        other.read_exact(&mut [0; 4]).await.unwrap();
        assert!(write(&mut patient).is_ready() && patient.stall.is_none());
    }

    /// The rate of one response does not affect the next one.
    #[tokio::test]
    async fn stall_timeout_resets_with_the_next_request() {
        let (stream, mut other) = duplex(4);
        let state = Arc::new(ConnectionState::new());
        let mut patient = Patient::new(stream, state, PACE.time, PACE);
        let mut cx = Context::from_waker(Waker::noop());
        patient.head = None;
        for _ in 0..2 {
            let _ = Pin::new(&mut patient).poll_write(&mut cx, b"abcd");
        }
        assert!(patient.stall.is_some());
        other.write_all(b"GET").await.unwrap();
        patient.read_exact(&mut [0; 3]).await.unwrap();
        assert!(patient.stall.is_none());
    }
}
