//! Address families, and the selection of those to probe.

use std::net::IpAddr;
use std::str::FromStr;

use super::UnknownValue;

/// One address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Returns the family of an address.
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Returns the name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// Returns the other family.
    pub fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

impl FromStr for Family {
    type Err = UnknownValue;

    /// Parses `ipv4` or `ipv6`.
    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        match text.to_ascii_lowercase().as_str() {
            "ipv4" => Ok(Self::V4),
            "ipv6" => Ok(Self::V6),
            _ => Err(UnknownValue::new(text, "an address family", "ipv4 or ipv6")),
        }
    }
}

/// The address families to probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Families {
    /// Both, except one for which this machine has no route.
    #[default]
    Available,
    /// Both, including one for which this machine has no route.
    Both,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Families {
    /// Returns the families of a list, or `None` if it is empty.
    pub fn listed(families: &[Family]) -> Option<Self> {
        let has = |family| families.contains(&family);
        match (has(Family::V4), has(Family::V6)) {
            (true, true) => Some(Self::Both),
            (true, false) => Some(Self::V4),
            (false, true) => Some(Self::V6),
            (false, false) => None,
        }
    }

    /// Returns true if addresses of a family are probed.
    pub fn has(self, family: Family) -> bool {
        match self {
            Self::Available | Self::Both => true,
            Self::V4 => family == Family::V4,
            Self::V6 => family == Family::V6,
        }
    }

    /// Returns the name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Available | Self::Both => "IP",
            Self::V4 => Family::V4.name(),
            Self::V6 => Family::V6.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_families_are_read_from_a_list() {
        let listed = |names: &[&str]| {
            let families: Result<Vec<Family>, _> = names.iter().map(|name| name.parse()).collect();
            families.map(|families| Families::listed(&families))
        };
        assert_eq!(listed(&["ipv4"]), Ok(Some(Families::V4)));
        assert_eq!(listed(&["IPv6", "ipv6"]), Ok(Some(Families::V6)));
        assert_eq!(listed(&["ipv6", "ipv4"]), Ok(Some(Families::Both)));
        assert_eq!(listed(&[]), Ok(None));
        let error = listed(&["ip4"]).unwrap_err().to_string();
        assert!(error.contains("ipv4 or ipv6"), "{error}");
    }
}
