//! Metrics of judged probes in Prometheus' text format.

mod endpoint;
mod exposition;
mod gathered;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::certificate::Facts;
use crate::finding::{Code, EntryNotes};
use crate::instance::Expected;
use crate::judge::{Flags, Judged, Verdict};
use crate::model::{Hostname, Timestamp};
use crate::observation::{Outcome, Served};

use exposition::{Sample, write_labels};

pub use endpoint::{Lines, SharedSamples, endpoints, gathered_endpoints};
pub use exposition::{Exposition, Pieces, Samples, labels};
pub use gathered::Gathered;

/// Type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A value that only increases.
    Counter,
    /// Counts in buckets.
    Histogram,
}

impl Kind {
    /// Returns the name in a TYPE line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

macro_rules! metrics {
    ($($constant:ident $name:literal $kind:ident $help:literal;)+) => {
        /// Metrics, each with its name, kind and HELP text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Metric { $(#[doc = $help] $constant,)+ }

        impl Metric {
            /// All metrics, in the order of the documentation.
            pub const ALL: &'static [Metric] = &[$(Self::$constant,)+];

            /// Returns the name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$constant => $name,)+ }
            }

            /// Returns the kind.
            pub fn kind(self) -> Kind {
                match self { $(Self::$constant => Kind::$kind,)+ }
            }

            /// Returns the HELP text.
            pub fn help(self) -> &'static str {
                match self { $(Self::$constant => $help,)+ }
            }
        }
    };
}

