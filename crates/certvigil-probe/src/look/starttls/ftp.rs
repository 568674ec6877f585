//! FTP (RFC 959, RFC 2389, RFC 4217).

use tokio::io::{AsyncRead, AsyncWrite};

use super::reply::{Style, reply};
use super::wire::{End, MAX_LINES, Wire};

/// The server will be ready later, and then sends another reply.
const READY_LATER: u16 = 120;
const READY: u16 = 220;
/// Reply to FEAT.
const FEATURES: u16 = 211;
/// Reply to an accepted AUTH. TLS is next.
const GO_AHEAD: u16 = 234;

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>) -> Result<(), End> {
    let mut greeting = reply(wire, Style::FirstAndLast).await?;
    for _ in 0..MAX_LINES {
        if greeting.code != READY_LATER {
            break;
        }
        greeting = reply(wire, Style::FirstAndLast).await?;
    }
    if greeting.code != READY {
        return Err(greeting.refused());
    }
    wire.say("FEAT\r\n").await?;
    let features = reply(wire, Style::FirstAndLast).await?;
    // A server without FEAT, or one that allows it only after the login, may support TLS
    // nevertheless.
    if features.code == FEATURES && !features.more().any(offers_tls) {
        return Err(End::NotOffered);
    }
    wire.say("AUTH TLS\r\n").await?;
    let answer = reply(wire, Style::FirstAndLast).await?;
    match answer.code {
        GO_AHEAD => Ok(()),
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
