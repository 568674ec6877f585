//! Text of findings about the identity of the served certificate.

use std::net::IpAddr;

use crate::certificate::{Certificate, Facts, PublicKeyHash};
use crate::instance::{SourceKind, State};
use crate::model::{Hostname, Timestamp, and_more};

use super::super::{Dummy, Older, Wanted};
use super::{Text, expected_name, list, name};

/// Maximum names of a certificate in a message; certificates may have hundreds.
const MAX_NAMES: usize = 5;
/// Maximum addresses in a message; a host may have hundreds.
const MAX_ADDRESSES: usize = 4;
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Returns the text of [`Detail::WrongCertificate`](super::Detail::WrongCertificate).
pub(super) fn wrong_certificate(
    served: Option<&Certificate>,
    is_newer: bool,
    expected: &Wanted,
) -> Text {
    let Some(served) = served else {
        return Text::new(
            "seen from there, another certificate than the expected one is served",
            "probe this address from there to see which; then install the expected one and reload the server",
        );
    };
    let message = match served.facts() {
        Ok(facts) => format!(
            "another certificate is served: {}{}{}",
            describe(facts),
            apart_from_expected(served, expected),
            newer_than_expected(is_newer)
        ),
        Err(_) => format!(
            "the served certificate {} cannot be read, and is not the expected one",
            served.sha256()
        ),
    };
    Text::new(message, update_or_install(is_newer, expected))
}

/// Returns the text of [`Detail::SameKeyOtherCertificate`](super::Detail::SameKeyOtherCertificate).
pub(super) fn same_key(served: &Certificate, is_newer: bool, expected: &Wanted) -> Text {
    Text::new(
        format!(
            "another certificate for the same key is served: {}{}{}",
            served.facts().map(describe).unwrap_or_default(),
            apart_from_expected(served, expected),
            newer_than_expected(is_newer)
        ),
        update_or_install(is_newer, expected),
    )
}

/// Returns the text of [`Detail::PreviousInstance`](super::Detail::PreviousInstance).
pub(super) fn previous_instance(
    older: &Older,
    grace_until: Option<Timestamp>,
    expected: &Wanted,
) -> Text {
    let message = match older {
        Older::Known { id, state, served } => {
            let number = id.map(|id| format!(" {id}")).unwrap_or_default();
            let state = match state {
                State::Revoked => "revoked, ",
                State::Expired => "expired, ",
                State::Pending | State::Active | State::Canceled | State::Unknown => "",
            };
            let facts = served.facts().ok();
            let facts = facts.map(|f| (f.not_after.date(), f.serial.as_str()));
            let (expiry, serial) = facts.unwrap_or_default();
            format!(
                "the previous instance{number} is still served ({state}it expires on {expiry}), serial {serial}{}",
                patience(grace_until)
            )
        }
        Older::SameNames { served, newer } => {
            let dates =
                |f: &Facts| format!("from {} to {}", f.not_before.date(), f.not_after.date());
            let dates = |c: &Certificate| c.facts().map(dates).unwrap_or_default();
            let name = served.facts().map_or("", Facts::name);
            let (serial, wanted) = distinct(served, newer);
            format!(
                "an older instance of the expected certificate is still served: `{name}`, {}, {serial}; the expected one is {}, {wanted}{}",
                dates(served),
                dates(newer),
                patience(grace_until)
            )
        }
        Older::Reported => {
            let until = grace_until.map(|until| format!("; it has time until {until}"));
            return Text::new(
                format!(
                    "seen from there, the expected certificate is not served yet{}",
                    until.unwrap_or_default()
                ),
                "install the expected certificate and reload the server",
            );
        }
    };
    // Usually the new certificate is installed, and the server has not read it.
    let hint = format!(
        "reload the server, so that it reads its certificate file again; if the older one stays, {} and reload again",
        install(expected)
    );
    Text::new(message, hint)
}

/// Returns the text of [`Detail::DummyCertificate`](super::Detail::DummyCertificate).
pub(super) fn dummy(dummy: Dummy, expected: &Wanted) -> Text {
    match dummy {
        Dummy::ExpectedKey => Text::new(
            "a self-signed certificate for the expected public key is served",
            "install the certificate that an authority issued for this key; if its clients hold this one, give it as --ca-file",
        ),
        Dummy::Pending => Text::new(
            "the temporary, self-signed certificate is served, and nothing better has been issued yet",
            "approve the order, and install the certificate when it is issued",
        ),
        Dummy::Replaced { grace_until } => Text::new(
            format!(
                "the temporary, self-signed certificate is still served{}",
                patience(grace_until)
            ),
            format!("{} and reload the server", install(expected)),
        ),
    }
}

/// Returns the text of [`Detail::HostnameMismatch`](super::Detail::HostnameMismatch).
pub(super) fn hostname_mismatch(
    hostname: &Hostname,
    names: &[String],
    name_count: usize,
    is_address_in_dns_name: bool,
) -> Text {
    if is_address_in_dns_name {
        return Text::new(
            format!(
                "the certificate has the IP address {hostname} in a dNSName; clients compare an address with iPAddress only"
            ),
            format!(
                "reissue the certificate with the address as an iPAddress: `subjectAltName=IP:{hostname}` in openssl's configuration"
            ),
        );
    }
    let message = if names.is_empty() {
        format!("the certificate is not valid for {hostname}: it has no subject alternative names")
    } else {
        let names = and_more(names.iter().take(MAX_NAMES), name_count);
        format!("the certificate is not valid for {hostname}, only for {names}")
    };
    Text::new(
        message,
        format!("serve a certificate that names {hostname}, or take the name from the inventory"),
    )
}

