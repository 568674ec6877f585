//! Flags that several commands share, and their effect on an inventory.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueHint;
use clap::builder::{PossibleValue, TypedValueParser};

use crate::config::{
    Entry, Inventory, ReachSettings, one_of_each_family, parse_alpn, parse_domain, parse_ehlo,
    parse_name_server,
};
use crate::error::Cause;
use crate::model::{
    Families, Hostname, KeyTypes, Protocol, ProxyProtocol, RevocationCheck, Sni, parse_duration,
};
use crate::probe::ClientFiles;
use crate::resolve::{Override, Resolver};

use super::error::{FlagError, FlagsError};
use super::plan::Targets;
use super::targets::{self, TargetError, Written};

// These structs have no doc comments: clap would show them as descriptions of the command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where to probe")]
pub(super) struct WhereArgs {
    /// Probe these addresses for HOST (* for any host) and PORT instead of those in DNS
    #[arg(long, value_name = "HOST:PORT:ADDR[,ADDR]", value_hint = ValueHint::Other)]
    resolve: Vec<Override>,

    /// Query this name server instead of the system's; repeatable
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
    /// Returns the addresses that the user gave for names.
    pub(super) fn overrides(&self) -> &[Override] {
        &self.resolve
    }

    /// Overrides the address families of the inventory with those of the flags.
    pub(super) fn apply(&self, inventory: &mut Inventory) {
        self.families.apply(inventory);
    }

    /// Returns the resolver. Without name servers in the flags, it uses those of the configuration
    /// file.
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
#[command(next_help_heading = "Connection")]
pub(super) struct HowArgs {
    /// STARTTLS protocol for targets without a scheme
    #[arg(long, value_name = "PROTO", value_parser = starttls_word())]
    pub(super) starttls: Option<Protocol>,

    /// Key type to request from the server; all makes one probe for each type
    #[arg(long, value_name = "TYPE", value_parser = OneOf::<KeyTypes>::new(&["any", "rsa", "ecdsa", "all"]))]
    key_type: Option<KeyTypes>,

    /// Path to the client certificate, optionally with its chain, in any order: PEM, DER, PKCS #7 or PKCS #12
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,

    /// Path to the private key of --client-cert (PEM or DER, unencrypted)
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,

    /// Path to a file with the password of a PKCS #12 file of --client-cert, in its first line
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_cert_password_file: Option<PathBuf>,

    /// Send a PROXY protocol header first
    #[arg(long, value_name = "VERSION", value_parser = OneOf::<ProxyProtocol>::new(&["v1", "v2"]))]
    proxy_protocol: Option<ProxyProtocol>,

    /// Application protocols (ALPN) to offer, comma-separated, such as h2,http/1.1
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = parse_alpn, value_hint = ValueHint::Other)]
    alpn: Vec<String>,

    /// Server name to send as SNI, or none; the certificate is still matched against the target
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Hostname)]
    sni: Option<Sni>,

    /// Name of this client in SMTP's EHLO [default: the machine's name, then its address]
    #[arg(long, value_name = "NAME", value_parser = parse_ehlo, value_hint = ValueHint::Hostname)]
    ehlo: Option<String>,

    /// XMPP domain, if it differs from the host: the stream and SNI name it, and the certificate must match it
    #[arg(long, value_name = "NAME", value_parser = parse_domain, value_hint = ValueHint::Hostname)]
    pub(super) xmpp_domain: Option<Hostname>,

    /// Source address of connections; at most one for each address family
    #[arg(long, value_name = "ADDR")]
    source_address: Vec<IpAddr>,
}

