//! JSON objects of the reference.

use certvigil_core::certificate::hash::Hash;
use certvigil_core::model::Timestamp;
use serde_json::{Map, Value, json};

use super::{Account, Approval, Expand, InstanceRecord, Policy, San, Signed, State};
use crate::judge::{Judged, Verdict};
use crate::observation::Status;

/// Sender of approval e-mails. The sandbox sends none.
const APPROVAL_FROM: &str = "approval@sandbox.invalid";
/// Domain of the values of DNS approval records.
const APPROVAL_DOMAIN: &str = "dns-approval.sandbox.invalid";
/// Characters of the label of an approval record.
const LABEL: usize = 32;

impl Account {
    /// Returns the certificate object of a common name. A name that the account does not have has
    /// one too, in which `exists` is false.
    pub fn certificate_object(
        &self,
        cn: &str,
        expand: &Expand,
        policy: &Policy,
        now: Timestamp,
    ) -> Value {
        let record = self.certificates.get(cn);
        let mut dn: Map<String, Value> = Map::new();
        dn.extend(policy.dn.iter().map(|(k, v)| (k.clone(), json!(v))));
        dn.insert("CN".into(), json!(cn));
        let mut object = object(json!({
            "exists": record.is_some(),
            "cn": cn,
            "wildcard": cn.starts_with("*."),
            "dn": dn,
            "auto_renew": record.is_some_and(|r| r.auto_renew),
            "muted": record.is_some_and(|r| r.muted),
            "approval_method": record.map(|r| r.approval.name()),
            "type": record.map(|r| r.kind.name()),
            "sans": null,
            "tags": record.map(|r| json!(r.tags)).unwrap_or(json!([])),
            "pubkey_hash": record.map(|r| &r.pubkey_hash),
            "current_download": record.map(|r| format!("{}/download/{}", policy.origin, r.token)),
        }));
        let Some(record) = record else {
            return Value::Object(object);
        };
        let approval = Approvals {
            expand,
            policy,
            pubkey_hash: &record.pubkey_hash,
        };
        object.insert("sans".into(), approval.sans(record.sans.as_deref()));
        approval.add(&mut object, cn, &record.approval);
        if expand.has("csr") {
            object.insert("csr".into(), json!(record.csr));
        }
        for (name, instance) in [("current", record.current()), ("pending", record.pending())] {
            if let (Some(expand), Some(instance)) = (expand.get(name), instance) {
                object.insert(name.into(), instance.to_json(expand, policy, now));
            }
        }
        Value::Object(object)
    }
}

impl InstanceRecord {
    /// Returns the certificate instance object.
    pub fn to_json(&self, expand: &Expand, policy: &Policy, now: Timestamp) -> Value {
        let is_issued = !self.certificate.is_temporary;
        let expiration = is_issued.then_some(self.certificate.not_after);
        let approval = Approvals {
            expand: &Expand::default(),
            policy,
            pubkey_hash: &self.pubkey_hash,
        };
        let mut object = object(json!({
            "id": self.id,
            "state": self.state.name(),
            "expiring": self.state == State::Active && self.expiring_from() <= now.0,
            "source": match self.source {
                super::Source::Sslmate => "sslmate",
                super::Source::Import => "import",
            },
            "type": self.kind.map(super::Kind::name),
            "sans": approval.sans(self.sans.as_deref()),
            "pubkey_hash": self.pubkey_hash,
            "sha1_fingerprint": self.certificate.sha1,
            "sha256_fingerprint": self.certificate.sha256,
            "expiration": expiration,
            "invoice_id": self.invoice.map(|number| number.to_string()),
            "approval_method": self.approval.as_ref().map(Approval::name),
        }));
        if let Some(address) = self.approval.as_ref().and_then(Approval::email) {
            object.insert("approver_email".into(), json!(address));
            object.insert("approval_email_from".into(), json!(APPROVAL_FROM));
        }
        let Signed {
            crt, chain, root, ..
        } = &self.certificate;
        for (name, value) in [
            ("csr", (!self.csr.is_empty()).then(|| json!(self.csr))),
            ("crt", Some(json!(crt))),
            ("chain", Some(json!(chain))),
            ("root", (!root.is_empty()).then(|| json!(root))),
        ] {
            if let (true, Some(value)) = (expand.has(name), value) {
                object.insert(name.into(), value);
            }
        }
        Value::Object(object)
    }
}

