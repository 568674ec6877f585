//! Checks of servers that rustls cannot speak with.

use crate::fixture::check::{Check, Row};
use crate::fixture::pki::{Leaf, Pki};

pub(crate) fn look(pki: &Pki, leaf: &Leaf, port: u16) -> Row {
    Check::of(pki, leaf, &["127.0.0.1"], port).row()
}

pub(crate) fn assert_read(
    row: &Row,
    codes: &[&str],
    version: &str,
    suite: &str,
    proof: &str,
    what: &str,
) {
    row.assert_right(codes);
    assert_eq!(row.text("/served/tls_version"), version, "{what}");
    assert_eq!(row.text("/served/cipher_suite"), suite, "{what}");
    assert_eq!(row.text("/served/key_proof"), proof, "{what}: {row:?}");
}
