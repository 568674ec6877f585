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
