//! TCP connection that carries TLS: as it is, or inside TDS packets.

use std::io;

use tokio::io::AsyncWriteExt as _;
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

    /// Returns true if received data has not been read yet.
    pub(super) fn has_unread(&self) -> bool {
        let packets = self.tds.as_ref();
        packets.is_some_and(|packets| !packets.unread.is_empty())
    }

    /// Reads data of TLS that is available. Returns its length, which is 0 at the end of the
    /// connection.
    ///
    /// # Errors
    /// `WouldBlock` if there is none, `InvalidData` for a malformed packet.
    pub(super) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(packets) = &mut self.tds else {
            return self.tcp.try_read(buffer);
        };
        while packets.unread.is_empty() {
            let mut received = [0; READ_SIZE];
            let count = self.tcp.try_read(&mut received)?;
            if count == 0 {
                return Ok(0);
            }
            let received = received.get(..count).unwrap_or_default();
            packets
                .unwrapper
                .unwrap(received, &mut packets.unread)
                .map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))?;
        }
        let count = packets.unread.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(packets.unread.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
}
