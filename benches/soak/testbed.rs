//! The testbed's hosts: each changes its behaviour at times, and [`TruthLog`] records the truth.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use certvigil::certificate::Certificate;
use certvigil::config::Inventory;
use certvigil::judge::TrustStore;
use certvigil::model::Timestamp;
use certvigil::probe::{Prober, Reaches};
use certvigil::resolve::{Families, Override, Resolver};
use certvigil::revocation::Revocations;
use certvigil::scan::{Permits, ProbeOptions, Scanner};
use certvigil::source::{Requests, Sources};
use certvigil::testbed::authority::{Authority, Issued, Key, Validity};
use certvigil::testbed::certificates::{HostCertificates, Pki};
use certvigil::testbed::{
    API_KEY, AccountCertificate, BASE_PATH, Chain, Credentials, Sandbox, Serve, Tester, environment,
};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::clock::{Chance, Seconds, now};
use super::common::address;
use super::front::{Front, Mode};
use super::hostile::{HOSTILE_VANTAGE, Hostile};
use super::names::{Script, Zone};
use super::place::{Address, Fault, Pace, Served};
use super::truth::{Behaviour, Kind, TruthLog, truth};

/// Number of addresses of one host.
pub(crate) const ADDRESSES: usize = 2;
/// Percentage of the servers that are correct at any time.
const RIGHT: usize = 40;
/// Percentage of the names that have a fault at any time.
const DNS_FAULTS: usize = 25;
/// One more certificate than the maximum of a chain.
const TOO_MANY: usize = 101;
/// Maximum bytes of a handshake before a cut, less than a flight.
const MAX_CUT: usize = 800;
/// Interval at which due changes are made.
const TICK: Duration = Duration::from_millis(100);
/// Maximum duration of a connection for each second of the probe timeout: the client times out
/// earlier.
const CONNECTION_TIME_PER_SECOND: Duration = Duration::from_secs(2);
/// Delay of a tick from which on this machine counts as stalled.
const LATE: Seconds = 0.5;
/// The testbed.
pub(crate) struct Testbed {
    /// The configuration without its entries.
    settings: String,
    /// The entries of the configuration, in the order of the hosts.
    entries: Vec<String>,
    pub(crate) port: u16,
    pub(crate) hostile: Hostile,
    /// Probe interval of each host.
    pub(crate) interval: Seconds,
    /// Probe timeout.
    pub(crate) timeout: Seconds,
    pub(crate) book: TruthLog,
    pub(crate) front: Front,
    /// Periods in which this machine stalled.
    late: Arc<Mutex<Vec<(Seconds, Seconds)>>>,
    /// The names of the hosts, each with its kind of expectation.
    pub(crate) hosts: Vec<(String, Kind)>,
}

struct Host {
    name: String,
    kind: Kind,
    certificates: HostCertificates,
    /// A certificate from an untrusted CA.
    stranger: Issued,
    places: Vec<Address>,
    changes_at: Seconds,
}

/// State that all hosts share.
struct Common {
    pki: Pki,
    /// An intermediate below an untrusted root.
    stranger_issuing: Authority,
    zone: Zone,
    book: TruthLog,
    provider: Arc<CryptoProvider>,
    retrying: Arc<CryptoProvider>,
    valid: Validity,
}

/// Parameters of the testbed.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) endpoints: usize,
    /// In seconds.
    pub(crate) interval: u64,
    pub(crate) seed: u64,
    /// Average duration of one behaviour of a host, in seconds.
    pub(crate) hold: f64,
    /// Probe timeout in seconds.
    pub(crate) timeout: u64,
}

