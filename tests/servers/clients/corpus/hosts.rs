//! Host names and addresses (RFC 6125 and 9525).

use super::Corpus;
use crate::clients::spec::extension::{SUBJECT_ALT_NAME, dns, email, ip, uri};
use crate::clients::spec::name::{BMP, COMMON_NAME, Name, PRINTABLE, UTF8};
use crate::clients::spec::{Case, HOST};

/// A host, and the only dNSName of the leaf.
fn host(corpus: &mut Corpus, id: &str, host: &'static str, name: &'static str) {
    corpus.add(format!("host-{id}"), move |c| {
        c.host(host).names(&[dns(name)]);
    });
}

fn common_name(case: &mut Case, name: &str) {
    let id = case.organization();
    case.at("leaf").subject = Name::plain(&id, name);
}

pub(super) fn add(corpus: &mut Corpus) {
    for (id, name_of_host, name) in [
        ("other", HOST, "mail.example.test"),
        ("parent", HOST, "example.test"),
        ("below", "a.www.example.test", HOST),
        ("upper-case-san", HOST, "WWW.Example.TEST"),
        ("wildcard", HOST, "*.example.test"),
        ("wildcard-upper-case", HOST, "*.EXAMPLE.test"),
        ("wildcard-two-labels", "a.b.example.test", "*.example.test"),
        ("wildcard-no-label", "example.test", "*.example.test"),
        ("wildcard-inner", "a.www.example.test", "a.*.example.test"),
        ("wildcard-partial-front", HOST, "w*.example.test"),
        ("wildcard-partial-back", HOST, "*w.example.test"),
        ("wildcard-partial-middle", HOST, "w*w.example.test"),
        ("wildcard-two", "a.b.example.test", "*.*.example.test"),
        ("wildcard-tld", "example.test", "*.test"),
        ("wildcard-all", "localhost", "*"),
        ("wildcard-public-suffix", "example.co.uk", "*.co.uk"),
        ("wildcard-bare-dot", HOST, "*."),
        ("wildcard-trailing-dot", HOST, "*.example.test."),
        (
            "wildcard-a-label",
            "xn--bcher-kva.example.test",
            "*.example.test",
        ),
        (
            "wildcard-partial-a-label",
            "xn--bcher-kva.example.test",
            "xn--*.example.test",
        ),
        ("trailing-dot-san", HOST, "www.example.test."),
        ("trailing-dot-host", "www.example.test.", HOST),
        ("leading-dot-san", HOST, ".example.test"),
        ("underscore", "a_b.example.test", "a_b.example.test"),
        ("underscore-wildcard", "a_b.example.test", "*.example.test"),
        ("hyphen-first", "-a.example.test", "-a.example.test"),
        (
            "a-label",
            "xn--bcher-kva.example.test",
            "xn--bcher-kva.example.test",
        ),
        (
            "u-label-san",
            "xn--bcher-kva.example.test",
            "bücher.example.test",
        ),
        ("nul-in-san", HOST, "www.example.test\0.example.org"),
        ("space-in-san", HOST, "www.example.test "),
        ("single-label", "localhost", "localhost"),
        ("digits", "123.example.test", "123.example.test"),
        (
            "label-of-64",
            HOST,
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test",
        ),
        ("ip-in-dns-name", "127.0.0.1", "127.0.0.1"),
        ("ipv6-in-dns-name", "::1", "::1"),
        ("url-in-san", HOST, "https://www.example.test"),
        ("port-in-san", HOST, "www.example.test:443"),
    ] {
        host(corpus, id, name_of_host, name);
    }
    corpus.add("host-second-san", |c| {
        c.names(&[dns("a.example.test"), dns(HOST)]);
    });
    corpus.add("host-malformed-san-before-good", |c| {
        c.names(&[dns("bad name!"), dns(HOST)]);
    });
    corpus.add("host-nul-san-beside-good", |c| {
        c.names(&[dns("a\0b"), dns(HOST)]);
    });
    corpus.add("host-u-label-san-beside-good", |c| {
        c.names(&[dns("bücher.example.test"), dns(HOST)]);
    });
    // Without a subjectAltName, or with one of another kind.
    corpus.add("host-common-name-only", |c| {
        c.at("leaf").remove(SUBJECT_ALT_NAME);
    });
    corpus.add("host-common-name-wildcard-only", |c| {
        common_name(c, "*.example.test");
        c.at("leaf").remove(SUBJECT_ALT_NAME);
    });
    corpus.add("host-common-name-printable-only", |c| {
        let id = c.organization();
        c.at("leaf").subject =
            Name::of(&[(COMMON_NAME, UTF8, &id), (COMMON_NAME, PRINTABLE, HOST)]);
        c.at("leaf").remove(SUBJECT_ALT_NAME);
    });
    corpus.add("host-common-name-bmp-only", |c| {
        c.at("leaf").subject = Name::of(&[(COMMON_NAME, BMP, HOST)]);
        c.at("leaf").remove(SUBJECT_ALT_NAME);
    });
    corpus.add("host-common-name-with-other-san", |c| {
        c.names(&[dns("mail.example.test")]);
    });
    corpus.add("host-common-name-with-email-san", |c| {
        c.names(&[email("user@example.test")]);
    });
    corpus.add("host-common-name-with-ip-san", |c| {
        c.names(&[ip("192.0.2.1")]);
    });
    corpus.add("host-common-name-with-uri-san", |c| {
        c.names(&[uri("https://www.example.test/")]);
    });
    corpus.add("host-common-name-other-with-good-san", |c| {
        common_name(c, "mail.example.test")
    });
    for (id, address) in [("ipv4", "127.0.0.1"), ("ipv6", "::1")] {
        corpus.add(format!("host-{id}"), move |c| {
            c.host(address).names(&[ip(address)]);
        });
        corpus.add(format!("host-{id}-other"), move |c| {
            let other = if id == "ipv4" {
                "192.0.2.1"
            } else {
                "2001:db8::1"
            };
            c.host(address).names(&[ip(other)]);
        });
        corpus.add(format!("host-{id}-common-name-only"), move |c| {
            c.host(address);
            common_name(c, address);
            c.at("leaf").remove(SUBJECT_ALT_NAME);
        });
        corpus.add(format!("host-{id}-common-name-with-dns-san"), move |c| {
            c.host(address).names(&[dns(HOST)]);
            common_name(c, address);
        });
        corpus.add(format!("host-{id}-critical-san"), move |c| {
            c.host(address).names(&[ip(address)]);
            c.at("leaf").critical(SUBJECT_ALT_NAME, true);
        });
    }
    corpus.add("host-ipv4-mapped-san", |c| {
        c.host("127.0.0.1").names(&[ip("::ffff:127.0.0.1")]);
    });
    corpus.add("host-dns-with-ip-san-only", |c| {
        c.names(&[ip("127.0.0.1")]);
    });
    corpus.add("host-ipv4-uri-san", |c| {
        c.host("127.0.0.1").names(&[uri("https://127.0.0.1/")]);
    });
}
