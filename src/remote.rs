//! Remote vantages: `/test` of SSLMate or of another certvigil.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;

use crate::config::{VantageKind, VantageSettings};
use crate::finding::{Code, Severity};
use crate::model::{Hostname, KeyType, Target, Timings, Vantage};
use crate::observation::{
    ErrorKind, Observation, Outcome, PeerFinding, PeerReport, ProbeError, Reported,
};
use crate::source::{Client, FindingRow, Loaded, MAX_ROWS, SetupError, Sources, TestRow};

/// Maximum characters of a row's error, and of each text of a finding.
const MAX_ERROR_CHARS: usize = 300;
/// Maximum unknown codes that a message lists.
const MAX_LISTED_CODES: usize = 4;

/// Remote vantage that implements SSLMate's test API.
pub struct Remote {
    vantage: Vantage,
    client: Client,
    /// True for SSLMate, which knows only the certificates of its account. Another certvigil knows
    /// those of its inventory.
    knows_account_only: bool,
    /// True if the last test had rows that were not used.
    has_unused_rows: AtomicBool,
}

/// Reason why a remote vantage cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("vantage `{name}`: {error}")]
pub struct RemoteError {
    /// Name of the vantage.
    pub name: String,
    /// Invalid setting.
    #[source]
    pub error: SetupError,
}

/// Creates the remote vantages with the given names.
///
/// # Errors
/// If a vantage lacks its account, its URL is invalid, or its password cannot be read.
pub fn remotes(
    sources: &Sources,
    vantages: &[VantageSettings],
    wanted: &BTreeSet<String>,
) -> Result<Vec<Remote>, RemoteError> {
    let wanted = vantages.iter().filter(|v| wanted.contains(&v.name));
    wanted
        .map(|v| {
            remote(sources, v).map_err(|error| RemoteError {
                name: v.name.clone(),
                error,
            })
        })
        .collect()
}

fn remote(sources: &Sources, vantage: &VantageSettings) -> Result<Remote, SetupError> {
    let name = &vantage.name;
    match &vantage.kind {
        VantageKind::Sslmate => Ok(Remote::sslmate(name, sources.account_client()?)),
        VantageKind::Certvigil {
            url,
            username,
            password_file,
        } => {
            let (user, password) = (username.as_deref(), password_file.as_deref());
            let client = sources.peer_client(name, url, user, password)?;
            Ok(Remote::certvigil(name, client))
        }
    }
}

impl Remote {
    /// Creates the vantage for SSLMate's test.
    fn sslmate(name: &str, client: Client) -> Self {
        Self {
            vantage: Vantage::named(name),
            client,
            knows_account_only: true,
            has_unused_rows: AtomicBool::new(false),
        }
    }

    /// Creates the vantage for another certvigil's test.
    fn certvigil(name: &str, client: Client) -> Self {
        Self {
            vantage: Vantage::named(name),
            client,
            knows_account_only: false,
            has_unused_rows: AtomicBool::new(false),
        }
    }

    /// Returns the vantage.
    pub fn vantage(&self) -> &Vantage {
        &self.vantage
    }

    /// Returns the observations of these targets, which share one certificate and one port. A
    /// failed test is an observation of each target. A certificate that the vantage does not know
    /// has no observations.
    pub async fn test(
        &self,
        loaded: &Loaded,
        targets: &[Arc<Target>],
        deadline: Instant,
    ) -> Vec<Observation> {
        let name = match (&loaded.common_name, self.knows_account_only) {
            (Some(cn), _) => cn,
            (None, true) => return Vec::new(),
            (None, false) => &loaded.name,
        };
        // According to the reference, an account without an active instance has nothing to test.
        if self.knows_account_only && loaded.expected.is_pending() {
            return Vec::new();
        }
        // SSLMate's test does not support STARTTLS either.
        let is_clear = |target: &Arc<Target>| target.protocol.uses_starttls();
        if self.knows_account_only && targets.iter().any(is_clear) {
            return Vec::new();
        }
        let Some(port) = targets.first().map(|t| t.port) else {
            return Vec::new();
        };
        let hostnames: Vec<&Hostname> = targets.iter().map(|t| &t.hostname).collect();
        let rows = match self.client.test(name, &hostnames, port, deadline).await {
            Ok(response) => response.result,
            Err(error) => {
                let is_of_vantage = error.is_of_the_api();
                let message = format!("the test from `{}` failed: {error}", self.vantage);
                let error = ProbeError {
                    is_of_vantage,
                    ..ProbeError::new(ErrorKind::Internal, message)
                };
                return targets
                    .iter()
                    .map(|t| self.observation(t, None, Outcome::Failed(error.clone())))
                    .collect();
            }
        };
        let wanted: HashSet<&Hostname> = hostnames.into_iter().collect();
        let mut by_host: HashMap<Hostname, (Vec<&TestRow>, usize)> = HashMap::new();
        let mut unwanted = rows.others;
        for row in &rows.kept {
            let hostname = row.hostname.parse::<Hostname>().ok();
            let hostname = hostname.filter(|hostname| wanted.contains(hostname));
            match hostname.filter(|_| row.port.is_none_or(|of_row| of_row == port)) {
                Some(hostname) => by_host.entry(hostname).or_default().0.push(row),
                None => unwanted += 1,
            }
        }
        for (hostname, count) in &rows.more {
            let hostname = hostname.parse::<Hostname>().ok();
            match hostname.and_then(|hostname| by_host.get_mut(&hostname)) {
                Some((_, more)) => *more += count,
                None => unwanted += count,
            }
        }
        let mut observations = Vec::new();
        let mut excess = 0;
        for target in targets {
            let of_host = by_host.get(&target.hostname);
            let (rows, more) = of_host.map_or((&[][..], 0), |(rows, more)| (rows, *more));
            excess += (rows.len() + more).saturating_sub(MAX_ROWS);
            observations.extend(self.of_target(target, rows, more));
        }
        self.report_unused(unwanted, excess);
        observations
    }

