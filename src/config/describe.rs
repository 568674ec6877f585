//! Human-readable description of what an inventory tests.

use std::time::Duration;

use crate::certificate::printable;
use crate::model::{Families, KeyType, KeyTypes, RevocationCheck, Sni};
use crate::probe::ClientFiles;
use crate::tlsa::DaneCheck;

use super::{Entry, Inventory, SourceSettings, VantageKind};

/// Returns a URL's origin. The rest may be secret: anyone who knows a download URL can fetch the
/// certificate.
fn origin(url: &str) -> String {
    url::Url::parse(url).map_or_else(
        |_| "its URL".into(),
        |url| url.origin().ascii_serialization(),
    )
}

/// Returns likely mistakes in a configuration, one line each. None of them is an error.
pub fn warnings(inventory: &Inventory) -> Vec<String> {
    let of_entry = |entry: &Entry| {
        let SourceSettings::Download(url) = &entry.source else {
            return None;
        };
        // Schemes are case-insensitive (RFC 3986, section 3.1).
        let is_http = url::Url::parse(url).is_ok_and(|url| url.scheme() == "http");
        is_http.then(|| {
            let name = entry.name.as_deref().map(|n| format!("{n}: "));
            let text = format!(
                "{}the download at {} is not encrypted: an attacker on the path can read and replace the expected certificate; use https://",
                name.unwrap_or_default(),
                origin(url)
            );
            printable(&text)
        })
    };
    inventory.certificates.iter().filter_map(of_entry).collect()
}

/// Describes what the inventory tests, one line per entry.
pub fn describe(inventory: &Inventory) -> String {
    let count = inventory.certificates.len();
    let plural = if count == 1 { "entry" } else { "entries" };
    let mut lines = vec![format!(
        "The configuration is valid. It has {count} {plural}:"
    )];
    for entry in &inventory.certificates {
        let (what, own) = match &entry.source {
            SourceSettings::Sslmate(cn) => (format!("SSLMate's active instance of {cn}"), true),
            SourceSettings::SslmateAll => ("every certificate of the SSLMate account".into(), true),
            SourceSettings::Download(url) => (
                format!("the certificate of the download at {}", origin(url)),
                true,
            ),
            SourceSettings::Pem(files) => {
                let files: Vec<_> = files.iter().map(|f| f.display().to_string()).collect();
                (format!("the certificate in {}", files.join(" or ")), true)
            }
            SourceSettings::PemGlob(pattern) => (format!("each certificate of {pattern}"), true),
            SourceSettings::Fingerprints(pins) => (some(pins.len(), "fingerprint"), false),
            SourceSettings::PublicKeys(keys) => (some(keys.len(), "public key"), false),
            SourceSettings::TrustOnly => {
                ("any trusted certificate for the host name".into(), false)
            }
        };
        let name = entry
            .name
            .as_deref()
            .map(|n| format!("{n}: "))
            .unwrap_or_default();
        let mut hosts: Vec<_> = entry.hostnames.iter().map(ToString::to_string).collect();
        let mail = entry.mx.iter();
        hosts.extend(mail.map(|domain| format!("the mail servers of {domain}")));
        lines.push(format!("- {name}{what}"));
        if !entry.files.is_empty() {
            lines.push(format!("    in the files {}", entry.files.join(", ")));
            if !hosts.is_empty() {
                lines.push(format!("    must match {}", hosts.join(", ")));
            }
        } else if !hosts.is_empty() || entry.srv.is_empty() {
            let hosts = if hosts.is_empty() && own {
                "the names in the certificate".into()
            } else {
                hosts.join(", ")
            };
            let ports: Vec<_> = entry.ports.iter().map(ToString::to_string).collect();
            lines.push(format!(
                "    at {hosts}; port {}; {}",
                ports.join(", "),
                entry.protocol
            ));
        }
        for service in &entry.srv {
            let protocol = service.protocol;
            lines.push(format!("    at the hosts of {service}; {protocol}"));
        }
        if !entry.addresses.is_empty() {
            let addresses: Vec<_> = entry.addresses.iter().map(ToString::to_string).collect();
            lines.push(format!(
                "    at the addresses {} instead of those in DNS",
                addresses.join(", ")
            ));
        }
        let particulars = particulars(inventory, entry).into_iter();
        lines.extend(particulars.map(|line| format!("    {line}")));
        lines.push(format!(
            "    expiry within {} is a warning, within {} critical",
            entry.warn, entry.crit
        ));
    }
    for vantage in &inventory.vantages {
        let how = match &vantage.kind {
            VantageKind::Sslmate => "SSLMate's /test",
            VantageKind::Certvigil { url, .. } => url,
        };
        lines.push(format!("Also probed from `{}`: {how}", vantage.name));
    }
    // Values appear as they are in the file, and YAML can contain any character.
    let lines = lines.iter().map(|line| printable(line) + "\n");
    lines.collect()
}

