//! What a lab plants, read from a YAML text: hosts, what their servers show, and what has to be told.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use yaml_config::{ConfigErrors, Item, Problems, with_root};

use crate::finding::Code;
use crate::model::Hostname;

/// The hosts of a lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Each is a certificate of its own.
    pub hosts: Vec<Host>,
}

/// One host name with its servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name, which is its certificate's common name too.
    pub name: Hostname,
    /// What is wrong, for people.
    pub fault: String,
    /// Where the expected certificate comes from.
    pub expect: Expect,
    /// Whether the account's certificate has been issued, or is still pending.
    pub issued: bool,
    /// A server at each of its addresses.
    pub servers: Vec<Server>,
}

/// One address of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The loopback address.
    pub at: IpAddr,
    /// What it shows.
    pub serve: Serve,
    /// What it shows beside the leaf.
    pub chain: Chain,
    /// What has to be told of it.
    pub findings: BTreeSet<Code>,
}

/// A choice of words in a scenario, each with its meaning.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("`{text}` is none of: {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}

words! {
    /// Where an expected certificate comes from.
    Expect {
        /// The stand-in's account.
        Sslmate "sslmate",
        /// A PEM file with what the first server shows.
        Pem "pem",
        /// Nothing in particular is expected.
        Trust "trust",
    }
}

words! {
    /// What a server shows.
    Serve {
        /// The account's active instance.
        Current "current",
        /// The account's instance before it, with another key.
        Previous "previous",
        /// A certificate for the same name and key that the account does not know.
        SameKey "same_key",
        /// A certificate for the same name that the account does not know.
        Another "another",
        /// A certificate that has expired.
        Expired "expired",
        /// A certificate for another name.
        OtherName "other_name",
        /// The temporary certificate for the account's key.
        Temporary "temporary",
        /// A certificate that signed itself.
        SelfSigned "self_signed",
        /// It takes the connection and never answers.
        Silence "silence",
        /// Nothing listens.
        Nothing "nothing",
    }
}

words! {
    /// What a server shows beside the leaf.
    Chain {
        /// All intermediates, in order.
        Full "full",
        /// No intermediate.
        None "none",
        /// All intermediates, the last one first.
        Reversed "reversed",
        /// All intermediates and the root.
        Root "root",
        /// Every intermediate twice.
        Twice "twice",
    }
}

impl Scenario {
    /// What `certvigil demo` plants.
    ///
    /// # Errors
    /// Never; a test reads it.
    pub fn demo() -> Result<Self, ConfigErrors> {
        Self::parse(include_str!("demo.yml"), Path::new("demo.yml"))
    }

    /// Reads a scenario; `file` gives errors their name.
    ///
    /// # Errors
    /// Everything that is wrong, each with its line and key.
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
        problems.add(item.line, &item.key, "`host` is missing");
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
        problems.add(item.line, &item.key, "`at` or `serve` is missing");
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

fn loopback(text: &str) -> Result<IpAddr, String> {
    match text.parse::<IpAddr>() {
        Ok(ip) if ip.is_loopback() => Ok(ip),
        _ => Err(format!("`{text}` is not a loopback address")),
    }
}

fn code(text: &str) -> Result<Code, String> {
    let known = Code::ALL.iter().copied().find(|code| code.name() == text);
    known.ok_or_else(|| format!("there is no finding `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_is_a_scenario() {
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
    fn mistakes_are_told_with_their_place() {
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