    /// Returns the observations of one target's rows: one for each address and requested kind of key,
    /// and one without an address if a row is unusable. The test had `more` rows that were not kept.
    fn of_target(&self, target: &Arc<Target>, rows: &[&TestRow], more: usize) -> Vec<Observation> {
        let vantage = &self.vantage;
        let mut unusable = None;
        if rows.is_empty() {
            // As in SSLMate's own client, no row means that the name could not be resolved.
            let what = format!(
                "seen from `{vantage}`, {} could not be resolved",
                target.hostname
            );
            unusable = Some(ProbeError::new(ErrorKind::DnsNxdomain, what));
        }
        let mut by_probe: BTreeMap<(IpAddr, KeyType), Result<Reported, ProbeError>> =
            BTreeMap::new();
        for row in rows.iter().take(MAX_ROWS) {
            let result = self.read(row);
            match row.ip_address.as_deref().map(str::parse) {
                Some(Ok(ip)) => match by_probe.entry((ip, key_type(row))) {
                    Entry::Vacant(free) => drop(free.insert(result)),
                    Entry::Occupied(mut first) if first.get().is_ok() || result.is_ok() => {
                        if first.get().as_ref().ok() != result.as_ref().ok() {
                            let what = format!(
                                "the test from `{vantage}` contradicts itself at this address"
                            );
                            *first.get_mut() = Err(ProbeError::new(ErrorKind::Internal, what));
                        }
                    }
                    Entry::Occupied(_) => {}
                },
                absent_or_wrong => {
                    let error = match result {
                        Err(error) if absent_or_wrong.is_none() => error,
                        _ => ProbeError::new(
                            ErrorKind::Internal,
                            format!("the test from `{vantage}` has a row without an IP address"),
                        ),
                    };
                    unusable.get_or_insert(error);
                }
            }
        }
        let count = rows.len() + more;
        if let Some(excess) = count.checked_sub(MAX_ROWS).filter(|excess| *excess > 0) {
            let what = format!(
                "the test from `{vantage}` has {count} rows for {}: {excess} of them are not used, at most {MAX_ROWS} are",
                target.hostname
            );
            unusable = Some(ProbeError::new(ErrorKind::Internal, what));
        }
        let unusable = unusable.map(|error| self.observation(target, None, Outcome::Failed(error)));
        let of_addresses = by_probe.into_iter().map(|((ip, key_type), result)| {
            let outcome = result.map_or_else(Outcome::Failed, Outcome::Reported);
            Observation {
                key_type,
                ..self.observation(target, Some(ip), outcome)
            }
        });
        of_addresses.chain(unusable).collect()
    }

    /// Returns the result of a row. Only another certvigil reports more than SSLMate does.
    fn read(&self, row: &TestRow) -> Result<Reported, ProbeError> {
        let mut reported = read(row)?;
        if !self.knows_account_only {
            reported.peer = peer_report(row, &reported)?.map(Box::new);
        }
        Ok(reported)
    }

    /// Logs that rows of a test are not used. Logs again only after a test without such rows.
    fn report_unused(&self, unwanted: usize, excess: usize) {
        let is_unused = unwanted + excess > 0;
        let was_unused = self.has_unused_rows.swap(is_unused, Ordering::Relaxed);
        if is_unused && !was_unused {
            tracing::warn!(
                "rows of a remote test are not used: vantage={} not_asked_for={unwanted} beyond_maximum={excess}; check the vantage's URL and version",
                self.vantage
            );
        }
    }

    fn observation(
        &self,
        target: &Arc<Target>,
        ip: Option<IpAddr>,
        outcome: Outcome,
    ) -> Observation {
        Observation {
            target: target.clone(),
            ip,
            // SSLMate's test does not request a key type.
            key_type: KeyType::Any,
            vantage: self.vantage.clone(),
            timings: Timings::default(),
            outcome,
        }
    }
}

