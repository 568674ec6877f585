//! Properties on which clients disagree, each with the clients that refuse the path.

use rcgen::CertificateParams;

use super::paths::{Chain, extension, same};
use super::*;

/// Returns the names of the clients that refuse the chain.
fn refusing(case: &Case) -> String {
    let judged = case.judged();
    let refusals = judged.clients.iter().flat_map(|clients| clients.refusals());
    let names: Vec<_> = refusals.map(|(client, _)| client.name()).collect();
    names.join(" ")
}

/// RFC 5280, section 4.2. The real OpenSSL accepts these, because it processes the extension.
#[test]
fn critical_netscape_type_is_an_unknown_critical_extension() {
    let of = |is_critical, bits: u8| {
        move |p: &mut CertificateParams| {
            let oid = [2, 16, 840, 1, 113_730, 1, 1];
            let value = extension(&oid, is_critical, &[3, 2, 0, bits]);
            p.custom_extensions.push(value);
        }
    };
    let (server, authority) = (0x40, 0x07);
    for (chain, clients) in [
        (
            Chain::new(same, same, of(true, server)),
            "gnutls go java chromium rustls",
        ),
        (
            Chain::new(same, of(true, authority), same),
            "gnutls go java chromium rustls",
        ),
        (
            Chain::new(of(true, authority), same, same),
            "gnutls go chromium",
        ),
    ] {
        assert_eq!(refusing(&chain.case()), clients);
        assert_eq!(chain.case().flags().trusted, Some(false), "{clients}");
    }
    let other = Chain::new(
        of(false, authority),
        of(false, authority),
        of(false, server),
    );
    assert_eq!(other.case().flags().trusted, Some(true));
    assert_eq!(refusing(&other.case()), "");
}
