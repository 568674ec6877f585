//! The testbed as the program uses it: its inventory, its environment, and the probes of the
//! sandbox's `/test`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::certificate::Certificate;
use crate::config::{
    Entry, Inventory, SourceSettings, SslmateSettings, VantageKind, VantageSettings,
};
use crate::instance::{Expectation, Expected, Instances, SourceKind};
use crate::judge::{Judged, Rules, TrustStore, UnreadableAnchor};
use crate::model::{KeyTypes, Protocol, Target, Timestamp, Vantage};
use crate::probe::{self, Prober};
use crate::resolve::{Families, Override, Resolver};
use crate::revocation::Revocations;
use crate::scan::{Job, KnownDns, Permits, ProbeOptions, Scanner};
use crate::source::{self, API_KEY_VARIABLE, Environment, Loaded, Requests, Sources};

pub use certvigil_testbed::*;

/// Timeout of a probe of the sandbox's `/test`. It is shorter than a client's, so that the
/// sandbox can respond.
const TEST_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum concurrent probes of `/test`, in total and for each address.
const TEST_CONCURRENCY: usize = 64;
const TEST_PER_ADDRESS: usize = 4;

/// Reason why the prober of the sandbox's `/test` cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum TesterError {
    /// The root of the account's authority cannot be a trust anchor.
    #[error(transparent)]
    Root(#[from] UnreadableAnchor),
    /// The HTTP client cannot be created.
    #[error(transparent)]
    Sources(#[from] source::SetupError),
    /// The TLS client cannot be created.
    #[error(transparent)]
    Prober(#[from] probe::SetupError),
}

/// Probes the hosts of `/test` with the program's own scanner.
pub struct Tester {
    /// Scanner that sends the probes.
    pub scanner: Scanner,
    /// Settings of the probes.
    pub options: ProbeOptions,
}

impl HostTester for Tester {
    fn test(
        &self,
        request: TestRequest,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Vec<Judged>> + Send + '_>> {
        let job = self.job(request);
        Box::pin(async move {
            let never = std::future::pending();
            let scan = self.scanner.scan(vec![job], now, never, |_| {}).await;
            scan.results
        })
    }
}

impl Tester {
    fn job(&self, request: TestRequest) -> Job {
        let TestRequest {
            common_name,
            current,
            hostnames,
            port,
        } = request;
        Job {
            targets: hostnames
                .iter()
                .map(|hostname| {
                    Arc::new(Target {
                        certificate: common_name.clone(),
                        hostname: hostname.clone(),
                        port,
                        protocol: Protocol::Https,
                        names: Box::default(),
                    })
                })
                .collect(),
            expectation: Ok(Arc::new(Loaded {
                name: common_name,
                common_name: None,
                expected: Arc::new(Expected {
                    source: SourceKind::Sslmate,
                    what: Expectation::Instances(Box::new(Instances::only(current))),
                }),
                hostnames,
                found: Vec::new(),
                awaited: None,
            })),
            addresses: Vec::new(),
            known: KnownDns::default(),
            families: None,
            resolved: None,
            key_types: KeyTypes::ANY,
            reach: Arc::default(),
            due: None,
            shared_by: None,
            is_stranger: false,
            dane: crate::tlsa::DaneCheck::Off,
            places: Arc::default(),
            rules: Rules::default(),
            reread: None,
            notes: Arc::default(),
            options: self.options.clone(),
        }
    }
}

/// Starts all servers of a scenario, as of `now`.
///
/// # Errors
/// If a server cannot be started because loopback addresses or ports are unavailable.
pub async fn start(scenario: Scenario, now: Timestamp) -> Result<Testbed, TestbedError> {
    Testbed::start(scenario, Arc::new(move || now), tester).await
}

/// Starts all servers of a scenario. Time passes in its account, so that orders are approved.
///
/// # Errors
/// If a server cannot be started because loopback addresses or ports are unavailable.
pub async fn start_with_clock(
    scenario: Scenario,
    clock: fn() -> Timestamp,
) -> Result<Testbed, TestbedError> {
    Testbed::start(scenario, Arc::new(clock), tester).await
}

/// Returns the configuration that finds the faults of a testbed.
pub fn inventory(testbed: &Testbed) -> Inventory {
    let entry = |host: &Host| {
        let name = host.name.to_string();
        let mut entry = Entry::new(match host.expect {
            Expect::Sslmate => SourceSettings::Sslmate(name.clone()),
            Expect::Pem => SourceSettings::Pem(vec![testbed.pem_file(host)]),
            Expect::Trust => SourceSettings::TrustOnly,
        });
        entry.name = Some(name);
        entry.hostnames = vec![host.name.clone()];
        entry.ports = vec![testbed.port()];
        entry
    };
    Inventory {
        sslmate: Some(SslmateSettings {
            endpoint: Some(testbed.endpoint().to_owned()),
            ..SslmateSettings::default()
        }),
        vantages: vec![VantageSettings {
            name: Vantage::SSLMATE.into(),
            kind: VantageKind::Sslmate,
        }],
        certificates: testbed.hosts().iter().map(entry).collect(),
        ..Inventory::default()
    }
}

/// Returns the environment of a process that has only the testbed's API key.
pub fn environment() -> Environment<'static> {
    Environment {
        variable: &|name| (name == API_KEY_VARIABLE).then(|| API_KEY.to_owned()),
        home: None,
    }
}

/// Creates the prober of `/test` for an account whose authority has this root.
///
/// # Errors
/// If the TLS client cannot be created.
pub fn tester(overrides: Vec<Override>, root: &Certificate) -> Result<Tester, TesterError> {
    let mut trust = TrustStore::default();
    trust.add(root)?;
    let sources = Sources::new(&Inventory::default(), &environment(), Requests::default())?;
    let resolver = Resolver::new(Families::Both, overrides, Vec::new());
    Ok(Tester {
        scanner: Scanner {
            revocations: Arc::new(Revocations::new(sources.http_for_others())),
            sources: Arc::new(sources),
            resolver: Arc::new(resolver),
            prober: Arc::new(Prober::new()?),
            local: true,
            remotes: Arc::new([]),
            permits: Arc::new(Permits::new(TEST_CONCURRENCY, TEST_PER_ADDRESS)),
        },
        options: ProbeOptions {
            timeout: TEST_TIMEOUT,
            trust: Arc::new(trust),
            reaches: Arc::default(),
            own_trust: Arc::default(),
        },
    })
}
