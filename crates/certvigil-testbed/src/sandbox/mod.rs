//! Sandbox of the SSLMate API, version 2 (<https://sslmate.com/help/reference/apiv2>): an account
//! that can be changed, an authority that issues certificates for CSRs, a revocation list, an OCSP
//! responder and webhooks. `certvigil sandbox` and `demo --serve` run it.

pub mod account;
mod authority;
mod der;
mod http;
mod revocation;
mod scenario;
mod store;
#[cfg(test)]
mod tests;
mod webhook;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::{Notify, watch};

use certvigil_core::certificate::Certificate;
use certvigil_core::model::{Hostname, Timestamp};

use crate::AccountCertificate;
use crate::instance::Instance;
use crate::judge::Judged;
use account::{Account, ApiError, Context, Delivery, IssuingError, Policy};
use store::Store;

pub use authority::SandboxAuthority;
pub use scenario::{ImportError, Scenario as AccountScenario, ScenarioError};
pub use store::{FILE_NAME, StoreError};

/// Path prefix of the API's requests.
pub const BASE_PATH: &str = "/api/v2";

/// Credentials that the API accepts.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// API key, sent as the user name without a password.
    pub api_key: String,
    /// User name, sent with the password.
    pub username: String,
    /// Password.
    pub password: String,
}

/// Test of the hosts of one certificate.
#[derive(Clone, Debug)]
pub struct TestRequest {
    /// Common name of the certificate.
    pub common_name: String,
    /// Instance that the hosts are expected to serve.
    pub current: Instance,
    /// Host names.
    pub hostnames: Vec<Hostname>,
    /// Port of the hosts.
    pub port: u16,
}

/// Prober for the hosts of `/test`, which also judges the results.
pub trait HostTester: Send + Sync {
    /// Returns a result for each address, as of `now`.
    fn test(
        &self,
        request: TestRequest,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Vec<Judged>> + Send + '_>>;
}

/// Returns the current time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Settings of a sandbox.
pub struct Settings {
    /// Credentials that the API accepts.
    pub credentials: Credentials,
    /// Behaviour of the account.
    pub policy: Policy,
    /// Certificates of a new account.
    pub scenario: Option<AccountScenario>,
    /// Folder of the database. `None` keeps the account in memory.
    pub state_dir: Option<PathBuf>,
    /// Authority for a new database. `None` creates one.
    pub authority: Option<SandboxAuthority>,
    /// Clock.
    pub clock: Clock,
    /// True if requests are logged at info, false if at debug.
    pub logs_requests: bool,
}

/// Reason for which a sandbox cannot start.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The authority cannot be created.
    #[error(transparent)]
    Authority(#[from] IssuingError),
    /// The scenario cannot fill the account.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A certificate of a testbed cannot be added.
    #[error("cannot add a certificate: {0}")]
    Account(#[from] ApiError),
    /// The prober of `/test` cannot be created.
    #[error("cannot prepare the prober of /test: {0}")]
    Tester(Box<dyn std::error::Error + Send + Sync>),
}

/// Running sandbox.
pub struct Sandbox {
    state: Mutex<State>,
    /// Notifies requests that wait for an instance.
    changed: watch::Sender<()>,
    /// Notifies the task that waits for the next transition.
    rescheduled: Notify,
    requests: AtomicUsize,
    waiting: AtomicUsize,
    credentials: Credentials,
    policy: Policy,
    tester: Box<dyn HostTester>,
    clock: Clock,
    logs_requests: bool,
}

struct State {
    account: Account,
    store: Store,
    authority: SandboxAuthority,
    /// Webhook deliveries that are being sent.
    in_flight: BTreeSet<u64>,
}

impl Sandbox {
    /// Opens the account. `tester` creates the prober for `/test` from the root.
    ///
    /// # Errors
    /// If the database cannot be used or the authority cannot be created.
    pub fn open<T, E>(
        settings: Settings,
        tester: impl FnOnce(&Certificate) -> Result<T, E>,
    ) -> Result<Arc<Self>, SandboxError>
    where
        T: HostTester + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let store = Store::open(settings.state_dir.as_deref())?;
        let origin = settings.policy.origin.clone();
        let authority = match (store.authority()?, settings.authority) {
            (Some(stored), _) => SandboxAuthority::restored(&stored, origin)?,
            (None, Some(given)) => given,
            (None, None) => SandboxAuthority::new((settings.clock)(), origin)?,
        };
        store.save_authority(&authority.stored())?;
        let account = store.account()?;
        let is_new = account == Account::default();
        let tester =
            tester(authority.root()).map_err(|error| SandboxError::Tester(error.into()))?;
        let sandbox = Self {
            state: Mutex::new(State {
                account,
                store,
                authority,
                in_flight: BTreeSet::new(),
            }),
            changed: watch::Sender::new(()),
            rescheduled: Notify::new(),
            requests: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            credentials: settings.credentials,
            policy: settings.policy,
            tester: Box::new(tester),
            clock: settings.clock,
            logs_requests: settings.logs_requests,
        };
        if let (true, Some(scenario)) = (is_new, settings.scenario) {
            sandbox.change(|account, context| scenario.fill(account, context))?;
        }
        Ok(Arc::new(sandbox))
    }

    /// Starts a testbed's account in memory, with a clock that does not move.
    ///
    /// # Errors
    /// If the authority cannot be created.
    pub fn of_testbed(
        certificates: impl IntoIterator<Item = (String, AccountCertificate)>,
        credentials: Credentials,
        origin: String,
        tester: impl HostTester + 'static,
        now: Timestamp,
    ) -> Result<Arc<Self>, SandboxError> {
        let settings = Settings {
            credentials,
            policy: Policy::new(origin),
            scenario: None,
            state_dir: None,
            authority: None,
            clock: Arc::new(move || now),
            logs_requests: true,
        };
        let sandbox = Self::open(settings, |_| Ok::<_, Infallible>(tester))?;
        for (cn, certificate) in certificates {
            sandbox.plant(&cn, certificate)?;
        }
        Ok(sandbox)
    }

    /// Adds or replaces a certificate object of a testbed.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub fn plant(&self, cn: &str, certificate: AccountCertificate) -> Result<(), ApiError> {
        self.change(|account, _| account.plant(cn, certificate))
    }

