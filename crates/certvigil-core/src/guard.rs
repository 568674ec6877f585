//! Restrictions on the targets of on-demand probes: a probe must not give untrusted clients access
//! to the network of the program.
//!
//! Addresses that are not public are those of IANA's special-purpose registries (RFC 6890 and its
//! updates), as of RFC 9637. Only 2000::/3 of IPv6 is allocated for global use; all other addresses
//! are refused.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::model::{Hostname, HostnameError};

/// Targets that an on-demand probe may have, in addition to the monitored ones.
///
/// ```
/// use certvigil_core::guard::{AllowedError, Guard};
///
/// let guard = Guard::new(vec!["*.example.com".parse()?, "10.0.0.0/8".parse()?]);
/// assert!(guard.may_reach([10, 1, 2, 3].into()).is_ok());
/// let refused = guard.may_reach([127, 0, 0, 1].into()).unwrap_err();
/// assert!(refused.to_string().starts_with("127.0.0.1 is loopback"));
/// # Ok::<(), AllowedError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    allow: Vec<Allowed>,
}

impl Guard {
    /// Creates a guard that allows only these.
    pub fn new(allow: Vec<Allowed>) -> Self {
        Self { allow }
    }

    /// Checks that a client may request this host. A name must match a pattern. An address must be
    /// inside a configured network, even if it is public.
    ///
    /// # Errors
    /// Returns the reason, and the setting that would allow the host.
    pub fn may_name(&self, hostname: &Hostname) -> Result<(), Refused> {
        let is_allowed = match hostname {
            Hostname::Dns(name) => self.allow.iter().any(|allowed| allowed.covers_name(name)),
            Hostname::Ip(ip) => self.names_network_of(*ip),
            // No request names a file, and none may.
            Hostname::File(_) => false,
        };
        if is_allowed {
            return Ok(());
        }
        Err(match hostname {
            Hostname::Dns(name) => Refused::Name { name: name.clone() },
            Hostname::Ip(ip) => Refused::Address { ip: *ip },
            Hostname::File(_) => Refused::File,
        })
    }

    /// Checks that a probe may connect to this address, to which a name resolved. It must be public
    /// or inside a configured network. An address that contains an IPv4 address (mapped,
    /// compatible, NAT64, 6to4) is judged as that IPv4 address.
    ///
    /// # Errors
    /// Returns the kind of address, and the setting that would allow it.
    pub fn may_reach(&self, ip: IpAddr) -> Result<(), Refused> {
        match private_use(ip) {
            Some(kind) if !self.names_network_of(ip) => Err(Refused::NotPublic { ip, kind }),
            _ => Ok(()),
        }
    }

    fn names_network_of(&self, ip: IpAddr) -> bool {
        // The system treats a mapped address as IPv4, so ::/0 must not allow 127.0.0.1 through it.
        let (ip, reached) = (ip.to_canonical(), reached(ip));
        self.allow.iter().any(|allowed| match allowed {
            Allowed::Network(network) => network.contains(ip) || network.contains(reached),
            Allowed::EveryName | Allowed::Below(_) | Allowed::Name(_) => false,
        })
    }
}

/// Reason for which a client must not request a probe, with the setting that would allow it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No pattern covers the name.
    #[error("{name} is not in the inventory, and no host pattern of `probe.allow` fits it")]
    Name {
        /// The name.
        name: String,
    },
    /// No network contains the address.
    #[error("{ip} is not in the inventory, and no network of `probe.allow` contains it")]
    Address {
        /// The address.
        ip: IpAddr,
    },
    /// A request names a file.
    #[error("a file is not probed on demand")]
    File,
    /// A name has an address that is not public, and no network contains it.
    #[error("{ip} is {kind}: it is probed only if a network of `probe.allow` contains it")]
    NotPublic {
        /// The address.
        ip: IpAddr,
        /// The kind of address, as an attribute in English: `loopback`.
        kind: &'static str,
    },
}

/// An item of `probe.allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// `*`: every name, but no address.
    EveryName,
    /// `*.example.com`: every name below this one, at any depth, but not the name itself.
    Below(String),
    /// Exactly this name.
    Name(String),
    /// The addresses of a network.
    Network(Network),
}

impl Allowed {
    fn covers_name(&self, name: &str) -> bool {
        match self {
            Self::EveryName => true,
            Self::Below(parent) => name
                .strip_suffix(parent.as_str())
                .is_some_and(|below| below.ends_with('.')),
            Self::Name(allowed) => name == allowed,
            Self::Network(_) => false,
        }
    }
}

