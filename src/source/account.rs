//! Certificates of an SSLMate account: all, one, or a previous one.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use certvigil_probe::io::Http;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::certificate::{Certificate, PublicKeyHash};
use crate::config::{Entry, SslmateSettings};
use crate::instance::{Expected, Instance, Instances, SourceKind, State};

use super::credentials::{Credentials, Environment};
use super::loaded::{expected, failed, hosts};
use super::sslmate::InstanceObject;
use super::{Client, Failed, Loaded, SetupError, SourceError, Sources};

/// Maximum certificates of one account that are fetched concurrently.
const MAX_CONCURRENT: usize = 8;
/// Consecutive API failures after which the API counts as down. The other certificates are not
/// fetched.
const MAX_FAILURES_IN_A_ROW: usize = 4 * MAX_CONCURRENT;
/// Maximum instances in the cache by key. The cache is cleared when it is full.
const MAX_REMEMBERED: usize = 10_000;

/// Last results of an account, by common name.
pub type KnownInstances = HashMap<String, Arc<Loaded>>;

impl Sources {
    /// Fetches the expected instances of all certificates of the account, in the order of its list.
    /// `patience` limits the list and each certificate separately, so that an account may be of any
    /// size.
    pub(super) async fn load_account(
        self: &Arc<Self>,
        entry: &Entry,
        known: &Arc<KnownInstances>,
        patience: Duration,
    ) -> Vec<Result<Loaded, Failed>> {
        let names = match self.list(Instant::now() + patience).await {
            Ok(names) => names,
            Err(error) => return vec![Err(failed("sslmate: *", entry, error))],
        };
        let entry = Arc::new(entry.clone());
        let mut answers = Vec::with_capacity(names.len());
        let mut names = names.into_iter().enumerate();
        let mut under_way = JoinSet::new();
        let mut failures_in_a_row = 0;
        loop {
            while under_way.len() < MAX_CONCURRENT
                && let Some((position, cn)) = names.next()
            {
                if failures_in_a_row >= MAX_FAILURES_IN_A_ROW {
                    let error = SourceError::NotAsked(failures_in_a_row);
                    answers.push((position, Err(failed(&cn, &entry, error))));
                    continue;
                }
                let (sources, entry, known) = (self.clone(), entry.clone(), known.clone());
                under_way.spawn(async move {
                    let deadline = Instant::now() + patience;
                    let answer = sources.ask_for(&entry, &cn, &known, deadline).await;
                    (position, cn, answer)
                });
            }
            match under_way.join_next().await {
                None => break,
                Some(Ok((position, cn, answer))) => {
                    let is_of_the_api = |error: &SourceError| error.is_of_the_api();
                    failures_in_a_row = match answer.as_ref().is_err_and(is_of_the_api) {
                        true => failures_in_a_row + 1,
                        false => 0,
                    };
                    let answer = answer.map_err(|error| failed(&cn, &entry, error));
                    answers.push((position, answer));
                }
                // A panic is reported like that of any other entry.
                Some(Err(_)) => return vec![Err(Failed::by_internal_error(&entry))],
            }
        }
        answers.sort_by_key(|(position, _)| *position);
        answers.into_iter().map(|(_, answers)| answers).collect()
    }

    pub(super) async fn load_sslmate(
        &self,
        entry: &Entry,
        cn: &str,
        known: &KnownInstances,
        deadline: Instant,
    ) -> Result<Loaded, Failed> {
        let loaded = self.ask_for(entry, cn, known, deadline).await;
        let name = || entry.name.as_deref().unwrap_or(cn);
        loaded.map_err(|error| failed(name(), entry, error))
    }

    /// Fetches one certificate of the account, with the states of the known instances that the
    /// account no longer shows.
    pub(super) async fn ask_for(
        &self,
        entry: &Entry,
        cn: &str,
        known: &KnownInstances,
        deadline: Instant,
    ) -> Result<Loaded, SourceError> {
        let client = self.account()?;
        let object = client.certificate(cn, deadline).await?;
        let hostnames = hosts(entry, object.names())?;
        let awaited = object.awaited();
        let known = known.get(cn).map(|loaded| &*loaded.expected);
        let instances = match object.instances() {
            Ok(mut instances) => {
                let accepted = |leaf: &Certificate| instances.accepted().any(|i| i.leaf == *leaf);
                let known = known.and_then(Expected::instances);
                let all = known.into_iter().flat_map(Instances::issued);
                let gone: Vec<&Instance> = all.filter(|i| !accepted(&i.leaf)).collect();
                for instance in gone {
                    let present = present_state(client, cn, instance, deadline).await;
                    instances.previous.push(present);
                }
                instances
            }
            Err(error) => {
                let last = last_revoked(client, cn, known, deadline).await;
                last.filter(|_| matches!(error, SourceError::NotIssued(_)))
                    .ok_or(error)?
            }
        };
        let mut loaded = Loaded {
            expected: Arc::new(expected(SourceKind::Sslmate, instances)),
            common_name: Some(cn.to_owned()),
            name: entry.name.clone().unwrap_or_else(|| cn.to_owned()),
            hostnames,
            found: entry.found.clone(),
            awaited,
        };
        self.share(&mut loaded);
        Ok(loaded)
    }

