//! Tests of name resolution.

use super::*;

fn resolver(families: Families, overrides: &[&str]) -> Resolver {
    let overrides = overrides.iter().map(|o| o.parse().unwrap()).collect();
    Resolver::new(families, overrides, vec!["127.0.0.1:1".parse().unwrap()])
}

async fn addresses(resolver: &Resolver, host: &str, port: u16) -> Vec<String> {
    let hostname: Hostname = host.parse().unwrap();
    let query = AddressQuery::new(&hostname, port);
    let resolution = resolver.resolve(&query, Instant::now()).await;
    resolution
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn bytes_that_are_not_utf8_lose_no_line_of_the_hosts_file() {
    let hosts = hosts_of(b"# B\xfcro\n192.0.2.1 a.example b\xfcro # \xfc\n192.0.2.2 b.example\n");
    let hosts = hosts.unwrap();
    for name in ["a.example.", "b.example."] {
        let query = Query::query(dns::name(name).unwrap(), RecordType::A);
        assert!(hosts.lookup_static_host(&query).is_some(), "{name}");
    }
}

#[tokio::test]
async fn resolve_overrides_work_as_in_curl() {
    let r = resolver(
        Families::Both,
        &[
            "a.example:443:127.0.0.2,[::1],127.0.0.2",
            "*:8443:127.0.0.3",
            "192.0.2.1:443:127.0.0.4",
            "[2001:db8::1]:443:::1",
        ],
    );
    assert_eq!(addresses(&r, "a.example", 443).await, ["127.0.0.2", "::1"]);
    assert_eq!(addresses(&r, "b.example", 8443).await, ["127.0.0.3"]);
    assert_eq!(addresses(&r, "192.0.2.1", 443).await, ["127.0.0.4"]);
    assert_eq!(addresses(&r, "2001:db8::1", 443).await, ["::1"]);
    assert_eq!(addresses(&r, "192.0.2.1", 444).await, ["192.0.2.1"]);
}

#[tokio::test]
async fn address_family_applies_to_overrides() {
    let r = resolver(
        Families::V6,
        &["a.example:443:127.0.0.2,::1", "b.example:443:127.0.0.2"],
    );
    assert_eq!(addresses(&r, "a.example", 443).await, ["::1"]);
    let hostname: Hostname = "b.example".parse().unwrap();
    let query = AddressQuery::new(&hostname, 443);
    let resolution = r.resolve(&query, Instant::now()).await;
    assert_eq!(resolution.failure.unwrap().kind, ErrorKind::DnsNoAddress);
}

#[tokio::test]
async fn address_and_localhost_have_no_tlsa_records() {
    let r = resolver(Families::Both, &[]);
    let ask = |host: String| {
        let hostname: Hostname = host.parse().unwrap();
        let r = &r;
        async move { r.tlsa(&hostname, 65535, false, Instant::now()).await }
    };
    for host in ["192.0.2.1", "::1", "localhost", "a.localhost"] {
        let found = ask(host.into()).await;
        assert_eq!(found, Ok(TlsaLookup::NotApplicable), "{host}");
    }
    let unanswered = ask("localhost.example".into()).await.unwrap_err();
    assert_eq!(unanswered.kind, ErrorKind::DnsTimeout);
}

#[test]
fn a_dns_failure_keeps_the_known_addresses_of_the_families_that_failed() {
    let ips = |texts: &[&str]| -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    };
    let failed = |kind| Err(ProbeError::new(kind, "x"));
    let (servfail, timeout) = (ErrorKind::DnsServfail, ErrorKind::DnsTimeout);
    let (nxdomain, none) = (ErrorKind::DnsNxdomain, ErrorKind::DnsNoAddress);
    let (v4, new, v6) = ("192.0.2.1", "192.0.2.2", "2001:db8::1");
    let kept = |families, answers| {
        let mut resolution = combine("n", families, answers);
        resolution.keep(&ips(&[v6, v4]));
        let says = resolution
            .failure
            .map(|f| f.message.contains("still probed"));
        (resolution.addresses, says)
    };
    let both = Families::Available;
    for kind in [servfail, timeout] {
        let all = kept(both, [failed(kind), failed(kind)]);
        assert_eq!(all, (ips(&[v4, v6]), Some(true)));
    }
    // A returned family replaces its known addresses.
    let changed = kept(both, [Ok(ips(&[new])), failed(servfail)]);
    assert_eq!(changed, (ips(&[new, v6]), Some(true)));
    for gone in [nxdomain, none] {
        let left = kept(both, [failed(gone), failed(timeout)]);
        assert_eq!(left, (ips(&[v6]), Some(true)));
        let (left, says) = kept(both, [failed(gone), failed(gone)]);
        assert_eq!((left, says), (vec![], Some(false)));
    }
    let of_v4 = kept(Families::V4, [failed(servfail), Ok(vec![])]);
    assert_eq!(of_v4, (ips(&[v4]), Some(true)));
    let (recovered, says) = kept(both, [Ok(ips(&[new])), Ok(vec![])]);
    assert_eq!((recovered, says), (ips(&[new]), None));
    // Without known addresses.
    let mut unknown = combine("n", both, [failed(servfail), failed(servfail)]);
    unknown.keep(&[]);
    assert_eq!(unknown.failure.unwrap().message, "x");
}

