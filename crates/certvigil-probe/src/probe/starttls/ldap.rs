//! LDAP: the StartTLS operation (RFC 4511, section 4.14).

use tokio::io::{AsyncRead, AsyncWrite};

use super::violation::Violation;
use super::wire::{DialogueError, MAX_MESSAGE, Wire};

/// Message 1: an ExtendedRequest with the OID 1.3.6.1.4.1.1466.20037.
const REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<(), DialogueError> {
    wire.send(REQUEST).await?;
    let answer = wire.message(response).await?;
    match answer.code {
        0 => Ok(()),
        code => Err(DialogueError::Refused(format!(
            "{} ({}) {}",
            code,
            result_name(code),
            super::wire::quote(&answer.diagnostics)
        ))),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) code: u8,
    pub(super) diagnostics: Vec<u8>,
}

/// Parses one message: an ExtendedResponse with our message ID, or with ID 0, which is a notice of
/// disconnection (section 4.4.1).
pub(super) fn response(bytes: &[u8]) -> Result<Option<(Response, usize)>, Violation> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    const ENUMERATED: u8 = 0x0a;
    const OCTET_STRING: u8 = 0x04;
    const EXTENDED_RESPONSE: u8 = 0x78;
    if bytes.first().is_some_and(|tag| *tag != SEQUENCE) {
        return Err(Violation::unexpected_start(bytes));
    }
    let Some((message, rest)) = element(bytes)? else {
        return Ok(None);
    };
    let length = bytes.len() - rest.len();
    let mut inside = message.content;
    let mut next = |tag: u8| {
        let (found, rest) = element(inside).ok().flatten()?;
        inside = rest;
        (found.tag == tag).then_some(found.content)
    };
    next(INTEGER).ok_or(Violation::LdapMessage)?;
    let mut inside = next(EXTENDED_RESPONSE).ok_or(Violation::LdapMessage)?;
    let mut next = |tag: u8| {
        let (found, rest) = element(inside).ok().flatten()?;
        inside = rest;
        (found.tag == tag).then_some(found.content)
    };
    let [code] = next(ENUMERATED).ok_or(Violation::LdapMessage)? else {
        return Err(Violation::LdapMessage);
    };
    next(OCTET_STRING).ok_or(Violation::LdapMessage)?;
    let diagnostics = next(OCTET_STRING).ok_or(Violation::LdapMessage)?.to_vec();
    let response = Response {
        code: *code,
        diagnostics,
    };
    Ok(Some((response, length)))
}

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

/// Returns the first BER element with a definite length, and the data after it. `None` if it is
/// incomplete.
fn element(bytes: &[u8]) -> Result<Option<(Element<'_>, &[u8])>, Violation> {
    const LONG: u8 = 0x80;
    let [tag, first, rest @ ..] = bytes else {
        return Ok(None);
    };
    let (length, rest) = if first & LONG == 0 {
        (usize::from(*first), rest)
    } else {
        let count = usize::from(first & !LONG);
        if !(1..=4).contains(&count) {
            return Err(Violation::LdapBer);
        }
        let Some((length, rest)) = rest.split_at_checked(count) else {
            return Ok(None);
        };
        let length = length
            .iter()
            .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        (length, rest)
    };
    if length > MAX_MESSAGE {
        return Err(Violation::LdapLength(length));
    }
    let Some((content, rest)) = rest.split_at_checked(length) else {
        return Ok(None);
    };
    Ok(Some((Element { tag: *tag, content }, rest)))
}

/// Returns the name of a result code of section 4.1.9, for the most likely ones.
fn result_name(code: u8) -> &'static str {
    match code {
        1 => "operationsError",
        2 => "protocolError",
        8 => "strongerAuthRequired",
        13 => "confidentialityRequired",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        80 => "other",
        _ => "resultCode",
    }
}