/// Returns the kind of key that the vantage requested.
fn key_type(row: &TestRow) -> KeyType {
    let mut kinds = [KeyType::Rsa, KeyType::Ecdsa].into_iter();
    let named = kinds.find(|kind| Some(kind.name()) == row.key_type.as_deref());
    named.unwrap_or(KeyType::Any)
}

/// Returns what another certvigil reports of a certificate besides SSLMate's flags, which are
/// `reported`. Versions without these keys report no more.
///
/// # Errors
/// If the row is worse than its findings that this version knows, and the flags report no fault: it
/// may be a fault that a newer version finds.
fn peer_report(row: &TestRow, reported: &Reported) -> Result<Option<PeerReport>, ProbeError> {
    let Some(severity) = &row.severity else {
        return Ok(None);
    };
    let named = |name: &str| {
        let known = [
            Severity::Ok,
            Severity::Info,
            Severity::Warning,
            Severity::Critical,
        ];
        known.into_iter().find(|severity| severity.name() == name)
    };
    let cut = |text: &str| text.chars().take(MAX_ERROR_CHARS).collect::<String>();
    let read = |finding: &FindingRow| {
        let code = Code::ALL.iter().find(|code| code.name() == finding.code)?;
        let severity = named(&finding.severity)?;
        PeerFinding::new(*code, severity, &cut(&finding.message), &cut(&finding.hint))
    };
    let rows = row.findings.as_deref().unwrap_or_default();
    let (mut findings, mut unknown) = (Vec::new(), Vec::new());
    for row in rows {
        match read(row) {
            Some(finding) => findings.push(finding),
            None if named(&row.severity).is_none_or(|severity| severity >= Severity::Warning) => {
                unknown.push(cut(&row.code));
            }
            None => {}
        }
    }
    findings.retain(|finding| finding.severity >= Severity::Warning);
    let worst = findings.iter().map(|finding| finding.severity).max();
    let is_explained = match named(severity) {
        Some(severity) => severity < Severity::Warning || worst >= Some(severity),
        None => false,
    };
    let is_right = reported.correct && reported.chained && !reported.dummy;
    if !is_explained && is_right {
        unknown.truncate(MAX_LISTED_CODES);
        let codes = match unknown.as_slice() {
            [] => String::new(),
            codes => format!(" ({})", codes.join(", ")),
        };
        return Err(ProbeError::new(
            ErrorKind::Internal,
            format!(
                "the test reports the severity `{}` for a reason that this version does not know{codes}; update certvigil",
                cut(severity)
            ),
        ));
    }
    Ok(Some(PeerReport {
        trusted: row.trusted,
        hostname_match: row.hostname_match,
        expired: row.expired,
        not_yet_valid: row.not_yet_valid,
        revoked: row.revoked,
        findings,
    }))
}

fn read(row: &TestRow) -> Result<Reported, ProbeError> {
    let error = || {
        let text = match &row.error {
            Some(error) => error.clone(),
            None => format!("the test reports only `{}`", row.status),
        };
        text.chars().take(MAX_ERROR_CHARS).collect::<String>()
    };
    let kind = |otherwise| {
        let reported = row.error_kind.as_deref();
        ErrorKind::ALL
            .iter()
            .copied()
            .find(|k| Some(k.name()) == reported)
            .unwrap_or(otherwise)
    };
    match row.status.as_str() {
        "conclusive" => match (row.correct, row.chained, row.dummy) {
            (Some(correct), Some(chained), dummy) => Ok(Reported {
                correct,
                chained,
                dummy: dummy.unwrap_or(false),
                peer: None,
            }),
            _ => Err(ProbeError::new(
                ErrorKind::Internal,
                "the test is conclusive, but `correct` or `chained` is missing",
            )),
        },
        "connect_error" => Err(ProbeError::new(
            kind(ErrorKind::ConnectUnreachable),
            error(),
        )),
        "handshake_error" => Err(ProbeError::new(kind(ErrorKind::TlsProtocol), error())),
        _ => Err(ProbeError::new(kind(ErrorKind::Internal), error())),
    }
}

/// Parses a response of `/test`, for `fuzz/`. The text from each row is one line.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz_answer(body: &[u8]) {
    use crate::certificate::is_one_line;
    use crate::source::TestResponse;
    match serde_json::from_slice::<TestResponse>(body) {
        Ok(response) => {
            for row in &response.result.kept {
                let error = match read(row) {
                    Ok(reported) => peer_report(row, &reported).err(),
                    Err(error) => Some(error),
                };
                if let Some(error) = error {
                    assert!(is_one_line(&error.message), "{:?}", error.message);
                }
            }
        }
        Err(error) => assert!(is_one_line(&error.to_string()), "{error}"),
    }
}

#[cfg(test)]
mod tests;