impl Testbed {
    /// Starts all servers, and writes the configuration's files into the folder.
    pub(crate) async fn start(plan: Plan, folder: &Path) -> Self {
        let clock = Timestamp(now() as i64);
        let common = Common::new(clock);
        fs::write(
            folder.join("root.pem"),
            common.pki.root.certificate.to_pem(),
        )
        .unwrap();
        fs::write(folder.join("key"), API_KEY).unwrap();
        let mut chance = Chance(plan.seed);
        let max_connection_time = CONNECTION_TIME_PER_SECOND * u32::try_from(plan.timeout).unwrap();
        let (mut hosts, port) = common.hosts(plan.endpoints, clock, max_connection_time);
        let mut account = Vec::new();
        let mut entries = Vec::new();
        for (number, host) in hosts.iter().enumerate() {
            host.write(&common.pki, folder);
            entries.push(host.entry(port));
            if host.kind == Kind::Sslmate {
                let certificate = host
                    .certificates
                    .account_certificate(number as u64 + 1, true);
                account.push((host.name.clone(), certificate));
            }
        }
        for host in &mut hosts {
            host.change(&common, &mut chance).await;
            host.changes_at = now() + chance.between(0.5, 1.5) * plan.hold;
        }
        let behind = stand_in(
            account,
            &hosts,
            port,
            &common.pki.root.certificate,
            clock,
            Duration::from_secs(plan.timeout),
        )
        .await;
        let (front, api) = Front::serve(behind, max_connection_time).await;
        let hostile = Hostile::start(&common.zone, plan.seed, clock, max_connection_time).await;
        let dns = common.zone.serve().await;
        let settings = format!(
            "defaults: {{interval: {}s, timeout: {}s, port: {port}}}\n\
             trust: {{system: false, ca_files: root.pem}}\ndns: [\"{dns}\"]\n\
             probe: {{allow: [\"*.attack.example\", 127.0.0.0/8]}}\n\
             vantages: [{{name: {HOSTILE_VANTAGE}, type: certvigil, url: \"http://{}{BASE_PATH}\"}}]\n\
             sslmate: {{endpoint: \"http://{api}{BASE_PATH}\", api_key_file: key, refresh_interval: {}s}}\n\
             certificates:\n",
            plan.interval,
            plan.timeout,
            hostile.vantage,
            super::REFRESH.as_secs()
        );
        let testbed = Self {
            settings,
            entries,
            hostile,
            port,
            interval: plan.interval as Seconds,
            timeout: plan.timeout as Seconds,
            book: common.book.clone(),
            front: front.clone(),
            late: Arc::default(),
            hosts: hosts.iter().map(|h| (h.name.clone(), h.kind)).collect(),
        };
        let late = testbed.late.clone();
        let hold = plan.hold;
        let mut chance_of_api = Chance(plan.seed ^ 1);
        tokio::spawn(async move {
            loop {
                sleep(Duration::from_secs_f64(
                    chance_of_api.between(0.5, 2.0) * hold,
                ))
                .await;
                front.set(chance_of_api.one_of(&Mode::FAULTS));
                sleep(Duration::from_secs_f64(
                    chance_of_api.between(0.1, 3.0) * hold,
                ))
                .await;
                front.set(Mode::Passes);
            }
        });
        tokio::spawn(async move {
            loop {
                let due = now() + TICK.as_secs_f64();
                sleep(TICK).await;
                if now() > due + LATE {
                    late.lock().unwrap().push((due, now()));
                }
            }
        });
        tokio::spawn(async move {
            loop {
                for host in &mut hosts {
                    if host.changes_at <= now() {
                        host.change(&common, &mut chance).await;
                        host.changes_at = now() + chance.between(0.5, 1.5) * plan.hold;
                    }
                }
                sleep(TICK).await;
            }
        });
        testbed
    }

    /// The configuration without the entries of these hosts.
    pub(crate) fn configuration(&self, without: &BTreeSet<usize>) -> String {
        let entries = self.entries.iter().enumerate();
        let kept = entries.filter(|(number, _)| !without.contains(number));
        let kept = kept.map(|(_, entry)| entry.as_str());
        std::iter::once(self.settings.as_str())
            .chain(kept)
            .collect()
    }

    /// Returns true if this machine stalled within this period.
    pub(crate) fn has_stalled(&self, from: Seconds, until: Seconds) -> bool {
        let late = self.late.lock().unwrap();
        late.iter().any(|(a, b)| *a < until && from < *b)
    }
}

impl Common {
    fn new(clock: Timestamp) -> Self {
        let valid = Validity::around(clock, 10, 80);
        let provider = default_provider();
        let retrying = CryptoProvider {
            // No client sends a key share of this group at first.
            kx_groups: vec![kx_group::SECP384R1],
            ..provider.clone()
        };
        Self {
            pki: Pki::new(clock).unwrap(),
            stranger_issuing: Authority::root("Stranger Root", valid)
                .unwrap()
                .intermediate("Stranger Issuing", valid)
                .unwrap(),
            zone: Zone::default(),
            book: TruthLog::default(),
            provider: Arc::new(provider),
            retrying: Arc::new(retrying),
            valid,
        }
    }

    /// Creates the hosts at their addresses, and finds a port that is free at all of them.
    fn hosts(
        &self,
        endpoints: usize,
        clock: Timestamp,
        max_connection_time: Duration,
    ) -> (Vec<Host>, u16) {
        let mut port = 0;
        let numbers: Vec<usize> = (0..endpoints).collect();
        let hosts = numbers.chunks(ADDRESSES).enumerate().map(|(number, of)| {
            let name = format!("host{number}.example");
            let places = of.iter().map(|&at| {
                let at = SocketAddr::from((address(at), port));
                let place = Address::hold(at, max_connection_time)
                    .expect("an address of loopback, free at the lab's port");
                port = place.address.port();
                place
            });
            Host {
                places: places.collect(),
                kind: kind(number),
                certificates: HostCertificates::new(&self.pki, &name, clock).unwrap(),
                stranger: self.unrelated_leaf(&name),
                name,
                changes_at: 0.0,
            }
        });
        (hosts.collect(), port)
    }

