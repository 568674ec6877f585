//! Names of this client in EHLO and LHLO (RFC 5321, section 4.1.1.1).

use std::fs;
use std::net::IpAddr;
use std::sync::OnceLock;

/// Maximum length of a domain in SMTP, in bytes (RFC 5321, section 4.5.3.1.2).
const MAX_DOMAIN: usize = 255;
/// Name of a machine without a name of its own. It has the form that servers require, and it claims
/// no other machine's name.
const FALLBACK: &str = "localhost.localdomain";

/// Returns the names to try, in order: the machine's fully qualified name, if it has one, the
/// address literal that clients without a name use, and a name for servers that refuse literals.
pub(super) fn client_names(local: Option<IpAddr>) -> Vec<String> {
    static FQDN: OnceLock<Option<String>> = OnceLock::new();
    let fqdn = FQDN.get_or_init(|| {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
        let hosts = fs::read("/etc/hosts").unwrap_or_default();
        fully_qualified(name.trim(), &String::from_utf8_lossy(&hosts))
    });
    let names = [fqdn.clone(), Some(literal(local)), Some(FALLBACK.into())];
    names.into_iter().flatten().collect()
}

/// Returns the fully qualified name of a machine: its host name, or the first name on the line of
/// the hosts file that contains the host name (hostname(1)).
fn fully_qualified(name: &str, hosts: &str) -> Option<String> {
    let is_qualified = |name: &&str| {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
        let has_domain = name.split('.').filter(|label| !label.is_empty()).count() > 1;
        let is_local = name.starts_with("localhost.") || name.ends_with(".localdomain");
        has_domain && !is_local && name.len() <= MAX_DOMAIN && name.bytes().all(is_allowed)
    };
    let from_hosts = || {
        let mut lines = hosts
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default());
        lines.find_map(|line| {
            let names: Vec<&str> = line.split_whitespace().skip(1).collect();
            let has_name = names.iter().any(|other| other.eq_ignore_ascii_case(name));
            names.first().copied().filter(|_| has_name)
        })
    };
    let found = Some(name).filter(is_qualified);
    let found = found.or_else(|| from_hosts().filter(is_qualified))?;
    Some(found.trim_end_matches('.').to_ascii_lowercase())
}

/// Returns an address literal, which clients without a name of their own use (RFC 5321, section
/// 4.1.3).
fn literal(local: Option<IpAddr>) -> String {
    match local {
        Some(IpAddr::V4(ip)) => format!("[{ip}]"),
        Some(IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
        None => "[127.0.0.1]".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_without_a_name_uses_its_address() {
        assert_eq!(literal("192.0.2.1".parse().ok()), "[192.0.2.1]");
        assert_eq!(literal("2001:db8::1".parse().ok()), "[IPv6:2001:db8::1]");
        let names = client_names("192.0.2.1".parse().ok());
        assert!(names.ends_with(&["[192.0.2.1]".into(), FALLBACK.into()]));
    }

    #[test]
    fn machine_name_is_used_if_it_is_fully_qualified() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1 Mon.example.com. mon # mon.other.example\n";
        let name = |name| fully_qualified(name, hosts);
        assert_eq!(name("a.example").as_deref(), Some("a.example"));
        assert_eq!(name("mon").as_deref(), Some("mon.example.com"));
        for unnamed in [
            "localhost",
            "other",
            "",
            "x.localdomain",
            "localhost.local",
            "a_b.c",
        ] {
            assert_eq!(name(unnamed), None, "{unnamed}");
        }
    }
}
