//! Tests of the reading of HTTPS records.

use hickory_resolver::proto::rr::rdata::svcb::{Alpn, IpHint, Mandatory};
use hickory_resolver::proto::rr::rdata::{A, AAAA};
use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn record(priority: u16, target: &str, params: Vec<(SvcParamKey, SvcParamValue)>) -> SVCB {
    SVCB::new(priority, name(target), params)
}

fn alpn(names: &[&str]) -> (SvcParamKey, SvcParamValue) {
    let names = names.iter().map(ToString::to_string).collect();
    (SvcParamKey::Alpn, SvcParamValue::Alpn(Alpn(names)))
}

#[test]
fn a_record_says_where_the_service_is() {
    let hints = vec![
        alpn(&["h2", "h3"]),
        (SvcParamKey::Port, SvcParamValue::Port(8443)),
        (
            SvcParamKey::Ipv4Hint,
            SvcParamValue::Ipv4Hint(IpHint(vec![A::new(192, 0, 2, 1)])),
        ),
        (
            SvcParamKey::Ipv6Hint,
            SvcParamValue::Ipv6Hint(IpHint(vec![AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)])),
        ),
    ];
    let read = Binding::read(&record(1, ".", hints)).unwrap();
    assert_eq!(
        (read.is_alias, read.target, read.port),
        (false, None, Some(8443))
    );
    assert_eq!(read.hints.len(), 2);
    let alias = Binding::read(&record(0, "cdn.example.", vec![])).unwrap();
    assert_eq!(
        (alias.is_alias, alias.target),
        (true, Some(name("cdn.example.")))
    );
}

#[test]
fn records_that_clients_must_ignore_are_ignored() {
    let mandatory = |key| {
        let keys = Mandatory(vec![SvcParamKey::Port, key]);
        vec![(SvcParamKey::Mandatory, SvcParamValue::Mandatory(keys))]
    };
    let no_default = (SvcParamKey::NoDefaultAlpn, SvcParamValue::NoDefaultAlpn);
    for (record, is_used) in [
        (record(0, ".", vec![]), false),
        (record(1, ".", mandatory(SvcParamKey::Key(4711))), false),
        (record(1, ".", mandatory(SvcParamKey::Alpn)), true),
        // Only QUIC.
        (
            record(1, ".", vec![alpn(&["h3"]), no_default.clone()]),
            false,
        ),
        (record(1, ".", vec![alpn(&["h3"])]), true),
        (record(1, ".", vec![alpn(&["h3", "h2"]), no_default]), true),
    ] {
        assert_eq!(Binding::read(&record).is_some(), is_used, "{record}");
    }
}

#[test]
fn other_ports_have_an_owner_name_of_their_own() {
    let host = name("www.example.");
    assert_eq!(owner_of(&host, 443), Some(host.clone()));
    assert_eq!(
        owner_of(&host, 8443),
        Some(name("_8443._https.www.example."))
    );
    let longest = name(&format!("{}.", vec!["a".repeat(60); 4].join(".")));
    assert_eq!(owner_of(&longest, 8443), None);
}

proptest! {
    #[test]
    fn any_record_has_bounded_places(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzzing::https_record(&bytes);
    }

    #[test]
    fn hints_are_kept_in_their_order(octets in prop::collection::vec(any::<u8>(), 0..100), port in any::<u16>()) {
        let hints: Vec<A> = octets.iter().map(|octet| A::new(192, 0, 2, *octet)).collect();
        let wanted: Vec<IpAddr> = hints.iter().take(MAX_ADDRESSES).map(|a| IpAddr::V4(a.0)).collect();
        let read = Binding::read(&record(1, "a.example.", vec![
            (SvcParamKey::Port, SvcParamValue::Port(port)),
            (SvcParamKey::Ipv4Hint, SvcParamValue::Ipv4Hint(IpHint(hints))),
        ])).unwrap();
        prop_assert_eq!(read.hints, wanted);
        prop_assert_eq!(read.port, (port > 0).then_some(port));
    }
}
