//! SSLMate API (<https://sslmate.com/help/reference/apiv2>): certificates, instances, tests.

use std::time::Duration;

use certvigil_probe::io::{BasicAuth, Http, SourceError};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use crate::certificate::{Certificate, Fingerprint, PublicKeyHash, parse_certificates};
use crate::instance::{Instance, Instances, State};
use crate::model::Hostname;

use super::SetupError;
use super::error::PemError;
use super::test_rows::TestResponse;

/// Maximum size of a response about one certificate, in bytes.
const MAX_CERTIFICATE_BYTES: usize = 1 << 20;
/// Maximum size of a list of certificates, in bytes.
const MAX_LIST_BYTES: usize = 16 << 20;
/// Maximum size of a `/test` response, in bytes. Each address takes some hundred bytes.
const MAX_TEST_BYTES: usize = 4 << 20;
/// Maximum duration for which `poll` may ask the API to wait.
const MAX_POLL: Duration = Duration::from_secs(180);

/// Client of the API, or of another certvigil's `/test`.
#[derive(Clone)]
pub(crate) struct Client {
    base: Url,
    auth: Option<BasicAuth>,
    http: Http,
}

/// Certificate object, with the keys that are used here.
#[derive(Debug, Deserialize)]
pub(super) struct CertificateObject {
    #[serde(default)]
    pub(super) exists: Option<bool>,
    pub(super) cn: String,
    #[serde(default)]
    sans: Option<Vec<SanObject>>,
    #[serde(default)]
    current: Option<InstanceObject>,
    #[serde(default)]
    pending: Option<InstanceObject>,
}

#[derive(Debug, Deserialize)]
struct SanObject {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

/// Instance object, with the keys that are used here.
#[derive(Debug, Deserialize)]
pub(super) struct InstanceObject {
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    sha256_fingerprint: Option<String>,
    #[serde(default)]
    pubkey_hash: Option<String>,
    #[serde(default)]
    crt: Option<String>,
    #[serde(default)]
    chain: Option<Texts>,
    #[serde(default)]
    root: Option<String>,
}

/// Value of `chain`: an array according to the reference, but sometimes one string.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
pub(super) struct List {
    pub(super) data: Vec<CertificateObject>,
}

const EXPAND_CERTIFICATE: [&str; 8] = [
    "current",
    "current.crt",
    "current.chain",
    "current.root",
    "pending",
    "pending.crt",
    "pending.chain",
    "pending.root",
];
const EXPAND_INSTANCE: [&str; 3] = ["crt", "chain", "root"];

impl Client {
    /// Creates a client of the API at this base URL.
    pub(crate) fn new(base: &str, auth: Option<BasicAuth>, http: Http) -> Result<Self, SetupError> {
        let base = Url::parse(base)
            .ok()
            .filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
            .filter(|url| url.username().is_empty() && url.password().is_none())
            .ok_or_else(|| SetupError::api_url(base))?;
        if auth.is_some() && base.scheme() == "http" && !is_loopback(&base) {
            tracing::warn!("{base} is plain HTTP: the credentials are sent unencrypted");
        }
        Ok(Self { base, auth, http })
    }

    /// Returns the certificate object with its instances.
    pub(super) async fn certificate(
        &self,
        cn: &str,
        deadline: Instant,
    ) -> Result<CertificateObject, SourceError> {
        let url = self.url(&["certs", cn], EXPAND_CERTIFICATE.map(|e| ("expand", e)));
        let object: CertificateObject = self.get(&url, MAX_CERTIFICATE_BYTES, deadline).await?;
        if object.exists == Some(false) {
            return Err(SourceError::Unusable(format!(
                "the SSLMate account has no certificate `{cn}`; check the common name and the account"
            )));
        }
        Ok(object)
    }

    /// Returns the common names of all certificates of the account.
    pub(super) async fn list(&self, deadline: Instant) -> Result<Vec<String>, SourceError> {
        let url = self.url(&["certs"], [("expand", "current"), ("expand", "pending")]);
        let list: Result<List, _> = self.get(&url, MAX_LIST_BYTES, deadline).await;
        match list {
            Ok(list) => Ok(list.data.into_iter().map(|c| c.cn).collect()),
            Err(error) if status(&error) == Some(404) => Err(SourceError::Unusable(
                "this account cannot be listed: name its certificates one by one instead of `sslmate: \"*\"`".into(),
            )),
            Err(error) => Err(error),
        }
    }

    /// Returns one instance by its ID. With `poll`, the API waits for that long while it is
    /// pending.
    pub(super) async fn instance_by_id(
        &self,
        cn: &str,
        id: u64,
        poll: Option<Duration>,
        deadline: Instant,
    ) -> Result<InstanceObject, SourceError> {
        let seconds = poll.map(|p| p.min(MAX_POLL).as_secs().to_string());
        let query = EXPAND_INSTANCE.map(|e| ("expand", e));
        let query = query
            .into_iter()
            .chain(seconds.as_deref().map(|s| ("poll", s)));
        let url = self.url(&["certs", cn, "instances", &id.to_string()], query);
        self.get(&url, MAX_CERTIFICATE_BYTES, deadline).await
    }

