//! The end of a connection after its handshake: the quit command, close_notify, and alerts with
//! which the server refuses the completed handshake.

use std::io;
use std::time::Duration;

use rustls::{AlertDescription, Error, InvalidMessage, PeerMisbehaved, ProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::time::{Instant, timeout, timeout_at};

use crate::observation::{Alert, ErrorKind, ProbeError};

use super::super::bounds::MAX_HANDSHAKE_BYTES;
use super::super::setup::ClientAuth;
use super::super::starttls::Quit;
use super::Connection;

/// Size of one read of data that is discarded, in bytes.
const REST_SIZE: usize = 512;
/// Event to wait for, which includes the close by the server. On Linux, that of urgent data does, and
/// session tickets do not wake the probe.
#[cfg(target_os = "linux")]
const CLOSE: Interest = Interest::PRIORITY;
#[cfg(not(target_os = "linux"))]
const CLOSE: Interest = Interest::READABLE;

/// Event that ends the reading.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The server sent data inside TLS.
    Data,
    /// The server closed the connection.
    Closed,
}

/// Returns true for an error of rustls after the completed handshake that most clients do not report:
/// a malformed session ticket, which they do not read, and requests for a renegotiation, which they
/// ignore.
pub(super) fn is_tolerated(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidMessage(
            InvalidMessage::MissingData(_)
                | InvalidMessage::TrailingData(_)
                | InvalidMessage::EmptyTicketValue
                | InvalidMessage::MessageTooShort
                | InvalidMessage::IllegalEmptyList(_)
                | InvalidMessage::IllegalEmptyValue
        ) | Error::PeerMisbehaved(PeerMisbehaved::TooManyRenegotiationRequests)
    )
}

impl Connection {
    /// Records an alert after the completed handshake, if it refuses the handshake. An alert after
    /// session tickets or data may be about the end of the connection.
    pub(super) fn record_refusal(&mut self, alert: AlertDescription) {
        let is_refusal = match self.recorder.client_auth() {
            ClientAuth::Missing => false,
            ClientAuth::Given => true,
            ClientAuth::NotAsked => !self.has_data && self.tls.tls13_tickets_received() == 0,
        };
        let is_end = matches!(
            alert,
            AlertDescription::CloseNotify
                | AlertDescription::UserCanceled
                | AlertDescription::NoRenegotiation
        );
        if is_refusal && !is_end {
            self.refusal = Some(alert);
        }
    }

    /// Returns true if the server may still refuse the client certificate. With TLS 1.3, the
    /// certificate is the client's last message, and only data shows that the server goes on.
    pub(super) fn may_be_turned_away(&self) -> bool {
        self.recorder.client_auth() == ClientAuth::Given
            && self.tls.protocol_version() == Some(ProtocolVersion::TLSv1_3)
            && !self.has_data
    }

    /// Records the end of the connection, which certvigil has not closed. slapd with GnuTLS refuses
    /// a client certificate like this, without an alert. OpenSSL sends session tickets before the
    /// application sees the certificate: after them, only a reset is a refusal.
    pub(super) fn record_close(&mut self, is_reset: bool) {
        let is_accepted = self.tls.tls13_tickets_received() > 0 && !is_reset;
        self.is_turned_away = self.may_be_turned_away() && !is_accepted;
    }

    /// Returns the error of a completed handshake that the server refused.
    pub(super) fn refusal(&self) -> Option<Box<ProbeError>> {
        if self.is_turned_away && self.refusal.is_none() {
            let what = "the server closed the connection right after the client certificate, \
                        without an alert: it seems to refuse the certificate";
            return Some(Box::new(ProbeError::new(ErrorKind::TlsClosed, what)));
        }
        let alert = Alert(u8::from(self.refusal?));
        let what = "the server ended the connection right after the handshake";
        Some(Box::new(ProbeError::of_alert(what, alert)))
    }

    /// Returns the time to wait for the end of the connection. A server with TLS 1.3 refuses a
    /// client certificate after the handshake, one round trip later.
    pub(in crate::probe) fn patience(&self, linger: Duration, handshake: Duration) -> Duration {
        match self.recorder.client_auth() {
            ClientAuth::Given => linger.max(handshake.saturating_mul(2)),
            ClientAuth::NotAsked | ClientAuth::Missing => linger,
        }
    }

    /// Ends the session: sends the application protocol's quit command and a close_notify, then
    /// waits briefly for the server's close_notify. Returns the error if the server refuses the
    /// handshake.
    pub(in crate::probe) async fn leave(
        &mut self,
        quit: Option<Quit>,
        patience: Duration,
    ) -> Option<Box<ProbeError>> {
        let _ = timeout(patience, self.wait_for_refusal()).await;
        if self.refusal().is_none() {
            self.close(quit, patience).await;
        }
        self.refusal()
    }

