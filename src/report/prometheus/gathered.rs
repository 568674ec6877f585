//! Samples of very many endpoints, gathered for one exposition. Labels are copied into one text, in
//! the order in which they are written: each of some twenty metrics reads them once more, and an
//! endpoint's own memory is rarely in the processor's cache. All other text is shared.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::Metric;
use super::endpoint::{Labels, Lines};
use super::exposition::Rendered;

/// Metrics of endpoints, in the order of the output.
pub(super) const METRICS: [Metric; 19] = [
    Metric::EndpointStatus,
    Metric::EndpointCorrect,
    Metric::EndpointChained,
    Metric::EndpointDummy,
    Metric::EndpointTrusted,
    Metric::EndpointHostnameMatch,
    Metric::EndpointRevoked,
    Metric::EndpointError,
    Metric::EndpointFinding,
    Metric::EndpointClientRefuses,
    Metric::EndpointNotBefore,
    Metric::EndpointNotAfter,
    Metric::EndpointChainNotAfter,
    Metric::EndpointWarn,
    Metric::EndpointCrit,
    Metric::EndpointInterval,
    Metric::EndpointLastCheck,
    Metric::EndpointLastConclusive,
    Metric::EndpointInfo,
];

/// Length of the brace between the name of a metric and its labels.
const BRACE: usize = 1;
/// Index of a text that an endpoint does not have.
const NONE: u32 = u32::MAX;

/// Gathered endpoints.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Labels of all endpoints, concatenated.
    labels: String,
    endpoints: Vec<Endpoint>,
    /// Samples of the endpoints, each once for consecutive endpoints that share them.
    samples: Vec<Arc<Rendered>>,
    /// Rests of samples whose values are times. Many endpoints have the same.
    times: Vec<Box<str>>,
    hosts: Vec<Host>,
    /// Bytes of the samples of each metric.
    bytes: Vec<usize>,
    is_local: bool,
}

/// Endpoint, with indices into the texts of [`Gathered`].
#[derive(Clone, Copy, Debug)]
struct Endpoint {
    /// Start of its labels.
    from: usize,
    /// Length of its labels.
    length: u32,
    /// Length of the labels of its host.
    host: u32,
    /// Start of the labels of its entry, from the start of its labels.
    own: u32,
    samples: u32,
    last_check: u32,
    last_conclusive: u32,
}

/// Host name of a certificate, with the labels of one entry.
#[derive(Clone, Copy, Debug)]
struct Host {
    /// Index of an endpoint of the host.
    endpoint: usize,
    addresses: Addresses,
}

/// Number of addresses of each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Addresses {
    ipv4: usize,
    ipv6: usize,
}

