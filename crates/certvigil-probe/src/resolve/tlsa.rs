//! The TLSA records of an endpoint, with the name server's word on whether DNSSEC vouches for them.

use std::sync::Arc;

use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::FirstAnswer as _;
use hickory_resolver::net::{DnsError, DnsHandle as _, NetError, RetryDnsHandle};
use hickory_resolver::proto::op::{DnsRequestOptions, DnsResponse, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::certificate::printable;
use crate::observation::{ErrorKind, LookError};
use crate::tlsa::{Tlsa, TlsaRecord};

use super::dns;
use super::dns_error::{explain, timed_out};

/// So many records of one endpoint are judged. Two or three are usual: one for each certificate of now
/// and of the next rollover.
const MAX_RECORDS: usize = 64;
/// So many aliases of a name are followed.
const MAX_ALIASES: usize = 8;

type Handle = RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>;

/// Name servers that are asked for what DNSSEC may vouch for.
pub(super) struct Vouching {
    all: Handle,
    /// Each by itself; empty where there is only one.
    each: Vec<Handle>,
}

/// What a name server answered; empty where there is no such record.
#[derive(Default)]
struct Answer {
    records: Vec<Record>,
    authenticated: bool,
}

impl Vouching {
    pub(super) fn new(config: &ResolverConfig, options: &ResolverOpts) -> Result<Self, String> {
        let with = |servers: &[NameServerConfig]| {
            let tls = TlsConfig::new().map_err(|e| format!("no name server can be asked: {e}"))?;
            let context = Arc::new(PoolContext::new(options.clone(), tls));
            let provider = TokioRuntimeProvider::default();
            let pool = NameServerPool::from_config(servers.to_vec(), context, provider);
            Ok::<_, String>(RetryDnsHandle::new(pool, options.attempts))
        };
        let servers = config.name_servers();
        let single = servers.chunks(1).filter(|_| servers.len() > 1);
        Ok(Self {
            all: with(servers)?,
            each: single.map(with).collect::<Result<_, _>>()?,
        })
    }

    /// The TLSA records for a host and a TCP port. Where the host is an alias, those of the name that it
    /// stands for come first, if every step to it is vouched for (RFC 7671, section 7).
    pub(super) async fn tlsa(
        &self,
        host: &str,
        port: u16,
        deadline: Instant,
    ) -> Result<Tlsa, LookError> {
        let mut host = dns::name(host)?;
        host.set_fqdn(true);
        let (own, canonical) = tokio::join!(
            self.records(&host, port, deadline),
            self.canonical(&host, deadline),
        );
        if let Some(canonical) = canonical? {
            let expanded = self.records(&canonical, port, deadline).await?;
            if !expanded.records.is_empty() {
                return Ok(expanded);
            }
        }
        own
    }

    async fn records(&self, host: &Name, port: u16, deadline: Instant) -> Result<Tlsa, LookError> {
        let owner = format!("_{port}._tcp.{host}");
        let Ok(owner) = Name::from_ascii(&owner) else {
            // Two labels more, and it is too long for a name: nothing can be there.
            return Ok(Tlsa {
                name: owner,
                records: Vec::new(),
                authenticated: false,
            });
        };
        let answer = self.ask(&owner, RecordType::TLSA, deadline).await?;
        let mut at = &owner;
        // What is asked for may be an alias itself; a name server that resolves gives all of the way.
        for _ in 0..MAX_ALIASES {
            match alias(&answer.records, at) {
                Some(target) => at = target,
                None => break,
            }
        }
        let found = answer.records.iter().filter(|record| record.name == *at);
        let mut records: Vec<TlsaRecord> = found.filter_map(|record| tlsa(&record.data)).collect();
        records.sort();
        records.dedup();
        let name = printable(&owner.to_ascii());
        if records.len() > MAX_RECORDS {
            return Err(LookError::new(
                ErrorKind::Internal,
                format!(
                    "{name} has {} TLSA records, and at most {MAX_RECORDS} are judged: take out those of old certificates",
                    records.len()
                ),
            ));
        }
        Ok(Tlsa {
            name,
            records,
            authenticated: answer.authenticated,
        })
    }

    /// The name that an alias stands for; `None` where it is none, or a step is not vouched for.
    async fn canonical(&self, host: &Name, deadline: Instant) -> Result<Option<Name>, LookError> {
        let mut canonical = None;
        for _ in 0..MAX_ALIASES {
            let at = canonical.as_ref().unwrap_or(host);
            let answer = self.ask(at, RecordType::CNAME, deadline).await?;
            match alias(&answer.records, at) {
                Some(target) if answer.authenticated => canonical = Some(target.clone()),
                Some(_) => return Ok(None),
                None => return Ok(canonical),
            }
        }
        // So long a chain is followed by nobody.
        Ok(None)
    }

    async fn ask(
        &self,
        name: &Name,
        kind: RecordType,
        deadline: Instant,
    ) -> Result<Answer, LookError> {
        let failure = match ask_for(&self.all, name, kind, deadline).await {
            Err(error) if error.kind == ErrorKind::DnsServfail => error,
            answer => return answer,
        };
        // As for addresses: one that refuses does not speak for those that do not.
        let mut others = JoinSet::new();
        for server in &self.each {
            let (server, name) = (server.clone(), name.clone());
            others.spawn(async move { ask_for(&server, &name, kind, deadline).await });
        }
        while let Some(answer) = others.join_next().await {
            if let Ok(Ok(answer)) = answer {
                return Ok(answer);
            }
        }
        Err(failure)
    }
}

async fn ask_for(
    server: &Handle,
    name: &Name,
    kind: RecordType,
    deadline: Instant,
) -> Result<Answer, LookError> {
    let text = printable(&name.to_ascii());
    let mut options = DnsRequestOptions::default();
    // Without the DO bit nobody says whether DNSSEC vouches for the answer (RFC 6840, section 5.8).
    options.edns_set_dnssec_ok = true;
    let response = server
        .lookup(Query::query(name.clone(), kind), options)
        .first_answer();
    let response = match timeout_at(deadline, response).await {
        Ok(response) => response.and_then(|r| Ok(DnsError::from_response(r)?)),
        Err(_) => return Err(timed_out(&text, kind)),
    };
    match response {
        Ok(response) => Ok(answer(&response)),
        Err(error) => match explain(&text, kind, &error) {
            none if none.is_dns_answer() => Ok(Answer::default()),
            failure if failure.kind == ErrorKind::DnsServfail => {
                Err(may_be_bogus(&failure, &error))
            }
            failure => Err(failure),
        },
    }
}

fn answer(response: &DnsResponse) -> Answer {
    Answer {
        records: response.answers.clone(),
        authenticated: response.authentic_data,
    }
}

/// A name server that validates has no other word for an answer that DNSSEC proves wrong (RFC 4035,
/// section 5.5).
fn may_be_bogus(failure: &LookError, error: &NetError) -> LookError {
    let servfail = ResponseCode::ServFail;
    if !matches!(error, NetError::Dns(DnsError::ResponseCode(code)) if *code == servfail) {
        return failure.clone();
    }
    LookError::new(
        failure.kind,
        format!(
            "{failure}; a name server that validates says so where the DNSSEC signatures are wrong or have expired, and \
             mail servers that use DANE put off delivery then"
        ),
    )
}

fn alias<'a>(records: &'a [Record], of: &Name) -> Option<&'a Name> {
    records.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name == *of => Some(&target.0),
        _ => None,
    })
}

fn tlsa(data: &RData) -> Option<TlsaRecord> {
    match data {
        RData::TLSA(tlsa) => Some(TlsaRecord {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching_type: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        }),
        _ => None,
    }
}
