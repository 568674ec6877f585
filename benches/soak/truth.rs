//! The truth about an endpoint, from the testbed's behaviour, and the period in which it applied.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use certvigil::testbed::{Chain, Serve};

use super::clock::{Seconds, now};
use super::names::Script;
use super::place::{Fault, Pace};

/// Kind of expectation of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A PEM file with the current certificate and its chain.
    Pem,
    /// A PEM file, with addresses from DNS.
    Dns,
    /// The account, which also has the previous instance.
    Sslmate,
    /// The fingerprint of the current certificate.
    Pinned,
    /// Any trusted certificate.
    Trust,
}

/// Behaviour of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Sends a certificate and proves possession of its key.
    Shows(Serve, Chain, Pace),
    /// Sends a certificate from an untrusted CA.
    Stranger,
    /// Sends a certificate without having its key.
    Copied,
    /// Sends an empty certificate list.
    ShowsNone,
    /// Sends a hundred and one certificates.
    ShowsTooMany,
    /// Sends bytes that are not a certificate.
    Unreadable,
    /// Sends no certificate.
    Breaks(Fault),
}

impl Behaviour {
    /// A label of the served leaf, which differs between different leaves; `None` if no leaf is
    /// served.
    fn leaf(self) -> Option<&'static str> {
        match self {
            // Both names are of the same certificate.
            Self::Shows(Serve::Temporary | Serve::SelfSigned, ..) => Some("temporary"),
            Self::Shows(serve, _, pace) if shows(pace) => Some(word(serve)),
            Self::Stranger => Some("stranger"),
            _ => None,
        }
    }

    /// Returns true if it serves an older certificate for the same name by the same issuer.
    fn is_older(self) -> bool {
        matches!(self, Self::Shows(Serve::Previous | Serve::Expired, _, pace) if shows(pace))
    }

    /// Label for the tally.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Shows(serve, chain, pace) => match pace {
                Pace::Whole => format!("{} {chain:?}", word(serve)),
                Pace::Pieces(_) => "in pieces".into(),
                Pace::StopsAfter(_) => "stops amid its flight".into(),
                Pace::ClosesAfter(_) => "closes amid its flight".into(),
                Pace::NoCloseNotify => "no farewell".into(),
            },
            Self::Breaks(fault) => format!("{fault:?}"),
            other => format!("{other:?}"),
        }
    }
}

fn shows(pace: Pace) -> bool {
    matches!(pace, Pace::Whole | Pace::Pieces(_) | Pace::NoCloseNotify)
}

fn word(serve: Serve) -> &'static str {
    match serve {
        Serve::Current => "current",
        Serve::Previous => "previous",
        Serve::SameKey => "same key",
        Serve::Another => "another",
        Serve::Expired => "expired",
        Serve::OtherName => "other name",
        Serve::Temporary | Serve::SelfSigned => "temporary",
        Serve::Silence | Serve::Nothing => "nothing",
    }
}

/// Flags that are reported for a served certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Flags {
    pub(crate) correct: bool,
    pub(crate) chained: bool,
    pub(crate) dummy: bool,
    pub(crate) trusted: bool,
    pub(crate) hostname_match: bool,
}

/// A verdict, either of the testbed or of the monitor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReportedResult {
    pub(crate) status: String,
    pub(crate) error_kind: Option<String>,
    pub(crate) flags: Option<Flags>,
    /// Codes with their severities.
    pub(crate) findings: BTreeSet<(String, String)>,
}

impl ReportedResult {
    pub(crate) fn failed(status: &str, kind: &str) -> Self {
        Self {
            status: status.to_owned(),
            error_kind: Some(kind.to_owned()),
            ..Self::default()
        }
    }

    fn find(&mut self, code: &str, severity: &str) {
        self.findings.insert((code.to_owned(), severity.to_owned()));
    }
}

/// The truth about one endpoint, and the label of its server's behaviour.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) told: ReportedResult,
    pub(crate) label: String,
}

/// Facts about a host by address. A fact without an address is about a failure of name resolution.
pub(crate) type Facts = BTreeMap<String, Fact>;

/// The truth about a host: the facts for each set of addresses that the monitor may have. If no
/// name server responds, the monitor has the addresses of the last successful lookup.
#[derive(Clone, Debug)]
pub(crate) struct Truth(Vec<Facts>);

impl Truth {
    /// The facts for these addresses, or those for the first set.
    pub(crate) fn of<'a>(&self, ips: impl Iterator<Item = &'a str>) -> &Facts {
        let ips: BTreeSet<&str> = ips.collect();
        let is_of = |facts: &&Facts| facts.keys().map(String::as_str).eq(ips.iter().copied());
        let found = self.0.iter().find(is_of).or_else(|| self.0.first());
        found.expect("a set of addresses")
    }

    /// The fact about one address, without findings from the comparison of addresses.
    pub(crate) fn at(&self, ip: &str) -> Option<&Fact> {
        self.0.iter().find_map(|facts| facts.get(ip))
    }

    /// The addresses that are in every set.
    pub(crate) fn certain(&self) -> impl Iterator<Item = &String> {
        let (first, others) = self.0.split_first().expect("a set of addresses");
        let is_in_all = |ip: &&String| others.iter().all(|facts| facts.contains_key(*ip));
        first.keys().filter(is_in_all)
    }
}