    /// Returns the newest active instance for a public key, or `None` if the account has none.
    pub(super) async fn instance_by_key(
        &self,
        cn: &str,
        key: PublicKeyHash,
        deadline: Instant,
    ) -> Result<Option<InstanceObject>, SourceError> {
        let name = format!("pubkey_hash:{key}");
        let url = self.url(
            &["certs", cn, "instances", &name],
            EXPAND_INSTANCE.map(|e| ("expand", e)),
        );
        match self.get(&url, MAX_CERTIFICATE_BYTES, deadline).await {
            Ok(instance) => Ok(Some(instance)),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the results of the API's test of these hosts.
    pub(crate) async fn test(
        &self,
        cn: &str,
        hostnames: &[&Hostname],
        port: u16,
        deadline: Instant,
    ) -> Result<TestResponse, SourceError> {
        let hostnames: Vec<String> = hostnames.iter().map(ToString::to_string).collect();
        let port = port.to_string();
        let query = hostnames.iter().map(|h| ("hostname", h.as_str()));
        let url = self.url(
            &["certs", cn, "test"],
            query.chain([("port", port.as_str())]),
        );
        self.get(&url, MAX_TEST_BYTES, deadline).await
    }

    async fn get<T: serde::de::DeserializeOwned + Send + 'static>(
        &self,
        url: &Url,
        limit: usize,
        deadline: Instant,
    ) -> Result<T, SourceError> {
        self.http
            .get_json(url, self.auth.as_ref(), limit, deadline)
            .await
    }

    fn url<'a>(&self, path: &[&str], query: impl IntoIterator<Item = (&'a str, &'a str)>) -> Url {
        let path: String = path
            .iter()
            .map(|part| format!("/{}", encode(part)))
            .collect();
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url.query_pairs_mut().extend_pairs(query);
        url
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn status(error: &SourceError) -> Option<u16> {
    match error {
        SourceError::Api(error) => Some(error.status),
        SourceError::Http { status, .. } => Some(*status),
        _ => None,
    }
}

/// Percent-encodes everything but `A-Z a-z 0-9 - . _` in a path: `*.example.com` becomes
/// `%2A.example.com`. The colon of `pubkey_hash:` is kept, as in the reference.
fn encode(part: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b':');
    utf8_percent_encode(part, KEPT).to_string()
}

impl CertificateObject {
    /// Returns the instances that the judge needs.
    pub(super) fn instances(self) -> Result<Instances, SourceError> {
        let pending = match self.pending {
            // Before approval, there may be no temporary certificate yet.
            Some(pending) if pending.has_certificate() => Some(pending.instance()?),
            _ => None,
        };
        match (self.current, pending) {
            (Some(current), pending) => Ok(Instances {
                expected: current.instance()?,
                also_accepted: Vec::new(),
                pending,
                previous: Vec::new(),
            }),
            (None, Some(mut pending)) => {
                pending.state = State::Pending;
                Ok(Instances::only(pending))
            }
            (None, None) => Err(SourceError::NotIssued(format!(
                "the account has no active certificate for `{}`: none has been issued yet, or all are revoked or expired; buy one, or wait for it with --wait",
                self.cn
            ))),
        }
    }

    /// Returns the ID of the pending instance, if there is no current instance.
    pub(super) fn awaited(&self) -> Option<u64> {
        match (&self.current, &self.pending) {
            (None, Some(pending)) => pending.id,
            _ => None,
        }
    }

    /// Returns the names of the certificate: its common name and its SANs. Default SANs follow
    /// SSLMate's rule.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = vec![self.cn.clone()];
        match &self.sans {
            Some(sans) => names.extend(
                sans.iter()
                    .filter(|s| s.kind == "dns")
                    .map(|s| s.value.clone()),
            ),
            None => names.push(default_san(&self.cn)),
        }
        names
    }
}

/// Returns the SAN that SSLMate adds (reference, "Default SANs").
fn default_san(cn: &str) -> String {
    match cn.strip_prefix("www.").or_else(|| cn.strip_prefix("*.")) {
        Some(rest) => rest.to_owned(),
        None => format!("www.{cn}"),
    }
}

impl InstanceObject {
    fn has_certificate(&self) -> bool {
        self.crt
            .as_deref()
            .is_some_and(|crt| !crt.trim().is_empty())
    }

    /// Returns the fingerprint in the API response.
    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        self.sha256_fingerprint.as_deref()?.parse().ok()
    }

    /// Returns the state in the API response.
    pub(super) fn state(&self) -> State {
        state(self.state.as_deref())
    }

