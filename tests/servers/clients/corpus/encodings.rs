//! Encodings that BER allows and DER does not (X.690, section 10), malformed alternative names, and
//! extensions that only some clients read.

use super::Corpus;
use crate::clients::der;
use crate::clients::spec::HOST;
use crate::clients::spec::extension::{
    self as ext, AUTHORITY_KEY_ID, BASIC_CONSTRAINTS, CRL_DISTRIBUTION_POINTS, EXTENDED_KEY_USAGE,
    ISSUER_ALT_NAME, KEY_USAGE, NETSCAPE_CERT_TYPE, SUBJECT_ALT_NAME, SUBJECT_KEY_ID, dns, uri,
};

/// The extensions of RFC 3779 and RFC 3820.
const ADDRESS_BLOCKS: &str = "1.3.6.1.5.5.7.1.7";
const AS_NUMBERS: &str = "1.3.6.1.5.5.7.1.8";
const PROXY_CERT_INFO: &str = "1.3.6.1.5.5.7.1.14";

/// The fields of a TBSCertificate, by their positions.
const FIELDS: [(&str, usize); 5] = [
    ("serial", 1),
    ("issuer", 3),
    ("validity", 4),
    ("subject", 5),
    ("public-key", 6),
];

pub(super) fn add(corpus: &mut Corpus) {
    for label in ["leaf", "intermediate", "root"] {
        for (id, at) in FIELDS {
            corpus.add(format!("der-long-length-{id}-{label}"), move |c| {
                c.at(label).long_field = Some(at);
            });
        }
        for (id, oid) in [
            ("basic-constraints", BASIC_CONSTRAINTS),
            ("key-usage", KEY_USAGE),
            ("extended-key-usage", EXTENDED_KEY_USAGE),
            ("subject-alt-name", SUBJECT_ALT_NAME),
            ("key-id", SUBJECT_KEY_ID),
            ("authority-key-id", AUTHORITY_KEY_ID),
        ] {
            corpus.add(format!("der-long-length-{id}-{label}"), move |c| {
                if let Some(one) = c.at(label).extensions.iter_mut().find(|e| e.oid == oid) {
                    one.long_length = true;
                }
            });
        }
        corpus.add(format!("der-key-usage-unused-bits-{label}"), move |c| {
            let bits = if label == "leaf" {
                [7, 0x87]
            } else {
                [1, 0x07]
            };
            let usage = ext::raw(KEY_USAGE, &der::tlv(3, &bits));
            c.at(label).set(usage.into_critical());
        });
        corpus.add(format!("der-key-usage-trailing-zeros-{label}"), move |c| {
            let bits = if label == "leaf" {
                [0, 0x80]
            } else {
                [0, 0x06]
            };
            let usage = ext::raw(KEY_USAGE, &der::tlv(3, &bits));
            c.at(label).set(usage.into_critical());
        });
        corpus.add(format!("der-public-key-unused-bits-{label}"), move |c| {
            c.at(label).spki = Some(with_unused_bits);
        });
        corpus.add(format!("ext-address-blocks-{label}"), move |c| {
            let family = [
                der::octets(&[0, 1]),
                der::sequence(&[der::tlv(3, &[0, 10])]),
            ];
            let blocks = der::sequence(&[der::sequence(&family)]);
            c.at(label).add(ext::raw(ADDRESS_BLOCKS, &blocks));
        });
        corpus.add(format!("ext-as-numbers-{label}"), move |c| {
            let numbers = der::explicit(0, &der::sequence(&[der::integer(64_500)]));
            c.at(label)
                .add(ext::raw(AS_NUMBERS, &der::sequence(&[numbers])));
        });
        corpus.add(format!("ext-malformed-address-blocks-{label}"), move |c| {
            c.at(label).add(ext::raw(ADDRESS_BLOCKS, &der::null()));
        });
        corpus.add(format!("ext-malformed-as-numbers-{label}"), move |c| {
            c.at(label).add(ext::raw(AS_NUMBERS, &der::null()));
        });
        corpus.add(format!("ext-proxy-{label}"), move |c| {
            let policy = der::sequence(&[der::oid("1.3.6.1.5.5.7.21.0")]);
            let info = der::sequence(&[der::integer(1), policy]);
            c.at(label).add(ext::raw(PROXY_CERT_INFO, &info));
        });
        corpus.add(format!("ext-crldp-reasons-only-{label}"), move |c| {
            let point = der::sequence(&[der::implicit(1, &[6, 0x40])]);
            let points = der::sequence(&[point]);
            c.at(label).set(ext::raw(CRL_DISTRIBUTION_POINTS, &points));
        });
        corpus.add(format!("ext-malformed-issuer-alt-name-{label}"), move |c| {
            c.at(label).set(ext::raw(ISSUER_ALT_NAME, &der::null()));
        });
        corpus.add(format!("ext-malformed-netscape-type-{label}"), move |c| {
            c.at(label).set(ext::raw(NETSCAPE_CERT_TYPE, &der::null()));
        });
    }
    for label in ["intermediate", "root"] {
        corpus.add(format!("der-long-path-length-{label}"), move |c| {
            let constraints = der::sequence(&[der::boolean(true), der::tlv(2, &[0, 1])]);
            let constraints = ext::raw(BASIC_CONSTRAINTS, &constraints);
            c.at(label).set(constraints.into_critical());
        });
    }
    names(corpus);
    constrained(corpus);
}

