//! Name constraints (RFC 5280 section 4.2.1.10) and distinguished names (sections 4.1.2.4 and 7.1).

use super::Corpus;
use crate::clients::der;
use crate::clients::spec::extension::{
    self as ext, NAME_CONSTRAINTS, SUBJECT_ALT_NAME, directory, dns, email, ip, ip_range,
    name_constraints, other_name, registered_id, uri,
};
use crate::clients::spec::name::{
    BMP, COMMON_NAME, COUNTRY, EMAIL, IA5, Name, ORGANIZATION, PRINTABLE, TELETEX, UNIT, UNIVERSAL,
    UTF8, attribute,
};
use crate::clients::spec::{Case, HOST};

type Names = &'static [(&'static str, fn() -> Vec<u8>)];

/// The case's organization, the first attribute of its directory names.
fn organization(case: &Case) -> Name {
    Name::of(&[(ORGANIZATION, UTF8, &case.organization())])
}

fn constrain(case: &mut Case, label: &str, permitted: &[Vec<u8>], excluded: &[Vec<u8>]) {
    case.at(label).set(name_constraints(permitted, excluded));
}

pub(super) fn constraints(corpus: &mut Corpus) {
    // Both issuers, both lists, matching and violated, critical and not.
    for label in ["intermediate", "root"] {
        for (id, base) in [
            ("same", "www.example.test"),
            ("parent", "example.test"),
            ("tld", "test"),
            ("leading-dot", ".example.test"),
            ("leading-dot-same", ".www.example.test"),
            ("other", "example.org"),
            ("suffix-of-label", "ample.test"),
            ("upper-case", "EXAMPLE.TEST"),
            ("empty", ""),
            ("wildcard", "*.example.test"),
            ("trailing-dot", "example.test."),
        ] {
            if label == "root" && !matches!(id, "parent" | "other") {
                continue;
            }
            corpus.add(format!("nc-dns-permitted-{id}-{label}"), move |c| {
                constrain(c, label, &[dns(base)], &[]);
            });
            corpus.add(format!("nc-dns-excluded-{id}-{label}"), move |c| {
                constrain(c, label, &[], &[dns(base)]);
            });
        }
        corpus.add(format!("nc-dns-not-critical-violated-{label}"), move |c| {
            constrain(c, label, &[dns("example.org")], &[]);
            c.at(label).critical(NAME_CONSTRAINTS, false);
        });
        corpus.add(format!("nc-dns-not-critical-fitting-{label}"), move |c| {
            constrain(c, label, &[dns("example.test")], &[]);
            c.at(label).critical(NAME_CONSTRAINTS, false);
        });
    }
    wildcards_and_common_names(corpus);
    addresses(corpus);
    other_types(corpus);
    structure(corpus);
}

fn wildcards_and_common_names(corpus: &mut Corpus) {
    for (id, permitted, base) in [
        ("excluded-host", false, "www.example.test"),
        ("excluded-other-host", false, "mail.example.test"),
        ("excluded-below", false, "a.www.example.test"),
        ("permitted-host", true, "www.example.test"),
        ("permitted-parent", true, "example.test"),
    ] {
        corpus.add(format!("nc-dns-{id}-wildcard-san"), move |c| {
            let bases = [dns(base)];
            let (yes, no) = if permitted {
                (&bases[..], &[][..])
            } else {
                (&[][..], &bases[..])
            };
            constrain(c, "intermediate", yes, no);
            c.names(&[dns("*.example.test")]);
        });
    }
    for (id, base) in [("fitting", "example.test"), ("violated", "example.org")] {
        corpus.add(format!("nc-dns-{id}-common-name-without-san"), move |c| {
            constrain(c, "intermediate", &[dns(base)], &[]);
            c.at("leaf").remove(SUBJECT_ALT_NAME);
        });
    }
    corpus.add("nc-dns-violated-by-common-name-only", |c| {
        constrain(c, "intermediate", &[dns("example.test")], &[]);
        c.at("leaf").subject = Name::plain(&c.organization(), "www.example.org");
    });
    corpus.add("nc-dns-violated-by-second-san", |c| {
        constrain(c, "intermediate", &[dns("example.test")], &[]);
        c.names(&[dns(HOST), dns("www.example.org")]);
    });
    corpus.add("nc-dns-san-underscore", |c| {
        constrain(c, "intermediate", &[dns("example.test")], &[]);
        c.names(&[dns(HOST), dns("a_b.example.test")]);
    });
    corpus.add("nc-dns-san-malformed", |c| {
        constrain(c, "intermediate", &[dns("example.test")], &[]);
        c.names(&[dns(HOST), dns("a b!.example.test")]);
    });
    corpus.add("nc-dns-permitted-and-excluded", |c| {
        constrain(
            c,
            "intermediate",
            &[dns("example.test")],
            &[dns("www.example.test")],
        );
    });
    corpus.add("nc-dns-two-permitted", |c| {
        constrain(
            c,
            "intermediate",
            &[dns("example.org"), dns("example.test")],
            &[],
        );
    });
    corpus.add("nc-dns-narrower-below", |c| {
        constrain(c, "root", &[dns("example.test")], &[]);
        constrain(c, "intermediate", &[dns("www.example.test")], &[]);
    });
    corpus.add("nc-dns-wider-below", |c| {
        constrain(c, "root", &[dns("example.org")], &[]);
        constrain(c, "intermediate", &[dns("test")], &[]);
    });
    corpus.add("nc-dns-disjoint", |c| {
        constrain(c, "root", &[dns("example.test")], &[]);
        constrain(c, "intermediate", &[dns("example.org")], &[]);
    });
    corpus.add("nc-on-leaf", |c| {
        constrain(c, "leaf", &[dns("example.test")], &[])
    });
}

