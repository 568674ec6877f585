//! Scenario of a sandbox: the certificates of a new account, from YAML.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, DnValue, KeyPair};
use serde_json::{Map, Value, json};
use yaml_config::{ConfigErrors, Item, Problems, with_root};

use certvigil_core::certificate::parse_certificates;
use certvigil_core::model::parse_duration;

use super::account::{
    Account, ApiError, Body, Context, Method, NewInstance, Policy, Request, Source, State, parse,
};
use crate::instance::Instance;

/// Certificates of a new account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scenario {
    certificates: Vec<Planned>,
}

/// Certificate of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Planned {
    cn: String,
    /// File with the private key, which is created if it is missing.
    key: PathBuf,
    /// Arguments of the create request.
    arguments: Map<String, Value>,
    instance: Planning,
    lifetime: Option<Duration>,
    /// File with an imported certificate and its chain.
    import: Option<PathBuf>,
}

/// Instance of a certificate in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Planning {
    Active,
    Pending,
    None,
}

impl FromStr for Planning {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "active" => Ok(Self::Active),
            "pending" => Ok(Self::Pending),
            "none" => Ok(Self::None),
            _ => Err(format!("`{text}` is none of: active, pending, none")),
        }
    }
}

impl Scenario {
    /// Parses a scenario. Errors name `file`, and the paths in it are relative to its folder.
    ///
    /// # Errors
    /// All errors in the text, each with its line and key.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigErrors> {
        let folder = file.parent().unwrap_or(Path::new(""));
        with_root(text, file, |root, problems| {
            let mut fields = root.fields(problems);
            let list = fields.take("certificates").map(|item| item.list(problems));
            fields.finish(problems);
            let list = list.unwrap_or_default();
            Self {
                certificates: list
                    .iter()
                    .filter_map(|item| planned(item, folder, problems))
                    .collect(),
            }
        })?
        .ok_or_else(|| ConfigErrors::empty(file, "certificates"))
    }

    /// Adds the certificates to an account. Creates the private keys that are missing.
    ///
    /// # Errors
    /// If a file cannot be read or written, or if the API would refuse a certificate.
    pub fn fill(&self, account: &mut Account, context: &mut Context<'_>) -> Result<(), ApiError> {
        for planned in &self.certificates {
            planned.add(account, context).map_err(|error| {
                ApiError::Internal(format!(
                    "certificate {} of the scenario: {error}",
                    planned.cn
                ))
            })?;
        }
        Ok(())
    }
}

