//! `/probe`: an on-demand probe, compatible with blackbox_exporter.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::{HeaderMap, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use crate::finding::Severity;
use crate::instance::{Expected, SourceKind};
use crate::judge::{Judged, Rules, Verdict};
use crate::model::{Hostname, Protocol, Target, TargetAddress, Timestamp, did_you_mean};
use crate::report::prometheus::{Exposition, Lines, Metric, endpoints, probe_tls};
use crate::report::{Style, human};
use crate::resolve::AddressQuery;
use crate::scan::{Job, KnownDns, Scan};
use crate::source::Loaded;
use crate::web::Query;

use super::admission::{Admitted, Refused, admit};
use super::answer::{EXPOSITION, PLAIN, Response, answer, plain_text, retry_later};
use super::plan::Plan;
use super::probe_module::ProbeModule;
use super::runtime::Runtime;
use super::snapshot::{Current, Snapshot};

/// Maximum concurrent on-demand probes and tests; further ones must try again.
const MAX_ON_DEMAND: usize = 256;
/// Share of the connection slots that they may use, as a divisor, so that other requests have slots
/// too.
const CONNECTION_SHARE: usize = 2;
/// Maximum duration of one of them, including the wait for permits of an address. It is
/// blackbox_exporter's default for a scrape without a timeout.
pub(super) const MAX_ON_DEMAND_TIME: Duration = Duration::from_secs(120);
/// Header in which Prometheus sends its scrape timeout, in seconds.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";
/// Part of the scrape timeout that is reserved for sending the response, as in blackbox_exporter.
const TIMEOUT_OFFSET: Duration = Duration::from_millis(500);
/// Minimum timeout of a probe.
const MIN_TIMEOUT: Duration = Duration::from_millis(100);
/// Port of a target without one, if neither the module nor the inventory has one.
const DEFAULT_PORT: u16 = 443;
/// Width of the table in the log, in columns.
const LOG_WIDTH: usize = 120;

/// Parameters of a request.
struct Request {
    place: TargetAddress,
    /// Name that is sent as SNI and matched.
    hostname: Hostname,
    port: u16,
    module: ProbeModule,
    /// Total timeout.
    timeout: Duration,
    debug: bool,
}

/// Returns the maximum concurrent on-demand probes and tests for this number of connection slots.
pub(super) fn max_concurrent(max_connections: usize) -> usize {
    MAX_ON_DEMAND.min(max_connections / CONNECTION_SHARE).max(1)
}

/// Probes a target now, at every address.
pub(super) async fn probe(
    current: &Current,
    on_demand: &Arc<Semaphore>,
    headers: &HeaderMap,
    query: &Query,
) -> Response {
    let snapshot = current.snapshot();
    let runtime = &snapshot.runtime;
    let request = match Request::read(&snapshot, headers, query) {
        Ok(request) => request,
        Err(response) => return *response,
    };
    let Ok(_permit) = on_demand.clone().try_acquire_owned() else {
        let text = "too many concurrent probes; try again";
        return retry_later(plain_text(StatusCode::SERVICE_UNAVAILABLE, text));
    };
    let start = Instant::now();
    let mut jobs = match request.jobs(&snapshot, current.now()).await {
        Ok(jobs) => jobs,
        Err(why) => return refuse(why),
    };
    for job in &mut jobs {
        job.reread = current.reread();
    }
    let lookup = jobs.iter().find_map(|j| j.resolved.as_ref()?.took);
    let over = sleep_until(start + request.timeout);
    let scanner = runtime.on_demand_scanner();
    let scan = scanner.scan(jobs, current.now(), over, |_| {}).await;
    current.counters.count(scan.results.iter());
    request.answer(current.now(), &scan, start.elapsed(), lookup)
}

fn refuse(why: Refused) -> Response {
    let is_early = why.is_early();
    let (status, words) = why.reported();
    let response = plain_text(status, words);
    if is_early {
        return retry_later(response);
    }
    response
}