fn addresses(corpus: &mut Corpus) {
    for (id, host, permitted, address, mask) in [
        (
            "v4-permitted-fitting",
            "127.0.0.1",
            true,
            "127.0.0.0",
            "255.0.0.0",
        ),
        (
            "v4-permitted-violated",
            "127.0.0.1",
            true,
            "10.0.0.0",
            "255.0.0.0",
        ),
        (
            "v4-permitted-host",
            "127.0.0.1",
            true,
            "127.0.0.1",
            "255.255.255.255",
        ),
        ("v4-permitted-all", "127.0.0.1", true, "0.0.0.0", "0.0.0.0"),
        (
            "v4-excluded-violated",
            "127.0.0.1",
            false,
            "127.0.0.0",
            "255.0.0.0",
        ),
        (
            "v4-excluded-fitting",
            "127.0.0.1",
            false,
            "10.0.0.0",
            "255.0.0.0",
        ),
        (
            "v4-mask-with-gap",
            "127.0.0.1",
            true,
            "127.0.0.0",
            "255.0.255.0",
        ),
        (
            "v4-base-outside-mask",
            "127.0.0.1",
            true,
            "127.9.9.9",
            "255.0.0.0",
        ),
        ("v6-permitted-fitting", "::1", true, "::", "ffff:ffff::"),
        (
            "v6-permitted-violated",
            "::1",
            true,
            "2001:db8::",
            "ffff:ffff::",
        ),
        ("v6-excluded-violated", "::1", false, "::", "ffff:ffff::"),
        (
            "v6-permitted-for-v4-host",
            "127.0.0.1",
            true,
            "2001:db8::",
            "ffff:ffff::",
        ),
    ] {
        corpus.add(format!("nc-ip-{id}"), move |c| {
            let range = [ip_range(address, mask)];
            let (yes, no) = if permitted {
                (&range[..], &[][..])
            } else {
                (&[][..], &range[..])
            };
            constrain(c, "intermediate", yes, no);
            c.host(host).names(&[ip(host)]);
        });
    }
    for (id, octets) in [
        ("of-4-octets", &[127, 0, 0, 0][..]),
        ("of-5-octets", &[127, 0, 0, 0, 8]),
        ("empty", &[]),
    ] {
        corpus.add(format!("nc-ip-{id}"), move |c| {
            constrain(c, "intermediate", &[der::implicit(7, octets)], &[]);
            c.host("127.0.0.1").names(&[ip("127.0.0.1")]);
        });
        corpus.add(format!("nc-ip-{id}-dns-host"), move |c| {
            constrain(c, "intermediate", &[der::implicit(7, octets)], &[]);
        });
    }
    corpus.add("nc-dns-permitted-ip-host", |c| {
        constrain(c, "intermediate", &[dns("example.test")], &[]);
        c.host("127.0.0.1").names(&[ip("127.0.0.1")]);
    });
    corpus.add("nc-ip-permitted-dns-host", |c| {
        constrain(c, "intermediate", &[ip_range("10.0.0.0", "255.0.0.0")], &[]);
    });
}

