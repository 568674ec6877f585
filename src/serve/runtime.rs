//! The configuration in force, and the objects that are built from it once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;

use crate::config::{Entry, Inventory};
use crate::error::Cause;
use crate::guard::Guard;
use crate::model::{Protocol, Timestamp, Vantage};
use crate::probe::{Prober, Reaches};
use crate::remote::{Remote, remotes};
use crate::resolve::{Override, Resolver};
use crate::revocation::Revocations;
use crate::scan::{Permits, ProbeOptions, Scanner, own_trust};
use crate::source::{Environment, Requests, Sources, TargetFiles};
use crate::trust;
use crate::web::Web;
use certvigil_probe::io::read_secret;

use super::error::ConfigError;
use super::expectations::Times;
use super::judging_settings::JudgingSettings;
use super::named_files::{FileStamps, named_files};
use super::probe_module::ProbeModule;
use super::routes::Routes;

/// Settings of a monitor, except for its listeners.
pub struct Setup {
    /// Reads the configuration; called at the start and at every reload.
    pub load: Box<dyn Fn() -> Result<Inventory, Cause> + Send + Sync>,
    /// Environment of the process, for credentials.
    pub environment: fn() -> Environment<'static>,
    /// Addresses of names that override DNS.
    pub overrides: Vec<Override>,
    /// Maximum concurrent probes in total.
    pub concurrency: usize,
    /// The clock.
    pub clock: fn() -> Timestamp,
    /// State folder, if any.
    pub state: Option<PathBuf>,
    /// Web configuration: users and TLS. It is reloaded together with the configuration.
    pub web: Arc<Web>,
    /// Path prefixes of requests and links.
    pub routes: Routes,
}

/// Configuration in force.
pub(super) struct Runtime {
    /// The configuration, except for its entries.
    pub(super) inventory: Inventory,
    /// Entries of the configuration, and then those of the files of targets.
    pub(super) entries: Vec<Arc<Entry>>,
    /// Settings outside the entries that take part in verdicts.
    pub(super) judging: Arc<JudgingSettings>,
    /// Scanner of the local vantage.
    pub(super) scanner: Scanner,
    /// Remote vantages, each as a scanner needs it.
    pub(super) remotes: BTreeMap<Vantage, Remotes>,
    /// Permits of on-demand probes.
    on_demand: Arc<Permits>,
    pub(super) options: ProbeOptions,
    pub(super) times: Times,
    pub(super) guard: Guard,
    pub(super) modules: BTreeMap<String, ProbeModule>,
    pub(super) webhook_secret: Option<SecretString>,
    /// Files of targets. Their entries are the last ones of the inventory.
    pub(super) target_files: Arc<TargetFiles>,
    /// Files with roots, client certificates and secrets.
    pub(super) named_files: Arc<[PathBuf]>,
    /// States of all these files before they were read.
    pub(super) file_stamps: FileStamps,
}

/// One remote vantage.
pub(super) type Remotes = Arc<[Remote]>;

impl Runtime {
    /// Reads the configuration and builds everything from it. Unchanged parts are shared with the
    /// previous runtime.
    ///
    /// # Errors
    /// Returns an error if the configuration, or a file that it names, is invalid.
    pub(super) fn new(
        setup: &Setup,
        before: Option<&Self>,
        requests: &Requests,
    ) -> Result<Self, ConfigError> {
        let mut inventory = (setup.load)().map_err(ConfigError::File)?;
        inventory.add_account_vantage();
        let entries = std::mem::take(&mut inventory.certificates);
        let entries = entries.into_iter().map(Arc::new).collect();
        Self::of(inventory, entries, setup, before, requests)
    }

    /// Returns this configuration with the present content of the files that it names: files of
    /// targets, roots, client certificates and secrets. The configuration itself is not read.
    ///
    /// # Errors
    /// Returns an error if a file that the configuration names has become invalid.
    pub(super) fn with_present_files(
        &self,
        setup: &Setup,
        requests: &Requests,
    ) -> Result<Self, ConfigError> {
        let of_files = self.target_files.entries().count();
        let configured = self.entries.len().saturating_sub(of_files);
        let entries = self.entries.iter().take(configured).cloned().collect();
        Self::of(self.inventory.clone(), entries, setup, Some(self), requests)
    }

