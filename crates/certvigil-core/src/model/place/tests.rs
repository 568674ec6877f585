//! Tests of parsing targets.

use super::*;

fn place(text: &str) -> (String, Option<u16>) {
    let place: TargetAddress = text.parse().unwrap();
    (place.hostname.to_string(), place.port)
}

#[test]
fn targets_are_read_in_all_supported_forms() {
    assert_eq!(place("Example.COM."), ("example.com".into(), None));
    assert_eq!(
        place("example.com:8443"),
        ("example.com".into(), Some(8443))
    );
    assert_eq!(
        place("https://example.com/a?b"),
        ("example.com".into(), Some(443))
    );
    assert_eq!(
        place("https://example.com:444"),
        ("example.com".into(), Some(444))
    );
    assert_eq!(
        place("submission://example.com"),
        ("example.com".into(), Some(587))
    );
    assert_eq!(place("tls://[::1]:7"), ("::1".into(), Some(7)));
    assert_eq!(place("h3://example.com"), ("example.com".into(), Some(443)));
    let h3: TargetAddress = "H3://[::1]:8443".parse().unwrap();
    assert_eq!((h3.port, h3.protocol), (Some(8443), Some(Protocol::H3)));
    assert_eq!(place("192.0.2.1:1"), ("192.0.2.1".into(), Some(1)));
    assert_eq!(place("2001:db8::1"), ("2001:db8::1".into(), None));
    assert_eq!(place("[2001:db8::1]"), ("2001:db8::1".into(), None));
    assert_eq!(
        place("[2001:db8::1]:993"),
        ("2001:db8::1".into(), Some(993))
    );
    assert_eq!(
        place("bücher.example"),
        ("xn--bcher-kva.example".into(), None)
    );
    assert_eq!(place("_srv.example.com"), ("_srv.example.com".into(), None));
    for odd in [
        "foo-.example",
        "-foo.example",
        "r3---sn.example",
        "xn--a.example",
        "xn--.example",
    ] {
        assert_eq!(place(odd), (odd.into(), None));
    }
    for blank in ["a.example:1\r", "\u{feff}a.example:1", " a.example:1\t\n"] {
        assert_eq!(place(blank), ("a.example".into(), Some(1)));
    }
    assert_eq!(
        place("https://a.example:/"),
        ("a.example".into(), Some(443))
    );
    assert_eq!(place("https://[::1]:?q"), ("::1".into(), Some(443)));
}

#[test]
fn a_link_local_address_has_its_zone() {
    for (text, zone, port) in [
        ("fe80::1%eth0", "eth0", None),
        ("fe80::1%2", "2", None),
        ("fe80::1%25", "25", None),
        ("[fe80::1%eth0]:443", "eth0", Some(443)),
        ("[fe80::1%25eth0]:443", "eth0", Some(443)),
        ("imaps://[fe80::1%25br-lan.7]/", "br-lan.7", Some(993)),
    ] {
        let place: TargetAddress = text.parse().unwrap();
        assert_eq!(place.hostname.to_string(), "fe80::1", "{text}");
        assert_eq!(
            (place.zone.as_deref(), place.port),
            (Some(zone), port),
            "{text}"
        );
    }
    for (text, says) in [
        ("2001:db8::1%eth0", "only link-local"),
        ("fe80::1%", "not a network interface"),
        ("a%b.example", "cannot contain"),
    ] {
        let error = text.parse::<TargetAddress>().unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn a_user_name_and_password_are_never_repeated() {
    for (text, meant) in [
        ("https://u:secret@a.example/", "https://a.example/"),
        ("https//u:secret@a.example", "https://a.example"),
        ("htps://u:secret@a.example", "https://a.example"),
        ("u:secret@a.example", "a.example"),
        ("secret@a.example:443", "a.example:443"),
        ("https://u:se/secret@a.example", "https://a.example"),
    ] {
        let error = text.parse::<TargetAddress>().unwrap_err().to_string();
        assert!(!error.contains("secret"), "{text}: {error}");
        assert!(error.contains("remove it"), "{text}: {error}");
        assert!(
            error.ends_with(&format!("did you mean `{meant}`?")),
            "{text}: {error}"
        );
    }
}

#[test]
fn bad_targets_are_refused_with_a_reason() {
    for (text, reason) in [
        ("", "empty"),
        ("example.com:0", "not a port"),
        ("example.com:65536", "not a port"),
        ("example.com:", "not a port"),
        ("gopher://example.com", "unsupported"),
        ("mongodb+srv://example.com", "srv:_mongodb._tcp"),
        ("tcp://example.com:1", "write tls://"),
        ("tls://example.com", "no port"),
        ("https://user:pw@example.com", "remove it"),
        ("example.com/path", "not a target"),
        ("[::1", "bracket"),
        ("[192.0.2.1]:443", "not an IPv6"),
        ("*.example.com", "wildcard"),
        ("exa mple.com", "white space"),
        ("a..example.com", "each label"),
        ("127.1", "neither"),
        ("2001:db8::1:x:443", "write an IPv6"),
    ] {
        let error = text.parse::<TargetAddress>().unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn error_suggests_the_intended_target() {
    for (text, meant) in [
        ("example.com:imap", "imap://example.com"),
        ("example.com:https", "https://example.com"),
        ("[::1]:imaps", "imaps://[::1]"),
        ("smtp//mail.example.com", "smtp://mail.example.com"),
        ("smtp:mail.example.com", "smtp://mail.example.com"),
        ("https:/example.com:8443/x", "https://example.com:8443/x"),
        ("htps://example.com", "https://example.com"),
        ("http://example.com", "https://example.com"),
        ("imapss://example.com:144", "imaps://example.com:144"),
        (
            "redis://cache.example:6379/0",
            "rediss://cache.example:6379/0",
        ),
        ("WS://example.com/chat", "wss://example.com/chat"),
        ("mqtt://example.com", "mqtts://example.com"),
        ("amqp://example.com", "amqps://example.com"),
        ("example.com/path", "example.com"),
        ("example.com:443/path", "example.com:443"),
        ("https:\\\\example.com\\", "https://example.com"),
        ("a.example:443,b.example:443", "a.example:443 b.example:443"),
        ("a.example; b.example", "a.example b.example"),
        ("a.example 8443", "a.example:8443"),
        ("a.example:", "a.example"),
        ("http://a.example:80/", "https://a.example"),
        ("\"a.example\"", "a.example"),
    ] {
        let error = text.parse::<TargetAddress>().unwrap_err().to_string();
        let end = format!("did you mean `{meant}`?");
        assert!(error.ends_with(&end), "{text}: {error}");
    }
    for text in [
        "gopher://example.com",
        "example.com:99999",
        "",
        "//",
        ":",
        "a:b:c/",
        "mongodb+srv://example.com",
        "ssh://example.com",
        "im/a?@",
        // What was written is no suggestion.
        "www example",
        "a.example b.example",
    ] {
        let error = text.parse::<TargetAddress>().unwrap_err().to_string();
        assert!(!error.contains("did you mean"), "{text}: {error}");
    }
}

proptest::proptest! {
    #[test]
    fn suggested_target_is_valid(text in "[a-z:/.\\[\\]0-9@?-]{0,24}") {
        if let Some(meant) = meant(&text) {
            meant.parse::<TargetAddress>().unwrap();
        }
    }
}
