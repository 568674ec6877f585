//! The order of queries to several name servers, and their time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::observation::{ErrorKind, ProbeError};

/// Maximum time for a name server that has not responded lately, if there is another one. It is still
/// queried first: the others may have different records for the name.
const SILENT_TIMEOUT: Duration = Duration::from_secs(1);
/// Duration for which a name server without a response counts as silent.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// The name servers of a resolver by their index, in the order of queries (`resolv.conf(5)`).
pub(super) struct Order {
    /// For each server, the time of its last query, if it did not respond.
    silent_since: Vec<Mutex<Option<Instant>>>,
    /// Maximum queries to each server.
    attempts: usize,
    /// Maximum time of a query.
    timeout: Duration,
}

/// The queries of one lookup.
pub(super) struct Queries<'a> {
    order: &'a Order,
    deadline: Instant,
    /// Number of queries so far.
    count: usize,
    is_any_silent: bool,
    failure: Option<ProbeError>,
}

/// A query to one name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NextQuery {
    /// The server.
    pub(super) index: usize,
    /// It is the first query of the lookup to this server.
    pub(super) is_first: bool,
    /// The end of the time for a response.
    pub(super) end: Instant,
}

impl Order {
    pub(super) fn new(servers: usize, attempts: usize, timeout: Duration) -> Self {
        Self {
            silent_since: (0..servers).map(|_| Mutex::default()).collect(),
            attempts,
            timeout,
        }
    }

    /// The queries of a lookup.
    pub(super) fn queries(&self, deadline: Instant) -> Queries<'_> {
        Queries {
            order: self,
            deadline,
            count: 0,
            is_any_silent: false,
            failure: None,
        }
    }

    fn is_silent(&self, index: usize) -> bool {
        let since = self.silent_since.get(index);
        let since = since.and_then(|since| *since.lock().unwrap_or_else(PoisonError::into_inner));
        since.is_some_and(|since| since.elapsed() < SILENT_FOR)
    }
}

impl Queries<'_> {
    /// Returns the next query; `None` if another one is of no use. Each server of a pass gets its share of the time
    /// until the deadline.
    pub(super) fn next(&mut self) -> Option<NextQuery> {
        let servers = self.order.silent_since.len();
        let (pass, index) = (
            self.count.checked_div(servers)?,
            self.count.checked_rem(servers)?,
        );
        let now = Instant::now();
        if pass > 0 {
            // An error stays the same, but a packet may be lost.
            let is_useful = index > 0 || std::mem::take(&mut self.is_any_silent);
            if pass >= self.order.attempts || !is_useful || now >= self.deadline {
                return None;
            }
        }
        self.count += 1;
        let is_only = servers == 1;
        let is_last_pass = pass + 1 >= self.order.attempts;
        let later = usize::from(is_only && !is_last_pass);
        let shares = u32::try_from(servers - index + later).unwrap_or(u32::MAX);
        let share = self.deadline.saturating_duration_since(now) / shares.max(1);
        let mut time = self.order.timeout.min(share);
        if !is_only && self.order.is_silent(index) {
            time = time.min(SILENT_TIMEOUT);
        }
        Some(NextQuery {
            index,
            is_first: pass == 0,
            end: now + time,
        })
    }

    /// Takes the answer to a query. Returns it if it is final: records, or the response that there are none.
    pub(super) fn record<T>(
        &mut self,
        query: NextQuery,
        answer: Result<T, ProbeError>,
    ) -> Option<Result<T, ProbeError>> {
        let is_silent = |error: &ProbeError| error.kind == ErrorKind::DnsTimeout;
        let was_silent = answer.as_ref().err().is_some_and(is_silent);
        if let Some(since) = self.order.silent_since.get(query.index) {
            let mut since = since.lock().unwrap_or_else(PoisonError::into_inner);
            *since = was_silent.then(Instant::now);
        }
        match answer {
            Err(error) if !error.is_dns_answer() => {
                self.is_any_silent |= was_silent;
                // An error that a server returned says more than the lack of a response.
                if self.failure.as_ref().is_none_or(is_silent) {
                    self.failure = Some(error);
                }
                None
            }
            answer => Some(answer),
        }
    }

    /// The failure of all queries.
    pub(super) fn failure(self) -> Option<ProbeError> {
        self.failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn error(kind: ErrorKind) -> Result<(), ProbeError> {
        Err(ProbeError::new(kind, "an error"))
    }

    /// The servers that are queried, with the seconds for each, while every query has this answer after its time.
    async fn queried(
        order: &Order,
        seconds: u64,
        answer: impl Fn(usize) -> Result<(), ProbeError>,
    ) -> Vec<(usize, f32)> {
        let mut queries = order.queries(Instant::now() + Duration::from_secs(seconds));
        let mut all = Vec::new();
        while let Some(query) = queries.next() {
            all.push((query.index, (query.end - Instant::now()).as_secs_f32()));
            let answer = answer(query.index);
            if matches!(&answer, Err(e) if e.kind == ErrorKind::DnsTimeout) {
                tokio::time::advance(query.end - Instant::now()).await;
            }
            if queries.record(query, answer).is_some() {
                break;
            }
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn servers_are_queried_in_order_until_one_answers() {
        let order = Order::new(3, 2, TIMEOUT);
        assert_eq!(queried(&order, 60, |_| Ok(())).await, [(0, 5.0)]);
        let second = |index| match index {
            0 => error(ErrorKind::DnsServfail),
            _ => error(ErrorKind::DnsNxdomain),
        };
        assert_eq!(queried(&order, 60, second).await, [(0, 5.0), (1, 5.0)]);
        let none = |_| error(ErrorKind::DnsServfail);
        let all = [(0, 5.0), (1, 5.0), (2, 5.0)];
        assert_eq!(queried(&order, 60, none).await, all);
    }

    #[tokio::test(start_paused = true)]
    async fn every_server_gets_its_share_of_the_time() {
        let silent = |_| error(ErrorKind::DnsTimeout);
        let order = Order::new(3, 2, TIMEOUT);
        let shares = queried(&order, 6, silent).await;
        assert_eq!(shares, [(0, 2.0), (1, 2.0), (2, 2.0)]);
        // All are silent now.
        let all: Vec<f32> = queried(&order, 60, silent)
            .await
            .iter()
            .map(|q| q.1)
            .collect();
        assert_eq!(all, [1.0; 6]);
        // The only server gets a second query in time.
        let only = Order::new(1, 2, TIMEOUT);
        assert_eq!(queried(&only, 6, silent).await, [(0, 3.0), (0, 3.0)]);
        assert_eq!(queried(&only, 60, silent).await, [(0, 5.0), (0, 5.0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_responds_again_is_not_silent() {
        let order = Order::new(2, 1, TIMEOUT);
        queried(&order, 60, |_| error(ErrorKind::DnsTimeout)).await;
        assert_eq!(queried(&order, 60, |_| Ok(())).await, [(0, 1.0)]);
        assert_eq!(queried(&order, 60, |_| Ok(())).await, [(0, 5.0)]);
    }

    #[test]
    fn an_error_of_a_server_is_reported_before_the_lack_of_a_response() {
        let order = Order::new(3, 1, TIMEOUT);
        let mut queries = order.queries(Instant::now() + TIMEOUT);
        for kind in [
            ErrorKind::DnsTimeout,
            ErrorKind::DnsServfail,
            ErrorKind::DnsTimeout,
        ] {
            let query = queries.next().unwrap();
            assert!(queries.record(query, error(kind)).is_none());
        }
        assert_eq!(queries.failure().unwrap().kind, ErrorKind::DnsServfail);
    }
}
