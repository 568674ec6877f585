//! Configuration errors name the line, the key and the fix.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use crate::model::Families;
use crate::tlsa::DaneCheck;

use super::{Inventory, SourceSettings, VantageKind, describe, parse};

const FILE: &str = "dir/certvigil.yml";

fn read(text: &str) -> Inventory {
    parse(text, Path::new(FILE)).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// Returns every error of a text, one per line, without the file name.
fn errors(text: &str) -> Vec<String> {
    let errors = parse(text, Path::new(FILE)).expect_err(text).to_string();
    let lines = errors.lines().map(|line| {
        let rest = line.strip_prefix("dir/certvigil.yml:");
        rest.unwrap_or_else(|| panic!("no file is named: {line}"))
            .to_owned()
    });
    lines.collect()
}

/// Returns the only error of a text.
fn error(text: &str) -> String {
    match errors(text).as_slice() {
        [one] => one.clone(),
        many => panic!("{many:#?}\n{text}"),
    }
}

/// Returns a valid text that begins with these lines.
fn with(lines: &str) -> String {
    format!("{lines}\ncertificates: [{{trust: true, hostnames: [a.example]}}]\n")
}

/// Returns a text with one entry, written on line 2.
fn entry(fields: &str) -> String {
    format!("certificates:\n  - {{{fields}}}\n")
}

#[test]
fn inventory_is_read_with_entries_and_defaults() {
    let inventory = read(
        "\
sslmate: {api_key_file: key}
vantages:
  - {name: sslmate, type: sslmate}
  - {name: eu, type: certvigil, url: 'https://eu.example/api/v2/', password_file: /run/eu}
trust: {system: false, ca_files: ca.pem}
dns: ['192.0.2.53', '[2001:db8::53]:5353']
defaults: {timeout: 3s, per_address: 2, history: 2w, port: 8443, warn: 20d, crit: '5%'}
certificates:
  - sslmate: Www.Example.COM
  - {name: mail, pem: live/fullchain.pem, hostnames: mail.example.com, ports: [993, 995, 993], crit: 1d}
  - {name: bare, trust: true, hostnames: [a.example, 192.0.2.7], addresses: ['192.0.2.8', '[2001:db8::8]']}
  - {pem_dir: '/live/*/fullchain.pem'}
",
    );
    assert_eq!(
        inventory.sslmate.as_ref().unwrap().api_key_file.as_deref(),
        Some(Path::new("dir/key"))
    );
    let VantageKind::Certvigil { url, .. } = &inventory.vantages[1].kind else {
        panic!("{:?}", inventory.vantages)
    };
    assert_eq!(url, "https://eu.example/api/v2");
    assert_eq!(inventory.trust.ca_files, [Path::new("dir/ca.pem")]);
    assert_eq!(inventory.dns[0], "192.0.2.53:53".parse().unwrap());
    assert_eq!(inventory.dns[1], "[2001:db8::53]:5353".parse().unwrap());
    assert_eq!(inventory.defaults.timeout, Duration::from_secs(3));
    assert_eq!(inventory.defaults.history, Duration::from_secs(14 * 86_400));

    let [sslmate, mail, bare, all] = inventory.certificates.as_slice() else {
        panic!("{:?}", inventory.certificates)
    };
    let cn = "www.example.com".to_owned();
    assert_eq!(sslmate.source, SourceSettings::Sslmate(cn));
    assert_eq!(sslmate.ports, [8443], "the default port");
    assert_eq!(
        mail.source,
        SourceSettings::Pem(vec!["dir/live/fullchain.pem".into()])
    );
    assert_eq!(mail.ports, [993, 995], "each once");
    assert_eq!(
        (mail.warn.to_string(), mail.crit.to_string()),
        ("20d".into(), "1d".into())
    );
    assert_eq!(
        bare.addresses[1],
        "2001:db8::8".parse::<std::net::IpAddr>().unwrap()
    );
    assert_eq!(
        all.source,
        SourceSettings::PemGlob("/live/*/fullchain.pem".into()),
        "an absolute path stays as it is"
    );
}

#[test]
fn probe_module_may_have_its_own_trust() {
    let inventory = read(&with(
        "probe:\n  allow: ['*', 192.0.2.1, '*.Example.com']\n  modules:\n    a: {key_type: any, trust: {system: false, ca_files: ca.pem}}\n    b: {}",
    ));
    let [a, b] = inventory.probe.modules.as_slice() else {
        panic!("{:?}", inventory.probe)
    };
    let trust = a.trust.as_ref().unwrap();
    assert_eq!(
        (trust.system, trust.ca_files.as_slice()),
        (false, &["dir/ca.pem".into()][..])
    );
    assert_eq!((b.name.as_str(), b.trust.as_ref()), ("b", None));
    let allow = ["*", "192.0.2.1", "*.example.com"].map(|text| text.parse().unwrap());
    assert_eq!(inventory.probe.allow, allow);
}

#[test]
fn absent_keys_have_their_defaults() {
    let inventory = read("certificates:\n  - {sslmate: a.example}\n");
    let expected = Inventory {
        certificates: vec![super::Entry::new(SourceSettings::Sslmate(
            "a.example".into(),
        ))],
        ..Inventory::default()
    };
    assert_eq!(inventory, expected);
    // A key without a value enables its defaults.
    let inventory = read(&with("sslmate:"));
    assert_eq!(inventory.sslmate, Some(super::SslmateSettings::default()));
}

#[test]
fn a_protocol_has_its_own_port_unless_another_is_given() {
    let inventory = read(
        "\
defaults: {port: 8443}
probe: {modules: {db: {protocol: postgresql}}}
certificates:
  - {trust: true, hostnames: a.example}
  - {trust: true, name: b, hostnames: a.example, protocol: https}
  - {trust: true, name: c, hostnames: a.example, protocol: imap}
  - {trust: true, name: d, hostnames: a.example, protocol: smtp, ports: [25, 587]}
  - {trust: true, name: e, mx: Example.COM}
  - {trust: true, name: f, mx: [a.example], protocol: lmtp}
",
    );
    let places: Vec<_> = inventory
        .certificates
        .iter()
        .map(|e| (e.protocol.name(), e.ports.clone()))
        .collect();
    assert_eq!(
        places,
        [
            ("https", vec![8443]),
            ("https", vec![8443]),
            ("imap", vec![143]),
            ("smtp", vec![25, 587]),
            ("smtp", vec![25]),
            ("lmtp", vec![24]),
        ]
    );
    assert_eq!(inventory.certificates[4].mx[0].to_string(), "example.com");
    assert_eq!(inventory.probe.modules[0].protocol.name(), "postgres");
    let wrong = error(&entry(
        "trust: true, hostnames: a.example, protocol: gopher",
    ));
    assert!(wrong.contains("supported: https, h3, smtp"), "{wrong}");
    let wrong = error(&entry("pem: a.pem, mx: 192.0.2.1"));
    assert!(wrong.contains("give a domain"), "{wrong}");
    let wrong = error(&entry("sslmate: '*', mx: a.example"));
    assert!(wrong.contains("many certificates"), "{wrong}");
}

#[test]
fn empty_inventory_is_an_error() {
    for text in ["", "\n\n", "# nothing yet\n"] {
        assert_eq!(error(text), "1: the file is empty; add `certificates`");
    }
    assert_eq!(
        error("dns: []\n"),
        "1: certificates: the key is missing; list the certificates and the hosts that serve them"
    );
    assert_eq!(
        error("dns: []\ncertificates: []\n"),
        "2: certificates: the list is empty; add at least one certificate"
    );
    assert_eq!(
        error("certificates:\n"),
        "1: certificates: expected a list, found nothing"
    );
}

#[test]
fn second_yaml_document_is_an_error() {
    let text = format!("{}---\ndns: []\n", entry("sslmate: a.example"));
    assert_eq!(
        error(&text),
        "4: the file has a second YAML document; merge them into one"
    );
}

#[test]
fn unknown_key_error_suggests_the_nearest_known_key() {
    for (text, expected) in [
        (
            with("vantage: []"),
            "1: vantage: unknown key; did you mean `vantages`?",
        ),
        (
            entry("<<: {trust: true}"),
            "2: certificates[0].<<: merge keys are not supported; write the keys of the anchor out, or set defaults",
        ),
        (
            with("default: {}"),
            "1: default: unknown key; did you mean `defaults`?",
        ),
        (
            with("\ntrust: {ca_file: x}"),
            "2: trust.ca_file: unknown key; did you mean `ca_files`?",
        ),
        (
            with("defaults: {time_out: 3s}"),
            "1: defaults.time_out: unknown key; did you mean `timeout`?",
        ),
        (
            with("sslmate: {end_point: x}"),
            "1: sslmate.end_point: unknown key; did you mean `endpoint`?",
        ),
        (
            with("probe: {modules: {smtp: {protcol: x}}}"),
            "1: probe.modules.smtp.protcol: unknown key; did you mean `protocol`?",
        ),
        (
            entry("sslmate: a.example, host: b"),
            "2: certificates[0].host: unknown key; did you mean `hostnames`?",
        ),
        (
            entry("sslmate: a.example, prot: 1"),
            "2: certificates[0].prot: unknown key; did you mean `port`?",
        ),
        // No known key is similar.
        (
            with("webhook: {qqq: x}"),
            "1: webhook.qqq: unknown key; known keys: secret_file",
        ),
        (
            with("webhook: {s: x}"),
            "1: webhook.s: unknown key; known keys: secret_file",
        ),
    ] {
        assert_eq!(error(&text), expected, "{text}");
    }
}

#[test]
fn a_secret_in_the_file_is_refused_with_advice() {
    for (text, key) in [
        (with("sslmate: {api_key: 4f5c}"), "api_key_file"),
        (with("sslmate: {api-key: 4f5c}"), "api_key_file"),
        (with("sslmate: {password: 4f5c}"), "password_file"),
        (with("webhook: {secret: 4f5c}"), "secret_file"),
        (
            with("vantages: [{name: x, type: certvigil, url: 'https://x', password: 4f5c}]"),
            "password_file",
        ),
    ] {
        let error = error(&text);
        let advice = format!(
            "this file must not contain secrets; put it into a separate file and set `{key}`"
        );
        assert!(error.ends_with(&advice), "{error}");
        assert!(
            !error.contains("4f5c"),
            "the secret itself is told: {error}"
        );
    }
    let error = error(&with("password: 4f5c"));
    assert!(error.contains("must not contain secrets"), "{error}");
    let text = with("vantages: [{name: x, type: certvigil, url: 'https://u:4f5c@x'}]");
    let error = self::error(&text);
    assert!(error.contains("must not contain credentials"), "{error}");
    assert!(
        !error.contains("4f5c"),
        "the secret itself is told: {error}"
    );
}

#[test]
fn a_client_certificate_has_the_file_of_its_password() {
    let fields = "trust: true, hostnames: [a.example]";
    let text = entry(&format!(
        "{fields}, client_cert: c.p12, client_key: /run/c.key, client_cert_password_file: p"
    ));
    let client = read(&text)
        .certificates
        .remove(0)
        .reach
        .client
        .clone()
        .unwrap();
    assert_eq!(client.certificate, Path::new("dir/c.p12"));
    assert_eq!(client.key, Path::new("/run/c.key"));
    assert_eq!(client.password.as_deref(), Some(Path::new("dir/p")));
    let alone = error(&entry(&format!("{fields}, client_cert_password_file: p")));
    assert!(alone.contains("has no `client_cert`"), "{alone}");
}

#[test]
fn duplicate_key_is_an_error() {
    let text = "certificates:\n  - sslmate: a.example\n    port: 1\n    port: 2\n";
    assert_eq!(error(text), "4: invalid YAML: duplicated key in mapping");
    let text = format!("{}{}", entry("sslmate: a"), entry("sslmate: b"));
    assert_eq!(error(&text), "3: invalid YAML: duplicated key in mapping");
}

#[test]
fn duplicate_name_is_an_error() {
    let text = "certificates:\n  - {sslmate: a.example}\n  - {name: a.example, pem: x}\n";
    assert_eq!(
        error(text),
        "3: certificates[1]: `a.example` is also the name of the certificate in line 2; change one `name`"
    );
    let text = with("vantages:\n  - {name: x, type: sslmate}\n  - {name: x, type: sslmate}");
    assert_eq!(
        error(&text),
        "3: vantages[1]: `x` is also the name of the vantage in line 2; change one name"
    );
    let error = error(&with("vantages: [{name: local, type: sslmate}]"));
    assert!(error.contains("choose another"), "{error}");
}

#[test]
fn wrong_type_error_names_the_found_type() {
    for (text, expected) in [
        ("- a\n", "1: expected keys with values, found a list"),
        ("a\n", "1: expected keys with values, found a single value"),
        (
            "certificates: a\n",
            "1: certificates: expected a list, found a single value",
        ),
        (
            "certificates: {a: b}\n",
            "1: certificates: expected a list, found a mapping",
        ),
    ] {
        assert!(errors(text).contains(&expected.to_owned()), "{text}");
    }
    for (text, expected) in [
        (
            with("dns: {a: b}"),
            "1: dns: expected a list, found a mapping",
        ),
        (
            with("trust: [x]"),
            "1: trust: expected keys with values, found a list",
        ),
        (
            with("trust: {system: 1}"),
            "1: trust.system: `1` is not a boolean; write true or false",
        ),
        (
            with("trust: {system: yes}"),
            "1: trust.system: `yes` is not a boolean; write true or false",
        ),
        (
            with("defaults: {port: [1]}"),
            "1: defaults.port: expected a single value, found a list",
        ),
        (
            with("defaults: {port: ~}"),
            "1: defaults.port: expected a single value, found nothing",
        ),
        (with("? [a]\n: b"), "1: a key must be plain text"),
    ] {
        assert_eq!(error(&text), expected, "{text}");
    }
}

#[test]
fn invalid_inventory_value_error_names_the_valid_form() {
    for (text, expected) in [
        (
            with("defaults: {timeout: 0s}"),
            "1: defaults.timeout: `0s` is not a duration; write it as 10s, 5m or 1h",
        ),
        (
            with("defaults: {interval: 5}"),
            "1: defaults.interval: `5` is not a duration; write it as 10s, 5m or 1h",
        ),
        (
            with("defaults: {history: 0s}"),
            "1: defaults.history: `0s` is not a duration; write it as 10s, 5m or 1h",
        ),
        (
            with("defaults: {per_address: 0}"),
            "1: defaults.per_address: `0` is not a positive whole number",
        ),
        (
            with("defaults: {key_type: dsa}"),
            "1: defaults.key_type: `dsa` is not a key type; write any, rsa, ecdsa or all",
        ),
        (
            with("defaults: {revocation: ocsp}"),
            "1: defaults.revocation: `ocsp` is not a revocation check; write off, staple, crl or full",
        ),
        (
            with("probe:\n  allow:\n    - '*.example.com'\n    - 192.0.2.7/24"),
            "4: probe.allow[1]: `192.0.2.7/24` names one address in a network: write 192.0.2.0/24 for the network, or 192.0.2.7 for the address",
        ),
        (
            with("probe: {modules: {x: {key_type: dsa}}}"),
            "1: probe.modules.x.key_type: `dsa` is not a key type; write any, rsa, ecdsa or all",
        ),
        (
            with("probe: {modules: {x: {trust: {system: 1}}}}"),
            "1: probe.modules.x.trust.system: `1` is not a boolean; write true or false",
        ),
        (
            with("dns: ns.example"),
            "1: dns: `ns.example` is not a name server address; write an IP address, with or without :port",
        ),
        (
            with("sslmate: {endpoint: sslmate.com}"),
            "1: sslmate.endpoint: `sslmate.com` is not an http or https URL; write it as https://host",
        ),
        (
            "certificates: [{name: www, download: 'ftp://certs.example/secret', hostnames: [a.example]}]"
                .into(),
            "1: certificates[0].download: this is not an http or https URL; write it as https://host/path",
        ),
        (
            with("sslmate: {endpoint: 'https://x', sandbox: true}"),
            "1: sslmate.endpoint: `endpoint` and `sandbox` are both set; remove one",
        ),
        (
            with("sslmate: {username: a}"),
            "1: sslmate.username: `password_file` is missing; name the file with the password",
        ),
        (
            with("sslmate: {password_file: x}"),
            "1: sslmate.password_file: `username` is missing; add the user name of the account",
        ),
        (
            with("sslmate: {username: a, password_file: x, api_key_file: y}"),
            "1: sslmate.username: `username` and `api_key_file` are both set; remove one",
        ),
        (
            with("sslmate: {username: 'a:b', password_file: x}"),
            "1: sslmate.username: a user name cannot contain a colon",
        ),
        (
            with("vantages: [{type: sslmate}]"),
            "1: vantages[0]: `name` is missing",
        ),
        (
            with("vantages: [{name: x, type: ftp}]"),
            "1: vantages[0].type: `ftp` is not one of: sslmate, certvigil",
        ),
        (
            with("vantages: [{name: x, type: certvigil}]"),
            "1: vantages[0]: `url` is missing",
        ),
        (
            entry("name: x"),
            "2: certificates[0]: the source of the expected certificate is missing; add one of sslmate, download, pem, pem_dir, sha256, pubkey_sha256, trust",
        ),
        (
            entry("sslmate: a, pem: b"),
            "2: certificates[0].pem: an entry has exactly one source; split it into two entries",
        ),
        (
            entry("sslmate: ''"),
            "2: certificates[0].sslmate: the value is empty; set a value or remove the key",
        ),
        (
            entry("trust: true"),
            "2: certificates[0]: `hostnames` is missing; this source has no host names, so add them",
        ),
        (
            entry("trust: false, hostnames: a"),
            "2: certificates[0].trust: `trust: false` has no meaning; write `trust: true` to accept any trusted certificate, or remove the key",
        ),
        (
            entry("sha256: [], hostnames: a"),
            "2: certificates[0].sha256: the list is empty; add at least one SHA-256",
        ),
        (
            entry("sha256: 1234, hostnames: a"),
            "2: certificates[0].sha256: `1234` has 4 hexadecimal digits: write the SHA-256 as 64 hexadecimal digits, colons allowed",
        ),
        (
            entry("sslmate: '*', name: x"),
            "2: certificates[0]: this entry matches many certificates; remove `name`, `hostnames`, `mx`, `srv`, `files` and `addresses`, which apply to a single one",
        ),
        (
            entry("sslmate: a, port: 1, ports: [2]"),
            "2: certificates[0].ports: `port` and `ports` are both set; remove one",
        ),
        (
            entry("sslmate: a, ports: []"),
            "2: certificates[0].ports: the list is empty; add at least one port",
        ),
        (
            entry("sslmate: a, port: 70000"),
            "2: certificates[0].port: `70000` is not a port; write 1 to 65535",
        ),
        (
            entry("sslmate: a, hostnames: ['*.a']"),
            "2: certificates[0].hostnames[0]: `*.a` is a wildcard, not a host; give a host that it matches",
        ),
        (
            entry("sslmate: a, addresses: [a]"),
            "2: certificates[0].addresses[0]: `a` is not an IP address",
        ),
        (
            entry("sslmate: a, warn: 30d, crit: 40d"),
            "2: certificates[0].crit: `crit` (40d) is longer than `warn` (30d), so that expiry would be critical before it is a warning; shorten `crit` or lengthen `warn`",
        ),
        (
            entry("sslmate: a, warn: '25%,30d', crit: '50%'"),
            "2: certificates[0].crit: `crit` (50%) is longer than `warn` (25%,30d), so that expiry would be critical before it is a warning; shorten `crit` or lengthen `warn`",
        ),
        (
            entry("sslmate: a, warn: soon"),
            "2: certificates[0].warn: `soon` is not an expiry threshold; write a share and a duration (25%,30d), or one of them",
        ),
    ] {
        assert_eq!(error(&text), expected, "{text}");
    }
}

#[test]
fn all_inventory_errors_are_reported_in_line_order() {
    let text = "\
dms: []
defaults:
  timeout: soon
certificates:
  - {sslmate: a.example, port: 0}
  - {hostnames: [a]}
";
    let lines: Vec<String> = errors(text)
        .iter()
        .map(|e| e.split(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(lines, ["1", "3", "5", "6"]);
}

#[test]
fn invalid_yaml_error_names_its_line() {
    let text = "certificates:\n\t- {sslmate: a.example}\n";
    assert!(error(text).starts_with("2: invalid YAML: tabs"));
    let text = "certificates:\n  - {sslmate: a.example\n";
    assert!(error(text).contains("invalid YAML"));
    assert!(error("a: *nowhere\n").starts_with("1: invalid YAML"));
}

#[test]
fn crlf_line_endings_are_accepted() {
    let text = entry("sslmate: a.example, prot: 1").replace('\n', "\r\n");
    assert_eq!(
        error(&text),
        "2: certificates[0].prot: unknown key; did you mean `port`?"
    );
    read(&entry("sslmate: a.example").replace('\n', "\r\n"));
}

#[test]
fn yaml_aliases_are_expanded_up_to_a_limit() {
    let inventory = read(
        "certificates:\n  - {trust: true, hostnames: &h [a.example]}\n  - {name: b, pem: x, hostnames: *h}\n",
    );
    assert_eq!(
        inventory.certificates[0].hostnames,
        inventory.certificates[1].hostnames
    );
    let mut bomb = "a0: &a0 [x]\n".to_owned();
    for level in 1..30 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(
        error(&bomb).contains("aliases expand to more than 100000 values"),
        "{}",
        error(&bomb)
    );
}

/// Each of these texts would overflow the stack of a recursive parser.
#[test]
fn deeply_nested_yaml_is_refused() {
    for text in [
        "- ".repeat(100_000),
        "? ".repeat(100_000),
        format!("certificates: {}", "[".repeat(100_000)),
        "{a: ".repeat(100_000),
    ] {
        let error = error(&text);
        assert!(
            error.contains("nested deeper than 64 levels") || error.contains("recursion limit"),
            "{error}"
        );
    }
}

#[test]
fn inventory_errors_contain_no_control_characters() {
    let error = error(&with("\"k\\n\\e[31m\": 1\n"));
    assert!(!error.contains(|c: char| c.is_control()), "{error:?}");
    let error = self::error(&entry(r#"sslmate: a, warn: "\e[31m""#));
    assert!(!error.contains(|c: char| c.is_control()), "{error:?}");
}

#[test]
fn valid_inventory_is_described() {
    let inventory = read(
        "\
vantages: [{name: sslmate, type: sslmate}]
certificates:
  - sslmate: example.com
  - {name: two, pubkey_sha256: [d5a2dddeaa13cdb7bd2ab61b02bb1f7e8e8b9bb1d9b0cb2fbd3f9cbb0e8ce7a8, 7ac6b4cbb0e8ce7a8d5a2dddeaa13cdb7bd2ab61b02bb1f7e8e8b9bb1d9b0cb2], hostnames: [a.example, b.example], addresses: [192.0.2.7], ports: [443, 8443], revocation: full}
",
    );
    insta::assert_snapshot!(describe(&inventory), @"
    The configuration is valid. It has 2 entries:
    - SSLMate's active instance of example.com
        at the names in the certificate; port 443; https
        expiry within 25%,30d is a warning, within 10%,7d critical
    - two: any of 2 public keys
        at a.example, b.example; port 443, 8443; https
        at the addresses 192.0.2.7 instead of those in DNS
        checks revocation lists and OCSP responders
        expiry within 25%,30d is a warning, within 10%,7d critical
    Also probed from `sslmate`: SSLMate's /test
    ");
}

#[test]
fn entry_address_families_are_read_beside_those_of_the_file() {
    let read = |families: &str, entry: &str| {
        read(&format!(
            "{families}\ncertificates: [{{trust: true, hostnames: a.example{entry}}}]\n"
        ))
    };
    let families = |inventory: &Inventory| (inventory.families, inventory.certificates[0].families);
    let plain = read("", "");
    assert_eq!(families(&plain), (Families::Available, None));
    let both = read("families: [ipv6, ipv4]", ", families: ipv4");
    assert_eq!(families(&both), (Families::Both, Some(Families::V4)));
    assert!(describe(&both).contains("IPv4 addresses only"));
    assert!(describe(&read("families: ipv6", "")).contains("IPv6 addresses only"));
    assert!(!describe(&plain).contains("addresses"));
    assert_eq!(
        error(&with("families: [ip4]")),
        "1: families[0]: `ip4` is not an address family; write ipv4 or ipv6"
    );
    assert!(error(&with("families: []")).contains("the list is empty; add ipv4, ipv6 or both"));
}

#[test]
fn unencrypted_download_warning_omits_the_path() {
    let inventory = read(
        "\
certificates:
  - {name: one, download: 'HTTP://a.example/secret'}
  - download: http://b.example/secret
  - download: https://c.example/secret
",
    );
    let warnings = super::warnings(&inventory);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("one: the download at http://a.example is not encrypted"));
    assert!(warnings[1].starts_with("the download at http://b.example"));
    assert!(!warnings.concat().contains("secret"), "{warnings:?}");
}

#[test]
fn entry_may_override_the_dane_default() {
    let inventory = read(
        "\
defaults: {dane: true}
certificates:
  - {name: one, trust: true, hostnames: a.example}
  - {name: two, trust: true, hostnames: a.example, dane: false}
  - {name: three, trust: true, hostnames: a.example, dane: required}
",
    );
    let dane: Vec<_> = inventory.certificates.iter().map(|e| e.dane).collect();
    assert_eq!(dane, [DaneCheck::On, DaneCheck::Off, DaneCheck::Required]);
    let told = describe(&inventory);
    assert_eq!(told.matches("TLSA").count(), 2, "{told}");
    assert!(told.contains("requires TLSA records"), "{told}");
}

/// Keys of an entry, each with a value that differs from the default, and another key that it needs.
const KEYS_OF_AN_ENTRY: [(&str, &str, &str); 38] = [
    ("accept", "[{finding: self_signed, reason: appliance}]", ""),
    ("addresses", "192.0.2.7", ""),
    ("alpn", "h2", ""),
    ("ca_files", "office.pem", ""),
    ("client_cert", "c.pem", ", client_key: c.key"),
    (
        "client_cert_password_file",
        "c.txt",
        ", client_cert: c.p12, client_key: c.key",
    ),
    ("client_key", "c.key", ", client_cert: c.pem"),
    ("crit", "1d", ""),
    ("dane", "true", ""),
    ("download", "https://a.example/d", ""),
    ("ehlo", "c.example", ", protocol: smtp"),
    ("enabled", "false", ""),
    ("families", "ipv4", ""),
    ("files", "f.pem", ""),
    ("grace", "1h", ""),
    ("hostnames", "b.example", ""),
    ("interval", "1h", ""),
    ("key_type", "rsa", ""),
    ("labels", "{team: office}", ""),
    ("mx", "b.example", ""),
    ("name", "one", ""),
    ("pem", "a.pem", ""),
    ("pem_dir", "live/*.pem", ""),
    ("pem_password_file", "p.txt", ", pem: a.p12"),
    ("port", "8443", ""),
    ("ports", "[8443]", ""),
    ("protocol", "imaps", ""),
    ("proxy_protocol", "v1", ""),
    ("pubkey_sha256", PIN, ""),
    ("revocation", "full", ""),
    ("sha256", PIN, ""),
    ("sni", "none", ""),
    ("source_address", "192.0.2.8", ""),
    ("srv", "_imaps._tcp.b.example", ""),
    ("sslmate", "b.example", ""),
    ("timeout", "3s", ""),
    ("warn", "20d", ""),
    ("xmpp_domain", "b.example", ", protocol: xmpp"),
];

const PIN: &str = "d5a2dddeaa13cdb7bd2ab61b02bb1f7e8e8b9bb1d9b0cb2fbd3f9cbb0e8ce7a8";

#[test]
fn description_shows_every_key_of_an_entry() {
    let unknown = error(&entry("trust: true, hostnames: a.example, qqqqqqqqqqqq: 1"));
    let (_, known) = unknown.split_once("known keys: ").unwrap();
    let tested: Vec<&str> = KEYS_OF_AN_ENTRY.iter().map(|(key, ..)| *key).collect();
    let known: Vec<&str> = known.split(", ").filter(|key| *key != "trust").collect();
    assert_eq!(tested, known);
    for (key, value, more) in KEYS_OF_AN_ENTRY {
        let is_source = [
            "download",
            "pem",
            "pem_dir",
            "pubkey_sha256",
            "sha256",
            "sslmate",
        ];
        let has_source = is_source.contains(&key) || more.contains("pem:");
        let source = if has_source { "" } else { ", trust: true" };
        let hosts = match key {
            "hostnames" | "pem_dir" => "",
            _ => ", hostnames: a.example",
        };
        let second = "\n  - {trust: true, hostnames: z.example}";
        let described = |own: &str| {
            let fields = format!("{own}{more}{source}{hosts}");
            let fields = fields.trim_start_matches(", ");
            let text = format!("certificates:\n  - {{{fields}}}{second}\n");
            parse(&text, Path::new(FILE)).map(|inventory| describe(&inventory))
        };
        let with_key =
            described(&format!("{key}: {value}")).unwrap_or_else(|e| panic!("{key}: {e}"));
        // Without the key, an entry may be incomplete.
        let without_key = described("").unwrap_or_default();
        assert_ne!(with_key, without_key, "{key}");
        let is_shown = match key {
            "enabled" => !with_key.contains("a.example"),
            "dane" => with_key.contains("TLSA"),
            "families" => with_key.contains("IPv4"),
            "revocation" => with_key.contains("OCSP"),
            "sni" => with_key.contains("no SNI"),
            "accept" => with_key.contains("self_signed") && with_key.contains("appliance"),
            "labels" => with_key.contains("team=office"),
            "pubkey_sha256" => with_key.contains("one public key"),
            "sha256" => with_key.contains("one fingerprint"),
            "download" => with_key.contains("https://a.example"),
            "ports" => with_key.contains("8443"),
            _ => with_key.contains(value),
        };
        assert!(is_shown, "{key}: {with_key}");
    }
}

#[test]
fn description_shows_each_value_on_one_line() {
    let inventory = read(
        r#"
vantages:
  - {name: eu, type: certvigil, url: "https://eu.example/\e[2J"}
certificates:
  - {name: "a\nb", trust: true, hostnames: a.example}
"#,
    );
    let told = describe(&inventory);
    assert!(
        !told.replace('\n', "").contains(char::is_control),
        "{told:?}"
    );
    assert_eq!(told.lines().count(), 5, "{told}");
}

/// Fragments that combine to an almost valid configuration.
fn nearly_yaml() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "certificates:",
        "sslmate:",
        "trust:",
        "defaults:",
        "vantages:",
        "probe:",
        "modules:",
        "dns:",
        "hostnames:",
        "sha256:",
        "port:",
        "warn:",
        "true",
        "a.example",
        "192.0.2.1",
        "25%,30d",
        "*",
        "&a",
        "*a",
        "- ",
        "? ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\n",
        "\n  ",
        "\n    ",
        "\t",
        "\"",
        "'",
        "|",
        ">",
        "!!binary",
        "---",
        "...",
        "#",
        "~",
        "\u{feff}",
        "\r\n",
        "%YAML 1.2",
        "<<: ",
    ]);
    prop::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn arbitrary_inventory_text_does_not_panic(text in any::<String>()) {
        if let Err(errors) = parse(&text, Path::new(FILE)) {
            prop_assert!(!errors.errors.is_empty());
        }
    }

    #[test]
    fn broken_inventory_yields_errors_without_panic(text in nearly_yaml()) {
        if let Err(errors) = parse(&text, Path::new(FILE)) {
            for line in errors.to_string().lines() {
                prop_assert!(line.starts_with("dir/certvigil.yml:"), "{line:?}");
            }
        }
    }
}

#[test]
fn description_shows_only_the_origin_of_a_download_url() {
    for (url, told) in [
        ("https://certs.example?tok=SECRET", "https://certs.example"),
        ("https://certs.example#SECRET", "https://certs.example"),
        (
            "https://certs.example:8443/SECRET/a?b#c",
            "https://certs.example:8443",
        ),
    ] {
        let text = format!("certificates: [{{download: \"{url}\", name: a}}]");
        let inventory = parse(&text, Path::new("c.yml")).unwrap();
        let described = describe(&inventory);
        assert!(!described.contains("SECRET"), "{described}");
        assert!(described.contains(&format!("at {told}\n")), "{described}");
    }
}

#[test]
fn labels_of_the_defaults_and_of_an_entry_are_combined() {
    let inventory = read(
        "defaults: {labels: {env: prod, team: web}}\ncertificates:\n  - {trust: true, hostnames: a.example, labels: {team: mail, floor: '3'}}\n  - {trust: true, hostnames: b.example}\n",
    );
    let of = |at: usize| -> Vec<(&str, &str)> {
        let labels = &inventory.certificates[at].notes.labels;
        labels
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect()
    };
    assert_eq!(of(0), [("env", "prod"), ("floor", "3"), ("team", "mail")]);
    assert_eq!(of(1), [("env", "prod"), ("team", "web")]);
}

#[test]
fn a_label_has_a_name_that_prometheus_accepts_and_that_is_free() {
    for (labels, wanted) in [
        (
            "{9a: x}",
            "2: certificates[0].labels.9a: `9a` is not a label name of Prometheus; use letters, digits and _, and begin with a letter",
        ),
        (
            "{a-b: x}",
            "2: certificates[0].labels.a-b: `a-b` is not a label name of Prometheus; use letters, digits and _, and begin with a letter",
        ),
        (
            "{hostname: x}",
            "2: certificates[0].labels.hostname: the label `hostname` is reserved for certvigil or Prometheus; choose another name",
        ),
        (
            "{quantile: x}",
            "2: certificates[0].labels.quantile: the label `quantile` is reserved for certvigil or Prometheus; choose another name",
        ),
        (
            "{__x: x}",
            "2: certificates[0].labels.__x: the label `__x` is reserved for certvigil or Prometheus; choose another name",
        ),
        (
            "{team: ''}",
            "2: certificates[0].labels.team: the value is empty; set a value or remove the key",
        ),
    ] {
        let text = entry(&format!(
            "trust: true, hostnames: a.example, labels: {labels}"
        ));
        assert_eq!(error(&text), wanted);
    }
    let many: Vec<String> = (0..33).map(|n| format!("l{n}: x")).collect();
    let text = entry(&format!(
        "trust: true, hostnames: a.example, labels: {{{}}}",
        many.join(", ")
    ));
    assert!(error(&text).contains("more than 32 labels"));
}

#[test]
fn a_finding_is_accepted_up_to_and_including_its_last_day() {
    let accept = |accept: &str| {
        entry(&format!(
            "trust: true, hostnames: a.example, accept: [{accept}]"
        ))
    };
    let inventory = read(&accept(
        "{finding: self_signed, reason: appliance, until: 2027-06-01}, {finding: expired, reason: known}",
    ));
    let [first, second] = inventory.certificates[0].notes.accept.as_slice() else {
        panic!("{:?}", inventory.certificates)
    };
    let at = |text: &str| text.parse::<crate::model::Timestamp>().unwrap();
    assert!(first.applies_at(at("2027-06-01T23:59:59Z")));
    assert!(!first.applies_at(at("2027-06-02T00:00:00Z")));
    assert!(second.applies_at(at("9999-01-01T00:00:00Z")));
    assert_eq!(first.to_string(), "accepted until 2027-06-01: appliance");

    for (text, wanted) in [
        (
            "{finding: selfsigned, reason: x}",
            "2: certificates[0].accept[0].finding: `selfsigned` is not a finding; did you mean `self_signed`?",
        ),
        (
            "{finding: banana, reason: x}",
            "2: certificates[0].accept[0].finding: `banana` is not a finding; docs/findings.md lists them",
        ),
        (
            "{finding: expired}",
            "2: certificates[0].accept[0]: `reason` is missing",
        ),
        (
            "{reason: x}",
            "2: certificates[0].accept[0]: `finding` is missing",
        ),
        (
            "{finding: expired, reason: x, until: 1.6.2027}",
            "2: certificates[0].accept[0].until: `1.6.2027` is not a date; write it as 2027-06-01",
        ),
    ] {
        assert_eq!(error(&accept(text)), wanted);
    }
}

#[test]
fn an_entry_has_settings_of_its_own_and_may_be_disabled() {
    let inventory = read(
        "certificates:\n  - {trust: true, hostnames: a.example, interval: 1h, timeout: 2s, grace: 1d, ca_files: office.pem}\n  - {trust: true, hostnames: b.example, enabled: false}\n",
    );
    let [entry] = inventory.certificates.as_slice() else {
        panic!("{:?}", inventory.certificates)
    };
    assert_eq!(entry.notes.interval, Some(Duration::from_secs(3600)));
    assert_eq!(entry.timeout, Some(Duration::from_secs(2)));
    assert_eq!(entry.grace, Some(Duration::from_secs(86_400)));
    assert_eq!(entry.ca_files, [Path::new("dir/office.pem")]);
    // Errors of a disabled entry are reported too.
    assert!(
        error("certificates:\n  - {trust: true, hostnames: b.example, enabled: false, x: 1}\n")
            .contains("unknown key")
    );
}

#[test]
fn suggestions_are_near() {
    let unknown = |key: &str| {
        error(&entry(&format!(
            "trust: true, hostnames: a.example, {key}: x"
        )))
    };
    for key in ["description", "maintenance", "owner"] {
        assert!(!unknown(key).contains("did you mean"), "{}", unknown(key));
    }
    for (key, near) in [
        ("hostname", "hostnames"),
        ("host", "hostnames"),
        ("prot", "port"),
        ("adresses", "addresses"),
        ("lables", "labels"),
    ] {
        assert!(
            unknown(key).contains(&format!("`{near}`")),
            "{}",
            unknown(key)
        );
    }
}

#[test]
fn hosts_of_a_trust_only_entry_are_one_certificate_each_unless_it_has_a_name() {
    let hosts = |fields: &str| -> Vec<usize> {
        let inventory = read(&entry(fields));
        let entries = inventory.certificates.iter();
        entries.map(|e| e.hostnames.len() + e.mx.len()).collect()
    };
    assert_eq!(
        hosts("trust: true, hostnames: [a.example, b.example], mx: c.example"),
        [1, 1, 1]
    );
    assert_eq!(
        hosts("trust: true, name: x, hostnames: [a.example, b.example]"),
        [2]
    );
    let pinned = format!(
        "sha256: {}, hostnames: [a.example, b.example]",
        "ab".repeat(32)
    );
    assert_eq!(hosts(&pinned), [2]);
}

#[test]
fn an_entry_may_have_files_or_services() {
    let read = |text: &str| read(&entry(text)).certificates.remove(0);
    let files = read("trust: true, files: [certs/*.pem, /a.pem], hostnames: a.example");
    assert_eq!(files.files, ["dir/certs/*.pem", "/a.pem"]);
    assert_eq!(files.hostnames.len(), 1);
    let service = read("trust: true, srv: _imap._tcp.a.example");
    assert_eq!(service.srv[0].protocol.name(), "imap");
    let other = read("trust: true, srv: _imap._tcp.a.example, protocol: imaps");
    assert_eq!(other.srv[0].protocol.name(), "imaps");
    for (text, wanted) in [
        ("trust: true, files: a.pem, mx: a.example", "second entry"),
        ("pem_dir: a/*, files: a.pem", "`files`"),
        ("pem: a.pem, srv: a.example", "write _service._tcp.DOMAIN"),
    ] {
        let wrong = error(&entry(text));
        assert!(wrong.contains(wanted), "{wrong}");
    }
}