/// Returns the settings of an entry that differ from the defaults.
fn particulars(inventory: &Inventory, entry: &Entry) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(file) = &entry.pem_password {
        lines.push(format!(
            "opens PKCS #12 files with the password in {}",
            file.display()
        ));
    }
    match entry.key_types {
        KeyTypes::One(KeyType::Any) => {}
        KeyTypes::One(kind) => lines.push(format!("requests {kind} certificates")),
        KeyTypes::All => lines.push("requests RSA and ECDSA certificates".into()),
    }
    let reach = &entry.reach;
    if let Some(client) = &reach.client {
        let ClientFiles {
            certificate,
            key,
            password,
        } = client;
        lines.push(format!(
            "presents the client certificate in {}, with the key in {}",
            certificate.display(),
            key.display()
        ));
        if let Some(file) = password {
            lines.push(format!(
                "opens the client certificate with the password in {}",
                file.display()
            ));
        }
    }
    if let Some(version) = reach.proxy_protocol {
        lines.push(format!("sends a PROXY protocol {} header", version.name()));
    }
    if !reach.alpn.is_empty() {
        lines.push(format!("offers {}", reach.alpn.join(", ")));
    }
    match &reach.sni {
        Sni::Hostname => {}
        Sni::Name(name) => lines.push(format!("sends {name} as SNI")),
        Sni::None => lines.push("sends no SNI".into()),
    }
    if let Some(name) = &reach.ehlo {
        lines.push(format!("names itself {name} in EHLO"));
    }
    if let Some(domain) = &reach.xmpp_domain {
        lines.push(format!("for the XMPP domain {domain}"));
    }
    if !reach.source_addresses.is_empty() {
        let from: Vec<_> = reach
            .source_addresses
            .iter()
            .map(ToString::to_string)
            .collect();
        lines.push(format!("from {}", from.join(", ")));
    }
    match entry.revocation {
        RevocationCheck::Staple => {}
        RevocationCheck::Off => lines.push("does not check revocation".into()),
        RevocationCheck::Crl => lines.push("checks revocation lists".into()),
        RevocationCheck::Full => lines.push("checks revocation lists and OCSP responders".into()),
    }
    match entry.families.unwrap_or(inventory.families) {
        Families::Available => {}
        Families::Both => lines.push("IPv4 and IPv6 addresses".into()),
        Families::V4 => lines.push("IPv4 addresses only".into()),
        Families::V6 => lines.push("IPv6 addresses only".into()),
    }
    match entry.dane {
        DaneCheck::Off => {}
        DaneCheck::On => lines.push("validated against its TLSA records too".into()),
        DaneCheck::Required => lines.push("requires TLSA records that DNSSEC authenticates".into()),
    }
    if !entry.ca_files.is_empty() {
        let files: Vec<_> = entry
            .ca_files
            .iter()
            .map(|f| f.display().to_string())
            .collect();
        lines.push(format!("trusts the roots in {} too", files.join(", ")));
    }
    let notes = &entry.notes;
    let time = |time: Duration| humantime::format_duration(time).to_string();
    if let Some(interval) = notes.interval {
        lines.push(format!("probed every {}", time(interval)));
    }
    if let Some(timeout) = entry.timeout {
        lines.push(format!("each probe ends within {}", time(timeout)));
    }
    if let Some(grace) = entry.grace {
        let grace = time(grace);
        lines.push(format!("the previous certificate is a warning for {grace}"));
    }
    if !notes.labels.is_empty() {
        let labels = notes.labels.iter().map(|(k, v)| format!("{k}={v}"));
        let labels: Vec<_> = labels.collect();
        lines.push(format!("with the labels {}", labels.join(", ")));
    }
    for acceptance in &notes.accept {
        lines.push(format!("{}: {acceptance}", acceptance.code.name()));
    }
    lines
}

fn some(count: usize, what: &str) -> String {
    if count == 1 {
        format!("one {what}")
    } else {
        format!("any of {count} {what}s")
    }
}
