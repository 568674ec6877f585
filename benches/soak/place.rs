//! One address of the testbed: its listener, and the handling of its connections.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::common::accept;

/// Listen backlog of a listening address.
const BACKLOG: u32 = 1024;
/// Pause between two bytes of a slow server.
const DRIP: Duration = Duration::from_millis(100);
/// The header of a TLS record of 16 KiB with a handshake message (RFC 8446, section 5.1).
const RECORD: [u8; 5] = [0x16, 3, 3, 0x40, 0];
/// Number of connections, more than the backlog of a listener that accepts none.
const CROWD: usize = 4;

/// Faults of a handshake that end it without a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Refused,
    Full,
    Closes,
    ClosesAfterHello,
    Resets,
    ResetsAmid,
    HalfRecord,
    Silent,
    Stalls,
    Drips,
    Garbage,
    Http,
    Banner,
    EmptyRecord,
    LongRecord,
    Alert,
    Endless,
}

impl Fault {
    pub(crate) const ALL: [Self; 17] = [
        Self::Refused,
        Self::Full,
        Self::Closes,
        Self::ClosesAfterHello,
        Self::Resets,
        Self::ResetsAmid,
        Self::HalfRecord,
        Self::Silent,
        Self::Stalls,
        Self::Drips,
        Self::Garbage,
        Self::Http,
        Self::Banner,
        Self::EmptyRecord,
        Self::LongRecord,
        Self::Alert,
        Self::Endless,
    ];

    /// The expected error kind of a probe.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Refused => "connect_refused",
            Self::Full => "connect_timeout",
            Self::Closes
            | Self::ClosesAfterHello
            | Self::Resets
            | Self::ResetsAmid
            | Self::HalfRecord => "tls_closed",
            Self::Silent | Self::Stalls | Self::Drips => "tls_timeout",
            Self::Garbage | Self::Http | Self::Banner | Self::EmptyRecord | Self::LongRecord => {
                "tls_protocol"
            }
            Self::Alert => "tls_alert",
            Self::Endless => "too_large",
        }
    }
}

/// Pace at which a handshake is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Without delay.
    Whole,
    /// At most this many bytes in a segment.
    Pieces(usize),
    /// This many bytes, and then nothing more.
    StopsAfter(usize),
    /// This many bytes, and then the connection closes.
    ClosesAfter(usize),
    /// Without delay; the connection closes without close_notify.
    NoCloseNotify,
}

/// Handling of a connection.
#[derive(Clone)]
pub(crate) enum Served {
    Tls(Arc<ServerConfig>, Pace),
    Broken(Fault),
}

impl Served {
    fn fault(&self) -> Option<Fault> {
        match self {
            Self::Broken(fault) => Some(*fault),
            Self::Tls(..) => None,
        }
    }
}

/// An address of the testbed.
pub(crate) struct Address {
    pub(crate) address: SocketAddr,
    served: Arc<Mutex<Served>>,
    /// Maximum duration of a connection.
    max_connection_time: Duration,
    state: ListenerState,
}

enum ListenerState {
    Open(JoinHandle<()>),
    /// Bound, so that connections are refused and no other process can listen.
    NotListening {
        _socket: TcpSocket,
    },
    /// The backlog is full, so no connection is accepted.
    Full {
        _listener: TcpListener,
        _crowd: JoinSet<()>,
    },
    /// During a change between two of them.
    Changing,
}

impl Address {
    /// Binds an address without listening; port 0 selects a free port.
    pub(crate) fn hold(address: SocketAddr, max_connection_time: Duration) -> io::Result<Self> {
        let socket = bound(address)?;
        Ok(Self {
            address: socket.local_addr()?,
            served: Arc::new(Mutex::new(Served::Broken(Fault::Refused))),
            max_connection_time,
            state: ListenerState::NotListening { _socket: socket },
        })
    }