impl HowArgs {
    /// Overrides how an entry's servers are reached with the settings of the flags.
    pub(super) fn apply(&self, entry: &mut Entry) -> Result<(), FlagsError> {
        one_of_each_family(&self.source_address).map_err(FlagsError::SourceAddress)?;
        entry.key_types = self.key_type.unwrap_or(entry.key_types);
        let mut reach = ReachSettings::clone(&entry.reach);
        self.apply_to(&mut reach);
        if self.ehlo.is_some() && entry.protocol.has_ehlo() {
            reach.ehlo.clone_from(&self.ehlo);
        }
        if self.xmpp_domain.is_some() && entry.protocol.is_xmpp() {
            reach.xmpp_domain.clone_from(&self.xmpp_domain);
        }
        let suits = reach.suits(entry.protocol);
        if reach != *entry.reach {
            entry.reach = Arc::new(reach);
        }
        suits.map_err(|e| FlagsError::Reach(e.into()))
    }

    /// Parses the targets. With an XMPP domain in a flag, an XMPP target is the host.
    pub(super) fn parse_targets(&self, all: &[Written]) -> Result<Targets, TargetError> {
        targets::parse(all, self.xmpp_domain.is_some())
    }

    /// Checks that the names of the flags are used by at least one entry.
    pub(super) fn names_are_used(&self, entries: &[Entry]) -> Result<(), FlagsError> {
        if self.ehlo.is_some() && !entries.iter().any(|e| e.protocol.has_ehlo()) {
            return Err(FlagsError::UnusedEhlo);
        }
        if self.xmpp_domain.is_some() && !entries.iter().any(|e| e.protocol.is_xmpp()) {
            return Err(FlagsError::UnusedXmppDomain);
        }
        Ok(())
    }

    fn apply_to(&self, reach: &mut ReachSettings) {
        if let (Some(certificate), Some(key)) = (&self.client_cert, &self.client_key) {
            reach.client = Some(ClientFiles {
                certificate: certificate.clone(),
                key: key.clone(),
                password: self.client_cert_password_file.clone(),
            });
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
    /// Path to a file with additional trusted roots: PEM, DER, PKCS #7 or PKCS #12; repeatable
    #[arg(long, value_name = "FILE")]
    ca_file: Vec<PathBuf>,

    /// Do not trust the system's root certificates
    #[arg(long)]
    no_system_roots: bool,
}

impl RootArgs {
    /// Overrides the trusted roots of the inventory with those of the flags.
    pub(super) fn apply(&self, inventory: &mut Inventory) {
        inventory.trust.system &= !self.no_system_roots;
        let files = self.ca_file.iter().cloned();
        inventory.trust.ca_files.extend(files);
    }
}

/// Parser of a flag whose value is one of a few keywords. Shells complete the keywords and the help
/// lists them. Errors are those of the type's own parser.
#[derive(Clone)]
pub(super) struct OneOf<T> {
    words: Vec<&'static str>,
    read: fn(&str) -> Result<T, FlagError>,
}

impl<T: std::str::FromStr<Err: Into<Cause>>> OneOf<T> {
    fn new(words: &[&'static str]) -> Self {
        Self {
            words: words.to_vec(),
            read: |text| text.parse().map_err(|e: T::Err| FlagError::Model(e.into())),
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

/// Returns the parser of the revocation modes.
pub(super) fn revocation_word() -> OneOf<RevocationCheck> {
    OneOf::new(&["off", "staple", "crl", "full"])
}

fn starttls_word() -> OneOf<Protocol> {
    let clear = Protocol::ALL.iter().filter(|p| p.uses_starttls());
    OneOf {
        words: clear.map(|p| p.name()).collect(),
        read: |text| Protocol::parse_starttls(text).map_err(|e| FlagError::Model(e.into())),
    }
}

/// Parses a duration that is greater than zero.
pub(super) fn parse_positive(text: &str) -> Result<Duration, FlagError> {
    match parse_duration(text).map_err(|e| FlagError::Model(e.into()))? {
        Duration::ZERO => Err(FlagError::ZeroDuration),
        duration => Ok(duration),
    }
}

/// Parses an `http` or `https` URL.
pub(super) fn parse_url(text: &str) -> Result<String, FlagError> {
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => Ok(text.into()),
        _ => Err(FlagError::Url("https://host/path")),
    }
}

/// Parses a positive whole number.
pub(super) fn parse_count(text: &str) -> Result<usize, FlagError> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(FlagError::Count),
    }
}
