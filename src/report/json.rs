//! JSON: SSLMate's test response with additional keys, as one object or as one line for each
//! result.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::certificate::{Certificate, Facts, Fingerprint, sha1_hex};
use crate::finding::{Detail, Finding, Text};
use crate::instance::{Expectation, Expected, Pins};
use crate::judge::{Clients, Dane, Flags, Judged, Opinion, Verdict};
use crate::model::{Timestamp, Timings};
use crate::observation::{Outcome, Served, Staple};

use super::Summary;

#[derive(Serialize)]
struct Document<'a> {
    result: Vec<Row<'a>>,
    summary: Summary,
    /// False if the run was interrupted.
    complete: bool,
}

/// A result. The keys of SSLMate come first. Those that SSLMate makes conditional may be absent.
/// All others are null if the value is unknown.
#[derive(Serialize)]
struct Row<'a> {
    hostname: String,
    ip_address: Option<String>,
    port: Option<u16>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correct: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chained: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dummy: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_kind: Option<&'static str>,
    certificate: &'a str,
    vantage: &'a str,
    protocol: &'static str,
    key_type: &'static str,
    labels: &'a BTreeMap<String, String>,
    severity: &'static str,
    findings: Vec<FindingRow<'a>>,
    trusted: Option<bool>,
    hostname_match: Option<bool>,
    expired: Option<bool>,
    not_yet_valid: Option<bool>,
    revoked: Option<bool>,
    clients: Option<BTreeMap<&'static str, ClientRow<'a>>>,
    dane: Option<DaneRow>,
    served: Option<ServedRow<'a>>,
    expected: Option<ExpectedRow>,
    timings_ms: TimingsRow,
}

/// Verdict of one client. `accepts` is null if the model does not cover the case.
#[derive(Serialize)]
struct ClientRow<'a> {
    accepts: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct FindingRow<'a> {
    code: &'static str,
    severity: &'static str,
    message: String,
    hint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<AcceptedRow<'a>>,
    detail: &'a Detail,
}

/// Acceptance of a finding by the configuration. `until` is null if it has no end.
#[derive(Serialize)]
struct AcceptedRow<'a> {
    reason: &'a str,
    until: Option<String>,
}

#[derive(Serialize)]
struct ServedRow<'a> {
    leaf: Shared<'a>,
    chain: Vec<Shared<'a>>,
    tls_version: Option<&'static str>,
    cipher_suite: Option<&'a str>,
    alpn: Option<&'a str>,
    ocsp_stapled: bool,
    key_proof: &'static str,
}

/// A certificate that other rows may share.
#[derive(Clone)]
struct Shared<'a>(Rc<CertificateRow<'a>>);

impl Serialize for Shared<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Certificates of the rows so far. Thousands of endpoints may serve the same ones.
type Known<'a> = HashMap<Fingerprint, Shared<'a>>;

/// Maximum alternative names of a certificate. A chain may have tens of thousands.
const MAX_SANS: usize = 1000;

/// A certificate. Values that cannot be parsed are null.
#[derive(Serialize)]
struct CertificateRow<'a> {
    sha256_fingerprint: String,
    sha1_fingerprint: String,
    pubkey_hash: Option<String>,
    subject: Option<&'a str>,
    issuer: Option<&'a str>,
    serial: Option<&'a str>,
    sans: Vec<String>,
    /// Number of further names; absent if `sans` has all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    sans_omitted: Option<usize>,
    not_before: Option<String>,
    expiration: Option<i64>,
    key: Option<String>,
    signature: Option<&'a str>,
}

/// An expected certificate. Values that the source does not return are null.
#[derive(Serialize)]
struct ExpectedRow {
    source: &'static str,
    id: Option<u64>,
    sha256_fingerprint: Option<String>,
    pubkey_hash: Option<String>,
    expiration: Option<i64>,
}

/// DANE result. `matched` is null if there is nothing to compare.
#[derive(Serialize)]
struct DaneRow {
    records: Vec<TlsaRow>,
    matched: Option<bool>,
    authenticated: bool,
}