    /// Returns the previous instance with this leaf, if the leaf is not the expected one and the
    /// account knows it. After a reissue with the same key, the API finds the newest instance with
    /// that key. Thus only a leaf with another key can be looked up, and it is looked up once.
    ///
    /// # Errors
    /// If the API request failed.
    pub async fn previous_instance(
        &self,
        loaded: &Loaded,
        leaf: &Certificate,
        deadline: Instant,
    ) -> Result<Option<Instance>, SourceError> {
        let (Some(cn), Some(key)) = (&loaded.common_name, leaf.public_key_hash()) else {
            return Ok(None);
        };
        if loaded.expected.has_key(&key) {
            return Ok(None);
        }
        let remembered = self.remembered().get(&(cn.clone(), key)).cloned();
        let instance = match remembered {
            Some(instance) => instance,
            None => {
                let found = self.account()?.instance_by_key(cn, key, deadline).await?;
                let instance = found.map(InstanceObject::instance).transpose()?;
                let mut memory = self.remembered();
                if memory.len() >= MAX_REMEMBERED {
                    memory.clear();
                }
                memory.insert((cn.clone(), key), instance.clone());
                instance
            }
        };
        Ok(instance.filter(|i| i.leaf == *leaf))
    }

    /// Waits until the API has issued a pending instance, for at most `patience`. The next
    /// [`Sources::load`] returns the outcome.
    pub async fn wait_for_issue(&self, loaded: &Loaded, patience: Duration) {
        let (Ok(client), Some(cn), Some(id)) = (&self.sslmate, &loaded.common_name, loaded.awaited)
        else {
            return;
        };
        let deadline = Instant::now() + patience;
        if let Err(error) = client
            .instance_by_id(cn, id, Some(patience), deadline)
            .await
        {
            tracing::info!("{}: {error}", loaded.name);
        }
    }

    async fn list(&self, deadline: Instant) -> Result<Vec<String>, SourceError> {
        self.account()?.list(deadline).await
    }

    pub(super) fn account(&self) -> Result<&Client, SourceError> {
        self.sslmate
            .as_ref()
            .map_err(|e| SourceError::Unusable(e.to_string()))
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<(String, PublicKeyHash), Option<Instance>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the instances of a certificate without an active instance, if the last active one has been
/// revoked. It remains the known one, so that hosts which still serve it are reported.
async fn last_revoked(
    client: &Client,
    cn: &str,
    known: Option<&Expected>,
    deadline: Instant,
) -> Option<Instances> {
    let known = known?.instances()?;
    if known.expected.state == State::Pending {
        return None;
    }
    let last = present_state(client, cn, &known.expected, deadline).await;
    (last.state == State::Revoked).then(|| Instances::only(last))
}

/// Returns an instance with its present state in the account. The state stays the same if it is
/// final, or if the account does not return it.
async fn present_state(
    client: &Client,
    cn: &str,
    instance: &Instance,
    deadline: Instant,
) -> Instance {
    let mut instance = instance.clone();
    // A canceled instance, which was replaced, may still be revoked.
    let is_final = matches!(instance.state, State::Revoked | State::Expired);
    let Some(id) = instance.id.filter(|_| !is_final) else {
        return instance;
    };
    match client.instance_by_id(cn, id, None, deadline).await {
        Ok(object) => instance.state = object.state(),
        Err(error) => tracing::debug!("{cn}: state of instance {id} not known: {error}"),
    }
    instance
}

/// Creates the client of the account.
///
/// # Errors
/// If there are no credentials, or the endpoint is invalid.
pub(super) fn account(
    settings: &SslmateSettings,
    environment: &Environment<'_>,
    http: &Http,
) -> Result<Client, SetupError> {
    let credentials = Credentials::find(settings, environment)?;
    let auth = credentials.basic_auth();
    if let Some(key) = credentials.key() {
        http.secrets().add(key);
    }
    http.secrets().add_auth(&auth);
    Client::new(&credentials.endpoint, Some(auth), http.clone())
}