#[test]
fn known_addresses_stay_after_an_internal_lookup_error() {
    let known: Vec<IpAddr> = vec!["192.0.2.1".parse().unwrap()];
    for (kind, is_kept) in [(ErrorKind::Internal, true), (ErrorKind::DnsNxdomain, false)] {
        let failure = ProbeError::new(kind, "x");
        let mut resolution = Resolution::without_addresses(failure, Families::Available);
        resolution.keep(&known);
        assert_eq!(resolution.addresses == known, is_kept, "{kind}");
    }
}

#[test]
fn failure_of_one_family_is_reported_with_the_other_familys_addresses() {
    let ip: IpAddr = "192.0.2.1".parse().unwrap();
    let broken = || Err(ProbeError::new(ErrorKind::DnsServfail, "x"));
    let none = |kind| Err(ProbeError::new(kind, "x"));
    let kind = |answers| {
        combine("n", Families::Both, answers)
            .failure
            .map(|f| f.kind)
    };
    assert_eq!(kind([Ok(vec![ip]), broken()]), Some(ErrorKind::DnsServfail));
    assert_eq!(kind([Ok(vec![ip]), none(ErrorKind::DnsNoAddress)]), None);
    assert_eq!(kind([Ok(vec![ip]), none(ErrorKind::DnsNxdomain)]), None);
    assert_eq!(
        kind([none(ErrorKind::DnsNxdomain), broken()]),
        Some(ErrorKind::DnsServfail)
    );
    assert_eq!(
        kind([Ok(vec![]), Ok(vec![])]),
        Some(ErrorKind::DnsNoAddress)
    );
}

#[test]
fn hosts_file_without_a_family_is_named() {
    let local: IpAddr = "127.0.0.1".parse().unwrap();
    let families = Families::V6;
    let resolution = Resolution::of_hosts_file("localhost", [local], families);
    let failure = resolution.failure.unwrap();
    assert_eq!(
        failure.message,
        "the hosts file has no IPv6 address for localhost"
    );
    let both = Families::Both;
    let resolution = Resolution::of_hosts_file("localhost", [local], both);
    assert!(resolution.failure.is_none());
}

#[test]
fn unreachable_name_server_is_named_with_what_to_check() {
    let error = dns_error::explain(
        "www.example.com",
        None,
        RecordType::AAAA,
        Some("192.0.2.53".parse().unwrap()),
        &hickory_resolver::net::NetError::NoConnections,
    );
    assert_eq!(
        error.message,
        "cannot query the name server 192.0.2.53 for the AAAA records of www.example.com: no \
         connections available; check /etc/resolv.conf, or give another name server with --dns"
    );
}
