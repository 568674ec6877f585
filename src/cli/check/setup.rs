//! Inventory, scanner and options that result from the flags and the configuration file.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use certvigil_probe::io::read_password;

use crate::cli::error::{Error, FlagsError, VantageAdvice};
use crate::cli::plan::{self, Selection, Wanted};
use crate::cli::targets::{self, TargetError};
use crate::config::{Entry, Inventory, SslmateSettings, VantageKind};
use crate::model::{CritBeforeWarn, RevocationCheck, Vantage, did_you_mean};
use crate::remote::remotes;
use crate::report;
use crate::resolve::Override;
use crate::revocation::Revocations;
use crate::scan::{ProbeOptions, Scanner};
use crate::source::{Requests, Sources};
use crate::tlsa::DaneCheck;

use super::Args;

/// Configuration that results from the flags and the configuration file.
pub(super) struct Plan {
    pub(super) inventory: Inventory,
    pub(super) selection: Selection,
    pub(super) scanner: Scanner,
    pub(super) options: ProbeOptions,
    /// True if a failed source ends the run, because there is only one thing to check.
    pub(super) alone: bool,
    /// Addresses that the user gave for names.
    pub(super) overrides: Vec<Override>,
    /// True after the first round reported what is not probed.
    pub(super) is_reported: AtomicBool,
}

impl Plan {
    pub(super) fn new(args: &Args) -> Result<Self, Error> {
        let targets = targets::all(&args.targets, args.target_list.as_deref())?;
        let mut inventory = match &args.config {
            Some(file) => plan::read_inventory_and_targets(file)?,
            None => Inventory::default(),
        };
        let selection = if args.config.is_some() && args.sslmate.is_none() {
            if args.options.starttls.is_some() {
                return Err(FlagsError::StarttlsOfInventory.into());
            }
            let targets = targets.iter().map(|target| target.text.trim().to_owned());
            Selection::new(&targets.collect::<Vec<_>>())
        } else {
            inventory.certificates = Self::entries(args, &targets, &inventory)?;
            Selection::new(&[])
        };
        Self::settings(args, &mut inventory)?;

        let mut sources = Sources::new(&inventory, &plan::environment(), Requests::default())?;
        if let Some(file) = &args.cert_password_file {
            sources = sources.opening_files_with(read_password(file).map_err(Error::resource)?);
        }
        let wanted = Self::vantages(args, &mut inventory)?;
        let remotes = remotes(&sources, &inventory.vantages, &wanted)?;
        args.places.apply(&mut inventory);
        let resolver = args.places.resolver(&inventory);
        let scanner = Scanner {
            local: wanted.contains(Vantage::LOCAL),
            remotes: remotes.into(),
            revocations: Arc::new(
                Revocations::new(sources.http_for_others())
                    .with_files(&args.crl_file)
                    .map_err(Error::resource)?,
            ),
            ..plan::scanner(sources, resolver, &inventory, args.concurrency)?
        };
        let options = plan::options(&inventory)?;
        Ok(Self {
            alone: args.config.is_none() || args.sslmate.is_some(),
            overrides: args.places.overrides().to_vec(),
            is_reported: AtomicBool::new(false),
            inventory,
            selection,
            scanner,
            options,
        })
    }

    /// Returns the entries from flags other than `--config`, or the part of the configuration file
    /// that `--sslmate` names.
    fn entries(
        args: &Args,
        targets: &[targets::Written],
        inventory: &Inventory,
    ) -> Result<Vec<Entry>, TargetError> {
        let targets = args.options.parse_targets(targets)?;
        if let (Some(name), true) = (&args.sslmate, args.config.is_some()) {
            let name = name.to_ascii_lowercase();
            let entries = plan::entries_of(inventory, &name, args.options.starttls);
            return plan::narrowed(&entries, &targets);
        }
        let wanted = match &args.download {
            Some(url) => Wanted::Download(url.clone()),
            None => Wanted::from_flags(
                &args.cert,
                &args.fingerprint,
                args.pubkey_hash,
                args.sslmate.as_deref(),
            ),
        };
        plan::entries(&wanted, &targets, args.options.starttls.unwrap_or_default())
    }

    /// Overrides settings of the configuration file with those of the flags.
    fn settings(args: &Args, inventory: &mut Inventory) -> Result<(), FlagsError> {
        if args.sslmate.is_some() && inventory.sslmate.is_none() {
            inventory.sslmate = Some(SslmateSettings::default());
        }
        if !args.crl_file.is_empty() && args.revocation == Some(RevocationCheck::Off) {
            return Err(FlagsError::CrlWithoutCheck);
        }
        args.roots.apply(inventory);
        if let Some(timeout) = args.timeout {
            inventory.defaults.timeout = timeout;
        }
        if let Some(count) = args.per_address {
            inventory.defaults.per_address = count;
        }
        for entry in &mut inventory.certificates {
            entry.warn = args.warn.unwrap_or(entry.warn);
            entry.crit = args.crit.unwrap_or(entry.crit);
            CritBeforeWarn::check(entry.warn, entry.crit)?;
            entry.revocation = args.revocation.unwrap_or(entry.revocation);
            entry.dane = entry
                .dane
                .max(args.dane.map_or(DaneCheck::Off, DaneCheck::from));
            args.options.apply(entry)?;
        }
        args.options.names_are_used(&inventory.certificates)?;
        Ok(())
    }

    /// Returns the names of the vantages to probe from. SSLMate is one of them if an account is
    /// configured.
    fn vantages(args: &Args, inventory: &mut Inventory) -> Result<BTreeSet<String>, FlagsError> {
        inventory.add_account_vantage();
        let known = || inventory.vantages.iter().map(|v| v.name.as_str());
        let Some(text) = &args.vantage else {
            let sslmate = inventory
                .vantages
                .iter()
                .filter(|v| inventory.sslmate.is_some() && v.kind == VantageKind::Sslmate);
            let mut names: BTreeSet<String> = sslmate.map(|v| v.name.clone()).collect();
            names.insert(Vantage::LOCAL.into());
            return Ok(names);
        };
        let names = plan::vantage_names(text)?;
        for name in &names {
            if name != Vantage::LOCAL && !known().any(|k| k == name) {
                let mut all = vec![Vantage::LOCAL];
                all.extend(known());
                let near = did_you_mean(name, all.iter().copied());
                let all = all.iter().map(ToString::to_string).collect();
                return Err(FlagsError::UnknownVantage {
                    name: name.clone(),
                    advice: match near {
                        Some(near) => VantageAdvice::Near(near),
                        None if name == Vantage::SSLMATE => VantageAdvice::Account(all),
                        None => VantageAdvice::Definition(all),
                    },
                });
            }
        }
        Ok(names)
    }

    /// Returns the expiry thresholds if they are the same for all selected certificates.
    pub(super) fn thresholds(&self) -> Option<report::Thresholds> {
        let all = self.inventory.certificates.iter();
        let mut all = all.filter(|e| self.selection.may_want(e));
        let first = all.next()?;
        let is_same = all.all(|e| e.warn == first.warn && e.crit == first.crit);
        is_same.then_some(report::Thresholds {
            warn: first.warn,
            crit: first.crit,
        })
    }
}