    /// Builds everything from an inventory without entries, and from its entries without those of
    /// files of targets.
    fn of(
        inventory: Inventory,
        mut entries: Vec<Arc<Entry>>,
        setup: &Setup,
        before: Option<&Self>,
        requests: &Requests,
    ) -> Result<Self, ConfigError> {
        let target_files = TargetFiles::read(
            &inventory.file_sd,
            &inventory.defaults,
            before.map(|before| &*before.target_files),
            (setup.clock)(),
        );
        let of_files = target_files.entries().cloned();
        entries.extend(of_files.map(Arc::new));
        entries.shrink_to_fit();
        // A file that changes while it is read is read again.
        let named_files: Arc<[PathBuf]> = named_files(&inventory, &entries).into();
        let file_stamps = FileStamps::new(target_files.stamps().clone(), &named_files);
        let prober = match before {
            Some(before) => before.scanner.prober.clone(),
            None => Arc::new(Prober::new().map_err(ConfigError::resource)?),
        };
        let sources = Sources::new(&inventory, &(setup.environment)(), requests.clone())?
            .sharing(prober.certificates().clone());
        let sources = match before {
            Some(before) => sources.knowing_files_of(&before.scanner.sources),
            None => sources,
        };
        let all: BTreeSet<String> = inventory.vantages.iter().map(|v| v.name.clone()).collect();
        let remotes = remotes(&sources, &inventory.vantages, &all)?;
        let remotes = remotes
            .into_iter()
            .map(|remote| (remote.vantage().clone(), Arc::from([remote])))
            .collect();
        let defaults = &inventory.defaults;
        // Probes that are running still count against the limits.
        let permits = before.map(|b| (b.scanner.permits.clone(), b.on_demand.clone()));
        let (permits, on_demand) = permits.unwrap_or_else(|| {
            let (monitor, on_demand) = Permits::of_monitor(setup.concurrency, defaults.per_address);
            (Arc::new(monitor), Arc::new(on_demand))
        });
        let (families, overrides) = (inventory.families, setup.overrides.clone());
        let resolver = Resolver::new(families, overrides, inventory.dns.clone());
        let resolver = match before {
            Some(before) => resolver.sharing_notices_of(&before.scanner.resolver),
            None => resolver,
        };
        let reaches = Reaches::load(entries.iter().map(|entry| &*entry.reach));
        let options = ProbeOptions {
            timeout: defaults.timeout,
            trust: Arc::new(trust::load(&inventory.trust).map_err(ConfigError::resource)?),
            reaches: Arc::new(reaches.map_err(ConfigError::resource)?),
            own_trust: own_trust(&inventory.trust, entries.iter().map(|entry| &**entry))
                .map_err(ConfigError::resource)?,
        };
        let judging = JudgingSettings::new(&inventory, &entries, &options);
        let mut modules = BTreeMap::new();
        for &protocol in Protocol::ALL {
            let module = ProbeModule::of_protocol(protocol);
            modules.insert(protocol.name().to_owned(), module);
        }
        for module in &inventory.probe.modules {
            let loaded = ProbeModule::load(module, &inventory.trust)?;
            modules.insert(module.name.clone(), loaded);
        }
        let webhook_secret = inventory.webhook_secret_file.as_deref().map(read_secret);
        let webhook_secret = webhook_secret.transpose().map_err(ConfigError::resource)?;
        if let Some(secret) = &webhook_secret {
            sources.hide(secret);
        }
        let guard = Guard::new(inventory.probe.allow.clone());
        let account = inventory.sslmate.clone().unwrap_or_default();
        Ok(Self {
            remotes,
            scanner: Scanner {
                revocations: Arc::new(
                    Revocations::new(sources.http_for_others()).guarded_by(guard.clone()),
                ),
                sources: Arc::new(sources),
                resolver: Arc::new(resolver),
                prober,
                local: true,
                remotes: Arc::new([]),
                permits,
            },
            on_demand,
            times: Times {
                grace: defaults.grace,
                refresh: account.refresh_interval,
            },
            guard,
            options,
            modules,
            webhook_secret,
            target_files: Arc::new(target_files),
            named_files,
            file_stamps,
            judging: Arc::new(judging),
            entries,
            inventory,
        })
    }

    /// Returns a scanner for one vantage; `None` if there is no such vantage.
    pub(super) fn scanner_of(&self, vantage: &Vantage) -> Option<Scanner> {
        if vantage.is_local() {
            return Some(self.scanner.clone());
        }
        Some(Scanner {
            local: false,
            remotes: self.remotes.get(vantage)?.clone(),
            ..self.scanner.clone()
        })
    }

    /// Returns a scanner for on-demand probes, which have permits of their own and use no remote
    /// vantage.
    pub(super) fn on_demand_scanner(&self) -> Scanner {
        Scanner {
            permits: self.on_demand.clone(),
            ..self.scanner.clone()
        }
    }

    /// Returns the number of running probes, including on-demand probes.
    pub(super) fn probes_in_flight(&self) -> usize {
        self.scanner.permits.in_use() + self.on_demand.in_use()
    }

    /// Returns the module that is used for a protocol if no module is named.
    pub(super) fn default_module(&self, protocol: Protocol) -> Option<&ProbeModule> {
        self.modules.get(protocol.name())
    }
}
