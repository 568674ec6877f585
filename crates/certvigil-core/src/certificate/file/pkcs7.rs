//! Certificates of PKCS #7 files (RFC 2315; RFC 5652, section 5), as Windows and Java tools write them.

use super::ber::{elements, expect, optional};

/// Content octets of the object identifier of SignedData, 1.2.840.113549.1.7.2.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const OBJECT_IDENTIFIER: u8 = 0x06;
const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONTEXT_0: u8 = 0xa0;

/// Returns true if the bytes are a ContentInfo with SignedData.
pub(super) fn is_signed_data(der: &[u8]) -> bool {
    signed_data(der).is_some()
}

/// Returns the DER of each certificate, in the order of the file; `None` if the structure cannot be read.
pub(super) fn certificates(der: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut fields = expect(&mut signed_data(der)?, SEQUENCE)?.content;
    expect(&mut fields, INTEGER)?;
    expect(&mut fields, SET)?;
    expect(&mut fields, SEQUENCE)?;
    let Some(list) = optional(&mut fields, CONTEXT_0) else {
        return Some(Vec::new());
    };
    // Other choices of CertificateSet (attribute certificates) have context tags.
    let certificates = elements(list.content)?.into_iter();
    let certificates = certificates.filter(|element| element.tag == SEQUENCE);
    Some(certificates.map(|element| element.whole.to_vec()).collect())
}

/// Returns the explicitly tagged content of a ContentInfo that has SignedData.
fn signed_data(mut der: &[u8]) -> Option<&[u8]> {
    let mut info = expect(&mut der, SEQUENCE)?.content;
    let kind = expect(&mut info, OBJECT_IDENTIFIER)?;
    if kind.content != SIGNED_DATA {
        return None;
    }
    Some(expect(&mut info, CONTEXT_0)?.content)
}
