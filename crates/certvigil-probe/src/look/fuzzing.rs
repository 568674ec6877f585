//! Fuzz targets for the parsers of server input.

use crate::model::Protocol;

/// Fuzz target for [`super::cleartext`].
pub fn cleartext_reader(data: &[u8]) {
    super::cleartext::fuzzing::cleartext_reader(data);
}

/// Fuzz target for [`super::starttls`].
pub fn starttls(data: &[u8]) {
    super::starttls::fuzzing::starttls(data);
}

/// Fuzz target for the dialogue of [`Protocol::Mssql`].
pub fn mssql(data: &[u8]) {
    super::starttls::fuzzing::dialogue(Protocol::Mssql, data);
}

/// Fuzz target for the dialogue of [`Protocol::Nats`].
pub fn nats(data: &[u8]) {
    super::starttls::fuzzing::dialogue(Protocol::Nats, data);
}

/// Fuzz target for the dialogue of [`Protocol::Rdp`].
pub fn rdp(data: &[u8]) {
    super::starttls::fuzzing::dialogue(Protocol::Rdp, data);
}

/// Fuzz target for the TDS packets that carry a TLS handshake.
pub fn tds(data: &[u8]) {
    super::tds::fuzz(data);
}
