//! Part of the inventory that the targets select.

use std::sync::Arc;

use crate::config::Entry;
use crate::model::{Hostname, Protocol, Target, TargetAddress};

use super::forms::parse_file_url;

/// Part of the inventory that the targets select: certificates by name, or places.
#[derive(Debug)]
pub(in crate::cli) struct Selection {
    wanted: Vec<(String, Option<TargetAddress>)>,
}

impl Selection {
    /// Parses the targets. Each may be the name of a certificate or a place.
    pub(in crate::cli) fn new(targets: &[String]) -> Self {
        // A file is selected by its path.
        let read = |text: &String| match parse_file_url(text) {
            Some(Ok(path)) => (path.display().to_string(), None),
            _ => (text.clone(), text.parse().ok()),
        };
        Self {
            wanted: targets.iter().map(read).collect(),
        }
    }

    /// Returns true if there are no targets, which selects the whole inventory.
    pub(in crate::cli) fn is_everything(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Returns true if the entry's source must be fetched. It must be if the hosts are not known
    /// yet.
    pub(in crate::cli) fn may_want(&self, entry: &Entry) -> bool {
        let unknown = entry.name.is_none() || entry.hostnames.is_empty();
        self.is_everything()
            || unknown
            || self.wanted.iter().any(|(text, place)| {
                entry.name.as_deref() == Some(text)
                    || entry
                        .hostnames
                        .iter()
                        .any(|h| fits(place.as_ref(), h, &entry.ports, entry.protocol))
            })
    }

    /// Returns true if a target is selected.
    pub(in crate::cli) fn wants(&self, target: &Target) -> bool {
        self.is_everything() || self.wanted.iter().any(|wanted| names(wanted, target))
    }

    /// Returns the first selection that matches none of the targets.
    pub(in crate::cli) fn not_found<'a>(
        &self,
        targets: impl Iterator<Item = &'a Arc<Target>> + Clone,
    ) -> Option<&str> {
        let missing =
            |wanted: &&(String, Option<TargetAddress>)| !targets.clone().any(|t| names(wanted, t));
        self.wanted
            .iter()
            .find(missing)
            .map(|(text, _)| text.as_str())
    }
}

fn names((text, place): &(String, Option<TargetAddress>), target: &Target) -> bool {
    target.certificate == *text
        || target.is_file() && target.hostname.to_string() == *text
        || fits(
            place.as_ref(),
            &target.hostname,
            &[target.port],
            target.protocol,
        )
}

/// Returns true if the place matches. Any protocol matches, except that a QUIC place matches QUIC
/// only.
pub(super) fn fits(
    place: Option<&TargetAddress>,
    hostname: &Hostname,
    ports: &[u16],
    protocol: Protocol,
) -> bool {
    place.is_some_and(|p| {
        p.hostname == *hostname
            && p.port.is_none_or(|port| ports.contains(&port))
            && (!p.protocol.is_some_and(Protocol::is_quic) || protocol.is_quic())
    })
}