impl Request {
    fn read(
        snapshot: &Snapshot,
        headers: &HeaderMap,
        query: &Query,
    ) -> Result<Self, Box<Response>> {
        let bad = |what: String| Box::new(plain_text(StatusCode::BAD_REQUEST, what));
        let (runtime, plan): (&Runtime, &Plan) = (&snapshot.runtime, &snapshot.plan);
        let target = query.last("target").ok_or_else(|| {
            bad("the parameter `target` is missing; write ?target=HOST or ?target=HOST:PORT".into())
        })?;
        let place: TargetAddress = target.parse().map_err(|e| bad(format!("target: {e}")))?;
        let hostname: Hostname = match query.last("hostname") {
            Some(name) => name.parse().map_err(|e| bad(format!("hostname: {e}")))?,
            None => place.hostname.clone(),
        };
        let named = match query.last("module") {
            Some(name) => Some((name, module_of(runtime, name)?)),
            None => None,
        };
        let protocol = named.map(|(_, module)| module.protocol).or(place.protocol);
        let port = place.port.or_else(|| {
            port_of(
                plan,
                [&place.hostname, &hostname],
                named.map(|(_, module)| module),
                protocol,
            )
        });
        let module = match named {
            Some((name, module)) => {
                let port = port.unwrap_or(module.port);
                if let Some(other) = contradiction(plan, &hostname, port, module.protocol) {
                    return Err(bad(format!(
                        "the module `{name}` is for {}, but the inventory has {hostname} port {port} with {other}; leave out `module`, or use one for {other}",
                        module.protocol
                    )));
                }
                module
            }
            None => {
                let mut hosts = [&hostname, &place.hostname].into_iter();
                let known =
                    port.and_then(|port| hosts.find_map(|host| protocol_at(plan, host, port)));
                let protocol = place.protocol.or(known).unwrap_or_default();
                runtime
                    .default_module(protocol)
                    .ok_or_else(|| bad("no module for this protocol".into()))?
            }
        };
        let timeout = match headers.get(SCRAPE_TIMEOUT) {
            Some(value) => {
                let reported = scrape_timeout(value.to_str().unwrap_or_default());
                let reported = reported.ok_or_else(|| {
                    bad(format!(
                        "the header {SCRAPE_TIMEOUT} is not a number of seconds"
                    ))
                })?;
                reported.min(MAX_ON_DEMAND_TIME)
            }
            None => MAX_ON_DEMAND_TIME,
        };
        Ok(Self {
            port: port.unwrap_or(module.port),
            place,
            hostname,
            module: module.clone(),
            timeout,
            debug: query.last("debug") == Some("true"),
        })
    }

    /// Returns the probes of the request: those of the inventory, or else a probe that accepts any
    /// trusted certificate.
    async fn jobs(&self, snapshot: &Snapshot, now: Timestamp) -> Result<Vec<Job>, Refused> {
        let (runtime, plan): (&Runtime, &Plan) = (&snapshot.runtime, &snapshot.plan);
        let timeout = self.module.within(self.timeout, runtime.options.timeout);
        let place = &self.place.hostname;
        let families = self.module.families;
        let admitted = admit(runtime, plan, place, self.port, families, timeout).await?;
        let resolved = match admitted {
            Admitted::At(resolution) => Some(resolution),
            Admitted::Known(_) if *place == self.hostname => None,
            // The probed host is not the requested name, so its addresses are looked up separately.
            Admitted::Known(addresses) => {
                let fixed = Vec::from_iter(addresses);
                let scanner = &runtime.scanner;
                let query = AddressQuery {
                    fixed: &fixed,
                    families,
                    ..AddressQuery::new(place, self.port)
                };
                Some(scanner.resolve(&query, timeout).await)
            }
        };
        let mut jobs: Vec<Job> = plan
            .at(&self.hostname, self.port)
            .filter(|t| t.protocol.is_quic() == self.module.protocol.is_quic())
            .filter_map(|target| plan.job(target, runtime, now))
            .collect();
        let mut known = jobs.iter().flat_map(|job| &job.expectation).peekable();
        let is_known = known.peek().is_some();
        let is_trust_only = known.all(|loaded| loaded.expected.source == SourceKind::Trust);
        // A trusted certificate may be another one than the source expects.
        if (is_known || jobs.is_empty())
            && is_trust_only
            && let Some(watch) = plan.awaited_for(&self.hostname, is_known)
        {
            return Err(Refused::awaiting(watch));
        }
        if jobs.is_empty() {
            jobs.push(self.trust_only(runtime));
        }
        for job in &mut jobs {
            if let Some(resolved) = &resolved
                && !resolved
                    .addresses
                    .iter()
                    .all(|ip| is_place_of(snapshot, job, *ip))
            {
                // The address is not that of the entry's own server, so it gets no client
                // certificate, PROXY header or SNI of that entry.
                job.reach = Arc::default();
                job.is_stranger = true;
            }
            self.module.apply(job, self.timeout);
            job.resolved = resolved.clone();
        }
        Ok(jobs)
    }