/// A good dNSName beside a malformed name of another kind.
fn names(corpus: &mut Corpus) {
    let upn = || der::oid("1.3.6.1.4.1.311.20.2.3");
    let broken = der::explicit(0, &[0x0c, 0x20, b'x']);
    for (id, name) in [
        ("other-name-without-value", der::explicit(0, &upn())),
        (
            "other-name-malformed-value",
            der::explicit(0, &[upn(), broken].concat()),
        ),
        ("registered-id-empty", der::implicit(8, &[])),
        ("uri-space-in-host", uri("https://bad host/x")),
        ("uri-bad-escape", uri("http://a%zz/")),
        ("uri-bad-escape-in-path", uri("http://a.example/%zz")),
        ("uri-bad-port", uri("http://a:x/")),
        ("uri-empty-label", uri("https://a..b/x")),
        ("uri-no-scheme-colon", uri("1http://a.example")),
        ("uri-only-colon", uri(":")),
        ("uri-space-in-path", uri("https://a.example/x y")),
        ("uri-control", uri("https://a.example/\u{1}")),
        ("uri-host-with-star", uri("https://*.a.example/")),
        ("uri-host-with-underscore", uri("https://a_b.example/")),
        ("uri-host-with-brackets", uri("https://[::1/")),
        ("uri-host-bad-character", uri("https://a<b/")),
        ("uri-host-trailing-dot", uri("https://a.example./")),
        ("uri-user", uri("https://us er@a.example/")),
        ("uri-relative", uri("a/b")),
        ("uri-urn", uri("urn:x")),
        ("uri-empty-host", uri("https:///x")),
    ] {
        corpus.add(format!("san-{id}"), move |c| {
            c.names(&[dns(HOST), name.clone()]);
        });
    }
}

/// Names below constraints that do not concern them.
fn constrained(corpus: &mut Corpus) {
    for (id, name) in [
        ("partial-wildcard", "w*.example.test"),
        ("inner-wildcard", "www.*.example.test"),
        ("leading-dot", ".example.test"),
        ("wildcard-beside-text", "*w.example.test"),
    ] {
        for (kind, permitted, base) in [
            ("permitted", true, "example.test"),
            ("excluded", false, "example.org"),
        ] {
            corpus.add(format!("nc-dns-{kind}-{id}"), move |c| {
                let bases = [dns(base)];
                let constraints = match permitted {
                    true => ext::name_constraints(&bases, &[]),
                    false => ext::name_constraints(&[], &bases),
                };
                c.at("intermediate").set(constraints);
                c.names(&[dns(HOST), dns(name)]);
            });
        }
    }
    for (id, name) in [
        ("urn", uri("urn:x")),
        ("host", uri("https://a.example/")),
        ("address", uri("https://192.0.2.1/")),
    ] {
        corpus.add(format!("nc-uri-excluded-other-{id}"), move |c| {
            let constraints = ext::name_constraints(&[], &[uri("other.test")]);
            c.at("intermediate").set(constraints);
            c.names(&[dns(HOST), name.clone()]);
        });
    }
}

/// Claims an unused bit at the end of a public key, which is 0 or 1.
fn with_unused_bits(spki: &[u8]) -> Vec<u8> {
    let content = der::content(spki);
    let algorithm = &content[..content.len() - der::skip(content).len()];
    let mut bits = der::content(der::skip(content)).to_vec();
    bits[0] = 1;
    der::sequence(&[algorithm.to_vec(), der::tlv(3, &bits)])
}
