//! Extensions of RFC 5280 section 4.2 and the encoding of their values.

use std::net::IpAddr;

use super::name::Name;
use crate::clients::der;

pub(crate) const SUBJECT_KEY_ID: &str = "2.5.29.14";
pub(crate) const KEY_USAGE: &str = "2.5.29.15";
pub(crate) const SUBJECT_ALT_NAME: &str = "2.5.29.17";
pub(crate) const ISSUER_ALT_NAME: &str = "2.5.29.18";
pub(crate) const BASIC_CONSTRAINTS: &str = "2.5.29.19";
pub(crate) const NAME_CONSTRAINTS: &str = "2.5.29.30";
pub(crate) const CRL_DISTRIBUTION_POINTS: &str = "2.5.29.31";
pub(crate) const CERTIFICATE_POLICIES: &str = "2.5.29.32";
pub(crate) const POLICY_MAPPINGS: &str = "2.5.29.33";
pub(crate) const AUTHORITY_KEY_ID: &str = "2.5.29.35";
pub(crate) const POLICY_CONSTRAINTS: &str = "2.5.29.36";
pub(crate) const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
pub(crate) const FRESHEST_CRL: &str = "2.5.29.46";
pub(crate) const INHIBIT_ANY_POLICY: &str = "2.5.29.54";
pub(crate) const AUTHORITY_INFO_ACCESS: &str = "1.3.6.1.5.5.7.1.1";
pub(crate) const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
pub(crate) const NETSCAPE_CERT_TYPE: &str = "2.16.840.1.113730.1.1";
pub(crate) const CT_POISON: &str = "1.3.6.1.4.1.11129.2.4.3";
pub(crate) const SCT_LIST: &str = "1.3.6.1.4.1.11129.2.4.2";
/// An OID that is unknown to all clients.
pub(crate) const UNKNOWN: &str = "1.3.6.1.4.1.55555.1";

pub(crate) const DIGITAL_SIGNATURE: u8 = 0;
pub(crate) const NON_REPUDIATION: u8 = 1;
pub(crate) const KEY_ENCIPHERMENT: u8 = 2;
pub(crate) const DATA_ENCIPHERMENT: u8 = 3;
pub(crate) const KEY_AGREEMENT: u8 = 4;
pub(crate) const KEY_CERT_SIGN: u8 = 5;
pub(crate) const CRL_SIGN: u8 = 6;

pub(crate) const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub(crate) const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
pub(crate) const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
pub(crate) const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";
pub(crate) const ANY_USAGE: &str = "2.5.29.37.0";
pub(crate) const NETSCAPE_SGC: &str = "2.16.840.1.113730.4.1";
pub(crate) const MICROSOFT_SGC: &str = "1.3.6.1.4.1.311.10.3.3";

pub(crate) const ANY_POLICY: &str = "2.5.29.32.0";
pub(crate) const POLICY_A: &str = "1.3.6.1.4.1.55555.2.1";
pub(crate) const POLICY_B: &str = "1.3.6.1.4.1.55555.2.2";

/// Content of an extension.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Bytes(Vec<u8>),
    /// subjectKeyIdentifier of the certificate's own key.
    OwnKeyId,
    /// authorityKeyIdentifier with the key identifier of the issuer's key.
    IssuerKeyId,
    /// authorityKeyIdentifier with the issuer's issuer and serial number.
    IssuerAndSerial,
}

#[derive(Clone, Debug)]
pub(crate) struct Extension {
    pub(crate) oid: String,
    pub(crate) critical: bool,
    /// Encodes the default `FALSE` of `critical`, which DER forbids.
    pub(crate) default_written: bool,
    /// Encodes the length of the value in more octets than it needs, which DER forbids.
    pub(crate) long_length: bool,
    pub(crate) value: Value,
}

impl Extension {
    pub(crate) fn into_critical(self) -> Self {
        Self {
            critical: true,
            ..self
        }
    }

    pub(crate) fn encode(&self, derive: impl Fn(&Value) -> Vec<u8>) -> Vec<u8> {
        let mut parts = vec![der::oid(&self.oid)];
        if self.critical || self.default_written {
            parts.push(der::boolean(self.critical));
        }
        let mut value = derive(&self.value);
        if self.long_length {
            value = der::with_long_length(&value);
        }
        parts.push(der::octets(&value));
        der::sequence(&parts)
    }
}

/// A non-critical extension with these bytes.
pub(crate) fn raw(oid: &str, value: &[u8]) -> Extension {
    Extension {
        oid: oid.to_owned(),
        critical: false,
        default_written: false,
        long_length: false,
        value: Value::Bytes(value.to_vec()),
    }
}

fn derived(oid: &str, value: Value) -> Extension {
    Extension {
        oid: oid.to_owned(),
        critical: false,
        default_written: false,
        long_length: false,
        value,
    }
}

