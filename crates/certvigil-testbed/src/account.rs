//! Account of the SSLMate service: certificates, their instances, and the JSON objects of both.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::certificate::{Certificate, PublicKeyHash, sha1_hex};
use crate::instance::State;
use crate::model::Timestamp;

/// Content of an account.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Certificate objects by common name.
    pub certificates: BTreeMap<String, AccountCertificate>,
}

/// Certificate object of one common name.
#[derive(Clone, Debug)]
pub struct AccountCertificate {
    /// Additional names. `None` stands for SSLMate's default ones.
    pub sans: Option<Vec<String>>,
    /// Certificate signing request of the certificate object, as PEM.
    pub csr: String,
    /// Public key of that request.
    pub key: PublicKeyHash,
    /// Instances, oldest first.
    pub instances: Vec<AccountInstance>,
}

/// Instance of a certificate.
#[derive(Clone, Debug)]
pub struct AccountInstance {
    /// Number of the instance.
    pub id: u64,
    /// State in the life cycle.
    pub state: State,
    /// Leaf certificate. The temporary one while the instance is pending.
    pub leaf: Certificate,
    /// Intermediate certificates.
    pub chain: Vec<Certificate>,
    /// Root certificate. `None` while the instance is pending.
    pub root: Option<Certificate>,
    /// Certificate signing request of the instance, as PEM.
    pub csr: String,
}

impl AccountCertificate {
    /// Returns the newest active instance.
    pub fn current(&self) -> Option<&AccountInstance> {
        self.newest(State::Active)
    }

    /// Returns the newest pending instance.
    pub fn pending(&self) -> Option<&AccountInstance> {
        self.newest(State::Pending)
    }

    fn newest(&self, state: State) -> Option<&AccountInstance> {
        self.instances.iter().rev().find(|i| i.state == state)
    }

    /// Returns the instance with this number.
    pub fn instance(&self, id: u64) -> Option<&AccountInstance> {
        self.instances.iter().find(|i| i.id == id)
    }

    /// Returns the instance with this public key. The reference requires: "If a certificate has
    /// more than one instance with the requested pubkey_hash, then the most recent active instance
    /// is returned."
    pub fn instance_by_key(&self, key: &str) -> Option<&AccountInstance> {
        let has_key = |i: &&AccountInstance| {
            i.leaf
                .public_key_hash()
                .is_some_and(|k| k.to_string() == key)
        };
        let newest_first = || self.instances.iter().rev().filter(has_key);
        newest_first()
            .find(|i| i.state == State::Active)
            .or_else(|| newest_first().next())
    }

    /// Returns all names of a certificate for this common name.
    pub fn names(&self, cn: &str) -> Vec<String> {
        let mut names = vec![cn.to_owned()];
        match &self.sans {
            Some(sans) => names.extend(sans.iter().cloned()),
            None => names.push(default_san(cn)),
        }
        names
    }
}

/// Returns the additional name according to the reference's "Default SANs".
fn default_san(cn: &str) -> String {
    if let Some(rest) = cn.strip_prefix("www.").or_else(|| cn.strip_prefix("*.")) {
        rest.to_owned()
    } else {
        format!("www.{cn}")
    }
}

/// Attributes that a request asks for in addition to the default ones, as a tree of their dotted
/// names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expand(BTreeMap<String, Expand>);

impl Expand {
    /// Adds one dotted name.
    pub fn add(&mut self, path: &str) {
        path.split('.')
            .fold(self, |at, part| at.0.entry(part.to_owned()).or_default());
    }

    fn get(&self, name: &str) -> Option<&Expand> {
        self.0.get(name)
    }
}