/// Reason for which text is not an item of `probe.allow`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllowedError {
    /// A star has another position than before the first dot.
    #[error(
        "`{text}`: a star must be alone, for every name, or before the first dot, as in *.example.com"
    )]
    Star {
        /// The text.
        text: String,
    },
    /// A star precedes an address.
    #[error("`{text}`: an address has no names below it; write a network as 192.0.2.0/24")]
    BelowAddress {
        /// The text.
        text: String,
    },
    /// It names a file.
    #[error("`{text}` is a file, which no pattern allows")]
    File {
        /// The text.
        text: String,
    },
    /// It is not a host name.
    #[error(transparent)]
    Hostname(#[from] HostnameError),
    /// It is not a network.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl FromStr for Allowed {
    type Err = AllowedError;

    /// Parses a host name, `*.` followed by one, `*`, an address or a network (`192.0.2.0/24`).
    fn from_str(text: &str) -> Result<Self, AllowedError> {
        let own = || text.to_owned();
        if text == "*" {
            return Ok(Self::EveryName);
        }
        if text.contains('/') {
            return Ok(Self::Network(text.parse()?));
        }
        let below = text.strip_prefix("*.");
        if below.unwrap_or(text).contains('*') {
            return Err(AllowedError::Star { text: own() });
        }
        if let Some(parent) = below {
            return match parent.parse::<Hostname>()? {
                Hostname::Dns(parent) => Ok(Self::Below(parent)),
                Hostname::Ip(_) | Hostname::File(_) => {
                    Err(AllowedError::BelowAddress { text: own() })
                }
            };
        }
        Ok(match text.parse::<Hostname>()? {
            Hostname::Dns(name) => Self::Name(name),
            Hostname::Ip(ip) => Self::Network(Network::of_one(ip)),
            Hostname::File(_) => {
                return Err(AllowedError::File { text: own() });
            }
        })
    }
}

/// A network: the addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    /// Length of the prefix in bits.
    bits: u8,
}

impl Network {
    const fn v4(a: u8, b: u8, c: u8, bits: u8) -> Self {
        Self {
            first: IpAddr::V4(Ipv4Addr::new(a, b, c, 0)),
            bits,
        }
    }

    const fn v6(a: u16, b: u16, c: u16, bits: u8) -> Self {
        Self {
            first: IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)),
            bits,
        }
    }

    fn of_one(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        Self {
            first: ip,
            bits: width(ip),
        }
    }

    /// Returns true if the address, as written, is in the network.
    pub fn contains(&self, ip: IpAddr) -> bool {
        // Counts leading zeros, because a shift by the full width overflows for a prefix of 0 bits.
        match (self.first, ip) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => {
                let differ = first.to_bits() ^ ip.to_bits();
                differ.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(first), IpAddr::V6(ip)) => {
                let differ = first.to_bits() ^ ip.to_bits();
                differ.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

/// Reason for which text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// It has another syntax.
    #[error("`{text}` is not a network: write it as 192.0.2.0/24")]
    Syntax {
        /// The text.
        text: String,
    },
    /// The address has bits after the prefix.
    #[error(
        "`{text}` names one address in a network: write {network} for the network, or {ip} for the address"
    )]
    HostBits {
        /// The text.
        text: String,
        /// The network that contains the address.
        network: Network,
        /// The address.
        ip: IpAddr,
    },
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError::Syntax {
            text: text.to_owned(),
        };
        let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
        let ip: IpAddr = address.parse().map_err(|_| wrong())?;
        let is_plain = bits.bytes().all(|b| b.is_ascii_digit());
        let bits: u8 = bits
            .parse()
            .ok()
            .filter(|bits| is_plain && *bits <= width(ip))
            .ok_or_else(wrong)?;
        let first = first_of(ip, bits);
        // A network of mapped addresses is an IPv4 network.
        let network = match first.to_canonical() {
            IpAddr::V4(first) if ip.is_ipv6() && bits >= MAPPED_BITS => Self {
                first: first.into(),
                bits: bits - MAPPED_BITS,
            },
            _ => Self { first, bits },
        };
        if first != ip {
            return Err(NetworkError::HostBits {
                text: text.to_owned(),
                network,
                ip,
            });
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

/// Length of the prefix before the IPv4 address in a mapped one (RFC 4291, section 2.5.5.2).
const MAPPED_BITS: u8 = 96;

fn width(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn first_of(ip: IpAddr, bits: u8) -> IpAddr {
    let bits = u32::from(bits);
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & mask).into()
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            Ipv6Addr::from_bits(ip.to_bits() & mask).into()
        }
    }
}

