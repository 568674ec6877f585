//! `/api/v2/certs/CN/test`: SSLMate's test, run by certvigil.

use std::collections::BTreeSet;
use std::sync::Arc;

use hyper::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};

use crate::config::SourceSettings;
use crate::judge::{Judged, Verdict};
use crate::model::{Hostname, Protocol, Target, Timestamp, parse_port};
use crate::observation::ErrorKind;
use crate::report;
use crate::scan::Job;
use crate::source::FetchError;
use crate::web::Query;

use super::admission::{Admitted, Refused, admit};
use super::answer::{JSON, RETRY_SECONDS, Response, answer, retry_later};
use super::expectations::{Kept, Watch};
use super::plan::Plan;
use super::probe::MAX_ON_DEMAND_TIME;
use super::snapshot::{Current, Snapshot};

/// Prefix of the paths of SSLMate's API.
pub(super) const BASE_PATH: &str = "/api/v2/";
/// Maximum host names in one test.
const MAX_HOSTNAMES: usize = 100;

/// Returns SSLMate's error object.
pub(super) fn error(
    status: StatusCode,
    reason: &str,
    param: Option<&str>,
    message: impl Into<String>,
) -> Response {
    error_object(status, reason, param, message.into(), None)
}

/// Returns the same with a `Retry-After` header, for a temporary error.
fn retry_later_error(
    status: StatusCode,
    reason: &str,
    param: Option<&str>,
    message: impl Into<String>,
) -> Response {
    let object = error_object(status, reason, param, message.into(), Some(RETRY_SECONDS));
    retry_later(object)
}

/// Returns the error object for a request that was rejected before its handler ran.
pub(super) fn refused(status: StatusCode, words: &str, retry_after: Option<u64>) -> Response {
    let reason = match status {
        StatusCode::UNAUTHORIZED => "bad_credentials",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::URI_TOO_LONG => "too_long",
        StatusCode::MISDIRECTED_REQUEST => "wrong_host",
        StatusCode::TOO_MANY_REQUESTS => "rate_limited",
        StatusCode::SERVICE_UNAVAILABLE => "busy",
        _ => "internal_error",
    };
    error_object(status, reason, None, words.to_owned(), retry_after)
}

fn error_object(
    status: StatusCode,
    reason: &str,
    param: Option<&str>,
    message: String,
    retry_after: Option<u64>,
) -> Response {
    let mut object = Map::new();
    object.insert("reason".into(), json!(reason));
    object.insert("message".into(), json!(message));
    if let Some(param) = param {
        object.insert("param".into(), json!(param));
    }
    if let Some(seconds) = retry_after {
        object.insert("retry_after".into(), json!(seconds));
    }
    answer(status, JSON, Value::from(object).to_string())
}

/// Returns the decoded common name in a path of the test.
pub(super) fn certificate_of(path: &str) -> Option<String> {
    let name = path.strip_prefix("/api/v2/certs/")?.strip_suffix("/test")?;
    let is_one_part = !name.is_empty() && !name.contains('/');
    let decoded = percent_decode_str(name).decode_utf8().ok()?;
    is_one_part.then(|| decoded.into_owned())
}

/// Probes the hosts of a certificate and returns the result as SSLMate would.
pub(super) async fn test(
    current: &Current,
    on_demand: &Arc<Semaphore>,
    name: &str,
    query: &Query,
) -> Response {
    let snapshot = current.snapshot();
    let (runtime, plan) = (&snapshot.runtime, &snapshot.plan);
    let named = Entries::find(plan, name);
    let Some(&(watch, kept)) = named.all.first() else {
        if !plan.is_whole() {
            return refuse(Refused::TooEarly);
        }
        if let Some(why) = unknown_entries(plan, name) {
            let words = format!("the expected certificate of `{name}` is not known yet: {why}");
            return retry_later(error(
                StatusCode::SERVICE_UNAVAILABLE,
                "not_ready",
                None,
                words,
            ));
        }
        return error(
            StatusCode::NOT_FOUND,
            "not_found",
            None,
            format!("the inventory has no certificate `{name}`"),
        );
    };
    let wanted = match named.wanted(query) {
        Ok(wanted) => wanted,
        Err(response) => return *response,
    };
    let Ok(_permit) = on_demand.clone().try_acquire_owned() else {
        return retry_later_error(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            None,
            "too many concurrent tests; try again",
        );
    };
    let over = sleep_until(Instant::now() + MAX_ON_DEMAND_TIME);
    let jobs = async {
        let mut jobs = Vec::new();
        for target in wanted {
            let job = job(&snapshot, current.now(), watch, kept, target).await?;
            let reread = current.reread();
            jobs.push(Job { reread, ..job });
        }
        Ok(jobs)
    };
    let jobs = match timeout(runtime.options.timeout, jobs).await {
        Ok(Ok(jobs)) => jobs,
        Ok(Err(why)) => return refuse(why),
        Err(_) => {
            return retry_later_error(
                StatusCode::SERVICE_UNAVAILABLE,
                "timeout",
                Some("hostname"),
                "name resolution timed out; request fewer names, or try again",
            );
        }
    };
    let scanner = runtime.on_demand_scanner();
    let scan = scanner.scan(jobs, current.now(), over, |_| {}).await;
    current.counters.count(scan.results.iter());
    // The client would take partial results for complete ones.
    if !scan.complete {
        return retry_later_error(
            StatusCode::SERVICE_UNAVAILABLE,
            "timeout",
            Some("hostname"),
            format!(
                "not every address was probed within {} s; request fewer host names, or try again",
                MAX_ON_DEMAND_TIME.as_secs()
            ),
        );
    }
    let rows: Vec<Judged> = scan.results.into_iter().filter(has_row).collect();
    answer(StatusCode::OK, JSON, report::json(&rows))
}

