//! Runs the monitor for long over many endpoints, scrapes and reloads it all the while, and says whether it grows.
//!
//! `SOAK_SECONDS` (600) is how long, `SOAK_ENDPOINTS` (1000) how many, and `SOAK_INTERVAL` (10) how often in seconds.
//! Of every ten certificates one is served wrongly, and one is another at each handshake, so that findings, changes
//! and history are at work too. It fails where memory or file descriptors grow. A minute is too short for that: what
//! is allocated at first has not settled. What is printed of lag and scrapes says whether scrapes hinder looks.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used
)] // a benchmark has a clock, prints, and may panic

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use certvigil::certificate::Certificate;
use certvigil::lab::authority::{Authority, Key, Validity};
use certvigil::model::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::time::timeout;

const SCRAPE_EVERY: Duration = Duration::from_secs(1);
/// In scrapes.
const RELOAD_EVERY: u64 = 5;
const PRINT_EVERY: Duration = Duration::from_secs(10);
/// Addresses of one certificate.
const ADDRESSES: usize = 2;
/// How much more memory the last third may have than the middle one.
const MAX_GROWTH: f64 = 1.1;
/// How long the monitor may take to look at everything once.
const PATIENCE: Duration = Duration::from_secs(300);
/// A client that stays longer is shown out.
const MAX_STAY: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let seconds: u64 = setting("SOAK_SECONDS", 600);
    let endpoints: usize = setting("SOAK_ENDPOINTS", 1000);
    let interval: u64 = setting("SOAK_INTERVAL", 10);
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (configuration, resolver) = certificates(folder.path(), endpoints, interval);
    let port = runtime.block_on(serve(resolver));
    let file = folder.path().join("certvigil.yml");
    fs::write(&file, configuration.replace("PORT", &port.to_string())).unwrap();

    let monitor = Monitor::start(folder.path());
    let began = Instant::now();
    while monitor.get("/-/ready").is_none() {
        assert!(began.elapsed() < PATIENCE, "{}", monitor.log());
        thread::sleep(Duration::from_millis(100));
    }
    println!(
        "{endpoints} endpoints every {interval} s; all were looked at once after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    let samples = watch(&monitor, seconds);
    report(&samples, &folder.path().join("state"))
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a whole number")),
        Err(_) => default,
    }
}

/// The columns of a sample.
const COLUMNS: [&str; 10] = [
    "seconds",
    "MiB",
    "fds",
    "threads",
    "looks/s",
    "CPU s",
    "scrape ms",
    "series",
    "lag s",
    "probe ms",
];
const MEMORY: usize = 1;
const FDS: usize = 2;

type Sample = [f64; COLUMNS.len()];

/// Scrapes, probes and reloads, and tells how the monitor is.
fn watch(monitor: &Monitor, seconds: u64) -> Vec<Sample> {
    let began = Instant::now();
    let mut samples = Vec::new();
    let mut before: Option<(Instant, f64)> = None;
    println!("{}", COLUMNS.map(|name| format!("{name:>10}")).concat());
    let (mut round, mut printed) = (0, Duration::ZERO);
    let mut due = began;
    while began.elapsed() < Duration::from_secs(seconds) {
        // Where an answer took longer than that, the next round begins at once.
        thread::sleep(due.saturating_duration_since(Instant::now()));
        due = Instant::now().max(due) + SCRAPE_EVERY;
        round += 1;
        if round % RELOAD_EVERY == 0 {
            monitor.reload();
        }
        let asked = Instant::now();
        let text = monitor.get("/metrics").expect("a scrape");
        let scraped = asked.elapsed();
        let asked = Instant::now();
        let target = format!(
            "/probe?target=host{}.example:{}",
            round % 7,
            monitor.target_port
        );
        monitor.get(&target).expect("a probe");
        let probed = asked.elapsed();
        monitor.get("/").expect("the page");
        monitor.get("/sd").expect("the targets");

        let sum = |name: &str| total(&text, name);
        let looks = sum("certvigil_probes_total");
        let rate = before.map_or(0.0, |(at, count)| {
            (looks - count) / asked.duration_since(at).as_secs_f64()
        });
        before = Some((asked, looks));
        let series = text.lines().filter(|l| !l.starts_with('#')).count();
        let sample = [
            began.elapsed().as_secs_f64(),
            sum("process_resident_memory_bytes") / f64::from(1 << 20),
            sum("process_open_fds"),
            sum("process_threads"),
            rate,
            sum("process_cpu_seconds_total"),
            scraped.as_secs_f64() * 1000.0,
            series as f64,
            sum("certvigil_cycle_lag_seconds"),
            probed.as_secs_f64() * 1000.0,
        ];
        if round == 1 || began.elapsed() >= printed + PRINT_EVERY {
            printed = began.elapsed();
            println!("{}", row(&sample));
        }
        samples.push(sample);
    }
    samples
}