fn other_types(corpus: &mut Corpus) {
    // Directory names: the subject is "O=<case>, CN=<host>".
    for (id, permitted, fits) in [
        ("permitted-fitting", true, true),
        ("permitted-violated", true, false),
        ("excluded-violated", false, true),
        ("excluded-fitting", false, false),
    ] {
        for label in ["intermediate", "root"] {
            corpus.add(format!("nc-directory-{id}-{label}"), move |c| {
                let base = if fits {
                    organization(c)
                } else {
                    Name::of(&[(ORGANIZATION, UTF8, "Another")])
                };
                let bases = [directory(&base)];
                let (yes, no) = if permitted {
                    (&bases[..], &[][..])
                } else {
                    (&[][..], &bases[..])
                };
                constrain(c, label, yes, no);
            });
        }
    }
    corpus.add("nc-directory-permitted-other-string-type", |c| {
        let base = Name::of(&[(ORGANIZATION, PRINTABLE, &c.organization())]);
        constrain(c, "intermediate", &[directory(&base)], &[]);
    });
    corpus.add("nc-directory-permitted-other-case", |c| {
        let base = Name::of(&[(ORGANIZATION, UTF8, &c.organization().to_uppercase())]);
        constrain(c, "intermediate", &[directory(&base)], &[]);
    });
    corpus.add("nc-directory-excluded-other-string-type", |c| {
        let base = Name::of(&[(ORGANIZATION, PRINTABLE, &c.organization())]);
        constrain(c, "intermediate", &[], &[directory(&base)]);
    });
    corpus.add("nc-directory-empty-permitted", |c| {
        constrain(c, "intermediate", &[directory(&Name(Vec::new()))], &[]);
    });
    corpus.add("nc-directory-empty-excluded", |c| {
        constrain(c, "intermediate", &[], &[directory(&Name(Vec::new()))]);
    });
    corpus.add("nc-directory-violated-by-directory-san", |c| {
        constrain(c, "intermediate", &[directory(&organization(c))], &[]);
        let other = Name::of(&[(ORGANIZATION, UTF8, "Another")]);
        c.names(&[dns(HOST), directory(&other)]);
    });
    corpus.add("nc-directory-empty-subject", |c| {
        constrain(c, "intermediate", &[directory(&organization(c))], &[]);
        c.at("leaf").subject = Name(Vec::new());
        c.at("leaf").critical(SUBJECT_ALT_NAME, true);
    });
    let types: Names = &[
        ("email", || email("example.test")),
        ("email-address", || email("user@example.test")),
        ("email-domain", || email(".example.test")),
        ("uri", || uri("example.test")),
        ("uri-domain", || uri(".example.test")),
        ("uri-malformed", || uri("https://example.test/")),
        ("other-name", || other_name("example.test")),
        ("registered-id", || registered_id("1.2.3.4")),
        ("x400", || der::explicit(3, &[])),
        ("edi-party", || {
            der::explicit(5, &der::explicit(1, &der::tlv(UTF8, b"party")))
        }),
        ("unknown-tag", || der::implicit(9, b"unknown")),
    ];
    for (id, base) in types {
        // No name of this type in the leaf; a matching name; a violating name.
        corpus.add(format!("nc-{id}-permitted-absent"), move |c| {
            constrain(c, "intermediate", &[base()], &[]);
        });
        corpus.add(format!("nc-{id}-excluded-absent"), move |c| {
            constrain(c, "intermediate", &[], &[base()]);
        });
    }
    corpus.add("nc-email-not-critical-absent", |c| {
        constrain(c, "intermediate", &[email("example.test")], &[]);
        c.at("intermediate").critical(NAME_CONSTRAINTS, false);
    });
    corpus.add("nc-other-name-not-critical-absent", |c| {
        constrain(c, "intermediate", &[other_name("example.test")], &[]);
        c.at("intermediate").critical(NAME_CONSTRAINTS, false);
    });
    let present: Names = &[
        ("email-fitting", || email("user@example.test")),
        ("email-violated", || email("user@example.org")),
        ("uri-fitting", || uri("https://example.test/x")),
        ("uri-violated", || uri("https://example.org/x")),
        ("other-name-fitting", || other_name("example.test")),
        ("other-name-violated", || other_name("example.org")),
        ("registered-id-fitting", || registered_id("1.2.3.4")),
        ("registered-id-violated", || registered_id("1.2.3.5")),
    ];
    for (id, name) in present {
        let base: fn() -> Vec<u8> = match id.split('-').next() {
            Some("email") => || email("example.test"),
            Some("uri") => || uri("example.test"),
            Some("other") => || other_name("example.test"),
            _ => || registered_id("1.2.3.4"),
        };
        corpus.add(format!("nc-{id}-permitted"), move |c| {
            constrain(c, "intermediate", &[base()], &[]);
            c.names(&[dns(HOST), name()]);
        });
        corpus.add(format!("nc-{id}-excluded"), move |c| {
            constrain(c, "intermediate", &[], &[base()]);
            c.names(&[dns(HOST), name()]);
        });
    }
    for (id, address) in [
        ("fitting", "user@example.test"),
        ("violated", "user@example.org"),
    ] {
        corpus.add(format!("nc-email-{id}-in-subject"), move |c| {
            constrain(c, "intermediate", &[email("example.test")], &[]);
            let subject = &mut c.at("leaf").subject;
            subject.0.push(vec![attribute(EMAIL, IA5, address)]);
        });
    }
}