/// The truth about a host whose servers have these behaviours.
pub(crate) fn truth(kind: Kind, script: Script, servers: &[(String, Behaviour)]) -> Truth {
    let counts: &[usize] = match script {
        Script::Servfail | Script::Refused | Script::Silence | Script::Forged => {
            &[0, 1, usize::MAX]
        }
        _ => &[script.addresses(servers.len())],
    };
    let mut all: Vec<Facts> = Vec::new();
    for count in counts {
        all.push(facts(kind, script, servers, *count));
    }
    Truth(all)
}

/// The facts if the monitor has the first `count` addresses.
fn facts(kind: Kind, script: Script, servers: &[(String, Behaviour)], count: usize) -> Facts {
    let there: Vec<&(String, Behaviour)> = servers.iter().take(count).collect();
    let mut truth: Facts = there
        .iter()
        .map(|(ip, behaviour)| {
            let fact = Fact {
                told: alone(kind, *behaviour),
                label: behaviour.label(),
            };
            (ip.clone(), fact)
        })
        .collect();
    let is_live = truth.values().any(|f| f.told.status != "connect_error");
    let leaves: BTreeSet<&str> = there.iter().filter_map(|(_, b)| b.leaf()).collect();
    let is_right = |fact: &Fact| fact.told.flags.is_some_and(|flags| flags.correct);
    // A correct server shows which others are wrong, and adds what a fingerprint lacks: names and
    // dates.
    let is_decided = kind != Kind::Trust && truth.values().any(is_right);
    for (ip, behaviour) in &there {
        let fact = truth.get_mut(ip).expect("an address");
        if is_live && fact.told.status == "connect_error" {
            fact.told.find("unreachable", "critical");
        }
        if is_decided && kind == Kind::Pinned && behaviour.is_older() {
            fact.told
                .findings
                .retain(|(code, _)| code != "wrong_certificate");
            fact.told.find("previous_instance", "critical");
        }
        if !is_decided && leaves.len() > 1 && behaviour.leaf().is_some() {
            fact.told.find("addresses_disagree", "warning");
        }
    }
    if let Some(kind) = script.kind() {
        let fact = Fact {
            told: ReportedResult::failed("connect_error", kind),
            label: format!("DNS: {script:?}"),
        };
        truth.insert(String::new(), fact);
    } else if script != Script::Right {
        truth.values_mut().for_each(|fact| {
            fact.label = format!("DNS: {script:?}");
        });
    }
    truth
}

/// The verdict of one probe without comparisons.
fn alone(kind: Kind, behaviour: Behaviour) -> ReportedResult {
    let broken = |error: &str| {
        let mut told = ReportedResult::failed("handshake_error", error);
        told.find("handshake_failed", "critical");
        told
    };
    match behaviour {
        Behaviour::Shows(_, _, Pace::StopsAfter(_)) => broken("tls_timeout"),
        Behaviour::Shows(_, _, Pace::ClosesAfter(_)) => broken("tls_closed"),
        Behaviour::Shows(serve, chain, _) => shown(kind, serve, chain),
        Behaviour::Stranger => conclusive(
            Flags {
                hostname_match: true,
                ..Flags::default()
            },
            match kind {
                Kind::Trust => &[("untrusted_root", "critical")],
                _ => &[
                    ("wrong_certificate", "critical"),
                    ("untrusted_root", "critical"),
                ],
            },
        ),
        Behaviour::Copied => broken("tls_signature"),
        Behaviour::ShowsNone | Behaviour::Unreadable => broken("malformed_certificate"),
        Behaviour::ShowsTooMany => broken("too_large"),
        Behaviour::Breaks(fault @ (Fault::Refused | Fault::Full)) => {
            ReportedResult::failed("connect_error", fault.kind())
        }
        Behaviour::Breaks(fault) => broken(fault.kind()),
    }
}

fn conclusive(flags: Flags, findings: &[(&str, &str)]) -> ReportedResult {
    let mut told = ReportedResult {
        status: "conclusive".into(),
        flags: Some(flags),
        ..ReportedResult::default()
    };
    for (code, severity) in findings {
        told.find(code, severity);
    }
    told
}

