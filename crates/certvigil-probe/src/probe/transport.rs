//! TCP connection that carries TLS: as it is, or inside TDS packets.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

use super::bounds::READ_SIZE;
use super::tds;

/// Connection on which TLS is next.
pub(super) struct Transport {
    /// The connection itself. Data on it bypasses TDS.
    pub(super) tcp: TcpStream,
    /// State of the TDS packets that carry the handshake. `None` if TLS is directly on TCP, and
    /// after the handshake.
    tds: Option<Box<Packets>>,
}

/// State of the TDS packets of a connection.
#[derive(Default)]
struct Packets {
    unwrapper: tds::Unwrapper,
    /// Data of packets that was received and not read yet.
    unread: Vec<u8>,
}

impl Transport {
    /// Creates a connection with TLS directly on TCP.
    pub(super) fn plain(tcp: TcpStream) -> Self {
        Self { tcp, tds: None }
    }

    /// Creates a connection with the TLS handshake inside TDS packets.
    pub(super) fn tds(tcp: TcpStream) -> Self {
        Self {
            tcp,
            tds: Some(Box::default()),
        }
    }

    /// Returns true while TDS packets carry the handshake.
    pub(super) fn is_wrapped(&self) -> bool {
        self.tds.is_some()
    }

    /// Ends the use of TDS packets: after the handshake, TLS is directly on TCP.
    pub(super) fn unwrap_tls(&mut self) {
        self.tds = None;
    }

    /// Sends data of TLS.
    pub(super) async fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        match self.tds {
            Some(_) if data.is_empty() => Ok(()),
            // Boxed, because few probes need it.
            Some(_) => Box::pin(async { self.tcp.write_all(&tds::wrap(data)).await }).await,
            None => self.tcp.write_all(data).await,
        }
    }

    /// Sends the last data before the end of the connection. The kernel keeps its last packet for
    /// the FIN of a shutdown that follows at once.
    pub(super) async fn write_last(&mut self, data: &[u8]) -> io::Result<()> {
        let sent = match self.tds {
            None if !data.is_empty() => send_and_keep(&self.tcp, data).unwrap_or_default(),
            _ => 0,
        };
        self.write_all(data.get(sent..).unwrap_or_default()).await
    }

    /// Reads data of TLS into a buffer. At the end of the connection, there is none.
    ///
    /// # Errors
    /// Also `InvalidData` for a malformed packet.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // tokio's `poll_read` waits after a read that does not fill the buffer. After its
        // `try_read`, it takes one more system call to notice that there is no more data.
        let Some(packets) = &mut self.tds else {
            return Pin::new(&mut self.tcp).poll_read(context, buffer);
        };
        while packets.unread.is_empty() {
            let mut space = [MaybeUninit::uninit(); READ_SIZE];
            let mut received = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.tcp).poll_read(context, &mut received))?;
            if received.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            packets
                .unwrapper
                .unwrap(received.filled(), &mut packets.unread)
                .map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))?;
        }
        let count = packets.unread.len().min(buffer.remaining());
        let rest = packets.unread.split_off(count);
        buffer.put_slice(&packets.unread);
        packets.unread = rest;
        Poll::Ready(Ok(()))
    }
}

/// Sends data, and announces more. Returns its length in bytes.
#[cfg(target_os = "linux")]
fn send_and_keep(tcp: &TcpStream, data: &[u8]) -> io::Result<usize> {
    use rustix::net::{SendFlags, send};

    tcp.try_io(tokio::io::Interest::WRITABLE, || {
        Ok(send(tcp, data, SendFlags::MORE | SendFlags::NOSIGNAL)?)
    })
}

/// Sends nothing: only Linux keeps data for a packet.
#[cfg(not(target_os = "linux"))]
fn send_and_keep(_tcp: &TcpStream, _data: &[u8]) -> io::Result<usize> {
    Ok(0)
}
