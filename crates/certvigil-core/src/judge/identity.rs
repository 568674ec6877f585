//! Which certificate was served instead of the expected one.

use std::collections::BTreeSet;

use crate::certificate::{Certificate, Facts, San};
use crate::finding::{Code, Finding, Severity};
use crate::instance::{Expectation, Expected, Instance, Instances, State};
use crate::model::Timestamp;

use super::Grace;

/// Whether the leaf is a temporary certificate: the one of a pending instance, or self-signed for
/// an expected public key.
pub(super) fn is_dummy(expected: &Expected, leaf: &Certificate) -> bool {
    if let Some(instances) = expected.instances() {
        let pending = instances.accepted().chain(&instances.pending);
        let mut pending = pending.filter(|i| i.state == State::Pending);
        if pending.any(|i| i.leaf == *leaf) {
            return true;
        }
        if instances.accepted().any(|i| i.leaf == *leaf) {
            return false;
        }
        // Where the right one is self-signed itself, another such is no placeholder for it.
        let expected = &instances.expected;
        if expected.state != State::Pending && expected.leaf.is_self_signed() {
            return false;
        }
    }
    let has_expected_key = leaf
        .public_key_hash()
        .is_some_and(|key| expected.has_key(&key));
    has_expected_key && leaf.is_self_signed()
}

/// The older instance that the leaf is, where it is a known one.
pub(super) fn previous<'a>(expected: &'a Expected, leaf: &Certificate) -> Option<&'a Instance> {
    expected
        .instances()?
        .previous
        .iter()
        .find(|i| i.leaf == *leaf)
}

/// The finding for a temporary certificate: the right thing to serve only while there is no better.
pub(super) fn dummy_finding(correct: bool, expected: &Expected, grace: Option<Grace>) -> Finding {
    if let Expectation::PublicKeys(_) = expected.what {
        return Finding::with_severity(
            Code::DummyCertificate,
            Severity::Critical,
            "a self-signed certificate for the expected public key is served",
            "install the certificate that an authority issued for this key; if its clients hold this one, give it as --ca-file",
        );
    }
    if correct {
        return Finding::with_severity(
            Code::DummyCertificate,
            Severity::Warning,
            "the temporary, self-signed certificate is served, and nothing better has been issued yet",
            "approve the order, and install the certificate when it is issued",
        );
    }
    Finding::with_severity(
        Code::DummyCertificate,
        severity_in(grace),
        format!(
            "the temporary, self-signed certificate is still served{}",
            patience(grace)
        ),
        format!("{} and reload the server", install(expected)),
    )
}

/// The one before is only a warning while a rollout is under way.
fn severity_in(grace: Option<Grace>) -> Severity {
    grace.map_or(Severity::Critical, |_| Severity::Warning)
}

fn patience(grace: Option<Grace>) -> String {
    grace.map_or_else(String::new, |grace| {
        format!("; a rollout is under way until {}", grace.until)
    })
}

/// The finding for a leaf that is not the expected one and not a temporary one.
pub(super) fn other_finding(
    expected: &Expected,
    leaf: &Certificate,
    grace: Option<Grace>,
) -> Finding {
    let Ok(facts) = leaf.facts() else {
        return Finding::new(
            Code::WrongCertificate,
            format!(
                "the served certificate {} cannot be read, and is not the expected one",
                leaf.sha256()
            ),
            install_and_reload(expected),
        );
    };
    if let Some(instance) = previous(expected, leaf) {
        let number = instance.id.map(|id| format!(" {id}")).unwrap_or_default();
        let state = match instance.state {
            State::Revoked => "revoked, ",
            State::Expired => "expired, ",
            State::Pending | State::Active | State::Canceled | State::Unknown => "",
        };
        let grace = grace.filter(|g| g.before == leaf.sha256() && instance.state != State::Revoked);
        return Finding::with_severity(
            Code::PreviousInstance,
            severity_in(grace),
            format!(
                "the previous instance{number} is still served ({state}it ends on {}), serial {}{}",
                facts.not_after.date(),
                facts.serial,
                patience(grace)
            ),
            reload_first(expected),
        );
    }
    let accepted = expected
        .instances()
        .into_iter()
        .flat_map(Instances::accepted);
    let mut accepted = accepted.filter(|i| i.state != State::Pending);
    if let Some(newer) = accepted.find(|i| i.leaf.facts().is_ok_and(|newer| is_older(facts, newer)))
    {
        let grace = grace.filter(|g| g.before == leaf.sha256());
        return older_finding(leaf, &newer.leaf, expected, grace);
    }
    if expected.has_key(&facts.public_key_hash) {
        return Finding::new(
            Code::SameKeyOtherCertificate,
            format!(
                "another certificate for the same key is served: {}{}",
                describe(facts),
                apart_from_expected(leaf, expected)
            ),
            install_and_reload(expected),
        );
    }
    Finding::new(
        Code::WrongCertificate,
        format!(
            "another certificate is served: {}{}",
            describe(facts),
            apart_from_expected(leaf, expected)
        ),
        install_and_reload(expected),
    )
}