    /// Returns the root.
    pub fn root(&self) -> Certificate {
        self.state().authority.root().clone()
    }

    /// Returns the account as of now.
    pub fn account(&self) -> Account {
        // A failed transition is logged, and the account is what it was before.
        let _: Result<(), ApiError> = self.transition(|_, _| Ok(()));
        self.state().account.clone()
    }

    /// Changes the account and stores it.
    ///
    /// # Errors
    /// The error of the change, or if the account cannot be stored. It is then unchanged.
    pub fn change<T, E: From<ApiError>>(
        &self,
        change: impl FnOnce(&mut Account, &mut Context<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transition(change)
    }

    /// Returns the number of requests so far, including those in flight.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Returns the number of requests that currently wait for an instance.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Makes the transitions that are due, then a change. Stores both. A change that fails has no
    /// effect.
    fn transition<T, E: From<ApiError>>(
        &self,
        change: impl FnOnce(&mut Account, &mut Context<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let now = self.now();
        let mut state = self.state();
        if state.account.is_due(now) {
            let advanced = self.apply::<_, ApiError>(&mut state, now, |account, context| {
                Ok(account.advance(context))
            });
            for (cn, error) in advanced? {
                tracing::error!("cannot issue a certificate: cn={cn} error={error}");
            }
        }
        self.apply(&mut state, now, change)
    }

    fn apply<T, E: From<ApiError>>(
        &self,
        state: &mut State,
        now: Timestamp,
        change: impl FnOnce(&mut Account, &mut Context<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut next = state.account.clone();
        let result = change(
            &mut next,
            &mut Context {
                policy: &self.policy,
                now,
                issuing: &mut state.authority,
            },
        )?;
        let saved = state.store.save(&state.account, &next);
        if saved.map_err(|error| ApiError::Internal(error.to_string()))? {
            state.account = next;
            self.changed.send_replace(());
            self.rescheduled.notify_one();
        }
        Ok(result)
    }

    /// Returns the deliveries that are due, which the caller must send, and the time of the next
    /// transition or delivery.
    fn due(&self) -> (Vec<(u64, Arc<Delivery>)>, Option<Timestamp>) {
        let now = self.now();
        let mut state = self.state();
        let state = &mut *state;
        let in_flight = &mut state.in_flight;
        let mut due = Vec::new();
        let mut next = state.account.next_transition().map(|at| at.0);
        for (number, delivery) in &state.account.deliveries {
            if in_flight.contains(number) {
                continue;
            }
            if delivery.next_at <= now.0 {
                in_flight.insert(*number);
                due.push((*number, delivery.clone()));
            } else {
                next = Some(next.map_or(delivery.next_at, |at| at.min(delivery.next_at)));
            }
        }
        (due, next.map(Timestamp))
    }
}