    /// Returns the instance, after checking that its bytes match the fingerprint.
    pub(super) fn instance(self) -> Result<Instance, SourceError> {
        let number = self.id.map(|id| format!(" {id}")).unwrap_or_default();
        let unusable =
            |why: String| SourceError::Unusable(format!("instance{number} cannot be used: {why}"));
        let crt = self.crt.as_deref().unwrap_or_default();
        let leaf = one(crt).map_err(|e| unusable(format!("its `crt`: {e}")))?;
        if let Some(stated) = &self.sha256_fingerprint
            && self.fingerprint() != Some(leaf.sha256())
        {
            return Err(unusable(format!(
                "its bytes have the SHA-256 {}, but the API states {}; do not install it, and contact SSLMate",
                leaf.sha256(),
                crate::certificate::printable(stated)
            )));
        }
        let stated: Option<PublicKeyHash> =
            self.pubkey_hash.as_deref().and_then(|h| h.parse().ok());
        if stated.is_some() && stated != leaf.public_key_hash() {
            return Err(unusable(
                "its public key is not the one that the API states; contact SSLMate".into(),
            ));
        }
        let state = self.state();
        let chain = match self.chain {
            None => Vec::new(),
            Some(Texts::One(text)) => vec![text],
            Some(Texts::Many(texts)) => texts,
        };
        let chain = chain.iter().filter(|text| !text.trim().is_empty());
        let chain: Result<Vec<_>, _> = chain.map(|text| all(text)).collect();
        let chain = chain.map_err(|e| unusable(format!("its `chain`: {e}")))?;
        let root = match self.root.as_deref().map(str::trim) {
            None | Some("") => None,
            Some(text) => Some(one(text).map_err(|e| unusable(format!("its `root`: {e}")))?),
        };
        Ok(Instance {
            id: self.id,
            state,
            leaf,
            chain: chain.concat(),
            root,
        })
    }
}

fn read(pem: &str) -> Result<Vec<Certificate>, PemError> {
    parse_certificates(pem.as_bytes()).map_err(|e| PemError::Text(e.to_string().into()))
}

/// Returns the first certificate of a PEM text.
fn one(pem: &str) -> Result<Certificate, PemError> {
    let first = read(pem)?.into_iter().next();
    sound(first.ok_or(PemError::Empty)?)
}

/// Returns all certificates of a PEM text.
fn all(pem: &str) -> Result<Vec<Certificate>, PemError> {
    let certificates = read(pem)?;
    certificates.into_iter().map(sound).collect()
}

fn sound(certificate: Certificate) -> Result<Certificate, PemError> {
    certificate
        .facts()
        .map_err(|e| PemError::Malformed(e.to_string().into()))?;
    Ok(certificate)
}

fn state(text: Option<&str>) -> State {
    match text {
        Some("active") => State::Active,
        Some("pending") => State::Pending,
        Some("expired") => State::Expired,
        Some("revoked") => State::Revoked,
        Some("canceled") => State::Canceled,
        _ => State::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_sans_follow_the_reference() {
        assert_eq!(default_san("www.example.com"), "example.com");
        assert_eq!(default_san("*.example.com"), "example.com");
        assert_eq!(default_san("example.com"), "www.example.com");
    }

    #[test]
    fn error_with_an_api_name_has_no_control_characters() {
        let object = r#"{"cn": "a.example\nerror: all is well"}"#;
        let object: CertificateObject = serde_json::from_str(object).unwrap();
        let error = object.instances().unwrap_err().to_string();
        assert!(!error.contains(char::is_control), "{error:?}");
    }

    #[test]
    fn api_chain_is_read_from_one_string_or_a_list() {
        let file = include_str!("../../crates/certvigil-core/src/judge/testdata/intermediate.pem");
        let malformed = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let leaf = include_str!("../../crates/certvigil-core/src/judge/testdata/leaf.pem");
        let read = |chain: serde_json::Value| {
            let object = serde_json::json!({"crt": leaf, "chain": chain});
            let object: InstanceObject = serde_json::from_value(object).unwrap();
            object.instance().map(|instance| instance.chain.len())
        };
        let two = format!("{file}{file}");
        for (count, text) in [(0, " "), (1, file), (2, &two)] {
            assert_eq!(read(text.into()), Ok(count));
            assert_eq!(read(vec![text].into()), Ok(count));
        }
        let two = format!("{file}{malformed}");
        for chain in [
            two.clone().into(),
            vec![two].into(),
            vec![file, malformed].into(),
        ] {
            let error = read(chain).unwrap_err().to_string();
            assert!(error.contains("its `chain`: it is malformed"), "{error}");
        }
    }

    #[test]
    fn common_names_are_encoded_as_by_sslmates_client() {
        assert_eq!(encode("*.example.com"), "%2A.example.com");
        assert_eq!(encode("a/../b?c#d"), "a%2F..%2Fb%3Fc%23d");
        assert_eq!(encode("pubkey_hash:ab"), "pubkey_hash:ab");
    }
}