fn describe(facts: &Facts) -> String {
    let names = format!("`{}` by `{}`", facts.name(), issuer_name(facts));
    match facts.validity() {
        Some((begin, end)) => format!("{names}, from {} to {}", begin.date(), end.date()),
        None => names,
    }
}

/// The issuer's common name, else its organization, else all of its name.
fn issuer_name(facts: &Facts) -> &str {
    let names = [&facts.issuer_common_name, &facts.issuer_organization];
    let short = names.into_iter().flatten().next();
    short.unwrap_or(&facts.issuer)
}

/// Returns true if `leaf` is an older instance of the same certificate as `newer`: the same names, the same
/// issuer or key, and an earlier notBefore. Authorities sign renewals with another intermediate, so that an
/// issuer of the same organization is the same issuer.
pub(super) fn is_older(leaf: &Facts, newer: &Facts) -> bool {
    let is_same_issuer = || {
        leaf.issuer_normal == newer.issuer_normal
            || leaf.issuer_organization.is_some()
                && leaf.issuer_organization == newer.issuer_organization
    };
    leaf.not_before < newer.not_before
        && names(leaf) == names(newer)
        && !names(leaf).is_empty()
        && (leaf.public_key_hash == newer.public_key_hash || is_same_issuer())
}

/// The names that a certificate is for, its common name where there are no others.
fn names(facts: &Facts) -> BTreeSet<String> {
    let sans = facts.sans.iter().map(|san| match san {
        San::Dns(name) => name.to_ascii_lowercase(),
        other => other.to_string(),
    });
    let sans: BTreeSet<String> = sans.collect();
    if sans.is_empty() {
        return facts.common_name.iter().cloned().collect();
    }
    sans
}

/// The finding for an older instance that only its content tells.
pub(super) fn older_finding(
    leaf: &Certificate,
    newer: &Certificate,
    expected: &Expected,
    grace: Option<Grace>,
) -> Finding {
    let text = |c: &Certificate| {
        let dates = |f: &Facts| format!("from {} to {}", f.not_before.date(), f.not_after.date());
        c.facts().map(dates).unwrap_or_default()
    };
    let name = leaf.facts().map_or("", Facts::name);
    let (served, wanted) = distinct(leaf, newer);
    Finding::with_severity(
        Code::PreviousInstance,
        severity_in(grace),
        format!(
            "an older instance of the expected certificate is still served: `{name}`, {}, {served}; the expected one is {}, {wanted}{}",
            text(leaf),
            text(newer),
            patience(grace)
        ),
        reload_first(expected),
    )
}

/// The advice for an older instance: mostly the new one is in its place, and the server has not read it.
fn reload_first(expected: &Expected) -> String {
    format!(
        "reload the server, so that it reads its certificate file again; if the older one stays, {} and reload again",
        install(expected)
    )
}

/// What tells two certificates apart: their serial numbers, or their fingerprints where those are the same.
pub(super) fn distinct(a: &Certificate, b: &Certificate) -> (String, String) {
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

/// What tells the leaf apart from the expected certificate, where they have the same names and dates.
fn apart_from_expected(leaf: &Certificate, expected: &Expected) -> String {
    let Some(instances) = expected.instances() else {
        return String::new();
    };
    let wanted = &instances.expected.leaf;
    let (Ok(of_leaf), Ok(of_wanted)) = (leaf.facts(), wanted.facts()) else {
        return String::new();
    };
    // Messages show days.
    let day = |time: Timestamp| time.0.div_euclid(24 * 60 * 60);
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

fn install_and_reload(expected: &Expected) -> String {
    format!("{}, then reload the server", install(expected))
}

fn install(expected: &Expected) -> String {
    format!("install {}", expected_name(expected))
}

pub(super) fn expected_name(expected: &Expected) -> String {
    match &expected.what {
        Expectation::Instances(instances) => {
            let instance = &instances.expected;
            let validity = instance.leaf.facts().ok().and_then(Facts::validity);
            let end = validity
                .map(|(_, end)| format!(" (ends on {})", end.date()))
                .unwrap_or_default();
            match instance.id {
                Some(id) => format!("instance {id}{end}"),
                None => format!("the expected certificate{end}"),
            }
        }
        Expectation::Fingerprints(_) => "the certificate with the expected fingerprint".into(),
        Expectation::PublicKeys(_) => "a certificate for the expected public key".into(),
        Expectation::TrustOnly => "a valid certificate".into(),
    }
}
