//! keyUsage and extendedKeyUsage (RFC 5280 sections 4.2.1.3 and 4.2.1.12).

use super::Corpus;
use crate::clients::keys::Kind;
use crate::clients::spec::extension::{
    self as ext, ANY_USAGE, CLIENT_AUTH, CODE_SIGNING, CRL_SIGN, DATA_ENCIPHERMENT,
    DIGITAL_SIGNATURE, EXTENDED_KEY_USAGE, KEY_AGREEMENT, KEY_CERT_SIGN, KEY_ENCIPHERMENT,
    KEY_USAGE, MICROSOFT_SGC, NETSCAPE_SGC, NON_REPUDIATION, OCSP_SIGNING, SERVER_AUTH, UNKNOWN,
};

pub(super) fn add(corpus: &mut Corpus) {
    for label in ["intermediate", "root"] {
        corpus.add(format!("ku-missing-{label}"), move |c| {
            c.at(label).remove(KEY_USAGE);
        });
        corpus.add(format!("ku-not-critical-{label}"), move |c| {
            c.at(label).critical(KEY_USAGE, false);
        });
        for (id, bits) in [
            ("crlsign-only", &[CRL_SIGN][..]),
            ("certsign-only", &[KEY_CERT_SIGN]),
            ("digital-signature-only", &[DIGITAL_SIGNATURE]),
            ("none", &[]),
        ] {
            corpus.add(format!("ku-{id}-{label}"), move |c| {
                c.at(label).set(ext::key_usage(bits).into_critical());
            });
        }
        corpus.add(format!("ku-not-critical-crlsign-only-{label}"), move |c| {
            c.at(label).set(ext::key_usage(&[CRL_SIGN]));
        });
    }
    for (kind, key) in [("ec", Kind::P256), ("rsa", Kind::Rsa(2048))] {
        for (id, bits) in [
            ("missing", None),
            ("key-encipherment", Some(&[KEY_ENCIPHERMENT][..])),
            ("key-agreement", Some(&[KEY_AGREEMENT])),
            ("certsign", Some(&[KEY_CERT_SIGN])),
            (
                "certsign-and-signature",
                Some(&[DIGITAL_SIGNATURE, KEY_CERT_SIGN]),
            ),
            ("non-repudiation", Some(&[NON_REPUDIATION])),
            ("data-encipherment", Some(&[DATA_ENCIPHERMENT])),
            ("none", Some(&[])),
            ("all", Some(&[0, 1, 2, 3, 4, 5, 6, 7, 8])),
            (
                "signature-and-encipherment",
                Some(&[DIGITAL_SIGNATURE, KEY_ENCIPHERMENT]),
            ),
        ] {
            corpus.add(format!("ku-{id}-leaf-{kind}"), move |c| {
                let leaf = c.at("leaf").kind(key).remove(KEY_USAGE);
                leaf.extensions
                    .extend(bits.map(|b| ext::key_usage(b).into_critical()));
            });
        }
    }
    corpus.add("ku-not-critical-leaf", |c| {
        c.at("leaf").critical(KEY_USAGE, false);
    });
    corpus.add("ku-not-critical-key-encipherment-leaf", |c| {
        c.at("leaf").set(ext::key_usage(&[KEY_ENCIPHERMENT]));
    });
    for label in ["leaf", "intermediate", "root"] {
        for (id, usages) in [
            ("server", &[SERVER_AUTH][..]),
            ("client", &[CLIENT_AUTH]),
            ("server-and-client", &[SERVER_AUTH, CLIENT_AUTH]),
            ("code-signing", &[CODE_SIGNING]),
            ("any", &[ANY_USAGE]),
            ("any-and-client", &[ANY_USAGE, CLIENT_AUTH]),
            ("empty", &[]),
            ("unknown", &[UNKNOWN]),
            ("ocsp-signing", &[OCSP_SIGNING]),
            ("netscape-sgc", &[NETSCAPE_SGC]),
            ("microsoft-sgc", &[MICROSOFT_SGC]),
            ("server-twice", &[SERVER_AUTH, SERVER_AUTH]),
        ] {
            corpus.add(format!("eku-{id}-{label}"), move |c| {
                c.at(label).set(ext::extended_key_usage(usages));
            });
        }
        corpus.add(format!("eku-client-critical-{label}"), move |c| {
            let usage = ext::extended_key_usage(&[CLIENT_AUTH]).into_critical();
            c.at(label).set(usage);
        });
        corpus.add(format!("eku-server-critical-{label}"), move |c| {
            let usage = ext::extended_key_usage(&[SERVER_AUTH]).into_critical();
            c.at(label).set(usage);
        });
        corpus.add(format!("eku-any-critical-{label}"), move |c| {
            let usage = ext::extended_key_usage(&[ANY_USAGE]).into_critical();
            c.at(label).set(usage);
        });
    }
    corpus.add("eku-missing-leaf", |c| {
        c.at("leaf").remove(EXTENDED_KEY_USAGE);
    });
    corpus.add("eku-and-ku-missing-leaf", |c| {
        c.at("leaf").remove(EXTENDED_KEY_USAGE).remove(KEY_USAGE);
    });
    for (id, octets) in [
        ("client", 0x80),
        ("server", 0x40),
        ("ssl-ca", 0x04),
        ("object-signing", 0x10),
    ] {
        corpus.add(format!("netscape-cert-type-{id}-leaf"), move |c| {
            let value = [3, 2, 0, octets];
            c.at("leaf").add(ext::raw(ext::NETSCAPE_CERT_TYPE, &value));
        });
    }
    corpus.add("netscape-cert-type-server-intermediate", |c| {
        let value = ext::raw(ext::NETSCAPE_CERT_TYPE, &[3, 2, 6, 0x40]);
        c.at("intermediate").add(value);
    });
}
