use proptest::prelude::*;

use super::*;

fn guard(allow: &[&str]) -> Guard {
    let read = |text: &&str| text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    Guard::new(allow.iter().map(read).collect())
}

fn may_name(guard: &Guard, host: &str) -> bool {
    guard.may_name(&host.parse().unwrap()).is_ok()
}

#[test]
fn host_pattern_covers_only_names_below_it() {
    let guard = guard(&["*.Example.COM", "bücher.example", "*.a.test."]);
    for host in [
        "www.example.com",
        "a.b.c.example.com",
        "WWW.EXAMPLE.COM.",
        "xn--bcher-kva.example",
        "x.a.test",
    ] {
        assert!(may_name(&guard, host), "{host}");
    }
    for host in [
        "example.com",
        "badexample.com",
        "www.example.com.evil.test",
        "www.bücher.example",
        "a.test",
        "192.0.2.1",
    ] {
        assert!(!may_name(&guard, host), "{host}");
    }
}

#[test]
fn star_pattern_allows_every_name_and_no_address() {
    let guard = guard(&["*"]);
    assert!(may_name(&guard, "localhost") && may_name(&guard, "a.example"));
    assert!(!may_name(&guard, "8.8.8.8") && !may_name(&guard, "2606:4700::1111"));
    // The name is allowed, but not every address that it resolves to.
    assert!(guard.may_reach("127.0.0.1".parse().unwrap()).is_err());
    assert!(guard.may_reach("8.8.8.8".parse().unwrap()).is_ok());
}

#[test]
fn address_target_must_be_in_an_allowed_network() {
    let guard = guard(&["192.0.2.0/24", "8.8.8.8", "2001:db8::/32"]);
    for host in [
        "192.0.2.0",
        "192.0.2.255",
        "8.8.8.8",
        "[2001:db8:ffff::1]",
        "::ffff:192.0.2.1",
        "64:ff9b::192.0.2.1",
    ] {
        assert!(may_name(&guard, host), "{host}");
    }
    for host in [
        "192.0.3.0",
        "192.0.1.255",
        "8.8.4.4",
        "2001:db9::1",
        "name.example",
    ] {
        assert!(!may_name(&guard, host), "{host}");
    }
}

#[test]
fn guard_without_entries_allows_nothing() {
    let guard = Guard::default();
    for (host, says) in [
        ("a.example", "no host pattern of `probe.allow`"),
        ("8.8.8.8", "no network of `probe.allow`"),
    ] {
        let error = guard
            .may_name(&host.parse().unwrap())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(host) && error.contains(says), "{error}");
    }
}

