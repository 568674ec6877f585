//! Scenario of a sandbox: the certificates of a new account, from YAML.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, DnValue, KeyPair};
use serde_json::{Map, Value, json};
use thiserror::Error;
use yaml_config::{ConfigErrors, Item, Problems, with_root};

use certvigil_core::certificate::{FileError, LeafError, parse_certificates};
use certvigil_core::model::parse_duration;

use super::account::{
    Account, ApiError, Body, Context, Method, NewInstance, Policy, Request, Source, State, parse,
};
use crate::UnknownKeyword;
use crate::instance::Instance;

/// Certificates of a new account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scenario {
    certificates: Vec<Planned>,
}

/// Reason for which a scenario cannot fill an account.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// The API would refuse a certificate.
    #[error("the API refuses the certificate {cn} of the scenario: {error}")]
    Refused {
        /// Common name.
        cn: String,
        /// Error of the API.
        error: ApiError,
    },
    /// A file cannot be read or written.
    #[error("cannot {verb} {}: {error}; check the path and its permissions", .file.display())]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// The file.
        file: PathBuf,
        /// Cause.
        error: std::io::Error,
    },
    /// A private key cannot be used.
    #[error("{}: {error}; give an unencrypted private key in PEM", .file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// Cause.
        error: rcgen::Error,
    },
    /// A certificate cannot be imported.
    #[error("{}: {error}; give a PEM file with a certificate and its chain", .file.display())]
    Import {
        /// The file.
        file: PathBuf,
        /// Cause.
        error: ImportError,
    },
    /// The account cannot be stored.
    #[error(transparent)]
    Account(#[from] ApiError),
}