#[derive(Serialize)]
struct TlsaRow {
    usage: u8,
    selector: u8,
    matching_type: u8,
    data: String,
}

#[derive(Serialize)]
struct TimingsRow {
    resolve: Option<f64>,
    connect: Option<f64>,
    starttls: Option<f64>,
    handshake: Option<f64>,
}

/// Formats the results as one JSON object with a final newline.
pub fn json(results: &[Judged]) -> String {
    json_of_run(results, true)
}

/// Formats the results of a run, which is not complete if the user interrupted it.
pub fn json_of_run(results: &[Judged], complete: bool) -> String {
    let mut known = Known::new();
    let document = Document {
        result: results.iter().map(|one| row(one, &mut known)).collect(),
        summary: Summary::of(results),
        complete,
    };
    // The document has only strings, numbers and lists, so serialization cannot fail.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// Formats the results as JSON Lines (<https://jsonlines.org>): one object per line, as in `result`
/// of [`json`].
pub fn jsonl(results: &[Judged]) -> String {
    let mut text = Vec::new();
    // A vector can always be written to, and JSON is UTF-8.
    let _ = write_jsonl(results, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// Writes the results as [`jsonl`] formats them, each as soon as it is formatted.
///
/// # Errors
/// Those of the writer.
pub fn write_jsonl(results: &[Judged], out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let mut known = Known::new();
    let mut line = Vec::new();
    for judged in results {
        line.clear();
        // Line feeds in strings are escaped, so an object is one line.
        serde_json::to_writer(&mut line, &row(judged, &mut known))?;
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}

fn row<'a>(judged: &'a Judged, known: &mut Known<'a>) -> Row<'a> {
    let observation = &judged.observation;
    let (flags, error) = match &judged.verdict {
        Verdict::Conclusive(flags) => (Some(*flags), None),
        Verdict::Inconclusive(error) => (None, Some(error)),
    };
    let flag = |of: fn(Flags) -> Option<bool>| flags.and_then(of);
    Row {
        hostname: observation.target.hostname.to_string(),
        ip_address: observation.ip.map(|ip| ip.to_string()),
        port: (!observation.target.is_file()).then_some(observation.target.port),
        status: judged.status().name(),
        correct: flags.map(|f| f.correct),
        chained: flags.map(|f| f.chained),
        dummy: flags.map(|f| f.dummy),
        error: error.map(|e| e.message.as_str()),
        error_kind: error.map(|e| e.kind.name()),
        certificate: &observation.target.certificate,
        vantage: observation.vantage.as_str(),
        protocol: observation.target.protocol.name(),
        key_type: observation.key_type.name(),
        labels: &judged.notes.labels,
        severity: judged.severity().name(),
        findings: judged.findings.iter().map(finding).collect(),
        trusted: flag(|f| f.trusted),
        hostname_match: flag(|f| f.hostname_match),
        expired: flag(|f| f.expired),
        not_yet_valid: flag(|f| f.not_yet_valid),
        revoked: flag(|f| f.revoked),
        clients: judged.clients.as_deref().map(clients),
        dane: judged.dane.as_ref().map(dane),
        served: match &observation.outcome {
            Outcome::Served(served) => Some(served_row(served, known)),
            Outcome::Reported(_) | Outcome::Failed(_) => None,
        },
        expected: judged.expected.as_deref().map(expected),
        timings_ms: timings(&observation.timings),
    }
}

fn clients(clients: &Clients) -> BTreeMap<&'static str, ClientRow<'_>> {
    let row = |opinion: &'_ Opinion| ClientRow {
        accepts: opinion.accepts(),
        reason: None,
    };
    let rows = clients.iter().map(|(client, opinion)| {
        let mut row = row(opinion);
        if let Opinion::Refuses(refusal) = opinion {
            row.reason = Some(&refusal.reason);
        }
        (client.name(), row)
    });
    rows.collect()
}

fn finding(finding: &Finding) -> FindingRow<'_> {
    let Text { message, hint } = finding.text();
    FindingRow {
        code: finding.code().name(),
        severity: finding.severity.name(),
        message,
        hint,
        accepted: finding.accepted.as_deref().map(|accepted| AcceptedRow {
            reason: &accepted.reason,
            until: accepted.until.map(Timestamp::date),
        }),
        detail: &finding.detail,
    }
}

fn served_row<'a>(served: &'a Served, known: &mut Known<'a>) -> ServedRow<'a> {
    let mut shared = |certificate: &'a Certificate| {
        let row = known.entry(certificate.sha256());
        row.or_insert_with(|| Shared(Rc::new(certificate_row(certificate))))
            .clone()
    };
    let session = served.session();
    ServedRow {
        leaf: shared(&served.leaf),
        chain: served.rest.iter().map(shared).collect(),
        tls_version: session.map(|(version, _)| version.name()),
        cipher_suite: session.map(|(_, suite)| suite),
        alpn: served.alpn.as_deref(),
        ocsp_stapled: matches!(served.revocation.staple, Staple::Sent(_)),
        key_proof: served.key_proof.name(),
    }
}

fn certificate_row(certificate: &Certificate) -> CertificateRow<'_> {
    let facts = certificate.facts().ok();
    let validity = facts.and_then(Facts::validity);
    CertificateRow {
        sha256_fingerprint: certificate.sha256().to_string(),
        sha1_fingerprint: sha1_hex(certificate.der()),
        pubkey_hash: facts.map(|f| f.public_key_hash.to_string()),
        subject: facts.map(|f| f.subject.as_str()),
        issuer: facts.map(|f| f.issuer.as_str()),
        serial: facts.map(|f| f.serial.as_str()),
        sans: facts.map_or_else(Vec::new, |f| {
            let names = f.sans.iter().take(MAX_SANS);
            names.map(ToString::to_string).collect()
        }),
        sans_omitted: facts
            .and_then(|f| f.sans.len().checked_sub(MAX_SANS))
            .filter(|omitted| *omitted > 0),
        not_before: validity.map(|(not_before, _)| not_before.to_string()),
        expiration: validity.map(|(_, not_after)| not_after.0),
        key: facts.map(|f| f.key.to_string()),
        signature: facts.map(|f| f.signature.name.as_str()),
    }
}