#[test]
fn error_explains_an_invalid_allow_entry() {
    for (text, says) in [
        ("", "empty"),
        ("192.0.2.7/24", "write 192.0.2.0/24 for the network"),
        ("2001:db8::1/32", "write 2001:db8::/32 for the network"),
        ("192.0.2.0/33", "not a network"),
        ("192.0.2.0/+8", "not a network"),
        ("192.0.2.0/", "not a network"),
        ("2001:db8::/129", "not a network"),
        ("example.com/24", "not a network"),
        ("https://example.com", "not a network"),
        ("*.192.0.2.1", "no names below"),
        ("www.*.com", "a star must be alone"),
        ("*example.com", "a star must be alone"),
        ("*.*.com", "a star must be alone"),
        ("*.", "empty"),
        ("10.0.0", "neither"),
    ] {
        let error = text.parse::<Allowed>().unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

/// Tests the first and the last address of each block, and their neighbours outside it.
#[test]
fn non_public_addresses_are_refused() {
    let guard = guard(&["*"]);
    for (ip, what) in [
        ("0.0.0.0", "this very host"),
        ("0.255.255.255", "this very host"),
        ("10.0.0.0", "private"),
        ("10.255.255.255", "private"),
        ("100.64.0.0", "shared"),
        ("100.127.255.255", "shared"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("169.254.169.254", "link-local"),
        ("172.16.0.0", "private"),
        ("172.31.255.255", "private"),
        ("192.0.0.8", "IETF"),
        ("192.0.2.1", "documentation"),
        ("192.88.99.1", "6to4"),
        ("192.168.0.0", "private"),
        ("192.168.255.255", "private"),
        ("198.18.0.0", "benchmarks"),
        ("198.19.255.255", "benchmarks"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("224.0.0.0", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.0", "reserved"),
        ("255.255.255.254", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::2", "this very host"),
        ("::127.0.0.1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:0:127.0.0.1", "loopback"),
        ("::ffff:a9fe:a9fe", "link-local"),
        ("64:ff9b::10.0.0.1", "private"),
        ("64:ff9b:1::10.0.0.1", "private"),
        ("64:ff9b:1:7f00:0:100::", "translation"),
        ("64:ff9b:1:7f00:0:100:808:808", "translation"),
        ("100::1", "discarding"),
        ("100:0:0:1::1", "discarding"),
        ("2001::1", "Teredo"),
        ("2001:0:808:808::1", "Teredo"),
        ("2001:2::1", "IETF"),
        ("2001:10::1", "IETF"),
        ("2001:20::1", "IETF"),
        ("2001:1ff:ffff::1", "IETF"),
        ("2001:db8::1", "documentation"),
        ("2002:7f00:1::1", "loopback"),
        ("2002:c0a8:101::1", "private"),
        ("3fff:fff:ffff::1", "documentation"),
        ("5f00::1", "segment routing"),
        ("fc00::1", "private"),
        ("fdff::1", "private"),
        ("fe80::1", "link-local"),
        ("febf::1", "link-local"),
        ("fec0::1", "site-local"),
        ("ff02::1", "multicast"),
        ("1::1", "not for global use"),
        ("4000::1", "not for global use"),
    ] {
        let error = guard
            .may_reach(ip.parse().unwrap())
            .expect_err(ip)
            .to_string();
        assert!(error.contains(what), "{ip}: {error}");
    }
    for ip in [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2000::1",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2606:4700::1111",
        "3ffe::1",
        "2002:808:808::1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::8.8.8.8",
        "::ffff:8.8.8.8",
    ] {
        guard.may_reach(ip.parse().unwrap()).unwrap();
    }
}

#[test]
fn allowed_network_is_reachable() {
    let named = guard(&[
        "10.0.0.0/8",
        "fe80::/10",
        "0.0.0.0/8",
        "::ffff:192.0.2.0/120",
    ]);
    for ip in [
        "10.1.2.3",
        "::ffff:10.1.2.3",
        "2002:a01:203::1",
        "fe80::1",
        "0.0.0.0",
        "192.0.2.1",
        "::ffff:192.0.2.1",
    ] {
        named.may_reach(ip.parse().unwrap()).expect(ip);
    }
    for ip in ["127.0.0.1", "::1", "::", "192.168.0.1"] {
        named.may_reach(ip.parse().unwrap()).expect_err(ip);
    }
    let every_ipv6 = guard(&["::/0"]);
    every_ipv6.may_reach("::1".parse().unwrap()).unwrap();
    for ip in ["::ffff:127.0.0.1", "127.0.0.1"] {
        every_ipv6.may_reach(ip.parse().unwrap()).expect_err(ip);
    }
    let every_ipv4 = guard(&["0.0.0.0/0"]);
    every_ipv4.may_reach("127.0.0.1".parse().unwrap()).unwrap();
    every_ipv4.may_reach("::1".parse().unwrap()).unwrap_err();
}

/// An odd spelling of an address is read as an address or refused. A name is sent to DNS, and no
/// resolver must read it as a number.
#[test]
fn unusual_spelling_of_an_address_is_not_read_as_a_name() {
    for text in [
        "0x7f.1",
        "0x7f000001",
        "0X7F000001",
        "0x7f.0x0.0x0.0x1",
        "127.0.0.0x1",
        "127.0x",
        "2130706433",
        "127.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.01",
        "127.0.0.1.",
        "127.0.0.1..",
        "127。0。0。1",
        "１２７.0.0.1",
        "①②⑦.0.0.1",
        "0ｘ7f000001",
        "0x7f\u{ad}000001",
        "[::ffff:127.0.0.1%lo]",
        "[fe80::1%25eth0]",
        "fe80::1%eth0",
        "::1%lo",
        "[127.0.0.1]",
        "[::1].",
        " 127.0.0.1",
        "127.0.0.1\n",
        "127.0.0.1\0",
        "%31%32%37.0.0.1",
    ] {
        let read = text.parse::<Hostname>();
        assert!(read.is_err(), "{text:?}: {read:?}");
    }
    for (text, ip) in [
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ("::ffff:7f00:1", "::ffff:127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
    ] {
        assert_eq!(
            text.parse(),
            Ok(Hostname::Ip(ip.parse().unwrap())),
            "{text}"
        );
    }
    // These are names.
    for text in [
        "0x7f.example",
        "127.0.0.1.example",
        "1e100.net",
        "0xyz",
        "a.0b1",
    ] {
        assert!(matches!(text.parse(), Ok(Hostname::Dns(_))), "{text}");
    }
}

fn v4() -> impl Strategy<Value = Ipv4Addr> {
    let anywhere = any::<u32>().prop_map(Ipv4Addr::from_bits);
    // Most of the space is public, so special networks are generated explicitly.
    let special = prop::sample::select(NOT_PUBLIC_V4.to_vec());
    let special = (special, any::<u32>()).prop_map(|((network, _), host)| {
        let IpAddr::V4(first) = network.first else {
            unreachable!()
        };
        let hosts = u32::MAX.checked_shr(network.bits.into()).unwrap_or(0);
        Ipv4Addr::from_bits(first.to_bits() | (host & hosts))
    });
    prop_oneof![anywhere, special]
}

proptest! {
    #[test]
    fn ipv4_embedded_in_ipv6_is_treated_as_ipv4(ip in v4(), named in any::<u32>(), bits in 0_u8..=32) {
        let network = Network { first: first_of(Ipv4Addr::from_bits(named).into(), bits), bits };
        let guard = Guard::new(vec![Allowed::Network(network)]);
        let [a, b, c, d] = ip.octets().map(u16::from);
        let (high, low) = ((a << 8) | b, (c << 8) | d);
        // ::1 and :: remain themselves.
        let compatible = Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low);
        let compatible = (ip.to_bits() > 1).then_some(compatible);
        let forms = [
            ip.to_ipv6_mapped(),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 7, 0, 0, 0, 1),
        ];
        for form in forms.into_iter().chain(compatible) {
            let (v4, v6) = (IpAddr::V4(ip), IpAddr::V6(form));
            prop_assert_eq!(guard.may_reach(v4).is_ok(), guard.may_reach(v6).is_ok(), "{}", form);
            let (v4, v6) = (Hostname::Ip(v4), Hostname::Ip(v6));
            prop_assert_eq!(guard.may_name(&v4).is_ok(), guard.may_name(&v6).is_ok(), "{}", form);
        }
    }

    #[test]
    fn every_address_of_an_allowed_network_is_allowed(
        ip in prop_oneof![
            any::<u32>().prop_map(|b| IpAddr::from(Ipv4Addr::from_bits(b))),
            any::<u128>().prop_map(|b| IpAddr::from(Ipv6Addr::from_bits(b))),
        ],
        bits in 0_u8..=128,
    ) {
        let bits = bits.min(width(ip));
        let network = Network { first: first_of(ip, bits), bits };
        let allowed: Allowed = network.to_string().parse().unwrap();
        prop_assert_eq!(&allowed, &Allowed::Network(network));
        let guard = Guard::new(vec![allowed]);
        prop_assert_eq!(guard.may_reach(ip), Ok(()));
        prop_assert_eq!(guard.may_name(&Hostname::Ip(ip)), Ok(()));
    }

    #[test]
    fn allow_entry_that_is_a_hostname_allows_itself(text in "[a-z0-9*./:\\[\\]x-]{0,20}") {
        let (Ok(allowed), Ok(hostname)) = (text.parse::<Allowed>(), text.parse::<Hostname>()) else {
            return Ok(());
        };
        prop_assert_eq!(Guard::new(vec![allowed]).may_name(&hostname), Ok(()));
    }
}
