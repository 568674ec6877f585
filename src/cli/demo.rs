//! `certvigil demo`: checks servers with known faults, without network, account or configuration.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::config::TrustSettings;
use crate::judge::TrustStore;
use crate::probe::Prober;
use crate::remote::remotes;
use crate::report;
use crate::resolve::{Families, Resolver};
use crate::revocation::Revocations;
use crate::scan::{Permits, ProbeOptions, Scanner, prepare};
use crate::serve::{Routes, Server, ServerError, Setup};
use crate::source::{Requests, Sources};
use crate::testbed::{API_KEY, Scenario, Testbed, environment};
use crate::web::Web;

use super::error::{Error, FlagsError};
use super::limits::{self, Share};
use super::log::LogArgs;
use super::plan::stop;
use super::serve::{Sockets, WebArgs, run_until_signal};
use super::{Code, block_on, now, output};

/// Maximum duration of one probe. It is enough for loopback and bounds the cost of the server that
/// stalls.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum concurrent probes. The testbed is small.
const CONCURRENCY: usize = 64;

/// Probe interval of the exporter. Users of the demo should not wait for minutes.
const INTERVAL: Duration = Duration::from_secs(10);
/// Listen address of the exporter, on loopback only.
const LISTEN: &str = "localhost:10843";
/// Help of the flag for another listen address.
const LISTEN_HELP: &str = "Address and port to listen on; without an address, on all of them; repeatable [default: localhost:10843]";

/// Check faulty servers on loopback and report whether each fault was found
#[derive(Debug, clap::Args)]
#[command(mut_arg("listen_address", |arg| arg.help(LISTEN_HELP)))]
pub(super) struct Args {
    /// Continue as an exporter at localhost:10843
    #[arg(long)]
    serve: bool,

    #[command(flatten)]
    web: WebArgs,

    #[command(flatten)]
    log: LogArgs,
}

impl Args {
    /// Returns true if the demo continues as an exporter after its table.
    pub(super) fn goes_on(&self) -> bool {
        self.serve
    }

    /// Returns the flags of the exporter's log.
    pub(super) fn log(&self) -> &LogArgs {
        &self.log
    }
}

pub(super) fn run(args: &Args) -> Code {
    match args
        .web
        .passed_sockets()
        .map_err(Error::from)
        .and_then(|sockets| block_on(demo(args, sockets)))
    {
        Ok(code) => code,
        Err(error) => output::fail(&error),
    }
}

async fn demo(args: &Args, sockets: Sockets) -> Result<Code, Error> {
    if !args.serve && args.web.is_given() {
        return Err(FlagsError::WebWithoutServe.into());
    }
    // A listen address that is in use is reported before the first probe.
    let share = limits::share_of_monitor(CONCURRENCY);
    let web = args.web.open(share)?;
    let routes = args.web.routes()?;
    let listeners = match args.serve {
        true => args.web.bind(LISTEN, sockets).await?,
        false => Vec::new(),
    };
    let now = now();
    let scenario = Scenario::demo().map_err(|e| Error::resource(e.to_string()))?;
    let testbed = crate::testbed::start_with_clock(scenario, super::now)
        .await
        .map_err(Error::resource)?;
    let inventory = crate::testbed::inventory(&testbed);
    let sources = Arc::new(Sources::new(
        &inventory,
        &environment(),
        Requests::default(),
    )?);
    let wanted = inventory.vantages.iter().map(|v| v.name.clone()).collect();
    let remotes = remotes(&sources, &inventory.vantages, &wanted)?;
    let mut trust = TrustStore::default();
    trust
        .add(testbed.root())
        .map_err(|e| Error::resource(e.to_string()))?;
    let options = ProbeOptions {
        timeout: TIMEOUT,
        trust: Arc::new(trust),
        reaches: Arc::default(),
        own_trust: Arc::default(),
    };
    let resolver = Resolver::new(Families::Both, testbed.overrides(), Vec::new());
    let resolver = Arc::new(resolver);
    let entries: Vec<_> = inventory.certificates.iter().collect();
    let jobs = prepare(&sources, &resolver, &entries, &options, TIMEOUT).await;
    let scanner = Scanner {
        revocations: Arc::new(Revocations::new(sources.http_for_others())),
        sources,
        resolver,
        prober: Arc::new(Prober::new().map_err(Error::resource)?),
        local: true,
        remotes: remotes.into(),
        permits: Arc::new(Permits::new(share.probes, inventory.defaults.per_address)),
    };
    let scan = scanner.scan(jobs, now, stop(), |_| {}).await;
    let style = report::Style {
        width: output::width_of_stdout(),
        colour: output::colour_on_stdout(),
        now,
    };
    let mut text = report::human(&scan.results, &style);
    text.push('\n');
    for host in testbed.left_out() {
        text.push_str(&format!(
            "Skipped because this machine has no suitable address: {} ({})\n",
            host.name, host.fault
        ));
    }
    if !scan.complete {
        text.push_str("Interrupted.\n");
        return Ok(output::print(&text, Code::Unknown));
    }
    let differences = testbed.differences(&scan.results);
    let code = if differences.is_empty() {
        let faults = testbed.hosts().iter().flat_map(|h| &h.servers);
        let count: usize = faults.map(|s| s.findings.len()).sum();
        text.push_str(&format!(
            "All {count} planted faults were found, and nothing else was reported.\n"
        ));
        Code::Ok
    } else {
        for difference in differences {
            text.push_str(&format!("Unexpected result: {difference}\n"));
        }
        Code::Warning
    };
    let code = output::print(&text, code);
    if args.serve {
        let endpoint = testbed.endpoint();
        tracing::info!("serving the demo's account: endpoint={endpoint} api_key={API_KEY}");
        let page = status_page(&web, &routes, &listeners);
        let server = server(&testbed, web, routes, share)?;
        run_until_signal(server, listeners, page).await?;
    }
    Ok(code)
}

/// Returns the URL of the status page on the first listener.
fn status_page(web: &Web, routes: &Routes, listeners: &[TcpListener]) -> Option<String> {
    let address = listeners.first()?.local_addr().ok()?;
    let (ip, port) = (address.ip(), address.port());
    let is_localhost = ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST;
    let host = match is_localhost || ip.is_unspecified() {
        true => format!("localhost:{port}"),
        false => address.to_string(),
    };
    let scheme = if web.is_tls() { "https" } else { "http" };
    Some(routes.status_page(&format!("{scheme}://{host}")))
}

/// Creates the exporter that monitors the testbed.
fn server(
    testbed: &Testbed,
    web: Arc<Web>,
    routes: Routes,
    share: Share,
) -> Result<Server, ServerError> {
    let mut inventory = crate::testbed::inventory(testbed);
    inventory.trust = TrustSettings {
        system: false,
        ca_files: vec![testbed.root_file()],
    };
    inventory.defaults.interval = INTERVAL;
    inventory.defaults.timeout = TIMEOUT;
    Server::new(Setup {
        load: Box::new(move || Ok(inventory.clone())),
        environment,
        overrides: testbed.overrides(),
        concurrency: share.probes,
        clock: now,
        state: None,
        web,
        routes,
    })
}