    /// Server settings for this behaviour of a host. A server that only breaks off needs no
    /// certificate.
    fn served(&self, host: &Host, behaviour: Behaviour, chance: &mut Chance) -> Served {
        let of = |serve| host.certificates.leaf(serve);
        let current = of(Serve::Current);
        let chain = || self.pki.chain(Serve::Current, Chain::Full);
        let (leaf, key, rest, pace) = match behaviour {
            Behaviour::Breaks(fault) => return Served::Broken(fault),
            Behaviour::Shows(serve, chain, pace) => {
                let leaf = of(serve);
                let rest = self.pki.chain(serve, chain);
                (Some(leaf.certificate.clone()), leaf.key.clone(), rest, pace)
            }
            Behaviour::Stranger => {
                let Issued { certificate, key } = host.stranger.clone();
                let rest = vec![self.stranger_issuing.certificate.clone()];
                (Some(certificate), key, rest, Pace::Whole)
            }
            Behaviour::Copied => {
                let key = of(Serve::Another).key.clone();
                let leaf = current.certificate.clone();
                (Some(leaf), key, chain(), Pace::Whole)
            }
            Behaviour::ShowsNone => (None, current.key.clone(), Vec::new(), Pace::Whole),
            Behaviour::ShowsTooMany => {
                let leaf = current.certificate.clone();
                let rest = chain().into_iter().cycle().take(TOO_MANY).collect();
                (Some(leaf), current.key.clone(), rest, Pace::Whole)
            }
            Behaviour::Unreadable => {
                let noise = Certificate::from_der(vec![0xa5; 600]);
                (Some(noise), current.key.clone(), chain(), Pace::Whole)
            }
        };
        let shown: Vec<Certificate> = leaf.into_iter().chain(rest).collect();
        Served::Tls(self.config(&shown, &key, chance), pace)
    }

    fn unrelated_leaf(&self, name: &str) -> Issued {
        let key = Key::generate().unwrap();
        let names = [name.to_owned()];
        self.stranger_issuing
            .issue(&names, self.valid, &key)
            .unwrap()
    }

    /// A configuration for TLS 1.2 or 1.3, with or without a HelloRetryRequest.
    fn config(&self, shown: &[Certificate], key: &Key, chance: &mut Chance) -> Arc<ServerConfig> {
        let der = |c: &Certificate| CertificateDer::from(c.der().to_vec());
        let key = self.provider.key_provider.load_private_key(key.to_der());
        let certified = CertifiedKey::new(shown.iter().map(der).collect(), key.unwrap());
        let retries = chance.percent(10);
        let provider = if retries {
            &self.retrying
        } else {
            &self.provider
        };
        let versions: &[&SupportedProtocolVersion] = match chance.below(3) {
            0 => &[&rustls::version::TLS12],
            1 => &[&rustls::version::TLS13],
            _ => rustls::ALL_VERSIONS,
        };
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Fixed(Arc::new(certified))));
        Arc::new(config)
    }
}

#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

impl Host {
    /// Starts another behaviour at every address.
    async fn change(&mut self, common: &Common, chance: &mut Chance) {
        common.book.end(&self.name);
        let script = match self.kind {
            Kind::Dns if chance.percent(DNS_FAULTS) => chance.one_of(&Script::FAULTS),
            _ => Script::Right,
        };
        let mut servers = Vec::new();
        let count = self.places.len();
        for at in 0..count {
            let behaviour = draw(chance);
            let served = common.served(self, behaviour, chance);
            let place = self.places.get_mut(at).expect("a place");
            place.set(served).await;
            servers.push((place.address.ip().to_string(), behaviour));
        }
        if self.kind == Kind::Dns {
            common.zone.set(&self.name, script, self.addresses());
        }
        common
            .book
            .begin(&self.name, truth(self.kind, script, &servers));
    }