/// Returns false for a name that cannot be resolved, which has no row according to SSLMate's
/// reference. A target that was not probed because of an internal error has a row without an
/// address. Otherwise the client would take the other rows for complete.
fn has_row(judged: &Judged) -> bool {
    let is_internal = |verdict: &Verdict| matches!(verdict, Verdict::Inconclusive(error) if error.kind == ErrorKind::Internal);
    judged.observation.ip.is_some() || is_internal(&judged.verdict)
}

fn refuse(why: Refused) -> Response {
    let is_early = why.is_early();
    let (status, words) = why.reported();
    if is_early {
        return retry_later_error(status, "not_ready", None, words);
    }
    error(status, "forbidden", Some("hostname"), words)
}

/// Entries with a certificate of one name. Several may have it: the same certificate at other hosts
/// or ports, or files of one name in several folders.
struct Entries<'a> {
    plan: &'a Plan,
    name: &'a str,
    all: Vec<(&'a Watch, &'a Kept)>,
}

impl<'a> Entries<'a> {
    /// Returns the entries of the certificate with this name in the inventory, or with this common
    /// name in the account.
    fn find(plan: &'a Plan, name: &'a str) -> Self {
        let of = |is_it: &dyn Fn(&Kept) -> bool| {
            let watches = plan.watches.values();
            let all = watches
                .flat_map(|watch| watch.kept.iter().map(move |kept| (&**watch, kept)))
                .filter(|(_, kept)| is_it(kept));
            Vec::from_iter(all)
        };
        let mut all = of(&|kept| kept.loaded.name == name);
        if all.is_empty() {
            all = of(&|kept| has_common_name(kept, name));
        }
        Self { plan, name, all }
    }

    /// Returns those of these planned targets that are of the certificate: of its name, or else of
    /// the first with its common name.
    fn planned<'t>(&self, targets: impl Iterator<Item = &'t Arc<Target>>) -> Vec<Arc<Target>> {
        let targets: Vec<&Arc<Target>> = targets.collect();
        let is_named = |name: &str| targets.iter().any(|target| target.certificate == name);
        let is_common = |target: &&&Arc<Target>| {
            let planned = self.plan.targets.get(&****target);
            let kept = planned.and_then(|planned| planned.expectation.as_ref().ok());
            kept.is_some_and(|kept| has_common_name(kept, self.name))
        };
        let name = match targets.iter().find(is_common) {
            Some(target) if !is_named(self.name) => &target.certificate,
            _ => self.name,
        };
        let of_name = targets.iter().filter(|target| target.certificate == name);
        of_name.map(|target| Arc::clone(target)).collect()
    }

    /// Returns the ports of a host if none is requested: those of the entries with this host, or
    /// else those of its targets, which DNS may have named, or else those of the first entry.
    fn ports_of(&self, hostname: &Hostname) -> Vec<u16> {
        let with_host = self.all.iter();
        let with_host = with_host.filter(|(_, kept)| kept.loaded.hostnames.contains(hostname));
        let ports = with_host.flat_map(|(watch, _)| &watch.entry.ports);
        let mut ports: Vec<u16> = ports.copied().collect();
        if ports.is_empty() {
            let planned = self.planned(self.plan.of_host(hostname));
            ports = planned.iter().map(|target| target.port).collect();
        }
        if ports.is_empty()
            && let Some((watch, _)) = self.all.first()
        {
            ports.clone_from(&watch.entry.ports);
        }
        default_ports(&ports)
    }

    /// Returns the targets to probe: the requested hosts, or else all hosts of the certificate. A
    /// host that is not planned for the certificate gets a target of its first entry.
    fn wanted(&self, query: &Query) -> Result<BTreeSet<Arc<Target>>, Box<Response>> {
        let bad = |param: &str, what: String| {
            Box::new(error(
                StatusCode::BAD_REQUEST,
                "bad_param",
                Some(param),
                what,
            ))
        };
        let port = query.last("port").map(parse_port);
        let port = port.transpose().map_err(|e| bad("port", e.to_string()))?;
        let requested = query.all("hostname").map(str::parse::<Hostname>);
        let mut hostnames: BTreeSet<Hostname> = requested
            .collect::<Result<_, _>>()
            .map_err(|e| bad("hostname", e.to_string()))?;
        if hostnames.is_empty() {
            let all = self.all.iter();
            let all = all.flat_map(|(_, kept)| &kept.loaded.hostnames);
            hostnames = all.cloned().collect();
        }
        if hostnames.len() > MAX_HOSTNAMES {
            let what = format!("a test takes at most {MAX_HOSTNAMES} host names; split it");
            return Err(bad("hostname", what));
        }
        let mut wanted = BTreeSet::new();
        for hostname in hostnames {
            for port in port.map_or_else(|| self.ports_of(&hostname), |port| vec![port]) {
                // HTTPS comes before HTTP/3, for which there are no remote vantages.
                let planned = self
                    .planned(self.plan.at(&hostname, port))
                    .into_iter()
                    .next();
                wanted.extend(planned.or_else(|| self.unplanned(&hostname, port)));
            }
        }
        Ok(wanted)
    }

    /// Returns a target of the first entry at another place. If the inventory has that place for
    /// another certificate, its protocol is spoken there.
    fn unplanned(&self, hostname: &Hostname, port: u16) -> Option<Arc<Target>> {
        let (watch, kept) = self.all.first()?;
        let own = watch.entry.protocol;
        let spoken = self.plan.at(hostname, port).map(|target| target.protocol);
        let spoken: Vec<Protocol> = spoken.collect();
        let protocol = match spoken.first() {
            Some(first) if !spoken.contains(&own) => *first,
            _ => own,
        };
        Some(Arc::new(Target {
            certificate: kept.loaded.name.clone(),
            hostname: hostname.clone(),
            port,
            protocol,
            names: watch.entry.names_to_match(),
        }))
    }
}