/// Returns the text of [`Detail::KeyMismatch`](super::Detail::KeyMismatch).
pub(super) fn key_mismatch(
    certificate: &Certificate,
    own: Option<PublicKeyHash>,
    key: PublicKeyHash,
) -> Text {
    let own = own.map(|own| format!(" (public key {own})"));
    Text::new(
        format!(
            "the private key (public key {key}) does not belong to {}{}",
            name(certificate),
            own.unwrap_or_default()
        ),
        "give the key with which this certificate was requested, or have the certificate reissued for this key; a server does not start with the two",
    )
}

/// Returns the text of [`Detail::AddressesDisagree`](super::Detail::AddressesDisagree).
pub(super) fn addresses_disagree(
    hostname: &Hostname,
    served: &Certificate,
    other: Option<&Certificate>,
    addresses: &[IpAddr],
    address_count: usize,
) -> Text {
    let shown = addresses.iter().take(MAX_ADDRESSES);
    let mut shown: Vec<String> = shown.map(ToString::to_string).collect();
    if address_count > shown.len() {
        shown.push(format!("{} more", address_count - shown.len()));
    }
    let apart = other.map(|other| {
        let (own, other) = distinct(served, other);
        format!(" ({other}) than this address ({own})")
    });
    Text::new(
        format!(
            "{} serve{} another certificate for {hostname}{}",
            list(&shown),
            if address_count == 1 { "s" } else { "" },
            apart.unwrap_or_default()
        ),
        "bring every address of the host to the same certificate",
    )
}

fn patience(grace_until: Option<Timestamp>) -> String {
    grace_until.map_or_else(String::new, |until| {
        format!("; a rollout is under way until {until}")
    })
}

fn describe(facts: &Facts) -> String {
    let names = format!("`{}` by `{}`", facts.name(), issuer_name(facts));
    match facts.validity() {
        Some((not_before, not_after)) => {
            format!(
                "{names}, from {} to {}",
                not_before.date(),
                not_after.date()
            )
        }
        None => names,
    }
}

/// Returns the issuer's common name, otherwise its organization, otherwise its full name.
fn issuer_name(facts: &Facts) -> &str {
    let names = [&facts.issuer_common_name, &facts.issuer_organization];
    let short = names.into_iter().flatten().next();
    short.unwrap_or(&facts.issuer)
}

/// Returns the serial numbers of two certificates, or their fingerprints if the serial numbers are
/// the same.
fn distinct(a: &Certificate, b: &Certificate) -> (String, String) {
    let serial = |c: &Certificate| c.facts().ok().map(|f| f.serial.clone());
    match (serial(a), serial(b)) {
        (Some(of_a), Some(of_b)) if of_a != of_b => {
            (format!("serial {of_a}"), format!("serial {of_b}"))
        }
        _ => (
            format!("SHA-256 {}", a.sha256()),
            format!("SHA-256 {}", b.sha256()),
        ),
    }
}

/// Returns the difference between the leaf and the expected certificate, if a message shows the
/// same names and dates for both.
fn apart_from_expected(leaf: &Certificate, expected: &Wanted) -> String {
    let Wanted::Instance {
        certificate: wanted,
        ..
    } = expected
    else {
        return String::new();
    };
    let (Ok(of_leaf), Ok(of_wanted)) = (leaf.facts(), wanted.facts()) else {
        return String::new();
    };
    // Messages show days.
    let day = |time: Timestamp| time.0.div_euclid(DAY_SECONDS);
    let shown = |f: &Facts| (day(f.not_before), day(f.not_after));
    if shown(of_leaf) != shown(of_wanted)
        || of_leaf.name() != of_wanted.name()
        || issuer_name(of_leaf) != issuer_name(of_wanted)
    {
        return String::new();
    }
    let (served, wanted) = distinct(leaf, wanted);
    format!(", {served}; the expected one has {wanted}")
}

fn install_and_reload(expected: &Wanted) -> String {
    format!("{}, then reload the server", install(expected))
}

fn newer_than_expected(is_newer: bool) -> &'static str {
    if is_newer {
        "; it is newer than the expected one"
    } else {
        ""
    }
}

/// Returns the fix for a certificate that is not the expected one. A newer one is likely a renewal,
/// which the installation of the expected certificate would undo.
fn update_or_install(is_newer: bool, expected: &Wanted) -> String {
    let install = install_and_reload(expected);
    if !is_newer {
        return install;
    }
    let update = match expected {
        Wanted::Instance {
            source: SourceKind::Pem,
            ..
        } => "update the file with the expected certificate (--cert, or `pem` of the entry)",
        Wanted::Instance {
            source: SourceKind::Download,
            ..
        } => "update the certificate at the download URL (--download, or `download` of the entry)",
        Wanted::Instance {
            source: SourceKind::Sslmate,
            ..
        } => {
            "give its file as the expected one (--cert, or `pem` of the entry), as the SSLMate account does not have it"
        }
        Wanted::Instance { .. } | Wanted::Fingerprint | Wanted::PublicKey | Wanted::Trust => {
            "update the expected certificate"
        }
    };
    format!("if it was renewed, {update}; otherwise {install}")
}

fn install(expected: &Wanted) -> String {
    format!("install {}", expected_name(expected))
}