fn structure(corpus: &mut Corpus) {
    let base = |parts: &[Vec<u8>]| der::sequence(&[der::explicit(0, &der::sequence(parts))]);
    let mut value = |id: &str, value: Vec<u8>| {
        corpus.add(format!("nc-{id}"), move |c| {
            let extension = ext::raw(NAME_CONSTRAINTS, &value).into_critical();
            c.at("intermediate").set(extension);
        });
    };
    value("empty", der::sequence(&[]));
    value(
        "empty-lists",
        der::sequence(&[der::explicit(0, &[]), der::explicit(1, &[])]),
    );
    value(
        "minimum-0",
        base(&[dns("example.test"), der::implicit(0, &[0])]),
    );
    value(
        "minimum-1",
        base(&[dns("example.test"), der::implicit(0, &[1])]),
    );
    value(
        "maximum",
        base(&[dns("example.test"), der::implicit(1, &[5])]),
    );
    value("not-a-sequence", der::octets(b"example.test"));
    value("trailing", [base(&[dns("example.test")]), vec![0]].concat());
}

/// Adds a case in which the leaf has `issuer` as its issuer's name, and the intermediate has
/// `subject` as its own.
fn pair(corpus: &mut Corpus, id: &str, subject: fn(&str) -> Name, issuer: fn(&str) -> Name) {
    corpus.add(format!("dn-{id}"), move |c| {
        let organization = c.organization();
        c.at("intermediate").subject = subject(&organization);
        c.at("leaf").issuer_name = Some(issuer(&organization));
    });
}

fn typed(tag: u8, organization: &str, common_name: &str) -> Name {
    Name::of(&[
        (ORGANIZATION, tag, organization),
        (COMMON_NAME, tag, common_name),
    ])
}