/// The verdict for a certificate, by the table of verdicts and the list of findings.
fn shown(kind: Kind, serve: Serve, chain: Chain) -> ReportedResult {
    let is_trust = kind == Kind::Trust;
    let right = Flags {
        correct: true,
        chained: true,
        dummy: false,
        trusted: true,
        hostname_match: true,
    };
    let wrong = Flags {
        correct: false,
        ..right
    };
    match serve {
        Serve::Current => match chain {
            Chain::Full => conclusive(right, &[]),
            Chain::None => conclusive(
                Flags {
                    correct: !is_trust,
                    chained: false,
                    trusted: false,
                    ..right
                },
                &[("missing_intermediate", "critical")],
            ),
            Chain::Reversed => conclusive(right, &[("chain_out_of_order", "warning")]),
            Chain::Root => conclusive(right, &[("root_included", "info")]),
            Chain::Twice => conclusive(right, &[("duplicate_certificate", "info")]),
        },
        Serve::Previous if !matches!(kind, Kind::Trust | Kind::Pinned) => {
            conclusive(wrong, &[("previous_instance", "critical")])
        }
        Serve::Previous | Serve::Another if !is_trust => {
            conclusive(wrong, &[("wrong_certificate", "critical")])
        }
        Serve::SameKey if !is_trust => conclusive(
            wrong,
            &[(
                // A fingerprint of a certificate does not identify its key.
                if kind == Kind::Pinned {
                    "wrong_certificate"
                } else {
                    "same_key_other_certificate"
                },
                "critical",
            )],
        ),
        // If only trust is required, every valid certificate for the name is correct.
        Serve::Previous | Serve::Another | Serve::SameKey => conclusive(right, &[]),
        Serve::Expired => {
            let told = Flags {
                trusted: false,
                ..wrong
            };
            also(kind, told, "previous_instance", ("expired", "critical"))
        }
        Serve::OtherName => {
            let told = Flags {
                trusted: false,
                hostname_match: false,
                ..wrong
            };
            let code = "same_key_other_certificate";
            also(kind, told, code, ("hostname_mismatch", "critical"))
        }
        Serve::Temporary | Serve::SelfSigned => {
            let told = Flags {
                hostname_match: true,
                ..Flags::default()
            };
            match kind {
                Kind::Trust => conclusive(told, &[("self_signed", "critical")]),
                Kind::Pinned => conclusive(
                    told,
                    &[
                        ("wrong_certificate", "critical"),
                        ("self_signed", "critical"),
                    ],
                ),
                Kind::Pem | Kind::Dns | Kind::Sslmate => {
                    let dummy = Flags {
                        dummy: true,
                        ..told
                    };
                    conclusive(dummy, &[("dummy_certificate", "critical")])
                }
            }
        }
        Serve::Silence | Serve::Nothing => unreachable!("these are faults"),
    }
}

/// The verdict for an unexpected certificate that has another fault too.
fn also(kind: Kind, flags: Flags, code: &str, fault: (&str, &str)) -> ReportedResult {
    match kind {
        Kind::Trust => conclusive(flags, &[fault]),
        Kind::Pinned => conclusive(flags, &[("wrong_certificate", "critical"), fault]),
        Kind::Pem | Kind::Dns | Kind::Sslmate => conclusive(flags, &[(code, "critical"), fault]),
    }
}

/// Maximum number of periods that are kept for one host.
const MAX_PERIODS: usize = 8;

/// A period with one truth.
struct Period {
    from: Seconds,
    until: Seconds,
    truth: Arc<Truth>,
}

/// The truth about every host by period.
#[derive(Clone, Default)]
pub(crate) struct TruthLog(Arc<Mutex<HashMap<String, VecDeque<Period>>>>);

impl TruthLog {
    /// Ends the current period: the truth is uncertain until [`TruthLog::begin`].
    pub(crate) fn end(&self, host: &str) {
        let mut periods = self.0.lock().unwrap();
        if let Some(last) = periods.get_mut(host).and_then(VecDeque::back_mut) {
            last.until = now();
        }
    }

    /// Starts a period with this truth.
    pub(crate) fn begin(&self, host: &str, truth: Truth) {
        let mut periods = self.0.lock().unwrap();
        let periods = periods.entry(host.to_owned()).or_default();
        periods.push_back(Period {
            from: now(),
            until: Seconds::INFINITY,
            truth: Arc::new(truth),
        });
        if periods.len() > MAX_PERIODS {
            periods.pop_front();
        }
    }

    /// The truth about a host during the whole period, if there is one.
    pub(crate) fn during(&self, host: &str, from: Seconds, until: Seconds) -> Option<Arc<Truth>> {
        let periods = self.0.lock().unwrap();
        let mut of_host = periods.get(host)?.iter();
        let period = of_host.find(|p| p.from <= from && until <= p.until)?;
        Some(period.truth.clone())
    }

    /// The truths about a host before `until`, from the periods that are kept.
    pub(crate) fn before(&self, host: &str, until: Seconds) -> Vec<Arc<Truth>> {
        let periods = self.0.lock().unwrap();
        let of_host = periods.get(host).into_iter().flatten();
        let ended = of_host.filter(|period| period.until <= until);
        ended.map(|period| period.truth.clone()).collect()
    }
}