metrics! {
    EndpointStatus "certvigil_endpoint_status" Gauge "Status of the last probe of the endpoint: 1 for its status, 0 for the other three. Probes run every `interval`, not at a scrape; see certvigil_endpoint_last_check_timestamp_seconds.";
    EndpointCorrect "certvigil_endpoint_correct" Gauge "1 if the served certificate is the expected one, 0 if not. Absent if the result is not conclusive.";
    EndpointChained "certvigil_endpoint_chained" Gauge "1 if a client that has only the roots can build the chain from the served certificates, 0 if not. Absent if the result is not conclusive.";
    EndpointDummy "certvigil_endpoint_dummy" Gauge "1 if the served certificate is a temporary, self-signed one, 0 if not. Absent if the result is not conclusive.";
    EndpointTrusted "certvigil_endpoint_trusted" Gauge "1 if the served chain is trusted: a path to a trusted root, valid now, for this name. 0 if not. Absent if the result is not conclusive or the vantage does not report it.";
    EndpointHostnameMatch "certvigil_endpoint_hostname_match" Gauge "1 if the served certificate matches the host name, 0 if not. Absent if the result is not conclusive or the vantage does not report it.";
    EndpointRevoked "certvigil_endpoint_revoked" Gauge "1 if the served certificate has been revoked, 0 if not. Absent if unknown.";
    EndpointError "certvigil_endpoint_error" Gauge "1 if the last probe received no certificate, with the kind of error. Absent otherwise.";
    EndpointFinding "certvigil_endpoint_finding" Gauge "1 for each finding of the endpoint, by code (docs/findings.md) and severity. Absent once it is fixed.";
    EndpointClientRefuses "certvigil_endpoint_client_refuses" Gauge "1 for each mainstream client that refuses what the endpoint serves, by certvigil's model of the client. Absent for clients that accept it or that the model does not cover.";
    EndpointNotBefore "certvigil_endpoint_not_before_timestamp_seconds" Gauge "Start of validity of the served certificate, in Unix seconds.";
    EndpointNotAfter "certvigil_endpoint_not_after_timestamp_seconds" Gauge "Expiry of the served certificate, in Unix seconds.";
    EndpointChainNotAfter "certvigil_endpoint_chain_not_after_timestamp_seconds" Gauge "Earliest expiry in the valid path that expires last, its root included, in Unix seconds; of the served certificates if there is no valid path.";
    EndpointWarn "certvigil_endpoint_warn_timestamp_seconds" Gauge "Time when the expiry of the served certificate becomes a warning, by the thresholds of its entry, in Unix seconds.";
    EndpointCrit "certvigil_endpoint_crit_timestamp_seconds" Gauge "Time when the expiry of the served certificate becomes critical, by the thresholds of its entry, in Unix seconds.";
    EndpointInterval "certvigil_endpoint_interval_seconds" Gauge "Interval between two probes of the endpoint, in seconds, if its entry has an interval of its own. Absent otherwise.";
    EndpointLastCheck "certvigil_endpoint_last_check_timestamp_seconds" Gauge "Time when the last probe of the endpoint ended, in Unix seconds. If it is old, certvigil does not keep up.";
    EndpointLastConclusive "certvigil_endpoint_last_conclusive_timestamp_seconds" Gauge "Time when the last conclusive probe of the endpoint ended, in Unix seconds. Absent if no probe was conclusive.";
    EndpointInfo "certvigil_endpoint_info" Gauge "1, with the served certificate in labels: its SHA-256, issuer, subject, serial number and key, the TLS version and cipher suite. Join it by sha256 with certvigil_certificate_info.";
    CertificateNotBefore "certvigil_certificate_not_before_timestamp_seconds" Gauge "Start of validity of the expected instance, in Unix seconds. Absent if the source has no whole certificate.";
    CertificateNotAfter "certvigil_certificate_not_after_timestamp_seconds" Gauge "Expiry of the expected instance, in Unix seconds. Absent if the source has no whole certificate.";
    CertificateInfo "certvigil_certificate_info" Gauge "1 for each certificate of the inventory, with its source and the expected instance: its number and state at SSLMate, and its SHA-256, each empty if unknown.";
    HostnameAddresses "certvigil_hostname_addresses" Gauge "Number of addresses of a family that the host name had at the last local probe.";
    VantagesDisagree "certvigil_vantages_disagree" Gauge "1 if the results of two vantages for the address differ, 0 if they agree. Absent if only one vantage has a result.";
    SourceUp "certvigil_source_up" Gauge "1 if the last request to the source succeeded, 0 if not. While it is 0, its last good result stays in use.";
    SourceLastSuccess "certvigil_source_last_success_timestamp_seconds" Gauge "Time of the last successful request to the source, in Unix seconds.";
    SourceRequests "certvigil_source_requests_total" Counter "HTTP requests to sources and remote vantages, by HTTP status; `error` if there was no response.";
    VantageUp "certvigil_vantage_up" Gauge "1 if the last test by the remote vantage returned results, 0 if not. Absent before the first test. While it is 0, certvigil queries the vantage less often.";
    VantageLag "certvigil_vantage_lag_seconds" Gauge "Delay of the probe from the remote vantage that is most overdue. If it grows, the vantage fails or responds slowly: its results are old, those of other vantages are not.";
    StateUp "certvigil_state_up" Gauge "1 if the last write to the state directory succeeded, 0 if not, or if the directory was removed. Absent without --state-dir.";
    ProbePhaseDuration "certvigil_probe_phase_duration_seconds" Histogram "Duration of the phases of local probes. A phase that did not happen is not counted.";
    Probes "certvigil_probes_total" Counter "Completed probes, by vantage and status.";
    ProbesInFlight "certvigil_probes_in_flight" Gauge "Local probes in flight.";
    CycleDuration "certvigil_cycle_duration_seconds" Gauge "Duration of the last whole cycle, in which every target was probed. It is about the longest `interval` by design, and shorter after a start.";
    Interval "certvigil_interval_seconds" Gauge "Interval between two probes of an endpoint whose entry has none of its own, in seconds: `defaults.interval`.";
    CycleLag "certvigil_cycle_lag_seconds" Gauge "Delay of the local probe that is most overdue. If it grows, certvigil does not keep up: raise --concurrency or the interval.";
    ConfigLastReloadSuccessful "certvigil_config_last_reload_successful" Gauge "1 if the last reload of the configuration, and the last reading of a changed file that it names, succeeded; 0 if the previous content is in force.";
    ConfigLastReloadSuccess "certvigil_config_last_reload_success_timestamp_seconds" Gauge "Time of the last successful reload of the configuration, in Unix seconds.";
    BuildInfo "certvigil_build_info" Gauge "1, with the version in its label.";
    ProcessCpu "process_cpu_seconds_total" Counter "User and system CPU time of the process, in seconds.";
    ProcessResidentMemory "process_resident_memory_bytes" Gauge "Resident memory of the process, in bytes.";
    ProcessVirtualMemory "process_virtual_memory_bytes" Gauge "Virtual memory of the process, in bytes.";
    ProcessOpenFds "process_open_fds" Gauge "Open file descriptors of the process.";
    ProcessMaxFds "process_max_fds" Gauge "Maximum number of open file descriptors of the process.";
    ProcessThreads "process_threads" Gauge "Threads of the process.";
    ProcessStartTime "process_start_time_seconds" Gauge "Start time of the process, in Unix seconds.";
    ProbeSuccess "probe_success" Gauge "1 if the probe of every address of the target was conclusive without a critical finding, 0 if not.";
    ProbeDuration "probe_duration_seconds" Gauge "Duration of the whole probe, in seconds.";
    ProbeDnsLookup "probe_dns_lookup_time_seconds" Gauge "Duration of the name resolution of the target, in seconds.";
    ProbeSslEarliestCertExpiry "probe_ssl_earliest_cert_expiry" Gauge "Earliest expiry of all served certificates of all addresses, in Unix seconds.";
    ProbeSslLastChainExpiry "probe_ssl_last_chain_expiry_timestamp_seconds" Gauge "Expiry of the valid path that expires last, its root included; the earliest of all addresses, in Unix seconds. Absent if no address serves a trusted certificate.";
    ProbeSslLastChainInfo "probe_ssl_last_chain_info" Gauge "1, with the served leaf in its labels; one series for each different leaf.";
    ProbeTlsVersionInfo "probe_tls_version_info" Gauge "1, with the TLS version in its label.";
    ProbeTlsCipherInfo "probe_tls_cipher_info" Gauge "1, with the cipher suite in its label.";
}

