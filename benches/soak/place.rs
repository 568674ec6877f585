//! One address of the lab: who listens there, and what becomes of those who connect.

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

/// Connections that may wait where somebody listens.
const BACKLOG: u32 = 1024;
/// Between two bytes that drip.
const DRIP: Duration = Duration::from_millis(100);
/// The header of a TLS record of 16 KiB with a handshake message (RFC 8446, section 5.1).
const RECORD: [u8; 5] = [0x16, 3, 3, 0x40, 0];
/// More than wait where only one may.
const CROWD: usize = 4;

/// Ways to break a handshake without a certificate.
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

    /// The error that a look has to end with.
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

/// How a handshake is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As it comes.
    Whole,
    /// So many bytes in a segment.
    Pieces(usize),
    /// So many bytes, and then nothing more.
    StopsAfter(usize),
    /// So many bytes, and then the end.
    ClosesAfter(usize),
    /// As it comes, and the end without a close_notify.
    NoFarewell,
}

/// What becomes of those who connect.
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

/// An address.
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    served: Arc<Mutex<Served>>,
    /// A client that stays longer is shown out.
    max_stay: Duration,
    door: Door,
}

enum Door {
    Open(JoinHandle<()>),
    /// Nobody listens, and nobody else can.
    Shut {
        _socket: TcpSocket,
    },
    /// Nobody is let in.
    Full {
        _listener: TcpListener,
        _crowd: JoinSet<()>,
    },
    /// Between two of them.
    Gone,
}

impl Place {
    /// Holds an address, where nobody listens yet; port 0 is any.
    pub(crate) fn hold(address: SocketAddr, max_stay: Duration) -> io::Result<Self> {
        let socket = bound(address)?;
        Ok(Self {
            address: socket.local_addr()?,
            served: Arc::new(Mutex::new(Served::Broken(Fault::Refused))),
            max_stay,
            door: Door::Shut { _socket: socket },
        })
    }

    /// From now on this is what happens here.
    pub(crate) async fn set(&mut self, served: Served) {
        let fault = served.fault();
        *self.served.lock().unwrap() = served;
        let opens = !matches!(fault, Some(Fault::Refused | Fault::Full));
        match std::mem::replace(&mut self.door, Door::Gone) {
            Door::Open(task) if opens => {
                self.door = Door::Open(task);
                return;
            }
            Door::Open(task) => {
                task.abort();
                let _ = task.await;
            }
            Door::Full { mut _crowd, .. } => _crowd.shutdown().await,
            Door::Shut { .. } | Door::Gone => {}
        }
        let socket = bound(self.address).unwrap();
        self.door = match fault {
            Some(Fault::Refused) => Door::Shut { _socket: socket },
            Some(Fault::Full) => {
                let listener = socket.listen(1).unwrap();
                let mut crowd = JoinSet::new();
                for _ in 0..CROWD {
                    crowd.spawn(wait_in_line(self.address));
                }
                Door::Full {
                    _listener: listener,
                    _crowd: crowd,
                }
            }
            _ => {
                let listener = socket.listen(BACKLOG).unwrap();
                Door::Open(tokio::spawn(attend(
                    listener,
                    self.served.clone(),
                    self.max_stay,
                )))
            }
        };
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Those who were served here before are still in the kernel's books.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Takes a seat, or waits for one, for ever.
async fn wait_in_line(address: SocketAddr) {
    let _seat = TcpStream::connect(address).await;
    std::future::pending().await
}

async fn attend(listener: TcpListener, served: Arc<Mutex<Served>>, max_stay: Duration) {
    loop {
        let stream = accept(&listener).await;
        // The flight of a handshake is several writes.
        let _ = stream.set_nodelay(true);
        let served = served.lock().unwrap().clone();
        tokio::spawn(timeout(max_stay, async move {
            match served {
                Served::Tls(config, pace) => shake_hands(stream, config, pace).await,
                // Who hangs up or is hung up on is as it should be.
                Served::Broken(fault) => drop(break_off(stream, fault).await),
            }
        }));
    }
}

async fn shake_hands(stream: TcpStream, config: Arc<ServerConfig>, pace: Pace) {
    let left = match pace {
        Pace::StopsAfter(count) | Pace::ClosesAfter(count) => count,
        Pace::Whole | Pace::Pieces(_) | Pace::NoFarewell => usize::MAX,
    };
    let paced = Paced { stream, pace, left };
    if let Ok(mut tls) = TlsAcceptor::from(config).accept(paced).await
        && pace != Pace::NoFarewell
    {
        let mut sink = [0; 1024];
        while matches!(tls.read(&mut sink).await, Ok(count) if count > 0) {}
        let _ = tls.shutdown().await;
    }
}

async fn break_off(mut stream: TcpStream, fault: Fault) -> io::Result<()> {
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
        // The most that any record may have is 2^14 + 2048 (RFC 5246, section 6.2.3).
        Fault::LongRecord => stream.write_all(&[0x16, 3, 3, 0x48, 1]).await?,
        // handshake_failure
        Fault::Alert => stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40]).await?,
        Fault::Endless => {
            // A message that claims to have 16 MiB, and goes on and on.
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

/// A connection that is written to at some pace.
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
            // Nobody wakes it: it stays until its time is over.
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
