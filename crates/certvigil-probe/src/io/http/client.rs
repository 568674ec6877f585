//! The HTTP client: TLS, redirects, and the addresses to which it may connect.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::Instant;
use url::{Host, Url};

use crate::guard::{Guard, Refused};
use crate::io::error::SourceError;
use crate::io::roots::api_roots;
use crate::model::Hostname;
use crate::resolve::{AddressQuery, Resolver};

use super::{CONNECT_TIMEOUT, HTTPS_PORT, MAX_REDIRECTS};

/// Connection settings of the client. The client is created at the first request, because the
/// system's roots take long to read and most runs send no request.
pub(super) struct Connector {
    pub(super) own_roots: Vec<CertificateDer<'static>>,
    /// Filter for addresses. `None` allows all.
    pub(super) guard: Option<Arc<Guard>>,
    /// Resolver of names, for requests that follow no redirect and use no proxy. `None` means the
    /// system's.
    pub(super) resolver: Option<Arc<Resolver>>,
    pub(super) made: OnceLock<Result<reqwest::Client, ClientError>>,
}

/// Reason for which there is no client.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("the HTTP client cannot be set up: {0}")]
    Tls(rustls::Error),
    #[error("the HTTP client cannot be set up: {0}")]
    Http(reqwest::Error),
}

impl Connector {
    pub(super) fn client(&self) -> Result<&reqwest::Client, SourceError> {
        let made = match self.made.get() {
            Some(made) => made,
            None => {
                // A later request reads the store again: it may be replaced at the moment.
                let roots = api_roots(&self.own_roots)
                    .map_err(|error| SourceError::Unusable(error.to_string()))?;
                self.made.get_or_init(|| self.make(roots))
            }
        };
        made.as_ref()
            .map_err(|error| SourceError::Unusable(error.to_string()))
    }

    fn make(&self, roots: RootCertStore) -> Result<reqwest::Client, ClientError> {
        let guard = self.guard.clone();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(ClientError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let of_redirects = guard.clone();
        let policy = Policy::custom(move |attempt| {
            if let Some(guard) = &of_redirects
                && let Err(why) = may_reach_literal(guard, attempt.url())
            {
                return attempt.error(why);
            }
            let from_https = attempt.previous().iter().any(|url| url.scheme() == "https");
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if from_https && attempt.url().scheme() != "https" {
                attempt.error("a redirect from https to http is not followed")
            } else {
                attempt.follow()
            }
        });
        let builder = reqwest::Client::builder();
        let builder = match (guard, &self.resolver) {
            // A proxy would resolve names itself, without the guard.
            (Some(guard), _) => builder.no_proxy().dns_resolver(GuardedResolver(guard)),
            (None, Some(resolver)) => builder
                .no_proxy()
                .dns_resolver(OwnResolver(resolver.clone())),
            (None, None) => builder,
        };
        let policy = match self.resolver {
            Some(_) => Policy::none(),
            None => policy,
        };
        builder
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("certvigil/", env!("CARGO_PKG_VERSION")))
            .redirect(policy)
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(ClientError::Http)
    }
}

/// Checks a URL whose host is an IP address against the guard. Names are checked when they are
/// resolved.
pub(super) fn may_reach_literal(guard: &Guard, url: &Url) -> Result<(), Refused> {
    match url.host() {
        Some(Host::Ipv4(ip)) => guard.may_reach(ip.into()),
        Some(Host::Ipv6(ip)) => guard.may_reach(ip.into()),
        Some(Host::Domain(_)) | None => Ok(()),
    }
}

/// DNS resolver that returns only addresses that a guard allows, so that the checked addresses are
/// those of the connection.
struct GuardedResolver(Arc<Guard>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Vec<SocketAddr> = found.collect();
            for address in &addresses {
                guard.may_reach(address.ip())?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// DNS resolver with certvigil's own name servers and overrides.
struct OwnResolver(Arc<Resolver>);

impl Resolve for OwnResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let hostname: Hostname = name.as_str().parse()?;
            let query = AddressQuery::new(&hostname, HTTPS_PORT);
            let found = resolver
                .resolve(&query, Instant::now() + CONNECT_TIMEOUT)
                .await;
            let addresses = found.addresses.into_iter();
            match found.failure {
                Some(failure) if addresses.len() == 0 => Err(failure.message.into()),
                _ => Ok(Box::new(addresses.map(|ip| SocketAddr::new(ip, 0))) as Addrs),
            }
        })
    }
}
