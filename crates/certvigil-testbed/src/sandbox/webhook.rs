//! Life of a running sandbox: transitions that time makes, and webhook deliveries.

use std::sync::Arc;
use std::time::Duration;

use certvigil_probe::io::{Http, Requests};
use rustls::pki_types::CertificateDer;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use url::Url;

use super::Sandbox;
use super::account::{ApiError, Delivery};

/// Maximum duration of one delivery.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum bytes of a response, which is ignored.
const MAX_RESPONSE_BYTES: usize = 64 << 10;
/// Maximum pause between two checks of the account, so that a changed clock is noticed.
const MAX_PAUSE: Duration = Duration::from_secs(60);

impl Sandbox {
    /// Makes transitions when they are due and delivers webhooks, until it is dropped.
    pub(super) async fn live(self: Arc<Self>) {
        let root = CertificateDer::from(self.root().der().to_vec());
        let http = Http::new(vec![root], Requests::default());
        let mut sending = JoinSet::new();
        loop {
            // A failed transition is logged, and the next request tries it again.
            let _: Result<(), ApiError> = self.transition(|_, _| Ok(()));
            let (due, next) = self.due();
            for (number, delivery) in due {
                let (sandbox, http) = (self.clone(), http.clone());
                sending.spawn(async move { sandbox.send(&http, number, &delivery).await });
            }
            let pause = next.map_or(MAX_PAUSE, |at| {
                let seconds = at.seconds_since(self.now()).max(1);
                Duration::from_secs(seconds.unsigned_abs()).min(MAX_PAUSE)
            });
            tokio::select! {
                _ = timeout(pause, self.rescheduled.notified()) => {}
                Some(_) = sending.join_next() => {}
            }
        }
    }

    /// Sends one delivery and records its result.
    async fn send(&self, http: &Http, number: u64, delivery: &Delivery) {
        let sent = async {
            let url = Url::parse(&delivery.url).map_err(|error| error.to_string())?;
            let body = ("application/json", delivery.body.clone().into_bytes());
            let deadline = Instant::now() + TIMEOUT;
            let answer = http.post(&url, body, MAX_RESPONSE_BYTES, deadline).await;
            match answer.map_err(|error| error.to_string())?.status {
                200..=299 => Ok(()),
                status => Err(format!("HTTP status {status}")),
            }
        };
        let result = sent.await;
        let is_success = result.is_ok();
        let now = self.now();
        let next: Result<_, ApiError> =
            self.change(|account, _| Ok(account.delivered(number, is_success, now)));
        self.state().in_flight.remove(&number);
        self.rescheduled.notify_one();
        match (result, next) {
            (Ok(()), _) => tracing::info!("webhook delivered: cn={}", delivery.cn),
            (Err(why), Ok(Some(pause))) => tracing::warn!(
                "webhook failed: cn={} error={why:?} retry_after={pause}s",
                delivery.cn
            ),
            (Err(why), _) => {
                tracing::warn!("webhook dropped: cn={} error={why:?}", delivery.cn);
            }
        }
    }
}
