//! `certvigil serve`: monitors the inventory and serves Prometheus metrics.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use listenfd::ListenFd;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::config::Inventory;
use crate::model::Hostname;
use crate::serve::{RouteError, Routes, Server, Setup};
use crate::web::Web;

use super::error::{Error, FlagError, FlagsError, ListenError};
use super::flags::{FamilyArgs, parse_count};
use super::limits::{self, Share};
use super::log::LogArgs;
use super::{Code, block_on, now, output, plan, targets};

/// Default listen address.
const DEFAULT_PORT: &str = ":10843";

/// Flag for the listen address of a monitor.
const LISTEN_FLAG: &str = "--web.listen-address";
/// Maximum sockets of systemd that are used.
const MAX_SOCKETS: usize = 64;

/// Sockets that systemd passed, if they are used.
pub(super) type Sockets = Option<Vec<std::net::TcpListener>>;

/// Probe the inventory continuously and serve Prometheus metrics
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Targets to monitor, in addition to the configuration, as `certvigil check` takes them: each must
    /// serve a trusted certificate
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,

    /// Path to the configuration file; SIGHUP and POST /-/reload reload it
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    families: FamilyArgs,

    #[command(flatten)]
    web: WebArgs,

    /// Path to the state directory, for restarts and `certvigil history`
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    state_dir: Option<PathBuf>,

    /// Maximum concurrent probes
    #[arg(long, value_name = "N", default_value = "256", value_parser = parse_count)]
    concurrency: usize,

    #[command(flatten)]
    log: LogArgs,
}

impl Args {
    /// Returns the flags of the log.
    pub(super) fn log(&self) -> &LogArgs {
        &self.log
    }
}

/// Where to listen, and who may ask.
#[derive(Debug, clap::Args)]
pub(super) struct WebArgs {
    /// Address and port to listen on; without an address, on all of them; repeatable [default: :10843]
    #[arg(
        id = "listen_address",
        long = "web.listen-address",
        value_name = "[ADDR]:PORT"
    )]
    listen: Vec<Listen>,

    /// Path to the web configuration file (TLS, client certificates, users, headers), as in Prometheus exporters
    #[arg(id = "web_config", long = "web.config.file", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Host name to accept requests for, besides IP addresses and localhost; others get status 421; repeatable
    #[arg(id = "allowed_host", long = "web.allowed-host", value_name = "HOST")]
    allowed_hosts: Vec<Hostname>,

    /// URL under which the monitor is reachable, such as behind a proxy; used for links and redirects
    #[arg(id = "external_url", long = "web.external-url", value_name = "URL")]
    external_url: Option<String>,

    /// Prefix of the paths of all requests [default: path of --web.external-url]
    #[arg(id = "route_prefix", long = "web.route-prefix", value_name = "PATH")]
    route_prefix: Option<String>,

    /// Listen on the sockets that systemd passes, instead of --web.listen-address
    #[arg(id = "systemd_socket", long = "web.systemd-socket")]
    systemd_socket: bool,
}

/// Address and port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listen {
    /// `None` means all addresses of both families.
    ip: Option<IpAddr>,
    port: u16,
}

impl FromStr for Listen {
    type Err = FlagError;

    /// Parses `:10843`, `127.0.0.1:10843`, `[::1]:10843` or `localhost:10843`. Port 0 is any free
    /// port.
    fn from_str(text: &str) -> Result<Self, FlagError> {
        let wrong = || FlagError::Listen(text.to_owned());
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self {
                ip: Some(address.ip()),
                port: address.port(),
            });
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let ip = match host {
            "" => None,
            "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
            _ => return Err(wrong()),
        };
        Ok(Self { ip, port })
    }
}

impl Listen {
    /// Binds the address. Errors name the flag that chooses another.
    pub(super) async fn bind(self, flag: &str) -> Result<TcpListener, ListenError> {
        let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, self.port));
        let address = self.ip.map_or(everywhere, |ip| (ip, self.port).into());
        let bound = match TcpListener::bind(address).await {
            // A system without IPv6 cannot bind the IPv6 wildcard address.
            Err(error) if self.ip.is_none() && error.kind() != std::io::ErrorKind::AddrInUse => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.port)).await
            }
            bound => bound,
        };
        bound.map_err(|error| ListenError::Bind {
            address,
            error,
            flag: flag.to_owned(),
        })
    }
}

pub(super) fn run(args: Args) -> Code {
    match args
        .web
        .passed_sockets()
        .map_err(Error::from)
        .and_then(|sockets| block_on(serve(args, sockets)))
    {
        Ok(()) => Code::Ok,
        Err(error) => output::fail(&error),
    }
}

async fn serve(args: Args, sockets: Sockets) -> Result<(), Error> {
    if args.config.is_none() && args.targets.is_empty() {
        return Err(FlagsError::NothingToMonitor.into());
    }
    let (file, families) = (args.config, args.families);
    let targets = targets::parse(&targets::all(&args.targets, None)?, false)?;
    let share = limits::share_of_monitor(args.concurrency);
    let server = Server::new(Setup {
        load: Box::new(move || {
            let mut inventory = match &file {
                Some(file) => plan::read_inventory(file)?,
                None => Inventory::default(),
            };
            plan::add_trust_only(&mut inventory, &targets)?;
            families.apply(&mut inventory);
            Ok(inventory)
        }),
        environment: plan::environment,
        overrides: Vec::new(),
        concurrency: share.probes,
        clock: now,
        state: args.state_dir.clone(),
        web: args.web.open(share)?,
        routes: args.web.routes()?,
    })?;
    let listeners = args.web.bind(DEFAULT_PORT, sockets).await?;
    run_until_signal(server, listeners, None).await
}