/// Returns the certificate object. `None` if the account does not contain the name.
pub(super) fn certificate_object(
    cn: &str,
    certificate: Option<&AccountCertificate>,
    download: &str,
    expand: &Expand,
    now: Timestamp,
) -> Value {
    let mut object = object(json!({
        "exists": certificate.is_some(),
        "cn": cn,
        "wildcard": cn.starts_with("*."),
        "dn": { "C": "US", "CN": cn },
        "auto_renew": certificate.is_some(),
        "muted": false,
        "approval_method": null,
        "type": null,
        "sans": null,
        "tags": [],
        "pubkey_hash": null,
        "current_download": null,
    }));
    let Some(certificate) = certificate else {
        return Value::Object(object);
    };
    object.insert("approval_method".into(), json!("http"));
    object.insert("type".into(), json!("dv"));
    object.insert("sans".into(), sans(certificate.sans.as_deref()));
    object.insert("pubkey_hash".into(), json!(certificate.key.to_string()));
    object.insert("current_download".into(), json!(download));
    if expand.get("csr").is_some() {
        object.insert("csr".into(), json!(certificate.csr));
    }
    for (name, instance) in [
        ("current", certificate.current()),
        ("pending", certificate.pending()),
    ] {
        if let (Some(expand), Some(instance)) = (expand.get(name), instance) {
            let sans = certificate.sans.as_deref();
            object.insert(name.into(), instance_object(instance, sans, expand, now));
        }
    }
    Value::Object(object)
}

/// Returns the certificate instance object.
pub(super) fn instance_object(
    instance: &AccountInstance,
    names: Option<&[String]>,
    expand: &Expand,
    now: Timestamp,
) -> Value {
    const SOON: i64 = 30 * 86_400;
    let is_pending = instance.state == State::Pending;
    let leaf = &instance.leaf;
    let end = leaf.facts().ok().map(|f| f.not_after);
    let issued = |value: Value| if is_pending { Value::Null } else { value };
    let is_expiring = end.is_some_and(|end| end.seconds_since(now) < SOON);
    let mut object = object(json!({
        "id": instance.id,
        "state": instance.state.name(),
        "expiring": instance.state == State::Active && is_expiring,
        "source": "sslmate",
        "type": "dv",
        "sans": sans(names),
        "pubkey_hash": leaf.public_key_hash().map(|k| k.to_string()),
        "sha1_fingerprint": issued(json!(sha1_hex(leaf.der()))),
        "sha256_fingerprint": issued(json!(leaf.sha256().to_string())),
        "expiration": issued(json!(end.map(|end| end.0))),
        "invoice_id": null,
        "approval_method": "http",
    }));
    let mut add = |name: &str, value: Value| {
        if expand.get(name).is_some() {
            object.insert(name.into(), value);
        }
    };
    add("csr", json!(instance.csr));
    add("crt", json!(leaf.to_pem()));
    let chain: Vec<_> = instance.chain.iter().map(Certificate::to_pem).collect();
    add("chain", json!(chain));
    if let Some(root) = &instance.root {
        add("root", json!(root.to_pem()));
    }
    Value::Object(object)
}

fn sans(names: Option<&[String]>) -> Value {
    let one = |name: &String| json!({ "type": "dns", "value": name, "approval_method": "http" });
    match names {
        Some(names) => names.iter().map(one).collect(),
        None => Value::Null,
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expand_parameter_may_be_dotted_and_repeated() {
        let mut expand = Expand::default();
        for path in ["current.crt", "current.chain", "csr"] {
            expand.add(path);
        }
        let current = expand.get("current").unwrap();
        assert!(current.get("crt").is_some() && current.get("chain").is_some());
        assert!(current.get("csr").is_none() && expand.get("csr").is_some());
        assert!(expand.get("pending").is_none());
    }

    #[test]
    fn unknown_certificate_object_does_not_exist() {
        let object = certificate_object("x.example", None, "", &Expand::default(), Timestamp(0));
        assert_eq!(object["exists"], false);
        for null in ["approval_method", "type", "pubkey_hash", "current_download"] {
            assert!(object[null].is_null(), "{null}");
        }
        assert!(object.get("current").is_none());
    }
}
