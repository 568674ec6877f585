//! Checks over QUIC.

use crate::fixture::check::Check;
use crate::fixture::pki::{HOST, Leaf, Pki};

/// Checks for this leaf at a UDP port of these addresses.
pub(crate) fn check(pki: &Pki, leaf: &Leaf, addresses: &[&str], port: u16) -> Check {
    Check::new(pki)
        .expect(&pki.full_chain(leaf))
        .arg(format!("h3://{HOST}:{port}"))
        .args(&[
            "--resolve",
            &format!("{HOST}:{port}:{}", addresses.join(",")),
        ])
}