fn has_common_name(kept: &Kept, name: &str) -> bool {
    kept.loaded.common_name.as_deref() == Some(name)
}

/// Returns the reason why the expected certificate of this name is unknown; `None` if the inventory
/// cannot contain the name. An account that has never returned its list may have any certificate.
fn unknown_entries<'a>(plan: &'a Plan, name: &str) -> Option<&'a FetchError> {
    let of_watch = |watch: &'a Arc<Watch>| {
        let is_its_own = match &watch.entry.source {
            SourceSettings::Sslmate(cn) => cn == name,
            SourceSettings::SslmateAll => watch.kept.is_empty(),
            _ => false,
        };
        let mut failures = watch.failures.iter();
        let failed =
            failures.find(|failed| failed.name == name || (is_its_own && watch.covers_all(failed)));
        failed.map(|failed| &*failed.error)
    };
    plan.watches.values().find_map(of_watch)
}

/// Returns the port to probe if none is requested: 443 according to SSLMate's reference if the
/// entry has it, or else the entry's first port.
fn default_ports(of_entry: &[u16]) -> Vec<u16> {
    let https = Protocol::Https.default_port();
    let port = of_entry.iter().find(|port| **port == https);
    port.or_else(|| of_entry.first())
        .copied()
        .into_iter()
        .collect()
}

/// Returns the probe of a target: that of the plan, or else one of an entry's certificate at another
/// place.
async fn job(
    snapshot: &Snapshot,
    now: Timestamp,
    watch: &Watch,
    kept: &Kept,
    target: Arc<Target>,
) -> Result<Job, Refused> {
    let (runtime, plan) = (&snapshot.runtime, &snapshot.plan);
    if let Some(job) = plan.job(&target, runtime, now) {
        return Ok(job);
    }
    let timeout = runtime.options.timeout;
    let admitted = admit(runtime, plan, &target.hostname, target.port, None, timeout).await?;
    let expectation = Ok(kept.clone());
    let job = watch.job(
        vec![target.clone()],
        &expectation,
        &runtime.times,
        &runtime.options,
        now,
    );
    Ok(match admitted {
        // A host that is not in the inventory gets no client certificate, PROXY header or SNI of
        // the entry.
        Admitted::At(resolution) => Job {
            resolved: Some(resolution),
            reach: Arc::default(),
            is_stranger: true,
            ..job
        },
        // A host of another certificate is probed at the addresses, and with the connection
        // settings, of that certificate's entry.
        Admitted::Known(addresses) => {
            let own = plan.at(&target.hostname, target.port).next();
            let own = own.and_then(|own| plan.job(own, runtime, now));
            Job {
                addresses: Vec::from_iter(addresses),
                reach: own.map(|own| own.reach).unwrap_or_default(),
                ..job
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_port_is_443_if_the_entry_has_it() {
        assert_eq!(default_ports(&[8443, 443]), [443]);
        assert_eq!(default_ports(&[8443, 9443]), [8443]);
        assert_eq!(default_ports(&[25]), [25]);
    }

    #[test]
    fn common_name_is_decoded_from_the_path() {
        let of = |path| certificate_of(path);
        assert_eq!(
            of("/api/v2/certs/a.example/test").as_deref(),
            Some("a.example")
        );
        assert_eq!(
            of("/api/v2/certs/%2A.a.example/test").as_deref(),
            Some("*.a.example")
        );
        assert_eq!(of("/api/v2/certs//test"), None);
        assert_eq!(of("/api/v2/certs/a/b/test"), None);
        assert_eq!(of("/api/v2/certs/%ff/test"), None);
        assert_eq!(of("/api/v2/certs/a.example"), None);
    }
}