    /// Returns the probe of a host that is not in the inventory: its certificate must be valid,
    /// match the name, and be trusted.
    fn trust_only(&self, runtime: &Runtime) -> Job {
        let name = self.hostname.to_string();
        let defaults = &runtime.inventory.defaults;
        Job {
            targets: vec![Arc::new(Target {
                certificate: name.clone(),
                hostname: self.hostname.clone(),
                port: self.port,
                protocol: self.module.protocol,
                names: self.module.names.clone(),
            })],
            expectation: Ok(Arc::new(Loaded {
                name,
                common_name: None,
                expected: Arc::new(Expected::trust_only()),
                hostnames: vec![self.hostname.clone()],
                found: Vec::new(),
                awaited: None,
            })),
            addresses: Vec::new(),
            known: KnownDns::default(),
            families: None,
            resolved: None,
            key_types: defaults.key_types,
            reach: Arc::default(),
            due: None,
            shared_by: None,
            is_stranger: true,
            dane: defaults.dane,
            places: Arc::default(),
            rules: Rules {
                warn: defaults.warn,
                crit: defaults.crit,
                revocation: defaults.revocation,
                ..Rules::default()
            },
            reread: None,
            notes: Arc::default(),
            options: runtime.options.clone(),
        }
    }

    fn answer(
        &self,
        now: Timestamp,
        scan: &Scan,
        took: Duration,
        lookup: Option<Duration>,
    ) -> Response {
        let is_good = |j: &Judged| {
            matches!(j.verdict, Verdict::Conclusive(_)) && j.severity() < Severity::Critical
        };
        let all_good = !scan.results.is_empty() && scan.results.iter().all(is_good);
        let mut out = Exposition::default();
        let success = u8::from(scan.complete && all_good);
        out.value(Metric::ProbeSuccess, success);
        out.value(Metric::ProbeDuration, took.as_secs_f64());
        let from_looks = || {
            scan.results
                .iter()
                .find_map(|j| j.observation.timings.resolve)
        };
        if let Some(lookup) = lookup.or_else(from_looks) {
            out.value(Metric::ProbeDnsLookup, lookup.as_secs_f64());
        }
        probe_tls(&mut out, &scan.results);
        let results = scan.results.iter();
        let lines: Vec<Lines> = results.map(|judged| Lines::new(judged, now)).collect();
        endpoints(&mut out, &lines);
        let metrics = out.finish();
        if !self.debug {
            return answer(StatusCode::OK, EXPOSITION, metrics);
        }
        let style = Style {
            width: LOG_WIDTH,
            colour: false,
            now,
        };
        let mut text = String::from("Log of the probe:\n");
        for judged in &scan.results {
            text.push_str(&log(judged));
        }
        if !scan.complete {
            text.push_str("Timeout before every address was probed.\n");
        }
        let table = human(&scan.results, &style);
        let _ = write!(text, "\n{table}\n\nMetrics:\n{metrics}");
        answer(StatusCode::OK, PLAIN, text)
    }
}

fn module_of<'r>(runtime: &'r Runtime, name: &str) -> Result<&'r ProbeModule, Box<Response>> {
    runtime.modules.get(name).ok_or_else(|| {
        let known: Vec<&str> = runtime.modules.keys().map(String::as_str).collect();
        let text = match did_you_mean(name, known.iter().copied()) {
            Some(near) => format!("unknown module `{name}`; {near}"),
            None => format!(
                "unknown module `{name}`; define it under `probe.modules`, or use one of {}",
                known.join(", ")
            ),
        };
        Box::new(plain_text(StatusCode::NOT_FOUND, text))
    })
}

