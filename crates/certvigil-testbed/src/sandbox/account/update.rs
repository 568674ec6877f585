//! Creating and updating certificate objects.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use certvigil_core::certificate::SigningRequest;

use super::arguments::{Arguments, Given};
use super::{
    Account, ApiError, Approval, CertificateRecord, Context, Kind, MAX_CERTIFICATES, San, check,
};

/// Maximum additional names of a certificate.
pub(super) const MAX_SANS: usize = 100;
/// Maximum tags of a certificate.
const MAX_TAGS: usize = 100;
/// Maximum characters of a tag.
const MAX_TAG: usize = 100;

/// Arguments of a create or update request. `None` keeps the current value.
#[derive(Clone, Debug, Default)]
pub struct Change {
    csr: Option<Box<SigningRequest>>,
    method: Option<MethodName>,
    approver_email: Option<String>,
    kind: Option<Kind>,
    sans: Option<Option<Vec<San>>>,
    auto_renew: Option<bool>,
    muted: Option<bool>,
    tags: Option<BTreeSet<String>>,
    /// Tags to add (true) and to remove (false).
    tag_changes: Vec<(String, bool)>,
}

/// Value of `approval_method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MethodName {
    Email,
    Http,
    Dns,
}

impl Change {
    /// Reads the arguments for the certificate with this common name.
    pub(super) fn parse(arguments: &mut Arguments, cn: &str) -> Result<Self, ApiError> {
        let csr = arguments.take_text("csr")?;
        let method = arguments.take_text("approval_method")?;
        let approver_email = arguments.take_text("approver_email")?;
        let kind = arguments.take_text("type")?;
        let sans = arguments.take_json("sans")?;
        let auto_renew = arguments.take_bool("auto_renew")?;
        let muted = arguments.take_bool("muted")?;
        let tags = arguments.take_json("tags")?;
        let tag_changes = arguments.take_prefixed("tags.");
        Ok(Self {
            csr: match csr {
                Some(text) => Some(Box::new(check::csr(&text, cn)?)),
                None => None,
            },
            method: method
                .map(|m| method_name("approval_method", &m))
                .transpose()?,
            approver_email: approver_email
                .map(|address| check::email("approver_email", &address))
                .transpose()?,
            kind: kind.map(|kind| read_kind(&kind)).transpose()?,
            sans: sans.map(|sans| read_sans(&sans, cn)).transpose()?,
            auto_renew,
            muted,
            tags: tags.map(|tags| read_tags(&tags)).transpose()?,
            tag_changes: tag_changes
                .into_iter()
                .map(|(tag, given)| read_tag_change(tag, &given))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Returns the verification of the common name after the change.
    fn approval(&self, before: Option<&Approval>) -> Result<Approval, ApiError> {
        let method = self.method.or_else(|| {
            before.map(|approval| match approval {
                Approval::Email(_) => MethodName::Email,
                Approval::Http => MethodName::Http,
                Approval::Dns => MethodName::Dns,
            })
        });
        match method {
            None => Err(ApiError::MissingParam("approval_method")),
            // SSLMate's own client sends the old address with a new method, so that it is ignored.
            Some(MethodName::Http) => Ok(Approval::Http),
            Some(MethodName::Dns) => Ok(Approval::Dns),
            Some(MethodName::Email) => {
                let known = || before.and_then(Approval::email).map(str::to_owned);
                let address = self.approver_email.clone().or_else(known);
                let address = address.ok_or(ApiError::MissingParam("approver_email"))?;
                Ok(Approval::Email(address))
            }
        }
    }

    fn tags(&self, before: BTreeSet<String>) -> Result<BTreeSet<String>, ApiError> {
        let mut tags = self.tags.clone().unwrap_or(before);
        for (tag, is_added) in &self.tag_changes {
            if *is_added {
                tags.insert(tag.clone());
            } else {
                tags.remove(tag);
            }
        }
        if tags.len() > MAX_TAGS {
            let message = format!("A certificate may have at most {MAX_TAGS} tags");
            return Err(ApiError::of("tags", message));
        }
        Ok(tags)
    }
}

impl Account {
    /// Creates or updates a certificate object.
    pub(super) fn update(
        &mut self,
        cn: &str,
        change: &Change,
        context: &mut Context<'_>,
    ) -> Result<(), ApiError> {
        let before = self.certificates.get(cn).cloned();
        let known = before.as_deref();
        let (csr, pubkey_hash) = match (&change.csr, known) {
            (Some(csr), _) => (csr.to_pem(), csr.public_key_hash().to_string()),
            (None, Some(known)) => (known.csr.clone(), known.pubkey_hash.clone()),
            (None, None) => return Err(ApiError::MissingParam("csr")),
        };
        if known.is_none() && self.certificates.len() >= MAX_CERTIFICATES {
            return Err(ApiError::Full {
                things: "certificates",
                max: MAX_CERTIFICATES,
            });
        }
        let record = CertificateRecord {
            csr,
            pubkey_hash,
            approval: change.approval(known.map(|k| &k.approval))?,
            kind: change
                .kind
                .or_else(|| known.map(|k| k.kind))
                .unwrap_or(Kind::Dv),
            sans: match &change.sans {
                Some(sans) => sans.clone(),
                None => known.and_then(|k| k.sans.clone()),
            },
            auto_renew: change
                .auto_renew
                .unwrap_or_else(|| known.is_some_and(|k| k.auto_renew)),
            muted: change
                .muted
                .unwrap_or_else(|| known.is_some_and(|k| k.muted)),
            tags: change.tags(known.map(|k| k.tags.clone()).unwrap_or_default())?,
            token: match known {
                Some(known) => known.token.clone(),
                None => context.issuing.token(),
            },
            instances: known.map(|k| k.instances.clone()).unwrap_or_default(),
        };
        if known != Some(&record) {
            self.certificates.insert(cn.to_owned(), Arc::new(record));
        }
        Ok(())
    }
}

fn method_name(param: &str, text: &str) -> Result<MethodName, ApiError> {
    match text {
        "email" => Ok(MethodName::Email),
        "http" => Ok(MethodName::Http),
        "dns" => Ok(MethodName::Dns),
        _ => Err(ApiError::of(
            param,
            "The approval method must be email, http or dns",
        )),
    }
}

fn read_kind(text: &str) -> Result<Kind, ApiError> {
    match text {
        "dv" => Ok(Kind::Dv),
        "ev" => Ok(Kind::Ev),
        _ => Err(ApiError::of("type", "The type must be dv or ev")),
    }
}

/// Reads an array of SAN objects, or null.
fn read_sans(value: &Value, cn: &str) -> Result<Option<Vec<San>>, ApiError> {
    let wrong = |message: String| ApiError::of("sans", message);
    let list = match value {
        Value::Null => return Ok(None),
        Value::Array(list) => list,
        _ => {
            return Err(wrong(
                "`sans` must be an array of SAN objects, or null".into(),
            ));
        }
    };
    if list.len() > MAX_SANS {
        return Err(wrong(format!(
            "A certificate may have at most {MAX_SANS} SANs"
        )));
    }
    let mut sans: Vec<San> = Vec::with_capacity(list.len());
    for item in list {
        let san = read_san(item)?;
        if san.value == cn {
            let message = format!("`{cn}` is the common name; do not include it in `sans`");
            return Err(wrong(message));
        }
        if sans.iter().any(|known| known.value == san.value) {
            return Err(wrong(format!("`{}` is in `sans` twice", san.value)));
        }
        sans.push(san);
    }
    Ok(Some(sans))
}

fn read_san(item: &Value) -> Result<San, ApiError> {
    let wrong = |message: String| ApiError::of("sans", message);
    let object = item
        .as_object()
        .ok_or_else(|| wrong("Each SAN must be an object".into()))?;
    // Read-only attributes are ignored: SSLMate's own client sends the objects that it received.
    const KNOWN: [&str; 6] = [
        "type",
        "value",
        "approval_method",
        "approver_email",
        "dns_approval",
        "http_approval",
    ];
    if let Some(name) = object.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(wrong(format!("A SAN object has no attribute `{name}`")));
    }
    let text = |name: &str| match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(wrong(format!("`{name}` of a SAN must be a string"))),
    };
    let required = |name: &str| {
        text(name)?.ok_or_else(|| wrong(format!("A SAN object must have the attribute `{name}`")))
    };
    if required("type")? != "dns" {
        return Err(wrong("The type of a SAN must be dns".into()));
    }
    let value = required("value")?;
    let name = check::dns_name(value)
        .ok_or_else(|| wrong(format!("`{value}` is not a valid host name")))?;
    let approval = match method_name("sans", required("approval_method")?)? {
        MethodName::Http => Approval::Http,
        MethodName::Dns => Approval::Dns,
        MethodName::Email => Approval::Email(check::email("sans", required("approver_email")?)?),
    };
    Ok(San {
        value: name,
        approval,
    })
}

fn read_tags(value: &Value) -> Result<BTreeSet<String>, ApiError> {
    let wrong = || ApiError::of("tags", "`tags` must be an array of strings");
    let list = value.as_array().ok_or_else(wrong)?;
    list.iter()
        .map(|tag| checked_tag("tags", tag.as_str().ok_or_else(wrong)?))
        .collect()
}

fn read_tag_change(tag: String, given: &Given) -> Result<(String, bool), ApiError> {
    let param = format!("tags.{tag}");
    let tag = checked_tag(&param, &tag)?;
    let text = match given {
        Given::Text(text) => text.clone(),
        Given::Json(Value::String(text)) => text.clone(),
        Given::Json(value) => value.to_string(),
    };
    match text.as_str() {
        "1" => Ok((tag, true)),
        "0" => Ok((tag, false)),
        _ => Err(ApiError::of(
            &param,
            "The value must be 1 to add the tag or 0 to remove it",
        )),
    }
}

fn checked_tag(param: &str, tag: &str) -> Result<String, ApiError> {
    let is_control = tag.chars().any(char::is_control);
    if tag.is_empty() || tag.chars().count() > MAX_TAG || is_control {
        let message = format!("A tag must have 1 to {MAX_TAG} printable characters");
        return Err(ApiError::of(param, message));
    }
    Ok(tag.to_owned())
}
