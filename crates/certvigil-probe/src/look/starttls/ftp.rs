//! FTP (RFC 959, RFC 2389, RFC 4217).

use tokio::io::{AsyncRead, AsyncWrite};

use super::reply::{Style, reply};
use super::wire::{End, MAX_LINES, Wire};

/// The server will be ready in a while, and says so again then.
const READY_LATER: u16 = 120;
const READY: u16 = 220;
/// What FEAT is answered with.
const FEATURES: u16 = 211;
/// AUTH is accepted: TLS comes next.
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
    // A server without FEAT, or one that keeps it for those who have logged in, may do TLS all the same.
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

/// `AUTH TLS`, `AUTH SSL;TLS-P;TLS` and what else there is of it (RFC 4217, section 6).
fn offers_tls(feature: &str) -> bool {
    let feature = feature.to_ascii_uppercase();
    let kinds = feature.strip_prefix("AUTH").unwrap_or_default();
    kinds
        .split([' ', ';', ','])
        .any(|kind| kind == "TLS" || kind == "TLS-C")
}