impl Gathered {
    /// Gathers the metrics of these probes, in the order of their targets. If two have the same
    /// labels, only the first is used.
    pub fn new<'a>(lines: impl IntoIterator<Item = &'a Lines>) -> Self {
        let mut gathered = Self {
            bytes: vec![0; Metric::ALL.len()],
            is_local: true,
            ..Self::default()
        };
        let mut times = HashMap::new();
        let mut seen: HashSet<&str> = HashSet::new();
        let mut hosts = Hosts::default();
        for lines in lines {
            let labels = lines.labels();
            gathered.is_local &= labels.is_local;
            if seen.insert(&labels.text) {
                hosts.add(labels, gathered.endpoints.len());
                gathered.add(lines, &mut times);
            }
        }
        gathered.hosts = hosts.done();
        gathered.count_hosts();
        gathered
    }

    /// Returns true if all probes are from the local vantage.
    pub(super) fn is_local(&self) -> bool {
        self.is_local
    }

    fn add(&mut self, lines: &Lines, times: &mut HashMap<i64, u32>) {
        let labels = lines.labels();
        let samples = lines.samples();
        let is_same = |last: &Arc<Rendered>| Arc::ptr_eq(last, samples);
        if !self.samples.last().is_some_and(is_same) {
            self.samples.push(samples.clone());
        }
        let mut time = |value: i64| {
            *times.entry(value).or_insert_with(|| {
                self.times.push(format!("}} {value}\n").into());
                index(self.times.len() - 1)
            })
        };
        let (at, last_conclusive) = lines.times();
        let endpoint = Endpoint {
            from: self.labels.len(),
            length: index(labels.text.len()),
            host: index(labels.host),
            own: index(labels.own),
            samples: index(self.samples.len() - 1),
            last_check: time(at),
            last_conclusive: last_conclusive.map_or(NONE, time),
        };
        self.labels.push_str(&labels.text);
        for (metric, rest) in samples.iter() {
            self.count(metric, labels.text.len() + rest.len());
        }
        let metrics = [Metric::EndpointLastCheck, Metric::EndpointLastConclusive];
        for metric in metrics {
            if let Some(rest) = self.time_of(&endpoint, metric) {
                self.count(metric, labels.text.len() + rest.len());
            }
        }
        self.endpoints.push(endpoint);
    }

    /// Counts the bytes of a sample, whose labels and rest have this length.
    fn count(&mut self, metric: Metric, length: usize) {
        if let Some(bytes) = self.bytes.get_mut(metric as usize) {
            *bytes += metric.name().len() + BRACE + length;
        }
    }

    fn count_hosts(&mut self) {
        let mut text = String::new();
        let mut bytes = 0;
        for at in 0..self.hosts.len() {
            text.clear();
            self.write_host(at, &start(Metric::HostnameAddresses), &mut text);
            bytes += text.len();
        }
        if let Some(all) = self.bytes.get_mut(Metric::HostnameAddresses as usize) {
            *all = bytes;
        }
    }

    /// Returns the number of bytes of all samples of a metric.
    pub(super) fn bytes(&self, metric: Metric) -> usize {
        self.bytes.get(metric as usize).copied().unwrap_or(0)
    }

    /// Returns the number of steps in which a metric is written.
    pub(super) fn steps(&self, metric: Metric) -> usize {
        match metric {
            Metric::HostnameAddresses => self.hosts.len(),
            _ => self.endpoints.len(),
        }
    }

    /// Writes the samples of a metric from a step on, until there are `enough` bytes. Returns the
    /// next step.
    pub(super) fn write(
        &self,
        metric: Metric,
        from: usize,
        text: &mut String,
        enough: usize,
    ) -> usize {
        let start = start(metric);
        let mut at = from;
        if metric == Metric::HostnameAddresses {
            while at < self.hosts.len() && text.len() < enough {
                self.write_host(at, &start, text);
                at += 1;
            }
            return at;
        }
        for endpoint in self.endpoints.get(from..).unwrap_or_default() {
            if text.len() >= enough {
                break;
            }
            at += 1;
            let labels = self.labels_of(endpoint);
            let put = |rest: &str| {
                text.push_str(&start);
                text.push_str(labels);
                text.push_str(rest);
            };
            match metric {
                Metric::EndpointLastCheck | Metric::EndpointLastConclusive => {
                    self.time_of(endpoint, metric).into_iter().for_each(put);
                }
                _ => {
                    let samples = self.samples.get(place(endpoint.samples));
                    let all = samples.into_iter().flat_map(|samples| samples.of(metric));
                    all.for_each(put);
                }
            }
        }
        at
    }

    fn write_host(&self, at: usize, start: &str, text: &mut String) {
        let Some(host) = self.hosts.get(at) else {
            return;
        };
        let endpoint = self.endpoints.get(host.endpoint);
        let labels = endpoint.map(|endpoint| (endpoint, self.labels_of(endpoint)));
        let of_host = labels.and_then(|(endpoint, labels)| labels.get(..place(endpoint.host)));
        let own = labels.and_then(|(endpoint, labels)| labels.get(place(endpoint.own)..));
        let Addresses { ipv4, ipv6 } = host.addresses;
        for (family, count) in [("ipv4", ipv4), ("ipv6", ipv6)] {
            text.push_str(start);
            text.push_str(of_host.unwrap_or_default());
            text.push_str(own.unwrap_or_default());
            text.push_str(",family=\"");
            text.push_str(family);
            text.push_str("\"} ");
            text.push_str(&count.to_string());
            text.push('\n');
        }
    }

    fn labels_of(&self, endpoint: &Endpoint) -> &str {
        let end = endpoint.from.saturating_add(place(endpoint.length));
        self.labels.get(endpoint.from..end).unwrap_or_default()
    }

    fn time_of(&self, endpoint: &Endpoint, metric: Metric) -> Option<&str> {
        let at = match metric {
            Metric::EndpointLastCheck => endpoint.last_check,
            _ => endpoint.last_conclusive,
        };
        self.times.get(place(at)).map(|rest| &**rest)
    }
}

/// Returns the start of the samples of a metric with labels.
pub(super) fn start(metric: Metric) -> String {
    format!("{}{{", metric.name())
}

fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NONE)
}

fn place(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// Hosts of the endpoints that were added.
#[derive(Default)]
struct Hosts<'a> {
    all: Vec<(&'a Labels, Host)>,
    /// Index of the first entry's labels of the last host.
    of_host: usize,
    /// Addresses of the last host, each with the index of its labels.
    addresses: Vec<(usize, IpAddr)>,
}

impl<'a> Hosts<'a> {
    /// Adds an endpoint, in the order of the targets.
    fn add(&mut self, labels: &'a Labels, endpoint: usize) {
        // A file has no addresses, and a remote vantage has a resolver of its own.
        if !labels.is_local || labels.is_file {
            return;
        }
        let last = self.all.last().map(|(last, _)| *last);
        if last.is_none_or(|last| last.of_host() != labels.of_host()) {
            self.end_host();
        }
        let of_host = self.all.get(self.of_host..).unwrap_or_default();
        // Nearly always one entry has the host.
        let known = of_host
            .iter()
            .position(|(known, _)| known.own() == labels.own());
        let at = match known {
            Some(at) => self.of_host + at,
            None => {
                let addresses = Addresses { ipv4: 0, ipv6: 0 };
                let host = Host {
                    endpoint,
                    addresses,
                };
                self.all.push((labels, host));
                self.all.len() - 1
            }
        };
        self.addresses.extend(labels.ip.map(|ip| (at, ip)));
    }

    fn end_host(&mut self) {
        self.addresses.sort();
        self.addresses.dedup();
        for (at, ip) in self.addresses.drain(..) {
            if let Some((_, host)) = self.all.get_mut(at) {
                match ip.is_ipv4() {
                    true => host.addresses.ipv4 += 1,
                    false => host.addresses.ipv6 += 1,
                }
            }
        }
        self.of_host = self.all.len();
    }

    /// Returns the hosts in the order of their names.
    fn done(mut self) -> Vec<Host> {
        self.end_host();
        // They are almost sorted already.
        self.all.sort_by_key(|(labels, _)| labels.host_name());
        self.all.into_iter().map(|(_, host)| host).collect()
    }
}