/// Returns the earliest expiry of all served certificates.
fn first_end(served: &Served) -> Option<Timestamp> {
    let all = std::iter::once(&served.leaf).chain(&served.rest);
    let ends = all
        .filter_map(|c| c.facts().ok()?.validity())
        .map(|(_, end)| end);
    ends.min()
}

fn name_of(hostname: &Hostname) -> Cow<'_, str> {
    match hostname {
        Hostname::Dns(name) => name.into(),
        Hostname::Ip(_) | Hostname::File(_) => hostname.to_string().into(),
    }
}

/// Maximum alternative names in a label.
const MAX_LABEL_SANS: usize = 100;

/// Returns the alternative names of a certificate as a label, separated by commas as in
/// blackbox_exporter. Names beyond the maximum are counted.
fn sans(facts: &Facts) -> String {
    let names = facts.sans.iter().take(MAX_LABEL_SANS);
    let mut names: Vec<String> = names.map(ToString::to_string).collect();
    match facts.sans.len().saturating_sub(MAX_LABEL_SANS) {
        0 => {}
        more => names.push(format!("and {more} more")),
    }
    names.join(",")
}

/// Returns the labels of an entry.
pub fn own(notes: &EntryNotes) -> impl Iterator<Item = (&str, &str)> {
    let labels = notes.labels.iter();
    labels.map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Writes every `certvigil_certificate_*` metric of these certificates, each with its name, its
/// expected instance and its entry. Of those with the same name and labels, the times are those of the
/// one that expires first.
pub fn certificates<'a>(
    out: &mut Exposition,
    certificates: impl IntoIterator<Item = (&'a str, &'a Expected, &'a EntryNotes)>,
) {
    let certificates: Vec<(&str, &Expected, &EntryNotes)> = certificates.into_iter().collect();
    let instance = |expected: &'a Expected| expected.instances().map(|i| &i.expected);
    let [mut not_before, mut not_after, mut info] = [const { Vec::new() }; 3];
    let mut first_to_expire = BTreeMap::new();
    for (name, expected, notes) in &certificates {
        let facts = instance(expected).map(|i| i.leaf.facts());
        if let Some(Ok(facts)) = facts
            && let Some((begin, end)) = facts.validity()
        {
            let known = first_to_expire.entry((*name, &notes.labels));
            let (first_end, first_begin) = known.or_insert((end, begin));
            if (end, begin) < (*first_end, *first_begin) {
                (*first_end, *first_begin) = (end, begin);
            }
        }
    }
    for ((name, own), (end, begin)) in first_to_expire {
        let labels = out.shared(|text| {
            write_labels(text, false, [("certificate", name)]);
            let own = own.iter();
            write_labels(
                text,
                true,
                own.map(|(name, value)| (name.as_str(), value.as_str())),
            );
        });
        let mut sample = |time: Timestamp| Sample {
            labels,
            rest: out.rest(&[], time.0),
        };
        not_before.push(sample(begin));
        not_after.push(sample(end));
    }
    out.series(Metric::CertificateNotBefore, not_before);
    out.series(Metric::CertificateNotAfter, not_after);
    let rest = out.rest(&[], 1);
    // Most names occur once, and then no set is needed.
    let names: HashSet<&str> = certificates.iter().map(|(name, ..)| *name).collect();
    let mut reported = (names.len() < certificates.len()).then(HashSet::new);
    for (name, expected, notes) in &certificates {
        let instance = instance(expected);
        let id = instance.and_then(|i| i.id).map(|id| id.to_string());
        let sha256 = instance.map(|i| i.leaf.sha256().to_string());
        let pairs = [
            ("certificate", *name),
            ("source", expected.source.name()),
            ("instance_id", &id.unwrap_or_default()),
            ("state", instance.map_or("", |i| i.state.name())),
            ("sha256", &sha256.unwrap_or_default()),
        ];
        let labels = out.shared(|text| {
            write_labels(text, false, pairs);
            write_labels(text, true, own(notes));
        });
        let mut is_new =
            |reported: &mut HashSet<String>| reported.insert(out.words(labels).to_owned());
        if reported.as_mut().is_none_or(&mut is_new) {
            info.push(Sample { labels, rest });
        }
    }
    out.series(Metric::CertificateInfo, info);
}

/// Writes metrics that combine probes: the addresses of each host, and whether vantages agree.
/// `gathered` are the metrics of `results`.
pub fn hosts<'a>(
    out: &mut Exposition,
    gathered: &Arc<Gathered>,
    results: impl IntoIterator<Item = &'a Judged>,
) {
    out.gathered(Metric::HostnameAddresses, gathered);
    // Usually all probes are from the local vantage, and then none is compared.
    let compared = (!gathered.is_local()).then_some(results);
    vantages(out, compared.into_iter().flatten());
}