/// The sum of a metric's samples.
fn total(text: &str, name: &str) -> f64 {
    let samples = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with(['{', ' ']).then_some(())?;
        rest.rsplit_once(' ')?.1.parse::<f64>().ok()
    });
    samples.sum()
}

fn row(sample: &Sample) -> String {
    sample.map(|value| format!("{value:>10.1}")).concat()
}

/// Says how it began, how it ended, and whether it grew.
fn report(samples: &[Sample], state: &Path) -> ExitCode {
    let fold = |with: fn(f64, f64) -> f64| {
        let all = samples.iter().copied();
        all.reduce(|a, b| std::array::from_fn(|at| with(column(&a, at), column(&b, at))))
    };
    let rows = [
        ("first", samples.first().copied()),
        ("last", samples.last().copied()),
        ("min", fold(f64::min)),
        ("max", fold(f64::max)),
    ];
    for (name, sample) in rows {
        println!("{}  {name}", row(&sample.expect("a sample")));
    }
    let stored: u64 = fs::read_dir(state)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    println!("the state folder has {} KiB", stored >> 10);

    let third = samples.len() / 3;
    let mut parts = samples.rchunks(third.max(1));
    let (last, middle) = (parts.next().unwrap(), parts.next().unwrap_or_default());
    let mean = |part: &[Sample]| {
        let sum: f64 = part.iter().map(|s| column(s, MEMORY)).sum();
        sum / part.len() as f64
    };
    // What looks hold open comes and goes; what is never given back raises the least of it.
    let fds = |part: &[Sample]| part.iter().map(|s| column(s, FDS)).fold(f64::MAX, f64::min);
    let growth = mean(last) / mean(middle);
    println!(
        "memory of the last third: {:.1} MiB, {:+.1} % of the middle third; file descriptors at least: {}, before {}",
        mean(last),
        (growth - 1.0) * 100.0,
        fds(last),
        fds(middle)
    );
    if middle.is_empty() {
        println!("too short to tell: SOAK_SECONDS has to be greater");
        return ExitCode::FAILURE;
    }
    if growth > MAX_GROWTH || fds(last) > fds(middle) {
        println!("FAILED: it grows");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn column(sample: &Sample, at: usize) -> f64 {
    sample.get(at).copied().unwrap_or_default()
}

/// The program itself, killed on drop.
struct Monitor {
    child: Child,
    address: SocketAddr,
    log: std::path::PathBuf,
    target_port: u16,
}

impl Monitor {
    fn start(folder: &Path) -> Self {
        let log = folder.join("log");
        let mut child = Command::new(env!("CARGO_BIN_EXE_certvigil"))
            .args(["serve", "--config", "certvigil.yml", "--state-dir", "state"])
            .args(["--web.listen-address", "127.0.0.1:0"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let began = Instant::now();
        let address = loop {
            let text = fs::read_to_string(&log).unwrap();
            let told = text
                .split_once("listening on ")
                .and_then(|(_, rest)| rest.split_once('\n'));
            if let Some((address, _)) = told {
                break address.trim().parse().unwrap();
            }
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "{text}");
            thread::sleep(Duration::from_millis(10));
        };
        let configuration = fs::read_to_string(folder.join("certvigil.yml")).unwrap();
        let (_, port) = configuration.split_once("port: ").unwrap();
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        Self {
            child,
            address,
            log,
            target_port: port.parse().unwrap(),
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The body of an answer; `None` where it is not a good one.
    fn get(&self, path: &str) -> Option<String> {
        self.ask("GET", path)
    }

    fn reload(&self) {
        let answer = self.ask("POST", "/-/reload");
        assert!(answer.is_some(), "a reload failed: {}", self.log());
    }

    fn ask(&self, method: &str, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: soak\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200 ").then(|| body.to_owned())
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is served for a name.
#[derive(Debug)]
struct Served {
    served: [Arc<CertifiedKey>; 2],
    turn: AtomicBool,
    alternates: bool,
}

/// What is served for each name.
#[derive(Debug)]
struct Names(HashMap<String, Served>);

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let of_name = self.0.get(hello.server_name()?)?;
        let [first, second] = &of_name.served;
        let turn = of_name.alternates && of_name.turn.fetch_xor(true, Ordering::Relaxed);
        Some(if turn { second } else { first }.clone())
    }
}

/// Writes what is expected, and gives the configuration and what is served.
fn certificates(folder: &Path, endpoints: usize, interval: u64) -> (String, Names) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let validity = Validity::around(Timestamp(now as i64), 30, 60);
    let root = Authority::root("Soak Root", validity).unwrap();
    let issuing = root.intermediate("Soak Issuing", validity).unwrap();
    fs::write(folder.join("root.pem"), root.certificate.to_pem()).unwrap();
    let issue = |name: &str| {
        let key = Key::generate().unwrap();
        let leaf = issuing.issue(&[name.to_owned()], validity, &key).unwrap();
        let chain = [leaf.certificate, issuing.certificate.clone()];
        let signing = default_provider()
            .key_provider
            .load_private_key(key.to_der())
            .unwrap();
        let der = |c: &Certificate| CertificateDer::from(c.der().to_vec());
        let served = CertifiedKey::new(chain.iter().map(der).collect(), signing);
        let pem: String = chain.iter().map(Certificate::to_pem).collect();
        (pem, Arc::new(served))
    };
    let mut configuration = format!(
        "defaults: {{interval: {interval}s, timeout: 5s}}\ntrust: {{system: false, ca_files: root.pem}}\ncertificates:\n"
    );
    let mut names = HashMap::new();
    let all: Vec<usize> = (0..endpoints).collect();
    for (number, numbers) in all.chunks(ADDRESSES).enumerate() {
        let name = format!("host{number}.example");
        let ((expected, right), (_, wrong)) = (issue(&name), issue(&name));
        fs::write(folder.join(format!("{number}.pem")), expected).unwrap();
        let addresses: Vec<String> = numbers.iter().map(|&n| address(n).to_string()).collect();
        writeln!(
            configuration,
            "- {{name: host{number}, pem: {number}.pem, hostnames: {name}, port: PORT, addresses: [{}]}}",
            addresses.join(", ")
        )
        .unwrap();
        let first = if number % 10 == 1 {
            wrong.clone()
        } else {
            right
        };
        let served = Served {
            served: [first, wrong],
            turn: AtomicBool::new(false),
            alternates: number % 10 == 2,
        };
        names.insert(name, served);
    }
    (configuration, Names(names))
}

/// An address of loopback for each endpoint.
fn address(number: usize) -> Ipv4Addr {
    let number = u32::try_from(number).unwrap();
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + number)
}

/// Serves at every address, and gives the port.
async fn serve(names: Names) -> u16 {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(names));
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            let _ = stream.set_nodelay(true);
            let acceptor = acceptor.clone();
            tokio::spawn(timeout(MAX_STAY, async move {
                if let Ok(mut tls) = acceptor.accept(stream).await {
                    let mut sink = [0; 1024];
                    while matches!(tls.read(&mut sink).await, Ok(count) if count > 0) {}
                }
            }));
        }
    });
    port
}
