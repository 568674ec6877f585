//! Properties of a handshake of rustls that are read from the first bytes of the server's flight.

use super::cursor::Cursor;
use super::reader::UNRECOGNIZED_NAME;

/// Warning alerts, of level 1, that matter before the ServerHello. rustls ignores both.
const CLOSE_NOTIFY: [u8; 2] = [1, 0];
const NO_RENEGOTIATION: [u8; 2] = [1, 100];

/// Alerts in the first bytes of a server's flight, before the ServerHello.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::probe) struct FirstAlerts {
    /// The server closes its side. Nothing that follows counts (RFC 8446, section 6.1; RFC 5246,
    /// section 7.2.1).
    pub(in crate::probe) close_notify: bool,
    /// The warning `no_renegotiation`, which has no meaning here (RFC 5246, section 7.2.2).
    pub(in crate::probe) no_renegotiation: bool,
    /// The warning `unrecognized_name`.
    pub(in crate::probe) unrecognized_name: bool,
}

impl FirstAlerts {
    pub(in crate::probe) fn of(flight: &[u8]) -> Self {
        const ALERT: u8 = 21;
        let mut alerts = Self::default();
        let mut input = Cursor(flight);
        while let (Some(ALERT), Some(_version), Some(content)) =
            (input.u8(), input.u16(), input.u16_vector())
        {
            alerts.close_notify |= content == CLOSE_NOTIFY;
            alerts.no_renegotiation |= content == NO_RENEGOTIATION;
            alerts.unrecognized_name |= content == UNRECOGNIZED_NAME;
        }
        alerts
    }
}

/// Returns true if the first bytes of a server's flight announce secure renegotiation (RFC 5746,
/// section 3.4). `None` if they contain no complete ServerHello.
pub(in crate::probe) fn secure_renegotiation(flight: &[u8]) -> Option<bool> {
    const HANDSHAKE: u8 = 22;
    const HELLO_REQUEST: u8 = 0;
    const SERVER_HELLO: u8 = 2;
    const RENEGOTIATION_INFO: u16 = 0xff01;
    const VERSION_AND_RANDOM: usize = 34;
    const SUITE_AND_COMPRESSION: usize = 3;

    let mut input = Cursor(flight);
    let mut messages = Vec::new();
    while let (Some(kind), Some(_version)) = (input.u8(), input.u16()) {
        let length = input.number(2)?;
        // A truncated record may contain enough.
        let content = input.take(length.min(input.0.len()))?;
        if kind == HANDSHAKE {
            messages.extend(content);
        }
    }
    let mut messages = Cursor(&messages);
    let mut hello = loop {
        let kind = messages.u8()?;
        let body = messages.u24_vector()?;
        match kind {
            HELLO_REQUEST => {}
            SERVER_HELLO => break Cursor(body),
            _ => return None,
        }
    };
    hello.take(VERSION_AND_RANDOM)?;
    hello.u8_vector()?;
    hello.take(SUITE_AND_COMPRESSION)?;
    if hello.is_empty() {
        return Some(false);
    }
    let mut extensions = Cursor(hello.u16_vector()?);
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        extensions.u16_vector()?;
        if kind == RENEGOTIATION_INFO {
            return Some(true);
        }
    }
    Some(false)
}