fn vantages<'a>(out: &mut Exposition, results: impl Iterator<Item = &'a Judged>) {
    // Vantages that probed an address, and whether one of them disagrees.
    let mut vantages: HashMap<_, (&Judged, BTreeSet<&str>, bool)> = HashMap::new();
    for judged in results {
        let observation = &judged.observation;
        let target = &observation.target;
        let Some(ip) = observation.ip else { continue };
        let port = (target.port, target.protocol.is_quic());
        let place = (&target.certificate, &target.hostname, ip, port);
        let known = vantages.entry(place);
        let (_, from, disagree) = known.or_insert_with(|| (judged, BTreeSet::new(), false));
        from.insert(observation.vantage.as_str());
        *disagree |= judged
            .findings
            .iter()
            .any(|f| f.code() == Code::VantagesDisagree);
    }
    let several = vantages.into_iter();
    let several = several.filter(|(_, (_, from, _))| from.len() > 1);
    let reported = several.map(|((.., ip, _), (judged, _, disagree))| {
        let target = &judged.observation.target;
        let mut text = labels([
            ("certificate", target.certificate.as_str()),
            ("hostname", &name_of(&target.hostname)),
            ("ip", &ip.to_string()),
            ("port", &target.port_label()),
        ]);
        write_labels(&mut text, true, own(&judged.notes));
        (text, disagree)
    });
    let reported: BTreeMap<String, bool> = reported.collect();
    let mut samples = out.begin(Metric::VantagesDisagree);
    for (labels, disagree) in &reported {
        samples.put(labels, u8::from(*disagree));
    }
}

