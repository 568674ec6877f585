//! TLSA records of an endpoint, with the name server's report of their DNSSEC validation.

use std::sync::Arc;

use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::FirstAnswer as _;
use hickory_resolver::net::{DnsError, DnsHandle as _, NetError, RetryDnsHandle};
use hickory_resolver::proto::op::{DnsRequestOptions, DnsResponse, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use tokio::time::{Instant, timeout_at};

use crate::certificate::printable;
use crate::observation::{ErrorKind, ProbeError};
use crate::tlsa::{Tlsa, TlsaRecord};

use super::dns;
use super::dns_error::{explain, rejects_edns, timed_out};
use super::error::ResolverError;
use super::order::Order;

/// Maximum TLSA records of one endpoint. Two or three are usual: one for the current certificate
/// and one for the next rollover.
const MAX_RECORDS: usize = 64;
/// Maximum aliases of a name that are followed.
const MAX_ALIASES: usize = 8;

type Handle = RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>;

/// Name servers for queries that request DNSSEC validation.
pub(super) struct Vouching {
    order: Order,
    servers: Vec<Handle>,
}

/// Response of a name server. Empty if there is no such record.
#[derive(Default)]
struct Answer {
    records: Vec<Record>,
    authenticated: bool,
}

impl Vouching {
    pub(super) fn new(
        config: &ResolverConfig,
        options: &ResolverOpts,
    ) -> Result<Self, ResolverError> {
        let with = |servers: &[NameServerConfig]| {
            let tls = TlsConfig::new().map_err(ResolverError::Client)?;
            let context = Arc::new(PoolContext::new(options.clone(), tls));
            let provider = TokioRuntimeProvider::default();
            let pool = NameServerPool::from_config(servers.to_vec(), context, provider);
            Ok::<_, ResolverError>(RetryDnsHandle::new(pool, 0))
        };
        let servers: Vec<Handle> = config
            .name_servers()
            .chunks(1)
            .map(with)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            order: Order::new(servers.len(), options.attempts, options.timeout),
            servers,
        })
    }

    /// Returns the TLSA records for a host and a TCP port. If the host is an alias, those of its
    /// canonical name take precedence, provided that DNSSEC validates every step to it and the
    /// addresses there (RFC 7671, section 7; RFC 7672, section 2.2.2).
    ///
    /// If DNSSEC does not authenticate the addresses of the host, clients need no TLSA records, so
    /// that a failure is their absence, and for `mail` records are not authenticated (RFC 7672,
    /// section 2.2.2).
    pub(super) async fn tlsa(
        &self,
        host: &str,
        port: u16,
        is_mail: bool,
        deadline: Instant,
    ) -> Result<Tlsa, ProbeError> {
        let mut host = dns::name(host)?;
        host.set_fqdn(true);
        let (own, canonical, is_secure) = tokio::join!(
            self.records(&host, port, deadline),
            self.canonical(&host, deadline),
            self.is_secure(&host, deadline),
        );
        let found = async {
            if let Some(canonical) = canonical? {
                let expanded = self.records(&canonical, port, deadline).await?;
                if !expanded.records.is_empty() {
                    return Ok(expanded);
                }
            }
            own
        };
        match (found.await, is_secure) {
            (Ok(tlsa), Ok(false)) if is_mail => Ok(Tlsa {
                authenticated: false,
                ..tlsa
            }),
            (Err(failure), Ok(false)) => {
                tracing::debug!(
                    "TLSA lookup failed in an unsigned zone: hostname={host} error={failure}"
                );
                Ok(Tlsa {
                    name: printable(&format!("_{port}._tcp.{}", host.to_ascii())),
                    records: Vec::new(),
                    authenticated: false,
                })
            }
            (found, _) => found,
        }
    }

    /// Returns true if DNSSEC authenticates the addresses of a host. For an alias, it suffices that
    /// its own record is authenticated (RFC 7672, section 2.2.2).
    ///
    /// # Errors
    /// If the name servers do not return the addresses.
    async fn is_secure(&self, host: &Name, deadline: Instant) -> Result<bool, ProbeError> {
        for kind in [RecordType::A, RecordType::AAAA] {
            let answer = self.ask(host, kind, deadline).await?;
            if answer.authenticated {
                return Ok(true);
            }
            if alias(&answer.records, host).is_some() {
                let own = self.ask(host, RecordType::CNAME, deadline).await?;
                return Ok(own.authenticated && alias(&own.records, host).is_some());
            }
            if !answer.records.is_empty() {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Returns true if DNSSEC authenticates the MX records of a domain, or their absence.
    ///
    /// # Errors
    /// If the name servers do not return them. The records are then neither secure nor insecure
    /// (RFC 7672, section 2.1).
    pub(super) async fn is_mx_secure(
        &self,
        domain: &str,
        deadline: Instant,
    ) -> Result<bool, ProbeError> {
        let mut domain = dns::name(domain)?;
        domain.set_fqdn(true);
        let answer = self.ask(&domain, RecordType::MX, deadline).await?;
        match answer.records.is_empty() {
            false => Ok(answer.authenticated),
            // The domain is its own mail host. Its zone is that of its addresses, and a name server
            // that validates does not report the absence of records without proof.
            true => self.is_secure(&domain, deadline).await,
        }
    }

    /// Returns true if DNSSEC authenticates the SRV records of a service.
    ///
    /// # Errors
    /// If the name servers do not return them.
    pub(super) async fn is_srv_secure(
        &self,
        owner: &str,
        deadline: Instant,
    ) -> Result<bool, ProbeError> {
        let mut name = dns::name(owner)?;
        name.set_fqdn(true);
        Ok(self
            .ask(&name, RecordType::SRV, deadline)
            .await?
            .authenticated)
    }

    async fn records(&self, host: &Name, port: u16, deadline: Instant) -> Result<Tlsa, ProbeError> {
        let owner = format!("_{port}._tcp.{host}");
        let Ok(owner) = Name::from_ascii(&owner) else {
            // The two additional labels make the name too long, so no such name can exist.
            return Ok(Tlsa {
                name: owner,
                records: Vec::new(),
                authenticated: false,
            });
        };
        let answer = self.ask(&owner, RecordType::TLSA, deadline).await?;
        let mut at = &owner;
        // The queried name may itself be an alias. A recursive name server returns the whole chain.
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
            return Err(ProbeError::new(
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

    /// Returns the canonical name of an alias. `None` if the name is no alias, or DNSSEC does not
    /// validate a step or the addresses of the canonical name. An unsigned zone may also be unable
    /// to answer for TLSA records at all.
    async fn canonical(&self, host: &Name, deadline: Instant) -> Result<Option<Name>, ProbeError> {
        let mut canonical: Option<Name> = None;
        for _ in 0..MAX_ALIASES {
            let at = canonical.as_ref().unwrap_or(host);
            let answer = self.ask(at, RecordType::CNAME, deadline).await?;
            match alias(&answer.records, at) {
                Some(target) if answer.authenticated => canonical = Some(target.clone()),
                Some(_) => return Ok(None),
                None => {
                    return match canonical {
                        Some(name) if self.is_secure(&name, deadline).await? => Ok(Some(name)),
                        _ => Ok(None),
                    };
                }
            }
        }
        // The chain exceeds the limit.
        Ok(None)
    }

    async fn ask(
        &self,
        name: &Name,
        kind: RecordType,
        deadline: Instant,
    ) -> Result<Answer, ProbeError> {
        let mut queries = self.order.queries(deadline);
        while let Some(query) = queries.next() {
            let Some(server) = self.servers.get(query.index) else {
                break;
            };
            let answer = ask_for(server, name, kind, query.end).await;
            if let Some(answer) = queries.record(query, answer) {
                return answer;
            }
        }
        let text = printable(&name.to_ascii());
        Err(queries.failure().unwrap_or_else(|| timed_out(&text, kind)))
    }
}

async fn ask_for(
    server: &Handle,
    name: &Name,
    kind: RecordType,
    deadline: Instant,
) -> Result<Answer, ProbeError> {
    let text = printable(&name.to_ascii());
    let mut options = DnsRequestOptions::default();
    // Without the DO bit, name servers do not report DNSSEC validation (RFC 6840, section 5.8).
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
        Err(error) => match explain(&text, None, kind, None, &error) {
            none if none.is_dns_answer() => Ok(Answer::default()),
            // A name server without EDNS does not validate (RFC 6891, section 7).
            _ if kind.is_ip_addr() && rejects_edns(&error) => Ok(Answer::default()),
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

/// Adds to a SERVFAIL that DNSSEC validation may have failed. A validating name server has no other
/// code for it (RFC 4035, section 5.5).
fn may_be_bogus(failure: &ProbeError, error: &NetError) -> ProbeError {
    let servfail = ResponseCode::ServFail;
    if !matches!(error, NetError::Dns(DnsError::ResponseCode(code)) if *code == servfail) {
        return failure.clone();
    }
    ProbeError::new(
        failure.kind,
        format!(
            "{failure}; a validating name server fails like this if DNSSEC signatures are invalid or have expired, and \
             mail servers that use DANE defer delivery then"
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