pub(super) fn distinguished(corpus: &mut Corpus) {
    let utf8: fn(&str) -> Name = |o| typed(UTF8, o, "Sub CA");
    let printable: fn(&str) -> Name = |o| typed(PRINTABLE, o, "Sub CA");
    pair(corpus, "subject-printable-issuer-utf8", printable, utf8);
    pair(corpus, "subject-utf8-issuer-printable", utf8, printable);
    pair(corpus, "issuer-upper-case", utf8, |o| {
        typed(UTF8, o, "SUB CA")
    });
    pair(corpus, "issuer-upper-case-printable", printable, |o| {
        typed(PRINTABLE, o, "SUB CA")
    });
    pair(corpus, "issuer-double-space", utf8, |o| {
        typed(UTF8, o, "Sub  CA")
    });
    pair(corpus, "issuer-outer-spaces", utf8, |o| {
        typed(UTF8, o, " Sub CA ")
    });
    pair(
        corpus,
        "subject-double-space-issuer-single",
        |o| typed(UTF8, o, "Sub  CA"),
        utf8,
    );
    pair(corpus, "issuer-other", utf8, |o| typed(UTF8, o, "Other CA"));
    pair(
        corpus,
        "teletex-both",
        |o| typed(TELETEX, o, "Süb CA"),
        |o| typed(TELETEX, o, "Süb CA"),
    );
    pair(
        corpus,
        "teletex-subject-utf8-issuer",
        |o| typed(TELETEX, o, "Süb CA"),
        |o| typed(UTF8, o, "Süb CA"),
    );
    pair(
        corpus,
        "bmp-both",
        |o| typed(BMP, o, "Süb CA"),
        |o| typed(BMP, o, "Süb CA"),
    );
    pair(
        corpus,
        "bmp-subject-utf8-issuer",
        |o| typed(BMP, o, "Sub CA"),
        utf8,
    );
    pair(
        corpus,
        "universal-both",
        |o| typed(UNIVERSAL, o, "Sub CA"),
        |o| typed(UNIVERSAL, o, "Sub CA"),
    );
    pair(
        corpus,
        "ia5-both",
        |o| typed(IA5, o, "Sub CA"),
        |o| typed(IA5, o, "Sub CA"),
    );
    pair(
        corpus,
        "utf8-case-beyond-ascii",
        |o| typed(UTF8, o, "süb ca"),
        |o| typed(UTF8, o, "SÜB CA"),
    );
    pair(
        corpus,
        "printable-with-forbidden-characters",
        |o| typed(PRINTABLE, o, "Sub_CA@*&"),
        |o| typed(PRINTABLE, o, "Sub_CA@*&"),
    );
    pair(
        corpus,
        "empty-value",
        |o| typed(UTF8, o, ""),
        |o| typed(UTF8, o, ""),
    );
    pair(
        corpus,
        "long-value",
        |o| typed(UTF8, o, &"long ".repeat(60)),
        |o| typed(UTF8, o, &"long ".repeat(60)),
    );
    pair(
        corpus,
        "nul-in-value",
        |o| typed(UTF8, o, "Sub\0CA"),
        |o| typed(UTF8, o, "Sub\0CA"),
    );
    let multi = |o: &str, swapped: bool| {
        let mut rdn = vec![
            attribute(ORGANIZATION, UTF8, o),
            attribute(COMMON_NAME, UTF8, "Sub CA"),
        ];
        if swapped {
            rdn.reverse();
        }
        Name(vec![rdn])
    };
    corpus.add("dn-multi-valued-sorted", move |c| {
        c.at("intermediate").subject = multi(&c.organization(), true);
    });
    corpus.add("dn-multi-valued-unsorted", move |c| {
        c.at("intermediate").subject = multi(&c.organization(), false);
    });
    corpus.add("dn-multi-valued-other-order", move |c| {
        c.at("intermediate").subject = multi(&c.organization(), true);
        c.at("leaf").issuer_name = Some(multi(&c.organization(), false));
    });
    corpus.add("dn-rdns-swapped", |c| {
        let mut name = c.get("intermediate").subject.clone();
        name.0.reverse();
        c.at("leaf").issuer_name = Some(name);
    });
    for label in ["leaf", "intermediate", "root"] {
        corpus.add(format!("dn-empty-rdn-{label}"), move |c| {
            c.at(label).subject.0.push(Vec::new());
        });
        corpus.add(format!("dn-empty-subject-{label}"), move |c| {
            c.at(label).subject = Name(Vec::new());
        });
        corpus.add(format!("dn-malformed-utf8-{label}"), move |c| {
            let mut bad = attribute(UNIT, UTF8, "x");
            bad.value = vec![0xff, 0xfe];
            c.at(label).subject.0.push(vec![bad]);
        });
        corpus.add(format!("dn-odd-bmp-{label}"), move |c| {
            let mut bad = attribute(UNIT, BMP, "x");
            bad.value = vec![0, b'x', 0];
            c.at(label).subject.0.push(vec![bad]);
        });
        corpus.add(format!("dn-unknown-string-type-{label}"), move |c| {
            let unit = attribute(UNIT, 0x04, "octets");
            c.at(label).subject.0.push(vec![unit]);
        });
        corpus.add(format!("dn-country-of-three-letters-{label}"), move |c| {
            let country = attribute(COUNTRY, PRINTABLE, "DEU");
            c.at(label).subject.0.push(vec![country]);
        });
    }
    corpus.add("dn-empty-subject-critical-san", |c| {
        c.at("leaf").subject = Name(Vec::new());
        c.at("leaf").critical(SUBJECT_ALT_NAME, true);
    });
    corpus.add("dn-critical-san-with-subject", |c| {
        c.at("leaf").critical(SUBJECT_ALT_NAME, true);
    });
    corpus.add("dn-empty-issuer-of-leaf", |c| {
        c.at("leaf").issuer_name = Some(Name(Vec::new()))
    });
    corpus.add("dn-empty-subject-no-san", |c| {
        c.at("leaf").subject = Name(Vec::new());
        c.at("leaf").remove(SUBJECT_ALT_NAME);
    });
}
