//! Distinguished names, with the string type of each attribute.

use crate::clients::der;

pub(crate) const PRINTABLE: u8 = 0x13;
pub(crate) const UTF8: u8 = 0x0c;
pub(crate) const TELETEX: u8 = 0x14;
pub(crate) const IA5: u8 = 0x16;
pub(crate) const BMP: u8 = 0x1e;
pub(crate) const UNIVERSAL: u8 = 0x1c;

pub(crate) const COMMON_NAME: &str = "2.5.4.3";
pub(crate) const COUNTRY: &str = "2.5.4.6";
pub(crate) const ORGANIZATION: &str = "2.5.4.10";
pub(crate) const UNIT: &str = "2.5.4.11";
pub(crate) const EMAIL: &str = "1.2.840.113549.1.9.1";

#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) oid: &'static str,
    pub(crate) tag: u8,
    pub(crate) value: Vec<u8>,
}

/// An attribute whose text is encoded by its string type.
pub(crate) fn attribute(oid: &'static str, tag: u8, text: &str) -> Attribute {
    let value = match tag {
        BMP => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        UNIVERSAL => text
            .chars()
            .flat_map(|c| u32::from(c).to_be_bytes())
            .collect(),
        // Latin-1, as most implementations read T.61.
        TELETEX => text.chars().map(|c| c as u8).collect(),
        _ => text.as_bytes().to_vec(),
    };
    Attribute { oid, tag, value }
}

/// A list of relative distinguished names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Name(pub(crate) Vec<Vec<Attribute>>);

impl PartialEq for Attribute {
    fn eq(&self, other: &Self) -> bool {
        (self.oid, self.tag, &self.value) == (other.oid, other.tag, &other.value)
    }
}

impl Name {
    /// An organization and a common name.
    pub(crate) fn plain(organization: &str, common_name: &str) -> Self {
        Self::of(&[
            (ORGANIZATION, UTF8, organization),
            (COMMON_NAME, UTF8, common_name),
        ])
    }

    /// One attribute in each relative distinguished name.
    pub(crate) fn of(attributes: &[(&'static str, u8, &str)]) -> Self {
        Self(
            attributes
                .iter()
                .map(|(oid, tag, text)| vec![attribute(oid, *tag, text)])
                .collect(),
        )
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let rdns: Vec<Vec<u8>> = self
            .0
            .iter()
            .map(|rdn| {
                let attributes: Vec<Vec<u8>> = rdn
                    .iter()
                    .map(|a| der::sequence(&[der::oid(a.oid), der::tlv(a.tag, &a.value)]))
                    .collect();
                der::set(&attributes)
            })
            .collect();
        der::sequence(&rdns)
    }
}