impl WebArgs {
    pub(super) fn open(&self, share: Share) -> Result<Arc<Web>, ListenError> {
        let web = Web::open(self.config.as_deref());
        let web = web.map_err(|e| ListenError::Web(e.to_string().into()))?;
        let hosts = self.allowed_hosts.iter().map(ToString::to_string);
        Ok(Arc::new(web.for_at_most(share.clients).for_hosts(hosts)))
    }

    /// Returns true if any of these flags was given.
    #[cfg(feature = "demo")]
    pub(super) fn is_given(&self) -> bool {
        !self.listen.is_empty()
            || self.config.is_some()
            || !self.allowed_hosts.is_empty()
            || self.external_url.is_some()
            || self.route_prefix.is_some()
            || self.systemd_socket
    }

    /// Returns the path prefixes of the flags.
    pub(super) fn routes(&self) -> Result<Routes, RouteError> {
        Routes::new(self.external_url.as_deref(), self.route_prefix.as_deref())
    }

    /// Returns the listening sockets that systemd passed to the process (sd_listen_fds(3)); `None`
    /// without `--web.systemd-socket`. Must be called before other threads start, because it removes
    /// the variables of systemd from the environment.
    pub(super) fn passed_sockets(&self) -> Result<Sockets, ListenError> {
        if !self.systemd_socket {
            return Ok(None);
        }
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::with_capacity(passed.len().min(MAX_SOCKETS));
        for index in 0..passed.len().min(MAX_SOCKETS) {
            let socket = passed.take_tcp_listener(index).and_then(|socket| {
                let socket = socket.ok_or(std::io::ErrorKind::NotFound)?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            });
            sockets.push(socket.map_err(|error| ListenError::Passed {
                number: index + 1,
                error,
            })?);
        }
        match sockets.is_empty() {
            true => Err(ListenError::NoPassed),
            false => Ok(Some(sockets)),
        }
    }

    /// Returns the sockets that systemd passed. Without them, binds all listen addresses of the
    /// flags, or `default` if there are none.
    pub(super) async fn bind(
        &self,
        default: &str,
        sockets: Sockets,
    ) -> Result<Vec<TcpListener>, Error> {
        if let Some(sockets) = sockets {
            let listeners = sockets.into_iter().map(TcpListener::from_std);
            let listeners = listeners.collect::<Result<_, _>>();
            return Ok(listeners.map_err(ListenError::Unusable)?);
        }
        let default = [default.parse().map_err(Error::resource)?];
        let wanted = match self.listen.as_slice() {
            [] => &default,
            given => given,
        };
        let mut listeners = Vec::with_capacity(wanted.len());
        for listen in wanted {
            listeners.push(listen.bind(LISTEN_FLAG).await?);
        }
        Ok(listeners)
    }
}

/// Runs a monitor until SIGTERM or Ctrl-C. SIGHUP reloads the configuration. The URL of the status
/// page is logged, if it is given.
pub(super) async fn run_until_signal(
    server: Server,
    listeners: Vec<TcpListener>,
    page: Option<String>,
) -> Result<(), Error> {
    // Handlers are installed before the log reports that the monitor runs, because an unhandled
    // SIGHUP ends a process.
    let (hangups, reloads) = mpsc::channel(1);
    let shutdown = signals(hangups)?;
    for listener in &listeners {
        let address = listener.local_addr().map_err(ListenError::Address)?;
        tracing::info!("listening: address={address}");
    }
    if let Some(url) = page {
        tracing::info!("status page: url={url}");
    }
    Ok(server.run(listeners, reloads, shutdown).await?)
}

/// Completes on a signal that ends the monitor. Each SIGHUP is sent to the channel.
#[cfg(unix)]
pub(super) fn signals(hangups: mpsc::Sender<()>) -> Result<impl Future<Output = ()>, Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let handler = |kind| signal(kind).map_err(Error::Signals);
    let mut terminate = handler(SignalKind::terminate())?;
    let mut interrupt = handler(SignalKind::interrupt())?;
    let mut hangup = handler(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                // A reload that is already pending covers all later signals.
                _ = hangup.recv() => drop(hangups.try_send(())),
            }
        }
    })
}

/// Completes on a signal that ends the monitor.
#[cfg(not(unix))]
pub(super) fn signals(_: mpsc::Sender<()>) -> Result<impl Future<Output = ()>, Error> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_are_read_as_by_prometheus_exporters() {
        let read = |text: &str| text.parse::<Listen>().map(|l| (l.ip, l.port));
        assert_eq!(read(":10843"), Ok((None, 10843)));
        assert_eq!(read("127.0.0.1:0"), Ok((Some([127, 0, 0, 1].into()), 0)));
        assert_eq!(read("[::1]:80"), Ok((Some(Ipv6Addr::LOCALHOST.into()), 80)));
        assert_eq!(
            read("localhost:80"),
            Ok((Some(Ipv4Addr::LOCALHOST.into()), 80))
        );
        for wrong in ["10843", "example.com:80", ":port", "", "::1:80:", ":70000"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
