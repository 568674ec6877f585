//! Parser of a ServerHello of TLS 1.2 and before.

use crate::model::KeyType;

use super::cursor::Cursor;
use super::hello::Random;
use super::hello_fault::{
    ALPN, EXTENDED_MASTER_SECRET, HelloFault, KEY_SHARE, RENEGOTIATION_INFO, STATUS_REQUEST,
    SUPPORTED_VERSIONS,
};
use super::reader::{Fault, ServerHello, Version};
use super::suites::{self, Offer, Suite};

/// Parses a ServerHello (RFC 5246, section 7.4.1.3) that responds to an offer, this requested kind of
/// key and, if true, application protocols.
///
/// # Errors
/// If it cannot be read, chooses what was not offered, or is one of TLS 1.3.
pub(super) fn server_hello(
    body: &[u8],
    offer: Offer,
    key_type: KeyType,
    offers_alpn: bool,
) -> Result<ServerHello, Fault> {
    const UNREADABLE: Fault = Fault::Malformed("its ServerHello cannot be read");
    const MAX_SESSION_ID: usize = 32;
    const NO_COMPRESSION: u8 = 0;
    const TLS_1_3: [u8; 2] = [3, 4];

    let mut input = Cursor(body);
    let version = match input.u16().ok_or(UNREADABLE)? {
        0x0300 => Version::Ssl3,
        0x0301 => Version::Tls10,
        0x0302 => Version::Tls11,
        0x0303 => Version::Tls12,
        _ => return Err(Fault::Malformed("it chose a version that was not offered")),
    };
    let random = input.take(32).and_then(|r| Random::try_from(r).ok());
    let random = random.ok_or(UNREADABLE)?;
    let session = input.u8_vector().ok_or(UNREADABLE)?;
    if session.len() > MAX_SESSION_ID {
        return Err(UNREADABLE);
    }
    let suite = input.u16().ok_or(UNREADABLE)?;
    if input.u8().ok_or(UNREADABLE)? != NO_COMPRESSION {
        return Err(Fault::Malformed(
            "it chose a compression that was not offered",
        ));
    }
    let mut alpn = None;
    let mut staples = false;
    let mut secure_renegotiation = false;
    let mut extended_master_secret = false;
    let mut is_tls13 = false;
    let mut group = None;
    let mut fault = None;
    let mut extensions = match input.is_empty() {
        true => Cursor(&[]),
        false => Cursor(input.u16_vector().ok_or(UNREADABLE)?),
    };
    while !extensions.is_empty() {
        let kind = extensions.u16().ok_or(UNREADABLE)?;
        let mut content = Cursor(extensions.u16_vector().ok_or(UNREADABLE)?);
        fault = fault.or_else(|| HelloFault::of_extension(kind, content.0));
        match kind {
            ALPN if !offers_alpn => fault = fault.or(Some(HelloFault::Unsolicited(kind))),
            STATUS_REQUEST => staples = true,
            ALPN => {
                let mut names = Cursor(content.u16_vector().ok_or(UNREADABLE)?);
                alpn = Some(names.u8_vector().ok_or(UNREADABLE)?.to_vec());
            }
            SUPPORTED_VERSIONS => is_tls13 = content.0 == TLS_1_3,
            KEY_SHARE => group = content.u16(),
            EXTENDED_MASTER_SECRET => extended_master_secret = true,
            RENEGOTIATION_INFO => secure_renegotiation = true,
            _ => {}
        }
    }
    let has_tls13 = matches!(offer, Offer::Common | Offer::LastResort | Offer::Everything);
    if is_tls13 && has_tls13 {
        return Err(Fault::Tls13 { suite, group });
    }
    if has_tls13 {
        fault = fault.or_else(|| HelloFault::of_random(&random));
    }
    if suites::anonymous(offer).any(|anonymous| u16::from(anonymous) == suite) {
        return Err(Fault::Anonymous(suite));
    }
    let suite = Suite::find(suite, offer, key_type)
        .ok_or(Fault::Malformed("it chose a suite that was not offered"))?;
    Ok(ServerHello {
        version,
        random,
        suite,
        alpn,
        secure_renegotiation,
        extended_master_secret,
        staples,
        fault,
    })
}
