//! The parameter `ech` of an HTTPS record (RFC 9848), an ECHConfigList (RFC 9849, section 4), as
//! Chromium reads it.

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::Hostname;

/// Version of the configurations of RFC 9849.
const VERSION: u16 = 0xfe0d;
/// DHKEM(X25519, HKDF-SHA256), the only KEM of BoringSSL.
const X25519: u16 = 0x0020;
/// Length of an X25519 public key, in bytes.
const X25519_KEY_BYTES: usize = 32;
/// HKDF-SHA256.
const HKDF_SHA256: u16 = 0x0001;
/// AES-128-GCM, AES-256-GCM and ChaCha20-Poly1305.
const AEADS: std::ops::RangeInclusive<u16> = 1..=3;
/// Bit of the type of an extension that clients must understand (section 4.2).
const MANDATORY: u16 = 0x8000;

/// The parameter `ech`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EchParameter {
    /// It cannot be decoded.
    Malformed,
    /// It has no configuration that browsers support. They connect without Encrypted Client Hello.
    Unsupported,
    /// The first configuration that browsers support.
    Supported(EchConfiguration),
}

/// A configuration of Encrypted Client Hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EchConfiguration {
    /// Name by which clients authenticate a server that does not decrypt the hello.
    pub(crate) public_name: Hostname,
    /// An ECHConfigList with this configuration only.
    pub(crate) list: Box<[u8]>,
}

impl EchParameter {
    /// Decodes the value of the parameter. Chromium ignores an empty one.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::Unsupported;
        }
        decode(bytes).unwrap_or(Self::Malformed)
    }
}

/// Returns `None` if the list is malformed, as any of its configurations is.
fn decode(bytes: &[u8]) -> Option<EchParameter> {
    let mut whole = Reader(bytes);
    let mut list = Reader(whole.vector16()?);
    if !whole.0.is_empty() || list.0.is_empty() {
        return None;
    }
    let mut first = None;
    while !list.0.is_empty() {
        let start = list.0;
        let version = list.u16()?;
        let contents = list.vector16()?;
        if version != VERSION {
            continue;
        }
        let Some(supported) = supported(contents)? else {
            continue;
        };
        let own = start.get(..start.len() - list.0.len())?;
        let length = u16::try_from(own.len()).ok()?.to_be_bytes();
        first.get_or_insert_with(|| match supported.is_key_valid {
            true => EchParameter::Supported(EchConfiguration {
                public_name: supported.public_name,
                list: [&length, own].concat().into(),
            }),
            false => EchParameter::Malformed,
        });
    }
    Some(first.unwrap_or(EchParameter::Unsupported))
}

/// A configuration whose version, algorithms and extensions are supported.
struct Supported {
    public_name: Hostname,
    /// True if the key has the length of its algorithm. Chromium selects the configuration
    /// nevertheless, and fails.
    is_key_valid: bool,
}

/// Reads a configuration. Returns `Some(None)` if it is not supported.
fn supported(contents: &[u8]) -> Option<Option<Supported>> {
    let mut contents = Reader(contents);
    let _config_id = contents.u8()?;
    let kem = contents.u16()?;
    let key = contents.vector16()?;
    let suites = contents.vector16()?;
    let _maximum_name_length = contents.u8()?;
    let name = contents.vector8()?;
    let mut extensions = Reader(contents.vector16()?);
    let is_malformed = key.is_empty() || suites.is_empty() || suites.len() % 4 != 0;
    if is_malformed || name.is_empty() || !contents.0.is_empty() {
        return None;
    }
    let mut has_mandatory = false;
    while !extensions.0.is_empty() {
        has_mandatory |= extensions.u16()? & MANDATORY != 0;
        extensions.vector16()?;
    }
    let mut suites = Reader(suites);
    let mut is_suite_supported = false;
    while let Some((kdf, aead)) = suites.u16().zip(suites.u16()) {
        is_suite_supported |= kdf == HKDF_SHA256 && AEADS.contains(&aead);
    }
    let is_supported = kem == X25519 && is_suite_supported && !has_mandatory;
    let name = host(name).filter(|_| is_supported);
    Some(name.map(|public_name| Supported {
        public_name,
        is_key_valid: key.len() == X25519_KEY_BYTES,
    }))
}

/// Returns a public name of letters, digits and hyphens (section 4). Others are not supported.
fn host(name: &[u8]) -> Option<Hostname> {
    let name = std::str::from_utf8(name).ok()?;
    let is_label = |label: &str| {
        let is_known = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.starts_with('-') && !label.ends_with('-') && label.chars().all(is_known)
    };
    let name = name.split('.').all(is_label).then(|| name.parse().ok())??;
    matches!(name, Hostname::Dns(_)).then_some(name)
}

/// Bytes that have not been read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }
}

/// A place of a service in HTTPS records, with its parameter `ech`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EchPlace {
    /// True if the addresses of the host itself are those of the service.
    pub(crate) is_host: bool,
    /// Other addresses of the service.
    pub(crate) addresses: Vec<IpAddr>,
    /// The parameter, if the record has one.
    pub(crate) parameter: Option<Arc<EchParameter>>,
}

/// The parameters `ech` of a host and port, by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EchPlaces(Vec<EchPlace>);

impl EchPlaces {
    /// Creates the parameters of these places, in the order in which clients prefer them.
    pub(crate) fn new(places: Vec<EchPlace>) -> Self {
        let has_any = places.iter().any(|place| place.parameter.is_some());
        Self(if has_any { places } else { Vec::new() })
    }

