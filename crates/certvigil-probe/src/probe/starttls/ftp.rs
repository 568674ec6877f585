//! FTP (RFC 959, RFC 2389, RFC 4217).

use tokio::io::{AsyncRead, AsyncWrite};

use super::reply::{Style, reply, reply_with};
use super::wire::{DialogueError, Wire};

/// The server will be ready later, and then sends another reply.
const READY_LATER: u16 = 120;
const READY: u16 = 220;
/// Reply to FEAT.
const FEATURES: u16 = 211;
/// Replies to an accepted AUTH: TLS is next. 334 requests security data (RFC 2228), and servers that send it
/// nevertheless start TLS; curl accepts it too.
const GO_AHEAD: [u16; 2] = [234, 334];

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<(), DialogueError> {
    let mut greeting = reply(wire, Style::FirstAndLast).await?;
    while greeting.code == READY_LATER {
        greeting = reply(wire, Style::FirstAndLast).await?;
    }
    if greeting.code != READY {
        return Err(greeting.refused());
    }
    wire.send("FEAT\r\n").await?;
    let mut is_listed = false;
    let listed = |feature: &str| is_listed |= offers_tls(feature);
    let features = reply_with(wire, Style::FirstAndLast, listed).await?;
    // Servers support TLS without listing it, and some allow FEAT only after the login.
    let is_listed = is_listed || features.code != FEATURES;
    wire.send("AUTH TLS\r\n").await?;
    let answer = reply(wire, Style::FirstAndLast).await?;
    match answer.code {
        code if GO_AHEAD.contains(&code) => Ok(()),
        _ if !is_listed => Err(DialogueError::NotOffered),
        _ => Err(answer.refused()),
    }
}

/// Returns true for `AUTH TLS`, `AUTH SSL;TLS-P;TLS` and the other forms (RFC 4217, section 6).
fn offers_tls(feature: &str) -> bool {
    let feature = feature.to_ascii_uppercase();
    let kinds = feature.strip_prefix("AUTH").unwrap_or_default();
    kinds
        .split([' ', ';', ','])
        .any(|kind| kind == "TLS" || kind == "TLS-C")
}
