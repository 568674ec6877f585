//! Scenario of a testbed, read from YAML: hosts, the certificates that their servers send, and the
//! expected findings.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use yaml_config::{ConfigErrors, Item, Problems, with_root};

use crate::finding::Code;
use crate::model::Hostname;

/// Hosts of a testbed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Hosts. Each has its own certificate.
    pub hosts: Vec<Host>,
}

/// Host name with its servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Host name, which is also the common name of its certificate.
    pub name: Hostname,
    /// Description of the fault for the user.
    pub fault: String,
    /// Source of the expected certificate.
    pub expect: Expect,
    /// True if the account's certificate is issued, false if it is pending.
    pub issued: bool,
    /// Servers, one at each address of the host.
    pub servers: Vec<Server>,
}

/// Server at one address of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Loopback address.
    pub at: IpAddr,
    /// Leaf certificate or behaviour of the server.
    pub serve: Serve,
    /// Certificates that the server sends after the leaf.
    pub chain: Chain,
    /// Expected findings for this server.
    pub findings: BTreeSet<Code>,
}

/// Text that is none of the keywords.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is none of: {}", .keywords.join(", "))]
pub struct UnknownKeyword {
    /// The text.
    pub text: String,
    /// The keywords.
    pub keywords: &'static [&'static str],
}

/// Reason for which text is no value of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum ValueError {
    #[error("`{0}` is not a loopback address")]
    NotLoopback(String),
    #[error("there is no finding `{0}`")]
    UnknownFinding(String),
}

/// Defines an enum of keywords in a scenario, each with its meaning.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl FromStr for $name {
            type Err = UnknownKeyword;

            fn from_str(text: &str) -> Result<Self, UnknownKeyword> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownKeyword {
                        text: text.to_owned(),
                        keywords: &[$($word),+],
                    }),
                }
            }
        }
    };
}

words! {
    /// Source of an expected certificate.
    Expect {
        /// Account of the sandbox.
        Sslmate "sslmate",
        /// PEM file with the certificates of the first server.
        Pem "pem",
        /// No expected certificate.
        Trust "trust",
    }
}

words! {
    /// Leaf certificate or behaviour of a server.
    Serve {
        /// Active instance of the account.
        Current "current",
        /// Previous instance of the account, with another key.
        Previous "previous",
        /// Certificate for the same name and key, but not in the account.
        SameKey "same_key",
        /// Certificate for the same name, but not in the account.
        Another "another",
        /// Expired certificate.
        Expired "expired",
        /// Certificate for another name.
        OtherName "other_name",
        /// Temporary certificate for the account's key.
        Temporary "temporary",
        /// Self-signed certificate.
        SelfSigned "self_signed",
        /// No response on an accepted connection.
        Silence "silence",
        /// No listener.
        Nothing "nothing",
    }
}

words! {
    /// Certificates that a server sends after the leaf.
    Chain {
        /// All intermediates, in order.
        Full "full",
        /// No intermediates.
        None "none",
        /// All intermediates, in reverse order.
        Reversed "reversed",
        /// All intermediates and the root.
        Root "root",
        /// Every intermediate twice.
        Twice "twice",
    }
}

impl Scenario {
    /// Returns the scenario of `certvigil demo`.
    ///
    /// # Errors
    /// Never, because a test parses it.
    pub fn demo() -> Result<Self, ConfigErrors> {
        Self::parse(include_str!("demo.yml"), Path::new("demo.yml"))
    }

    /// Parses a scenario. Errors name `file`.
    ///
    /// # Errors
    /// All errors in the text, each with its line and key.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigErrors> {
        with_root(text, file, |root, problems| {
            let mut fields = root.fields(problems);
            let hosts = fields.take("hosts").map(|item| item.list(problems));
            fields.finish(problems);
            let hosts = hosts.unwrap_or_default();
            Self {
                hosts: hosts
                    .iter()
                    .filter_map(|item| host(item, problems))
                    .collect(),
            }
        })?
        .ok_or_else(|| ConfigErrors::empty(file, "hosts"))
    }
}

fn host(item: &Item<'_>, problems: &mut Problems) -> Option<Host> {
    let mut fields = item.fields(problems);
    let name = fields.take("host");
    let fault = fields.take("fault");
    let expect = fields.take("expect");
    let issued = fields.take("issued");
    let servers = fields.take("servers");
    fields.finish(problems);
    let servers = servers.map(|s| s.list(problems)).unwrap_or_default();
    let Some(name) = name else {
        problems.at(item, "`host` is missing");
        return None;
    };
    Some(Host {
        name: name.parse(problems, Hostname::from_str)?,
        fault: fault
            .and_then(|f| f.text().map(str::to_owned))
            .unwrap_or_default(),
        expect: expect.map_or(Some(Expect::Sslmate), |e| {
            e.parse(problems, Expect::from_str)
        })?,
        issued: issued.map_or(Some(true), |i| i.bool(problems))?,
        servers: servers
            .iter()
            .filter_map(|item| server(item, problems))
            .collect(),
    })
}

fn server(item: &Item<'_>, problems: &mut Problems) -> Option<Server> {
    let mut fields = item.fields(problems);
    let (at, serve) = (fields.take("at"), fields.take("serve"));
    let (chain, findings) = (fields.take("chain"), fields.take("findings"));
    fields.finish(problems);
    let (Some(at), Some(serve)) = (at, serve) else {
        problems.at(item, "`at` or `serve` is missing");
        return None;
    };
    let findings = findings
        .map(|f| f.list_or_one(problems))
        .unwrap_or_default();
    Some(Server {
        at: at.parse(problems, loopback)?,
        serve: serve.parse(problems, Serve::from_str)?,
        chain: chain.map_or(Some(Chain::Full), |c| c.parse(problems, Chain::from_str))?,
        findings: findings
            .iter()
            .filter_map(|item| item.parse(problems, code))
            .collect(),
    })
}

fn loopback(text: &str) -> Result<IpAddr, ValueError> {
    match text.parse::<IpAddr>() {
        Ok(ip) if ip.is_loopback() => Ok(ip),
        _ => Err(ValueError::NotLoopback(text.to_owned())),
    }
}

fn code(text: &str) -> Result<Code, ValueError> {
    let known = Code::ALL.iter().copied().find(|code| code.name() == text);
    known.ok_or_else(|| ValueError::UnknownFinding(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_scenario_is_valid() {
        let scenario = Scenario::demo().unwrap();
        assert!(scenario.hosts.len() > 10);
        let mut addresses: Vec<_> = scenario.hosts.iter().flat_map(|h| &h.servers).collect();
        let all = addresses.len();
        addresses.sort_by_key(|s| s.at);
        addresses.dedup_by_key(|s| s.at);
        assert_eq!(
            addresses.len(),
            all,
            "each server has an address of its own"
        );
    }

    #[test]
    fn scenario_error_names_its_location() {
        let text =
            "hosts:\n  - host: a.example\n    servers:\n      - {at: 192.0.2.1, serve: currrent}\n";
        let errors = Scenario::parse(text, Path::new("x.yml")).unwrap_err();
        assert!(
            errors
                .to_string()
                .starts_with("x.yml:4: hosts[0].servers[0].at: "),
            "{errors}"
        );
    }
}