    /// Waits until the server refuses the client certificate by closing the connection, or sends
    /// data. Nothing is sent before, because a close_notify ends any connection.
    async fn wait_for_refusal(&mut self) {
        let mut buffer = [0; REST_SIZE];
        while self.may_be_turned_away() {
            let Ok(count) = self.stream.tcp.read(&mut buffer).await else {
                return self.record_close(true);
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            if self.process_rest(bytes).is_none() {
                return;
            }
            if count == 0 || self.is_over {
                return self.record_close(false);
            }
        }
    }

    async fn close(&mut self, quit: Option<Quit>, patience: Duration) {
        let end = Instant::now() + patience;
        if let Some(quit) = quit
            && Box::pin(self.send_quit(quit, patience, end))
                .await
                .is_none()
        {
            return;
        }
        let closed = async {
            self.tls.send_close_notify();
            self.flush(true).await.ok()?;
            self.stream.tcp.shutdown().await.ok()?;
            self.wait_for_close().await;
            Some(())
        };
        let _ = timeout_at(end, closed).await;
        self.read_rest();
    }

    /// Waits until the server closes the connection.
    async fn wait_for_close(&mut self) {
        let mut event = CLOSE;
        while let Ok(ready) = self.stream.tcp.ready(event).await {
            if ready.is_read_closed() || !self.read_rest() {
                return;
            }
            event = Interest::READABLE;
        }
    }

    /// Sends the application protocol's quit command. Returns `None` if the server has closed the
    /// connection before.
    async fn send_quit(&mut self, quit: Quit, patience: Duration, end: Instant) -> Option<()> {
        if quit.after_greeting {
            // If the server sends no greeting, the remaining half of the time is left for the quit
            // command.
            let greeting = timeout(patience / 2, self.listen(Until::Data)).await;
            if matches!(greeting, Ok(None)) {
                return None;
            }
        }
        let data = async {
            let written = io::Write::write_all(&mut self.tls.writer(), &quit.command);
            written.ok()?;
            self.flush(false).await.ok()?;
            self.listen(Until::Closed).await
        };
        let _ = timeout_at(end, data).await;
        Some(())
    }

    /// Discards the data that has arrived since the close_notify, except for an alert at its start.
    /// Returns true if more may arrive.
    fn read_rest(&mut self) -> bool {
        let mut rest = [0; REST_SIZE];
        while self.received < MAX_HANDSHAKE_BYTES {
            let count = match self.stream.tcp.try_read(&mut rest) {
                Ok(count @ 1..) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Ok(0) | Err(_) => return false,
            };
            self.received += count;
            let bytes = rest.get(..count).unwrap_or_default();
            if may_be_alert(bytes) {
                let _ = self.process_rest(bytes);
            }
            // Tickets and data end the wait for an alert, and are not decrypted.
            self.is_over = true;
            if count < REST_SIZE {
                return true;
            }
        }
        false
    }

    /// Processes data after the handshake, until TLS ends. Returns `None` if it does not end with a
    /// close_notify.
    fn process_rest(&mut self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() && !self.is_over {
            self.is_over = true;
            self.tls
                .read_tls(&mut bytes)
                .ok()
                .filter(|count| *count > 0)?;
            let state = match self.tls.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    if let Error::AlertReceived(alert) = error {
                        self.record_refusal(alert);
                    }
                    return None;
                }
            };
            let mut data = vec![0; state.plaintext_bytes_to_read()];
            io::Read::read_exact(&mut self.tls.reader(), &mut data).ok()?;
            self.has_data |= !data.is_empty();
            self.is_over = state.peer_has_closed();
        }
        Some(())
    }

    /// Reads and discards data inside TLS. Returns `None` if the connection broke.
    async fn listen(&mut self, until: Until) -> Option<()> {
        let mut received_bytes = 0;
        let mut buffer = [0; 512];
        while received_bytes < MAX_HANDSHAKE_BYTES {
            if self.has_data && until == Until::Data {
                return Some(());
            }
            let count = self.stream.tcp.read(&mut buffer).await.ok()?;
            received_bytes += count;
            self.process_rest(buffer.get(..count)?)?;
            if count == 0 || self.is_over {
                return Some(());
            }
        }
        None
    }
}

/// Returns true if the bytes may begin with an encrypted alert: its record in TLS 1.2, and its
/// length in TLS 1.3, where its type is encrypted too (RFC 8446, section 5.2).
fn may_be_alert(bytes: &[u8]) -> bool {
    const ALERT: u8 = 21;
    const APPLICATION_DATA: u8 = 23;
    /// Level, description, content type and authentication tag, in bytes.
    const LENGTH: u8 = 2 + 1 + 16;
    matches!(
        bytes,
        [ALERT, 3, ..] | [APPLICATION_DATA, 3, _, 0, LENGTH, ..]
    )
}