    fn addresses(&self) -> Vec<Ipv4Addr> {
        let v4 = |place: &Address| match place.address.ip() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        };
        self.places.iter().filter_map(v4).collect()
    }

    /// Writes the PEM file with the expected certificate.
    fn write(&self, pki: &Pki, folder: &Path) {
        if matches!(self.kind, Kind::Pem | Kind::Dns) {
            let leaf = self.certificates.leaf(Serve::Current).certificate.clone();
            let chain = pki.chain(Serve::Current, Chain::Full);
            let pem: String = std::iter::once(&leaf)
                .chain(&chain)
                .map(Certificate::to_pem)
                .collect();
            fs::write(folder.join(format!("{}.pem", self.name)), pem).unwrap();
        }
    }

    /// The entry in the configuration.
    fn entry(&self, port: u16) -> String {
        let name = &self.name;
        let what = match self.kind {
            Kind::Pem | Kind::Dns => format!("name: {name}, pem: {name}.pem"),
            Kind::Sslmate => format!("sslmate: {name}"),
            Kind::Pinned => {
                let leaf = &self.certificates.leaf(Serve::Current).certificate;
                format!("name: {name}, sha256: [{}]", leaf.sha256())
            }
            Kind::Trust => format!("name: {name}, trust: true"),
        };
        let mut entry = format!("- {{{what}, hostnames: {name}, port: {port}");
        if self.kind != Kind::Dns {
            let addresses: Vec<String> = self.addresses().iter().map(Ipv4Addr::to_string).collect();
            let _ = write!(entry, ", addresses: [{}]", addresses.join(", "));
        }
        entry + "}\n"
    }
}

fn kind(number: usize) -> Kind {
    match number % 16 {
        0..7 => Kind::Pem,
        7 => Kind::Sslmate,
        8 | 9 => Kind::Trust,
        10 => Kind::Pinned,
        _ => Kind::Dns,
    }
}

/// A random behaviour of a server.
fn draw(chance: &mut Chance) -> Behaviour {
    let shows = |serve, chain| Behaviour::Shows(serve, chain, Pace::Whole);
    let right = |pace| Behaviour::Shows(Serve::Current, Chain::Full, pace);
    if chance.percent(RIGHT) {
        let pace = match chance.below(10) {
            0 => Pace::Pieces(1 + chance.below(16)),
            1 => Pace::NoCloseNotify,
            _ => Pace::Whole,
        };
        return right(pace);
    }
    if chance.percent(50) {
        return chance.one_of(&[
            shows(Serve::Current, Chain::None),
            shows(Serve::Current, Chain::Reversed),
            shows(Serve::Current, Chain::Root),
            shows(Serve::Current, Chain::Twice),
            shows(Serve::Previous, Chain::Full),
            shows(Serve::SameKey, Chain::Full),
            shows(Serve::Another, Chain::Full),
            shows(Serve::Expired, Chain::Full),
            shows(Serve::OtherName, Chain::Full),
            shows(Serve::Temporary, Chain::Full),
            Behaviour::Stranger,
        ]);
    }
    let cut = 1 + chance.below(MAX_CUT);
    match chance.below(6) {
        0 => chance.one_of(&[right(Pace::StopsAfter(cut)), right(Pace::ClosesAfter(cut))]),
        1 => chance.one_of(&[
            Behaviour::Copied,
            Behaviour::ShowsNone,
            Behaviour::ShowsTooMany,
            Behaviour::Unreadable,
        ]),
        _ => Behaviour::Breaks(chance.one_of(&Fault::ALL)),
    }
}

/// Starts the sandbox, whose own test probes the same servers.
async fn stand_in(
    account: Vec<(String, AccountCertificate)>,
    hosts: &[Host],
    port: u16,
    root: &Certificate,
    clock: Timestamp,
    timeout: Duration,
) -> SocketAddr {
    let mut trust = TrustStore::default();
    trust.add(root).unwrap();
    let sources = Sources::new(&Inventory::default(), &environment(), Requests::default()).unwrap();
    let overrides = hosts.iter().map(|host| Override {
        hostname: Some(host.name.parse().unwrap()),
        port,
        addresses: host.addresses().into_iter().map(IpAddr::V4).collect(),
    });
    let tester = Tester {
        scanner: Scanner {
            revocations: Arc::new(Revocations::new(sources.http_for_others())),
            sources: Arc::new(sources),
            resolver: Arc::new(Resolver::new(
                Families::Both,
                overrides.collect(),
                Vec::new(),
            )),
            prober: Arc::new(Prober::new().unwrap()),
            local: true,
            remotes: Arc::new([]),
            permits: Arc::new(Permits::new(64, 4)),
        },
        options: ProbeOptions {
            timeout,
            trust: Arc::new(trust),
            own_trust: Arc::default(),
            reaches: Arc::new(Reaches::default()),
        },
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let credentials = Credentials {
        api_key: API_KEY.into(),
        username: "soak".into(),
        password: "soak".into(),
    };
    let api = Sandbox::of_testbed(
        account,
        credentials,
        format!("http://{address}"),
        tester,
        clock,
    )
    .unwrap();
    tokio::spawn(api.serve(listener));
    address
}
