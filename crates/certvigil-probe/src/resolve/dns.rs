//! Questions to name servers, and what their answers mean.

use std::net::SocketAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::observation::{ErrorKind, LookError};

use super::direct::Direct;
use super::dns_error::{explain, timed_out};

/// Questions under way at a time on one connection to a name server.
const MAX_QUESTIONS: usize = 4096;
/// How often a name server is asked again within the deadline.
const ATTEMPTS: usize = 2;
/// Name servers that are asked at a time: as many as `/etc/resolv.conf` may have, so that one that
/// works is found however many of the others are dead.
const MAX_SERVERS_AT_A_TIME: usize = 3;

/// Who is asked, and how.
pub(super) fn settings(
    name_servers: &[SocketAddr],
) -> Result<(ResolverConfig, ResolverOpts), String> {
    let (config, mut options) = if name_servers.is_empty() {
        read_system_conf().map_err(|e| {
            format!("the system's name servers cannot be read from /etc/resolv.conf: {e}; give one with --dns")
        })?
    } else {
        let servers = name_servers.iter().map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            let with_port = connections.map(|mut connection| {
                connection.port = server.port();
                connection
            });
            NameServerConfig::new(server.ip(), true, with_port.into())
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        (config, ResolverOpts::default())
    };
    options.cache_size = 0; // every scan asks anew
    options.use_hosts_file = ResolveHosts::Never; // done before, for both families at once
    options.attempts = ATTEMPTS;
    options.num_concurrent_reqs = MAX_SERVERS_AT_A_TIME;
    options.edns0 = true;
    options.max_active_requests = MAX_QUESTIONS;
    Ok((config, options))
}

/// Who is asked: all name servers together, and each by itself.
pub(super) struct Dns {
    /// Where there is only one.
    direct: Option<Direct>,
    all: TokioResolver,
    /// Empty where there is only one.
    each: Vec<TokioResolver>,
}

impl Dns {
    pub(super) fn new(config: &ResolverConfig, options: &ResolverOpts) -> Result<Self, String> {
        let with = |servers: &[NameServerConfig]| {
            let config = ResolverConfig::from_parts(
                config.domain.clone(),
                config.search.clone(),
                servers.to_vec(),
            );
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
                .with_options(options.clone())
                .build()
                .map_err(|e| format!("no name server can be asked: {e}"))
        };
        let servers = config.name_servers();
        let single = servers.chunks(1).filter(|_| servers.len() > 1);
        Ok(Self {
            direct: Direct::new(config, options),
            all: with(servers)?,
            each: single.map(with).collect::<Result<_, _>>()?,
        })
    }

    pub(super) async fn records(
        &self,
        text: &str,
        name: Name,
        kind: RecordType,
        deadline: Instant,
    ) -> Result<Vec<RData>, LookError> {
        if let Some(direct) = &self.direct
            && let Some(answer) = direct.ask(text, &name, kind, deadline).await
        {
            return answer;
        }
        let failure = match ask_for(&self.all, text, name.clone(), kind, deadline).await {
            Err(error) if error.kind == ErrorKind::DnsServfail => error,
            answer => return answer,
        };
        // Asked together, the first that refuses speaks for all. As the system's resolver does, look
        // for one that does not.
        let mut others = JoinSet::new();
        for server in &self.each {
            let (server, text, name) = (server.clone(), text.to_owned(), name.clone());
            others.spawn(async move { ask_for(&server, &text, name, kind, deadline).await });
        }
        while let Some(answer) = others.join_next().await {
            match answer {
                Ok(Ok(records)) => return Ok(records),
                Ok(Err(error)) if error.is_dns_answer() => return Err(error),
                _ => {}
            }
        }
        Err(failure)
    }
}

/// A text as a name to ask for, completed by the search list unless it is made fully qualified.
pub(super) fn name(text: &str) -> Result<Name, LookError> {
    Name::from_ascii(text).map_err(|error| {
        LookError::new(
            ErrorKind::DnsNxdomain,
            format!("{text} is no DNS name: {error}"),
        )
    })
}

async fn ask_for(
    dns: &TokioResolver,
    text: &str,
    name: Name,
    kind: RecordType,
    deadline: Instant,
) -> Result<Vec<RData>, LookError> {
    match timeout_at(deadline, dns.lookup(name, kind)).await {
        Ok(Ok(lookup)) => Ok(lookup.answers().iter().map(|r| r.data.clone()).collect()),
        Ok(Err(error)) => Err(explain(text, kind, &error)),
        Err(_) => Err(timed_out(text, kind)),
    }
}