/// Approval attributes of one certificate or instance.
struct Approvals<'a> {
    expand: &'a Expand,
    policy: &'a Policy,
    pubkey_hash: &'a str,
}

impl Approvals<'_> {
    /// Adds the attributes of an approval to a certificate or SAN object.
    fn add(&self, object: &mut Map<String, Value>, name: &str, approval: &Approval) {
        match approval {
            Approval::Email(address) => {
                object.insert("approver_email".into(), json!(address));
            }
            Approval::Dns => {
                let options = json!({ "options": self.dns_options(name) });
                object.insert(
                    "dns_approval".into(),
                    self.with_status("dns_approval", options),
                );
            }
            Approval::Http => {
                let file = json!({
                    "path": format!("/.well-known/pki-validation/{}.txt", self.label(name)),
                    "content": self.pubkey_hash,
                });
                object.insert(
                    "http_approval".into(),
                    self.with_status("http_approval", file),
                );
            }
        }
    }

    /// Adds `status` if it is expanded. Only SSLMate's own client knows it: in batch mode, it goes
    /// on if `ready` is true.
    fn with_status(&self, attribute: &str, mut approval: Value) -> Value {
        let is_expanded = self.expand.get(attribute).is_some_and(|e| e.has("status"));
        if let (true, Some(object)) = (is_expanded, approval.as_object_mut()) {
            let is_ready = self.policy.approval_delay.is_some();
            object.insert("status".into(), json!({ "ready": is_ready }));
        }
        approval
    }

    fn dns_options(&self, name: &str) -> Value {
        let domain = name.strip_prefix("*.").unwrap_or(name);
        let label = self.label(name);
        json!([
            {
                "name": format!("_{label}.{domain}."),
                "type": "CNAME",
                "value": format!("{label}.{APPROVAL_DOMAIN}."),
            },
            {
                "name": format!("_approval.{domain}."),
                "type": "TXT",
                "value": format!("\"{label}\""),
            },
        ])
    }

    /// Returns the label for a name and a public key.
    fn label(&self, name: &str) -> String {
        let text = format!("{name} {}", self.pubkey_hash);
        let hex = Hash::Sha256.digest(&[text.as_bytes()]);
        let hex: String = hex.iter().map(|byte| format!("{byte:02x}")).collect();
        hex.chars().take(LABEL).collect()
    }

    fn sans(&self, sans: Option<&[San]>) -> Value {
        let one = |san: &San| {
            let mut object = object(json!({
                "type": "dns",
                "value": san.value,
                "approval_method": san.approval.name(),
            }));
            self.add(&mut object, &san.value, &san.approval);
            Value::Object(object)
        };
        sans.map_or(Value::Null, |sans| sans.iter().map(one).collect())
    }
}

/// Returns the test result object. `None` for a name that could not be resolved.
pub fn test_row(judged: &Judged) -> Option<Value> {
    let observation = &judged.observation;
    let ip = observation.ip?;
    let hostname = observation.target.hostname.to_string();
    Some(match &judged.verdict {
        Verdict::Conclusive(flags) => json!({
            "hostname": hostname,
            "ip_address": ip.to_string(),
            "status": Status::Conclusive.name(),
            "correct": flags.correct,
            "chained": flags.chained,
            "dummy": flags.dummy,
        }),
        Verdict::Inconclusive(error) => json!({
            "hostname": hostname,
            "ip_address": ip.to_string(),
            "status": error.kind.status().name(),
            "error": error.message,
        }),
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
