//! MTA-STS policies of mail domains, from DNS and the policy host (RFC 8461, section 3).

use std::sync::Arc;

use tokio::time::Instant;
use url::Url;

use crate::certificate::printable;
use crate::io::{Http, SourceError};
use crate::model::Hostname;
use crate::resolve::Resolver;
use certvigil_core::mta_sts::{MAX_POLICY_BYTES, Sts, StsFault, StsPolicy, announced};

/// HTTP status of a policy. Senders do not use another one (RFC 8461, section 3.3).
const OK: u16 = 200;
/// Media type of a policy (RFC 8461, section 3.2).
const MEDIA_TYPE: &str = "text/plain";

/// Client of policy hosts.
pub struct Policies {
    http: Http,
    resolver: Arc<Resolver>,
}

impl Policies {
    /// Creates a client with the roots of `http`, which finds policy hosts with the resolver.
    pub fn new(http: &Http, resolver: Arc<Resolver>) -> Self {
        Self {
            http: http.without_redirects(resolver.clone()),
            resolver,
        }
    }

    /// Returns the policy of a domain within the deadline, or `None` if it announces none. The DNS
    /// lookup ends at `lookup`. Senders treat a failed lookup as no announcement, and go on with the
    /// policy that they know, if any.
    pub async fn of(
        &self,
        domain: &Hostname,
        lookup: Instant,
        deadline: Instant,
    ) -> Option<Result<Sts, StsFault>> {
        let records = self.resolver.sts_records(domain, lookup).await;
        let records = records.inspect_err(|error| {
            if !error.is_dns_answer() {
                tracing::info!("MTA-STS lookup failed: domain={domain} error={error}");
            }
        });
        let id = match announced(&records.ok()?)? {
            Ok(id) => id,
            Err(fault) => return Some(Err(fault)),
        };
        let policy = self.fetch(domain, deadline).await;
        match &policy {
            Ok(StsPolicy { mode, mx, max_age }) => tracing::info!(
                "MTA-STS policy: domain={domain} id={id} mode={} mx={} max_age={max_age}",
                mode.name(),
                mx.join(",")
            ),
            Err(fault) => {
                tracing::info!("MTA-STS policy unusable: domain={domain} id={id} fault={fault:?}")
            }
        }
        Some(policy.map(|policy| Sts { id, policy }))
    }

    async fn fetch(&self, domain: &Hostname, deadline: Instant) -> Result<StsPolicy, StsFault> {
        let failed = |reason: String| StsFault::Fetch {
            reason: printable(&reason),
        };
        let url = format!("https://mta-sts.{domain}/.well-known/mta-sts.txt");
        let url = Url::parse(&url).map_err(|error| failed(error.to_string()))?;
        let answer = self.http.get(&url, None, MAX_POLICY_BYTES, deadline).await;
        let answer = answer.map_err(|error: SourceError| failed(error.to_string()))?;
        if answer.status != OK {
            return Err(StsFault::HttpStatus {
                status: answer.status,
            });
        }
        let media_type = answer.content_type.split(';').next().unwrap_or_default();
        if !media_type.trim().eq_ignore_ascii_case(MEDIA_TYPE) {
            return Err(StsFault::MediaType {
                content_type: printable(media_type.trim()),
            });
        }
        StsPolicy::parse(&answer.body)
    }
}