/// IPv4 networks that are not public. The addresses in 192.0.0.0/24 that IANA's registry lists as
/// globally reachable belong to two anycast services, which have no certificates.
const NOT_PUBLIC_V4: [(Network, &str); 17] = [
    (Network::v4(0, 0, 0, 8), "of this very host (0.0.0.0/8)"),
    (Network::v4(10, 0, 0, 8), "private (RFC 1918)"),
    (
        Network::v4(100, 64, 0, 10),
        "shared by a provider's customers (RFC 6598)",
    ),
    (Network::v4(127, 0, 0, 8), "loopback"),
    (Network::v4(169, 254, 0, 16), "link-local"),
    (Network::v4(172, 16, 0, 12), "private (RFC 1918)"),
    (
        Network::v4(192, 0, 0, 24),
        "for the IETF's protocols (192.0.0.0/24)",
    ),
    (Network::v4(192, 0, 2, 24), "for documentation"),
    (Network::v4(192, 88, 99, 24), "a relay of 6to4 (RFC 7526)"),
    (Network::v4(192, 168, 0, 16), "private (RFC 1918)"),
    (Network::v4(198, 18, 0, 15), "for benchmarks (RFC 2544)"),
    (Network::v4(198, 51, 100, 24), "for documentation"),
    (Network::v4(203, 0, 113, 24), "for documentation"),
    (Network::v4(224, 0, 0, 4), "multicast"),
    // Precedes the network that contains it, because its description is more precise.
    (
        Network {
            first: IpAddr::V4(Ipv4Addr::BROADCAST),
            bits: 32,
        },
        "broadcast",
    ),
    (Network::v4(233, 252, 0, 24), "for documentation"),
    (Network::v4(240, 0, 0, 4), "reserved (240.0.0.0/4)"),
];

/// IPv6 networks that are not public, with a description.
const NOT_PUBLIC_V6: [(Network, &str); 13] = [
    (
        Network {
            first: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            bits: 128,
        },
        "unspecified",
    ),
    (
        Network {
            first: IpAddr::V6(Ipv6Addr::LOCALHOST),
            bits: 128,
        },
        "loopback",
    ),
    (
        Network::v6(0x64, 0xff9b, 1, 48),
        "for translation inside a network (RFC 8215)",
    ),
    (Network::v6(0x100, 0, 0, 32), "for discarding (RFC 6666)"),
    (Network::v6(0x2001, 0, 0, 32), "of a Teredo tunnel"),
    // Teredo, benchmarks, ORCHID and more.
    (
        Network::v6(0x2001, 0, 0, 23),
        "for the IETF's protocols (2001::/23)",
    ),
    (Network::v6(0x2001, 0xdb8, 0, 32), "for documentation"),
    (Network::v6(0x3fff, 0, 0, 20), "for documentation"),
    (
        Network::v6(0x5f00, 0, 0, 16),
        "for segment routing (RFC 9602)",
    ),
    (Network::v6(0xfc00, 0, 0, 7), "private (RFC 4193)"),
    (Network::v6(0xfe80, 0, 0, 10), "link-local"),
    (Network::v6(0xfec0, 0, 0, 10), "site-local"),
    (Network::v6(0xff00, 0, 0, 8), "multicast"),
];

/// The addresses allocated for global use (RFC 4291, section 2.4, and IANA's registry of the
/// address space).
const GLOBAL_V6: Network = Network::v6(0x2000, 0, 0, 3);

/// Returns the kind of address, or `None` for a public one.
fn private_use(ip: IpAddr) -> Option<&'static str> {
    let reached = reached(ip);
    let table: &[(Network, &str)] = match reached {
        IpAddr::V4(_) => &NOT_PUBLIC_V4,
        IpAddr::V6(_) => &NOT_PUBLIC_V6,
    };
    let named = table.iter().find(|(network, _)| network.contains(reached));
    match named {
        Some((_, what)) => Some(what),
        None if reached.is_ipv6() && !GLOBAL_V6.contains(reached) => Some("not for global use"),
        None => None,
    }
}

/// Returns the IPv4 address to which a packet for this one is delivered, if it contains one,
/// otherwise the address itself.
///
/// Teredo addresses are not decoded: the packet goes to a relay, and the address may name any
/// server and client. A Teredo address is therefore never public.
fn reached(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let last = |[.., a, b, c, d]: [u8; 16]| Ipv4Addr::new(a, b, c, d);
    let octets = v6.octets();
    match v6.segments() {
        // ::1 and :: are not compatible addresses of 0.0.0.0/8.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => ip,
        // IPv4-compatible and IPv4-mapped (RFC 4291, section 2.5.5).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] => last(octets).into(),
        // IPv4-translated (RFC 2765), which is obsolete.
        [0, 0, 0, 0, 0xffff, 0, ..] => last(octets).into(),
        // NAT64 (RFC 6052). With the prefix for local use, the network chooses the position of the
        // IPv4 address. If any bit before the last 32 is set, the destination is unknown.
        [0x64, 0xff9b, 0 | 1, 0, 0, 0, ..] => last(octets).into(),
        // 6to4 (RFC 3056): the router to which the packet is sent.
        [0x2002, high, low, ..] => {
            Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)).into()
        }
        _ => ip,
    }
}

#[cfg(test)]
mod tests;
