//! Modules of `/probe`.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Module, ReachSettings, TrustSettings};
use crate::finding::{Acceptance, EntryNotes};
use crate::judge::{Rules, TrustStore};
use crate::model::{Families, Hostname, KeyTypes, Protocol, Threshold};
use crate::probe::{Reach, Reaches};
use crate::scan::Job;
use crate::tlsa::DaneCheck;
use crate::trust;

use super::error::ModuleError;

/// Share of the total timeout that is reserved for reporting the results, as a divisor.
const RESPONSE_SHARE: u32 = 8;

/// Module of `/probe`. `None` leaves a setting to the entry of the target, or to the defaults.
#[derive(Clone)]
pub(super) struct ProbeModule {
    pub(super) protocol: Protocol,
    /// Port, if neither the target nor the inventory has one.
    pub(super) port: u16,
    /// Names to match in place of the host: the XMPP domain, for XMPP.
    pub(super) names: Box<[Hostname]>,
    pub(super) families: Option<Families>,
    key_types: Option<KeyTypes>,
    timeout: Option<Duration>,
    trust: Option<Arc<TrustStore>>,
    reach: Option<Arc<Reach>>,
    warn: Option<Threshold>,
    crit: Option<Threshold>,
    dane: Option<DaneCheck>,
    accept: Vec<Acceptance>,
}

impl ProbeModule {
    /// Returns the module of a protocol, which has no other settings.
    pub(super) fn of_protocol(protocol: Protocol) -> Self {
        Self {
            protocol,
            port: protocol.default_port(),
            names: Box::default(),
            families: None,
            key_types: None,
            timeout: None,
            trust: None,
            reach: None,
            warn: None,
            crit: None,
            dane: None,
            accept: Vec::new(),
        }
    }

    /// Loads the files of a configured module. `trust` has the roots of the inventory.
    ///
    /// # Errors
    /// Returns an error if a file of the module cannot be used.
    pub(super) fn load(module: &Module, trust: &TrustSettings) -> Result<Self, ModuleError> {
        let reach = match module.reach == ReachSettings::default() {
            true => None,
            false => {
                let loaded = Reaches::load([&module.reach]);
                let loaded = loaded.map_err(|error| ModuleError::Reach {
                    module: module.name.clone(),
                    cause: error.into(),
                })?;
                Some(loaded.of(&module.reach))
            }
        };
        let domain = module.reach.xmpp_domain.iter().cloned();
        Ok(Self {
            port: module
                .port
                .unwrap_or_else(|| module.protocol.default_port()),
            names: domain.collect(),
            families: module.families,
            key_types: module.key_types,
            timeout: module.timeout,
            trust: roots(module, trust)
                .map(|roots| trust::load(&roots).map(Arc::new))
                .transpose()
                .map_err(|error| ModuleError::Trust {
                    module: module.name.clone(),
                    cause: error.into(),
                })?,
            reach,
            warn: module.warn,
            crit: module.crit,
            dane: module.dane,
            accept: module.accept.clone(),
            ..Self::of_protocol(module.protocol)
        })
    }

    /// Applies the settings of the module to a probe, which ends early enough within the total
    /// timeout that the response can still report why it took so long.
    pub(super) fn apply(&self, job: &mut Job, whole: Duration) {
        if let Some(trust) = &self.trust {
            job.options.trust = trust.clone();
        }
        if let Some(reach) = &self.reach {
            job.reach = reach.clone();
        }
        let rules = &job.rules;
        job.rules = Rules {
            warn: self.warn.unwrap_or(rules.warn),
            crit: self.crit.unwrap_or(rules.crit),
            ..job.rules
        };
        job.dane = self.dane.unwrap_or(job.dane);
        job.families = self.families.or(job.families);
        job.key_types = self.key_types.unwrap_or(job.key_types);
        if !self.accept.is_empty() {
            let mut notes = EntryNotes::clone(&job.notes);
            notes.accept.extend(self.accept.iter().cloned());
            job.notes = Arc::new(notes);
        }
        job.options.timeout = self.within(whole, job.options.timeout);
    }

    /// Returns the timeout of one probe within this total timeout.
    pub(super) fn within(&self, whole: Duration, default: Duration) -> Duration {
        let left = whole - whole / RESPONSE_SHARE;
        left.min(self.timeout.unwrap_or(default))
    }
}

/// Returns the roots of a module, if it has its own.
fn roots(module: &Module, inventory: &TrustSettings) -> Option<TrustSettings> {
    if module.trust.is_none() && module.ca_files.is_empty() {
        return None;
    }
    let mut roots = module.trust.clone().unwrap_or_else(|| inventory.clone());
    roots.ca_files.extend(module.ca_files.iter().cloned());
    Some(roots)
}