impl Planned {
    fn add(&self, account: &mut Account, context: &mut Context<'_>) -> Result<(), ApiError> {
        let mut arguments = self.arguments.clone();
        let csr = csr(&self.cn, &self.key, &context.policy.dn);
        arguments.insert("csr".into(), json!(csr.map_err(ApiError::Internal)?));
        let cn = self.cn.to_lowercase();
        post(account, context, vec!["certs", &cn], Body::Json(arguments))?;
        if let Some(file) = &self.import {
            let instance = imported(file).map_err(ApiError::Internal)?;
            account.insert(&cn, instance)?;
        }
        if self.instance == Planning::None {
            return Ok(());
        }
        let lifetime = self
            .lifetime
            .map(|d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
        let policy = Policy {
            lifetime: lifetime.unwrap_or(context.policy.lifetime),
            approval_delay: None,
            ..context.policy.clone()
        };
        let mut context = Context {
            policy: &policy,
            now: context.now,
            issuing: context.issuing,
        };
        let context = &mut context;
        post(
            account,
            context,
            vec!["certs", &cn, "buy"],
            Body::Form(Vec::new()),
        )?;
        if self.instance == Planning::Active {
            account.approve(&cn, context)?;
        }
        Ok(())
    }
}

/// Sends a request to the account, as its API does.
fn post(
    account: &mut Account,
    context: &mut Context<'_>,
    path: Vec<&str>,
    body: Body,
) -> Result<(), ApiError> {
    let request = Request {
        method: Method::Post,
        path: path.into_iter().map(str::to_owned).collect(),
        query: Vec::new(),
        body,
    };
    account.answer(&parse(&request)?, context).map(|_| ())
}

fn planned(item: &Item<'_>, folder: &Path, problems: &mut Problems) -> Option<Planned> {
    let mut fields = item.fields(problems);
    let (cn, key) = (fields.take("cn"), fields.take("key"));
    let mut arguments = Map::new();
    for name in ["approval_method", "approver_email", "type"] {
        if let Some(text) = fields.take(name).and_then(|item| item.text()) {
            arguments.insert(name.into(), json!(text));
        }
    }
    let method = arguments.entry("approval_method").or_insert(json!("http"));
    let method = method.clone();
    for name in ["auto_renew", "muted"] {
        if let Some(is_true) = fields.bool(name, problems) {
            arguments.insert(name.into(), json!(is_true));
        }
    }
    let mut texts = |name, problems: &mut Problems| -> Option<Vec<String>> {
        let item = fields.take(name)?;
        let list = item.list(problems);
        let texts = list
            .iter()
            .filter_map(|item| item.text().map(str::to_owned));
        Some(texts.collect())
    };
    if let Some(tags) = texts("tags", problems) {
        arguments.insert("tags".into(), json!(tags));
    }
    if let Some(sans) = texts("sans", problems) {
        let email = arguments.get("approver_email").cloned();
        let san = |name: &String| {
            json!({
                "type": "dns",
                "value": name,
                "approval_method": method,
                "approver_email": email,
            })
        };
        arguments.insert("sans".into(), sans.iter().map(san).collect());
    }
    let instance = fields.take("instance");
    let lifetime = fields.take("lifetime");
    let import = fields.take("import").and_then(|item| item.text());
    fields.finish(problems);
    let Some(cn) = cn.and_then(|cn| cn.text()) else {
        problems.add(item.line, &item.key, "`cn` is missing");
        return None;
    };
    let Some(key) = key.and_then(|key| key.text()) else {
        problems.add(
            item.line,
            &item.key,
            "`key` is missing; name a file for the private key",
        );
        return None;
    };
    Some(Planned {
        cn: cn.to_owned(),
        key: folder.join(key),
        arguments,
        instance: match instance {
            Some(item) => item.parse(problems, Planning::from_str)?,
            None if import.is_some() => Planning::None,
            None => Planning::Active,
        },
        lifetime: match lifetime {
            Some(item) => Some(item.parse(problems, parse_duration)?),
            None => None,
        },
        import: import.map(|file| folder.join(file)),
    })
}

/// Returns a CSR for the key in a file. Creates the key if the file is missing.
fn csr(cn: &str, file: &Path, dn: &BTreeMap<String, String>) -> Result<String, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let key = if file.exists() {
        let pem = std::fs::read_to_string(file).map_err(|e| wrong(&e))?;
        KeyPair::from_pem(&pem).map_err(|e| wrong(&e))?
    } else {
        let key = KeyPair::generate().map_err(|e| wrong(&e))?;
        write_key(file, &key.serialize_pem()).map_err(|e| wrong(&e))?;
        key
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let country = dn.get("C").map(String::as_str).unwrap_or_default();
    if let Ok(country) = country.try_into() {
        let name = &mut params.distinguished_name;
        name.push(DnType::CountryName, DnValue::PrintableString(country));
    }
    params.distinguished_name.push(DnType::CommonName, cn);
    let request = params.serialize_request(&key).map_err(|e| wrong(&e))?;
    request.pem().map_err(|e| wrong(&e))
}

/// Writes a private key that only its owner may read.
fn write_key(file: &Path, pem: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(file)?.write_all(pem.as_bytes())
}

fn imported(file: &Path) -> Result<NewInstance, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let bytes = std::fs::read(file).map_err(|e| wrong(&e))?;
    let all = parse_certificates(&bytes).map_err(|e| wrong(&e))?;
    let instance = Instance::from_chain(all).map_err(|e| wrong(&e))?;
    Ok(NewInstance {
        id: None,
        state: State::Active,
        source: Source::Import,
        leaf: instance.leaf,
        chain: instance.chain,
        root: instance.root,
    })
}
