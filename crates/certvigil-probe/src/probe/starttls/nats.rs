//! NATS: the server's INFO line, after which the client starts TLS
//! (<https://docs.nats.io/reference/reference-protocols/nats-protocol>).

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};

use super::violation::Violation;
use super::wire::{DialogueError, Wire, quote};

/// Part of the INFO line about TLS.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    tls_required: bool,
    tls_available: bool,
}

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<(), DialogueError> {
    let line = wire.line().await?;
    let (operation, rest) = line.split_once([' ', '\t']).unwrap_or((&line, ""));
    match operation.to_ascii_uppercase().as_str() {
        "INFO" => {}
        "-ERR" => return Err(DialogueError::refused(rest)),
        _ => return Err(DialogueError::unexpected(&line)),
    }
    let info: Info = serde_json::from_str(rest).map_err(|error| {
        let error = Violation::NatsInfo(quote(error.to_string()));
        DialogueError::Broken(error)
    })?;
    if info.tls_required || info.tls_available {
        Ok(())
    } else {
        Err(DialogueError::NotOffered)
    }
}