/// Reason for which a file is not an instance.
#[derive(Debug, Error)]
pub enum ImportError {
    /// It does not contain certificates alone.
    #[error(transparent)]
    Certificates(#[from] FileError),
    /// It does not contain one leaf certificate.
    #[error(transparent)]
    Leaf(#[from] LeafError),
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
    type Err = UnknownKeyword;

    fn from_str(text: &str) -> Result<Self, UnknownKeyword> {
        match text {
            "active" => Ok(Self::Active),
            "pending" => Ok(Self::Pending),
            "none" => Ok(Self::None),
            _ => Err(UnknownKeyword {
                text: text.to_owned(),
                keywords: &["active", "pending", "none"],
            }),
        }
    }
}

impl Scenario {
    /// Parses a scenario. Errors name `file`, and the paths in it are relative to its folder.
    ///
    /// # Errors
    /// All errors in the text, each with its line and key.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigErrors> {
        let folder = file.parent().unwrap_or_else(|| Path::new(""));
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
    pub fn fill(
        &self,
        account: &mut Account,
        context: &mut Context<'_>,
    ) -> Result<(), ScenarioError> {
        for planned in &self.certificates {
            planned.add(account, context)?;
        }
        Ok(())
    }
}

impl Planned {
    fn add(&self, account: &mut Account, context: &mut Context<'_>) -> Result<(), ScenarioError> {
        let refused = |error: ApiError| ScenarioError::Refused {
            cn: self.cn.clone(),
            error,
        };
        let mut arguments = self.arguments.clone();
        let csr = csr(&self.cn, &self.key, &context.policy.dn);
        arguments.insert("csr".into(), json!(csr?));
        let cn = self.cn.to_lowercase();
        let path = vec!["certs", &cn];
        post(account, context, path, Body::Json(arguments)).map_err(refused)?;
        if let Some(file) = &self.import {
            account.insert(&cn, imported(file)?).map_err(refused)?;
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
        let path = vec!["certs", &cn, "buy"];
        post(account, context, path, Body::Form(Vec::new())).map_err(refused)?;
        if self.instance == Planning::Active {
            account.approve(&cn, context).map_err(refused)?;
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
        problems.at(item, "`cn` is missing");
        return None;
    };
    let Some(key) = key.and_then(|key| key.text()) else {
        problems.at(item, "`key` is missing; name a file for the private key");
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
fn csr(cn: &str, file: &Path, dn: &BTreeMap<String, String>) -> Result<String, ScenarioError> {
    let wrong = |error: rcgen::Error| ScenarioError::Key {
        file: file.to_owned(),
        error,
    };
    let key = if file.exists() {
        let pem = std::fs::read_to_string(file).map_err(of_file("read", file))?;
        KeyPair::from_pem(&pem).map_err(wrong)?
    } else {
        let key = KeyPair::generate().map_err(wrong)?;
        write_key(file, &key.serialize_pem()).map_err(of_file("write", file))?;
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
    let request = params.serialize_request(&key).map_err(wrong)?;
    request.pem().map_err(wrong)
}

fn of_file(verb: &'static str, file: &Path) -> impl FnOnce(std::io::Error) -> ScenarioError {
    move |error| ScenarioError::File {
        verb,
        file: file.to_owned(),
        error,
    }
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

fn imported(file: &Path) -> Result<NewInstance, ScenarioError> {
    let unusable = |error: ImportError| ScenarioError::Import {
        file: file.to_owned(),
        error,
    };
    let bytes = std::fs::read(file).map_err(of_file("read", file))?;
    let all = parse_certificates(&bytes).map_err(|e| unusable(e.into()))?;
    let instance = Instance::from_chain(all).map_err(|e| unusable(e.into()))?;
    Ok(NewInstance {
        id: None,
        state: State::Active,
        source: Source::Import,
        leaf: instance.leaf,
        chain: instance.chain,
        root: instance.root,
    })
}

#[cfg(test)]
mod tests {
    use certvigil_core::model::Timestamp;

    use super::super::SandboxAuthority;
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn filled(text: &str, folder: &Path) -> Result<Account, ScenarioError> {
        let scenario = Scenario::parse(text, &folder.join("scenario.yml")).unwrap();
        let origin = "http://sandbox.example".to_owned();
        let mut account = Account::default();
        let mut context = Context {
            policy: &Policy::new(origin.clone()),
            now: NOW,
            issuing: &mut SandboxAuthority::new(NOW, origin).unwrap(),
        };
        scenario.fill(&mut account, &mut context)?;
        Ok(account)
    }

    #[test]
    fn a_scenario_fills_an_account() {
        let folder = tempfile::tempdir().unwrap();
        let text = "\
certificates:
  - {cn: www.example.com, key: www.key, sans: [api.example.com], approval_method: dns, tags: [shop], auto_renew: true}
  - {cn: old.example.com, key: old.key, lifetime: 20d}
  - {cn: new.example.com, key: www.key, instance: pending}
  - {cn: none.example.com, key: none.key, instance: none, approval_method: email, approver_email: admin@example.com}
";
        let account = filled(text, folder.path()).unwrap();
        let www = account.certificate("www.example.com").unwrap();
        assert_eq!(
            www.current().unwrap().sans.as_ref().unwrap()[0].value,
            "api.example.com"
        );
        assert!(www.auto_renew && www.tags.contains("shop"));
        let old = account.certificate("old.example.com").unwrap().current();
        assert_eq!(old.unwrap().certificate.not_after, NOW.0 + 20 * 86_400);
        let new = account.certificate("new.example.com").unwrap();
        assert!(new.pending().is_some() && new.current().is_none());
        assert_eq!(
            new.pubkey_hash, www.pubkey_hash,
            "the key file was read again"
        );
        assert!(
            account
                .certificate("none.example.com")
                .unwrap()
                .instances
                .is_empty()
        );

        // The certificate of one account is imported into another.
        let pem = www.current().unwrap().certificate.crt.clone();
        std::fs::write(folder.path().join("www.pem"), pem).unwrap();
        let text = "certificates:\n  - {cn: www.example.com, key: www.key, import: www.pem}\n";
        let account = filled(text, folder.path()).unwrap();
        let imported = account.certificate("www.example.com").unwrap().current();
        assert_eq!(imported.unwrap().source, Source::Import);
    }

    #[test]
    fn mistakes_are_reported_with_their_place() {
        for (text, error) in [
            (
                "certificates:\n  - {cn: a.example}\n",
                "x.yml:2: certificates[0]: `key` is missing",
            ),
            (
                "certificates:\n  - {key: a.key}\n",
                "x.yml:2: certificates[0]: `cn` is missing",
            ),
            (
                "certificates:\n  - {cn: a.example, key: k, instance: old}\n",
                "x.yml:2: certificates[0].instance: `old` is none of: active, pending, none",
            ),
            ("hosts: []\n", "x.yml:1: hosts: unknown key"),
        ] {
            let errors = Scenario::parse(text, Path::new("x.yml")).unwrap_err();
            assert!(errors.to_string().starts_with(error), "{errors}");
        }
        let folder = tempfile::tempdir().unwrap();
        let text = "certificates:\n  - {cn: 'a b', key: a.key}\n";
        let error = filled(text, folder.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`a b` is not a valid common name"),
            "{error}"
        );
    }
}