    /// Returns true if there are no parameters.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the parameter that clients use at an address. `is_of_host` is true for an address of
    /// the host itself.
    pub fn of(&self, ip: IpAddr, is_of_host: bool) -> Option<&Arc<EchParameter>> {
        let has = |place: &&EchPlace| is_of_host && place.is_host || place.addresses.contains(&ip);
        self.0.iter().find(has)?.parameter.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vector8(bytes: &[u8]) -> Vec<u8> {
        [&[bytes.len() as u8][..], bytes].concat()
    }

    fn vector16(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
    }

    fn list(configurations: &[Vec<u8>]) -> Vec<u8> {
        vector16(&configurations.concat())
    }

    /// Returns a configuration with these properties.
    fn configuration(version: u16, kem: u16, kdf: u16, name: &str, extensions: &[u8]) -> Vec<u8> {
        let suite = [kdf.to_be_bytes(), [0, 1]].concat();
        let contents = [
            vec![7],
            kem.to_be_bytes().to_vec(),
            vector16(&[9; X25519_KEY_BYTES]),
            vector16(&suite),
            vec![32],
            vector8(name.as_bytes()),
            vector16(extensions),
        ];
        [&version.to_be_bytes()[..], &vector16(&contents.concat())].concat()
    }

    fn usual(name: &str) -> Vec<u8> {
        configuration(VERSION, X25519, HKDF_SHA256, name, &[])
    }

    fn name_of(bytes: &[u8]) -> String {
        match EchParameter::decode(bytes) {
            EchParameter::Supported(found) => found.public_name.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn first_supported_configuration_is_selected() {
        let second = usual("b.example");
        for first in [
            configuration(0xfe0a, X25519, HKDF_SHA256, "a.example", &[]),
            configuration(VERSION, 0x0010, HKDF_SHA256, "a.example", &[]),
            configuration(VERSION, X25519, 2, "a.example", &[]),
            configuration(VERSION, X25519, HKDF_SHA256, "a_b.example", &[]),
            configuration(VERSION, X25519, HKDF_SHA256, "192.0.2.1", &[]),
            configuration(VERSION, X25519, HKDF_SHA256, "-a.example", &[]),
            configuration(VERSION, X25519, HKDF_SHA256, "a.example", &[0x80, 1, 0, 0]),
        ] {
            assert_eq!(name_of(&list(std::slice::from_ref(&first))), "Unsupported");
            assert_eq!(name_of(&list(&[first, second.clone()])), "b.example");
        }
        let optional = configuration(VERSION, X25519, HKDF_SHA256, "a.example", &[0, 1, 0, 0]);
        let both = list(&[optional.clone(), second]);
        let EchParameter::Supported(found) = EchParameter::decode(&both) else {
            panic!("{both:?}");
        };
        assert_eq!(found.list[..], list(&[optional]));
    }

    #[test]
    fn one_malformed_configuration_makes_the_list_malformed() {
        let usual = list(&[usual("a.example")]);
        assert_eq!(name_of(&usual), "a.example");
        let cut = usual.len() - 1;
        let trailing = [&usual[..], &[0]].concat();
        let unnamed = list(&[configuration(VERSION, X25519, HKDF_SHA256, "", &[])]);
        let extension = [0, 1, 0, 9];
        let extended = configuration(VERSION, X25519, HKDF_SHA256, "a.example", &extension);
        let second = list(&[usual[2..].to_vec(), extended]);
        // A key that is too short: the last byte of the length of the key and of what contains it.
        let mut short = usual.clone();
        short.remove(11);
        for at in [1, 5, 10] {
            short[at] -= 1;
        }
        assert_eq!(name_of(&short), "Malformed");
        assert_eq!(name_of(&[]), "Unsupported");
        for bytes in [&[0, 0][..], &usual[..cut], &trailing, &unnamed, &second] {
            assert_eq!(name_of(bytes), "Malformed", "{bytes:?}");
        }
    }

    #[test]
    fn each_address_has_the_parameter_of_its_place() {
        let parameter = |name| Some(Arc::new(EchParameter::decode(&list(&[usual(name)]))));
        let [cdn, other, own] = [1, 2, 3].map(|last| IpAddr::from([192, 0, 2, last]));
        let place = |is_host, addresses: &[IpAddr], parameter| EchPlace {
            is_host,
            addresses: addresses.to_vec(),
            parameter,
        };
        let places = EchPlaces::new(vec![
            place(false, &[cdn], parameter("cdn.example")),
            place(false, &[other], None),
            place(true, &[other], parameter("own.example")),
        ]);
        let of = |ip, is_of_host| places.of(ip, is_of_host).cloned();
        assert_eq!(of(cdn, true), parameter("cdn.example"));
        assert_eq!(of(other, true), None);
        assert_eq!(of(own, true), parameter("own.example"));
        assert_eq!(of(own, false), None);
        assert!(EchPlaces::new(vec![place(true, &[], None)]).is_empty());
    }

    proptest! {
        #[test]
        fn a_selected_configuration_is_a_list_by_itself(
            mut bytes in Just(list(&[usual("a.example"), usual("b.example")])),
            at in 0..120_usize,
            byte in any::<u8>(),
        ) {
            if let Some(changed) = bytes.get_mut(at) {
                *changed = byte;
            }
            if let EchParameter::Supported(found) = EchParameter::decode(&bytes) {
                let again = EchParameter::decode(&found.list);
                prop_assert_eq!(again, EchParameter::Supported(found));
            }
        }
    }
}