pub(crate) fn subject_key_id() -> Extension {
    derived(SUBJECT_KEY_ID, Value::OwnKeyId)
}

pub(crate) fn authority_key_id() -> Extension {
    derived(AUTHORITY_KEY_ID, Value::IssuerKeyId)
}

pub(crate) fn authority_issuer_and_serial() -> Extension {
    derived(AUTHORITY_KEY_ID, Value::IssuerAndSerial)
}

/// Basic constraints. `None` for `ca` omits the default `FALSE`.
pub(crate) fn basic_constraints(ca: Option<bool>, path_length: Option<u64>) -> Extension {
    let mut parts = Vec::new();
    parts.extend(ca.map(der::boolean));
    parts.extend(path_length.map(der::integer));
    raw(BASIC_CONSTRAINTS, &der::sequence(&parts))
}

pub(crate) fn key_usage(bits: &[u8]) -> Extension {
    raw(KEY_USAGE, &der::named_bits(bits))
}

pub(crate) fn extended_key_usage(usages: &[&str]) -> Extension {
    let oids: Vec<Vec<u8>> = usages.iter().map(|u| der::oid(u)).collect();
    raw(EXTENDED_KEY_USAGE, &der::sequence(&oids))
}

pub(crate) fn subject_alt_name(general_names: &[Vec<u8>]) -> Extension {
    raw(SUBJECT_ALT_NAME, &der::sequence(general_names))
}

pub(crate) fn dns_names(names: &[&str]) -> Extension {
    let names: Vec<Vec<u8>> = names.iter().map(|n| dns(n)).collect();
    subject_alt_name(&names)
}

pub(crate) fn dns(name: &str) -> Vec<u8> {
    der::implicit(2, name.as_bytes())
}

pub(crate) fn email(address: &str) -> Vec<u8> {
    der::implicit(1, address.as_bytes())
}

pub(crate) fn uri(uri: &str) -> Vec<u8> {
    der::implicit(6, uri.as_bytes())
}

pub(crate) fn directory(name: &Name) -> Vec<u8> {
    der::explicit(4, &name.encode())
}

/// A user principal name, as defined by Microsoft.
pub(crate) fn other_name(text: &str) -> Vec<u8> {
    let value = der::explicit(0, &der::tlv(super::name::UTF8, text.as_bytes()));
    der::explicit(0, &[der::oid("1.3.6.1.4.1.311.20.2.3"), value].concat())
}

pub(crate) fn registered_id(oid: &str) -> Vec<u8> {
    der::implicit(8, der::content(&der::oid(oid)))
}

pub(crate) fn ip_octets(address: &str) -> Vec<u8> {
    match address.parse().unwrap() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

pub(crate) fn ip(address: &str) -> Vec<u8> {
    der::implicit(7, &ip_octets(address))
}

/// An address and a mask, as in name constraints.
pub(crate) fn ip_range(address: &str, mask: &str) -> Vec<u8> {
    der::implicit(7, &[ip_octets(address), ip_octets(mask)].concat())
}

/// GeneralSubtrees; each base is a GeneralName.
pub(crate) fn name_constraints(permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Extension {
    let subtrees = |bases: &[Vec<u8>]| -> Vec<u8> {
        bases
            .iter()
            .flat_map(|b| der::sequence(std::slice::from_ref(b)))
            .collect()
    };
    let mut parts = Vec::new();
    if !permitted.is_empty() {
        parts.push(der::explicit(0, &subtrees(permitted)));
    }
    if !excluded.is_empty() {
        parts.push(der::explicit(1, &subtrees(excluded)));
    }
    raw(NAME_CONSTRAINTS, &der::sequence(&parts)).into_critical()
}

pub(crate) fn policies(oids: &[&str]) -> Extension {
    let list: Vec<Vec<u8>> = oids.iter().map(|o| der::sequence(&[der::oid(o)])).collect();
    raw(CERTIFICATE_POLICIES, &der::sequence(&list))
}

pub(crate) fn policy_constraints(require: Option<u64>, inhibit: Option<u64>) -> Extension {
    let mut parts = Vec::new();
    parts.extend(require.map(|n| der::implicit(0, der::content(&der::integer(n)))));
    parts.extend(inhibit.map(|n| der::implicit(1, der::content(&der::integer(n)))));
    raw(POLICY_CONSTRAINTS, &der::sequence(&parts)).into_critical()
}

pub(crate) fn inhibit_any_policy(skip: u64) -> Extension {
    raw(INHIBIT_ANY_POLICY, &der::integer(skip)).into_critical()
}

pub(crate) fn policy_mappings(pairs: &[(&str, &str)]) -> Extension {
    let list: Vec<Vec<u8>> = pairs
        .iter()
        .map(|(a, b)| der::sequence(&[der::oid(a), der::oid(b)]))
        .collect();
    raw(POLICY_MAPPINGS, &der::sequence(&list)).into_critical()
}