fn expected(expected: &Expected) -> ExpectedRow {
    let mut row = ExpectedRow {
        source: expected.source.name(),
        id: None,
        sha256_fingerprint: None,
        pubkey_hash: None,
        expiration: None,
    };
    match &expected.what {
        Expectation::Instances(instances) => {
            let leaf = &instances.expected.leaf;
            row.id = instances.expected.id;
            row.sha256_fingerprint = Some(leaf.sha256().to_string());
            row.pubkey_hash = leaf.public_key_hash().map(|key| key.to_string());
            row.expiration = leaf
                .facts()
                .ok()
                .and_then(Facts::validity)
                .map(|(_, end)| end.0);
        }
        Expectation::Fingerprints(pins) => row.sha256_fingerprint = the_only(pins),
        Expectation::PublicKeys(keys) => row.pubkey_hash = the_only(keys),
        Expectation::TrustOnly => {}
    }
    row
}

fn dane(dane: &Dane) -> DaneRow {
    let records = dane.tlsa.records.iter().map(|record| TlsaRow {
        usage: record.usage,
        selector: record.selector,
        matching_type: record.matching_type,
        data: record.hex(),
    });
    DaneRow {
        records: records.collect(),
        matched: dane.matched,
        authenticated: dane.tlsa.authenticated,
    }
}

/// Returns the only element. If several are accepted, none is *the* expected one.
fn the_only<T: Ord + ToString>(set: &Pins<T>) -> Option<String> {
    match set.len() {
        1 => set.first().map(ToString::to_string),
        _ => None,
    }
}

fn timings(timings: &Timings) -> TimingsRow {
    // Network timings are not more accurate than a microsecond.
    let milliseconds = |d: Duration| d.as_micros() as f64 / 1000.0;
    TimingsRow {
        resolve: timings.resolve.map(milliseconds),
        connect: timings.connect.map(milliseconds),
        starttls: timings.starttls.map(milliseconds),
        handshake: timings.handshake.map(milliseconds),
    }
}