/// Returns the port of the first of these hosts that the inventory has, for a target without one: that
/// of the module if the inventory has it, else the first one with the wanted protocol.
fn port_of(
    plan: &Plan,
    hosts: [&Hostname; 2],
    module: Option<&ProbeModule>,
    protocol: Option<Protocol>,
) -> Option<u16> {
    let fits = |target: &&Arc<Target>| protocol.is_none_or(|protocol| target.protocol == protocol);
    let ports = |hostname| {
        let targets = plan.of_host(hostname).filter(fits);
        targets.map(|target| target.port)
    };
    let preferred = module.map_or(DEFAULT_PORT, |module| module.port);
    let fitting = |hostname| {
        let is_there = ports(hostname).any(|port| port == preferred);
        is_there
            .then_some(preferred)
            .or_else(|| ports(hostname).next())
    };
    // With another protocol than the module's, the request is refused.
    let other = |hostname| {
        let module = module?;
        let is_same_transport =
            |t: &&Arc<Target>| t.protocol.is_quic() == module.protocol.is_quic();
        let mut others = plan.of_host(hostname);
        others.find(is_same_transport).map(|target| target.port)
    };
    let found = hosts.into_iter().find_map(fitting);
    found.or_else(|| hosts.into_iter().find_map(other))
}

/// Returns the protocol of a host and port in the inventory, TCP before QUIC.
fn protocol_at(plan: &Plan, hostname: &Hostname, port: u16) -> Option<Protocol> {
    let protocols = plan.at(hostname, port).map(|target| target.protocol);
    protocols.min_by_key(|protocol| protocol.is_quic())
}

/// Returns the protocol of a host and port in the inventory, if all of those over the same transport
/// differ from this one.
fn contradiction(
    plan: &Plan,
    hostname: &Hostname,
    port: u16,
    protocol: Protocol,
) -> Option<Protocol> {
    let known = || {
        let known = plan.at(hostname, port).map(|target| target.protocol);
        known.filter(|known| known.is_quic() == protocol.is_quic())
    };
    let is_known = known().any(|known| known == protocol);
    known().next().filter(|_| !is_known)
}

/// Returns true if the inventory has a job's server at this address: its entry sets the address, or
/// the last probes of its name found it.
fn is_place_of(snapshot: &Snapshot, job: &Job, ip: IpAddr) -> bool {
    let of_target = |target: &Arc<Target>| {
        let results = snapshot.results_of(target);
        results.is_some_and(|results| results.judged().any(|j| j.observation.ip == Some(ip)))
    };
    match job.addresses.as_slice() {
        [] => job.targets.iter().any(of_target),
        fixed => fixed.contains(&ip),
    }
}

/// Returns the part of the scrape timeout that is available for probing.
fn scrape_timeout(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    let timeout = Duration::try_from_secs_f64(seconds).ok()?;
    Some(timeout.saturating_sub(TIMEOUT_OFFSET).max(MIN_TIMEOUT))
}

/// Returns a line about the result of one probe.
fn log(judged: &Judged) -> String {
    let observation = &judged.observation;
    let timings = &observation.timings;
    let mut line = format!(
        "{} port {}: ",
        observation
            .ip
            .map_or_else(|| "no address".into(), |ip| ip.to_string()),
        observation.target.port_label()
    );
    for (phase, took) in [
        ("resolve", timings.resolve),
        ("connect", timings.connect),
        ("starttls", timings.starttls),
        ("handshake", timings.handshake),
    ] {
        if let Some(took) = took {
            let _ = write!(line, "{phase} {:.1} ms, ", took.as_secs_f64() * 1000.0);
        }
    }
    match &judged.verdict {
        Verdict::Conclusive(flags) => {
            let _ = writeln!(
                line,
                "correct {}, chained {}, trusted {}",
                flags.correct,
                flags.chained,
                flags.trusted.unwrap_or(false)
            );
        }
        Verdict::Inconclusive(error) => {
            let _ = writeln!(line, "{}: {error}", error.kind);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrape_timeout_is_reduced_to_leave_time_for_the_response() {
        assert_eq!(scrape_timeout("10"), Some(Duration::from_millis(9_500)));
        assert_eq!(scrape_timeout("0.2"), Some(MIN_TIMEOUT));
        for wrong in ["", "ten", "-1", "inf", "NaN"] {
            assert_eq!(scrape_timeout(wrong), None, "{wrong}");
        }
    }
}
