//! The organization in a distinguished name.

use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Name;

use super::{Facts, printable};

impl Facts {
    /// Returns the issuer's organization (`O`), where its name has one.
    pub fn issuer_organization(&self) -> Option<String> {
        let (_, name) = X509Name::from_der(&self.issuer_der).ok()?;
        let organization = name.iter_organization().next()?;
        organization.as_str().ok().map(printable)
    }
}

#[cfg(test)]
mod tests {
    use super::super::der::{self, encode, sequence};
    use super::super::parse_certificates;

    #[test]
    fn the_organization_is_the_attribute_and_not_a_part_of_the_text() {
        let pem = include_bytes!("testdata/ed25519.pem");
        let certificate = parse_certificates(pem).unwrap().remove(0);
        let facts = certificate.facts().unwrap();
        assert_eq!(facts.issuer_organization(), None);
        let attribute = |arc: u8, text: &str| {
            let oid = encode(der::OBJECT_IDENTIFIER, &[0x55, 4, arc]);
            let pair = sequence(&[oid, encode(0x0c, text.as_bytes())].concat());
            encode(der::SET, &pair)
        };
        let name = [attribute(3, "O=Other"), attribute(10, "Acme, Inc.")];
        let issuer_der = sequence(&name.concat());
        let facts = super::Facts {
            issuer_der,
            ..facts.clone()
        };
        assert_eq!(facts.issuer_organization().as_deref(), Some("Acme, Inc."));
    }
}