/// Formats all metrics of a one-time check for node_exporter's textfile collector: its probes,
/// which ended at `at`, and the expected certificates.
pub fn textfile(results: &[Judged], at: Timestamp) -> String {
    let mut out = Exposition::default();
    let lines: Vec<Lines> = results
        .iter()
        .map(|judged| Lines::new(judged, at))
        .collect();
    let gathered = Arc::new(Gathered::new(&lines));
    gathered_endpoints(&mut out, &gathered);
    let expected = results.iter().filter_map(|judged| {
        let expected = judged.expected.as_deref()?;
        let name = judged.observation.target.certificate.as_str();
        // A probe for a kind of key names another of the accepted instances.
        let accepted = expected.instances().into_iter().flat_map(|i| i.accepted());
        let accepted: BTreeSet<_> = accepted.map(|instance| instance.leaf.sha256()).collect();
        let key = (name, &judged.notes.labels, expected.source.name(), accepted);
        Some((key, (expected, &*judged.notes)))
    });
    // All probes of a certificate have the same expectation.
    let expected: BTreeMap<_, (&Expected, &EntryNotes)> = expected.collect();
    let expected = expected.into_iter();
    certificates(
        &mut out,
        expected.map(|((name, ..), (what, notes))| (name, what, notes)),
    );
    hosts(&mut out, &gathered, results);
    out.finish()
}

/// Writes the metrics of blackbox_exporter's TLS probes under their known names, so that its
/// dashboards and alerts work. With several addresses, a time is the earliest.
pub fn probe_tls(out: &mut Exposition, results: &[Judged]) {
    let mut earliest: Option<Timestamp> = None;
    let mut last_chain: Option<Timestamp> = None;
    let (mut leaves, mut versions, mut suites) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for judged in results {
        let Outcome::Served(served) = &judged.observation.outcome else {
            continue;
        };
        let end = first_end(served);
        earliest = earliest.into_iter().chain(end).min();
        // blackbox_exporter has this metric only if the name matches.
        let is_trusted = matches!(
            judged.verdict,
            Verdict::Conclusive(Flags {
                trusted: Some(true),
                ..
            })
        );
        let last = judged.path_expiry.filter(|_| is_trusted);
        last_chain = last_chain.into_iter().chain(last).min();
        let facts = served.leaf.facts().ok();
        let sans = facts.map_or_else(String::new, sans);
        leaves.insert(labels([
            ("fingerprint_sha256", &*served.leaf.sha256().to_string()),
            ("subject", facts.map_or("", |f| f.subject.as_str())),
            ("issuer", facts.map_or("", |f| f.issuer.as_str())),
            ("subjectalternative", &sans),
            ("serialnumber", facts.map_or("", |f| f.serial.as_str())),
        ]));
        if let Some((version, suite)) = served.session() {
            versions.insert(labels([("version", version.to_string().as_str())]));
            suites.insert(labels([("cipher", suite)]));
        }
    }
    for (metric, time) in [
        (Metric::ProbeSslEarliestCertExpiry, earliest),
        (Metric::ProbeSslLastChainExpiry, last_chain),
    ] {
        if let Some(time) = time {
            out.value(metric, time.0);
        }
    }
    for (metric, series) in [
        (Metric::ProbeSslLastChainInfo, leaves),
        (Metric::ProbeTlsVersionInfo, versions),
        (Metric::ProbeTlsCipherInfo, suites),
    ] {
        let mut samples = out.begin(metric);
        for labels in series {
            samples.put(&labels, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_follow_prometheus_conventions() {
        for metric in Metric::ALL {
            let name = metric.name();
            let is_counter = metric.kind() == Kind::Counter;
            assert_eq!(name.ends_with("_total"), is_counter, "{name}");
            assert!(metric.help().ends_with('.'), "{name}");
        }
    }
}