    /// Changes the handling of connections from now on.
    pub(crate) async fn set(&mut self, served: Served) {
        let fault = served.fault();
        *self.served.lock().unwrap() = served;
        let opens = !matches!(fault, Some(Fault::Refused | Fault::Full));
        match std::mem::replace(&mut self.state, ListenerState::Changing) {
            ListenerState::Open(task) if opens => {
                self.state = ListenerState::Open(task);
                return;
            }
            ListenerState::Open(task) => {
                task.abort();
                let _ = task.await;
            }
            ListenerState::Full { mut _crowd, .. } => _crowd.shutdown().await,
            ListenerState::NotListening { .. } | ListenerState::Changing => {}
        }
        let socket = bound(self.address).unwrap();
        self.state = match fault {
            Some(Fault::Refused) => ListenerState::NotListening { _socket: socket },
            Some(Fault::Full) => {
                let listener = socket.listen(1).unwrap();
                let mut crowd = JoinSet::new();
                for _ in 0..CROWD {
                    crowd.spawn(fill_backlog(self.address));
                }
                ListenerState::Full {
                    _listener: listener,
                    _crowd: crowd,
                }
            }
            _ => {
                let listener = socket.listen(BACKLOG).unwrap();
                ListenerState::Open(tokio::spawn(serve_connections(
                    listener,
                    self.served.clone(),
                    self.max_connection_time,
                )))
            }
        };
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections that were served here before may still be in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Occupies a place in the backlog, or waits for one, until it is dropped.
async fn fill_backlog(address: SocketAddr) {
    let _seat = TcpStream::connect(address).await;
    std::future::pending().await
}

async fn serve_connections(
    listener: TcpListener,
    served: Arc<Mutex<Served>>,
    max_connection_time: Duration,
) {
    loop {
        let stream = accept(&listener).await;
        // The flight of a handshake takes several writes.
        let _ = stream.set_nodelay(true);
        let served = served.lock().unwrap().clone();
        tokio::spawn(timeout(max_connection_time, async move {
            match served {
                Served::Tls(config, pace) => complete_handshake(stream, config, pace).await,
                // Errors are expected: either side may close at any time.
                Served::Broken(fault) => drop(serve_fault(stream, fault).await),
            }
        }));
    }
}

async fn complete_handshake(stream: TcpStream, config: Arc<ServerConfig>, pace: Pace) {
    let left = match pace {
        Pace::StopsAfter(count) | Pace::ClosesAfter(count) => count,
        Pace::Whole | Pace::Pieces(_) | Pace::NoCloseNotify => usize::MAX,
    };
    let paced = Paced { stream, pace, left };
    if let Ok(mut tls) = TlsAcceptor::from(config).accept(paced).await
        && pace != Pace::NoCloseNotify
    {
        let mut sink = [0; 1024];
        while matches!(tls.read(&mut sink).await, Ok(count) if count > 0) {}
        let _ = tls.shutdown().await;
    }
}

async fn serve_fault(mut stream: TcpStream, fault: Fault) -> io::Result<()> {
    let mut hello = [0; 4096];
    if fault == Fault::Resets {
        stream.readable().await?;
        return stream.set_zero_linger();
    }
    if matches!(fault, Fault::Closes | Fault::Refused | Fault::Full) {
        return Ok(());
    }
    let _ = stream.read(&mut hello).await?;
    match fault {
        Fault::ResetsAmid => {
            stream.write_all(&RECORD).await?;
            return stream.set_zero_linger();
        }
        Fault::HalfRecord => return stream.write_all(&RECORD).await,
        Fault::Stalls => stream.write_all(&RECORD).await?,
        Fault::Drips => {
            stream.write_all(&RECORD).await?;
            loop {
                stream.write_all(&[2]).await?;
                sleep(DRIP).await;
            }
        }
        Fault::Garbage => return stream.write_all(&[0xff; 64]).await,
        Fault::Http => {
            let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await?;
        }
        Fault::Banner => stream.write_all(b"220 mail.example.com ESMTP\r\n").await?,
        Fault::EmptyRecord => stream.write_all(&[0x16, 3, 3, 0, 0]).await?,
        // Maximum length of any record: 2^14 + 2048 (RFC 5246, section 6.2.3).
        Fault::LongRecord => stream.write_all(&[0x16, 3, 3, 0x48, 1]).await?,
        // The alert handshake_failure.
        Fault::Alert => stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40]).await?,
        Fault::Endless => {
            // A message with a length of 16 MiB, sent without end.
            let mut record = RECORD.to_vec();
            record.extend([11, 0xff, 0xff, 0xff]);
            record.resize(RECORD.len() + 0x4000, 0);
            loop {
                stream.write_all(&record).await?;
            }
        }
        Fault::Closes | Fault::ClosesAfterHello | Fault::Resets | Fault::Refused | Fault::Full => {
            return Ok(());
        }
        Fault::Silent => {}
    }
    while stream.read(&mut hello).await? > 0 {}
    Ok(())
}

/// A connection with a write pace.
struct Paced {
    stream: TcpStream,
    pace: Pace,
    left: usize,
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let most = match self.pace {
            Pace::Pieces(size) => size,
            // No waker is registered: the write is pending until the connection's time is over.
            Pace::StopsAfter(_) if self.left == 0 => return Poll::Pending,
            Pace::ClosesAfter(_) if self.left == 0 => {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            _ => self.left,
        };
        let part = buf.get(..most.min(buf.len())).unwrap_or_default();
        let written = Pin::new(&mut self.stream).poll_write(cx, part);
        if let Poll::Ready(Ok(count)) = written {
            self.left = self.left.saturating_sub(count);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
