//! The flags that several commands share, and what they change in an inventory.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;
use clap::builder::{PossibleValue, TypedValueParser};

use crate::config::{
    Entry, Inventory, ReachSettings, one_of_each_family, parse_alpn, parse_name_server,
};
use crate::model::{
    Families, KeyTypes, Protocol, ProxyProtocol, RevocationCheck, Sni, parse_duration,
};
use crate::resolve::{Override, Resolver};

// No doc comments on these: clap would take them for what the command is about.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where to look")]
pub(super) struct WhereArgs {
    /// Look at these addresses for a host (or any: *) and port, whatever DNS says
    #[arg(long, value_name = "HOST:PORT:ADDR[,ADDR]", value_hint = ValueHint::Other)]
    resolve: Vec<Override>,

    /// Ask this name server instead of the system's
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = parse_name_server, value_hint = ValueHint::Other)]
    dns: Vec<SocketAddr>,

    #[command(flatten)]
    families: FamilyArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct FamilyArgs {
    /// Probe IPv4 addresses only
    #[arg(short = '4', conflicts_with = "ipv6")]
    ipv4: bool,

    /// Probe IPv6 addresses only
    #[arg(short = '6')]
    ipv6: bool,
}

impl FamilyArgs {
    /// Replaces the address families of an inventory and of its entries, if a flag names them.
    pub(super) fn apply(&self, inventory: &mut Inventory) {
        let families = match (self.ipv4, self.ipv6) {
            (true, _) => Families::V4,
            (_, true) => Families::V6,
            _ => return,
        };
        inventory.families = families;
        for entry in &mut inventory.certificates {
            entry.families = None;
        }
    }
}

impl WhereArgs {
    /// Lets the flags have their way over which address families of the inventory are probed.
    pub(super) fn apply(&self, inventory: &mut Inventory) {
        self.families.apply(inventory);
    }

    /// What finds the addresses of names; the file's name servers are asked where the flags name none.
    pub(super) fn resolver(&self, inventory: &Inventory) -> Resolver {
        let servers = if self.dns.is_empty() {
            inventory.dns.clone()
        } else {
            self.dns.clone()
        };
        Resolver::new(inventory.families, self.resolve.clone(), servers)
    }
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "How to look")]
pub(super) struct HowArgs {
    /// Ask for TLS in this protocol, at targets without a scheme
    #[arg(long, value_name = "PROTO", value_parser = starttls_word())]
    pub(super) starttls: Option<Protocol>,

    /// Which kind of key to ask the server for; all takes a look for each
    #[arg(long, value_name = "TYPE", value_parser = OneOf::<KeyTypes>::new(&["any", "rsa", "ecdsa", "all"]))]
    key_type: Option<KeyTypes>,

    /// Show the server the certificate in this PEM file
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,

    /// The key of --client-cert, as PEM
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,

    /// Begin with the header of the PROXY protocol
    #[arg(long, value_name = "VERSION", value_parser = OneOf::<ProxyProtocol>::new(&["v1", "v2"]))]
    proxy_protocol: Option<ProxyProtocol>,

    /// Offer these application protocols (ALPN), with commas between, such as h2,http/1.1
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = parse_alpn, value_hint = ValueHint::Other)]
    alpn: Vec<String>,

    /// Send this name as SNI, or none, and match the target's name all the same
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Hostname)]
    sni: Option<Sni>,

    /// Connect from this address; give it once for each family
    #[arg(long, value_name = "ADDR")]
    source_address: Vec<IpAddr>,
}

impl HowArgs {
    /// Lets the flags have their way over how an entry's servers are reached.
    pub(super) fn apply(&self, entry: &mut Entry) -> Result<(), String> {
        one_of_each_family(&self.source_address).map_err(|e| format!("--source-address: {e}"))?;
        entry.key_types = self.key_type.unwrap_or(entry.key_types);
        self.apply_to(&mut entry.reach);
        entry.reach.suits(entry.protocol)
    }

    fn apply_to(&self, reach: &mut ReachSettings) {
        if let (Some(certificate), Some(key)) = (&self.client_cert, &self.client_key) {
            reach.client = Some((certificate.clone(), key.clone()));
        }
        reach.proxy_protocol = self.proxy_protocol.or(reach.proxy_protocol);
        if !self.alpn.is_empty() {
            reach.alpn.clone_from(&self.alpn);
        }
        if let Some(sni) = &self.sni {
            reach.sni = sni.clone();
        }
        if !self.source_address.is_empty() {
            reach.source_addresses.clone_from(&self.source_address);
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Trust")]
pub(super) struct RootArgs {
    /// Trust the roots in this PEM file too
    #[arg(long, value_name = "FILE")]
    ca_file: Vec<PathBuf>,

    /// Do not trust the system's roots
    #[arg(long)]
    no_system_roots: bool,
}

impl RootArgs {
    /// Lets the flags have their way over whom the inventory trusts.
    pub(super) fn apply(&self, inventory: &mut Inventory) {
        inventory.trust.system &= !self.no_system_roots;
        let files = self.ca_file.iter().cloned();
        inventory.trust.ca_files.extend(files);
    }
}

/// A flag's value that is one of a few words: shells complete them and the help names them, and what is wrong is
/// told in the words of the type itself.
#[derive(Clone)]
pub(super) struct OneOf<T> {
    words: Vec<&'static str>,
    read: fn(&str) -> Result<T, String>,
}

impl<T: std::str::FromStr<Err = String>> OneOf<T> {
    fn new(words: &[&'static str]) -> Self {
        Self {
            words: words.to_vec(),
            read: str::parse,
        }
    }
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for OneOf<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<T, clap::Error> {
        self.read.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.words.iter().map(PossibleValue::new)))
    }
}

/// The ways to find out about revocation.
pub(super) fn revocation_word() -> OneOf<RevocationCheck> {
    OneOf::new(&["off", "staple", "crl", "full"])
}

fn starttls_word() -> OneOf<Protocol> {
    let clear = Protocol::ALL.iter().filter(|p| p.begins_in_the_clear());
    OneOf {
        words: clear.map(|p| p.name()).collect(),
        read: Protocol::parse_starttls,
    }
}

/// Reads a duration that is longer than nothing.
pub(super) fn parse_positive(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("it has to be longer than nothing; write it as 10s or 2m".into()),
        duration => Ok(duration),
    }
}

/// Reads the URL of something that HTTP gives.
pub(super) fn parse_url(text: &str) -> Result<String, String> {
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => Ok(text.into()),
        _ => Err("write it with https:// and a host".into()),
    }
}

/// Reads a number of which nothing would be too little.
pub(super) fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("write a whole number from 1".into()),
    }
}
