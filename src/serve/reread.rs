//! Probes that wait until the files of their expected certificate were read again.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::model::{Target, Timestamp};
use crate::scan::{Refreshed, Reread};

use super::plan::Plan;
use super::runtime::Runtime;
use super::state::Ticket;

/// Probe of one address that found another leaf than expected.
pub(super) struct Waiting {
    target: Arc<Target>,
    reply: oneshot::Sender<Option<Refreshed>>,
}

/// Probes that wait.
pub(super) struct Waits {
    sender: mpsc::UnboundedSender<Waiting>,
    receiver: mpsc::UnboundedReceiver<Waiting>,
    waiting: HashMap<Ticket, Waiting>,
    last: Ticket,
}

impl Default for Waits {
    fn default() -> Self {
        // The channel is bounded by the number of addresses of the running probes.
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            sender,
            receiver,
            waiting: HashMap::new(),
            last: 0,
        }
    }
}

impl Waits {
    /// Returns the function with which a probe waits. Without a monitor it returns at once.
    pub(super) fn reread(&self) -> Reread {
        let sender = self.sender.clone();
        Reread::new(move |target| {
            let sender = sender.clone();
            Box::pin(async move {
                let (reply, answer) = oneshot::channel();
                sender.send(Waiting { target, reply }).ok()?;
                answer.await.ok().flatten()
            })
        })
    }

    /// Waits for the next probe that waits.
    pub(super) async fn next(&mut self) -> Option<Waiting> {
        self.receiver.recv().await
    }

    /// Adds a probe. Returns its number and its target.
    pub(super) fn add(&mut self, waiting: Waiting) -> (Ticket, Arc<Target>) {
        self.last += 1;
        let target = waiting.target.clone();
        self.waiting.insert(self.last, waiting);
        (self.last, target)
    }

    /// Resumes a probe with the expectation of the plan.
    pub(super) fn resume(
        &mut self,
        ticket: Ticket,
        plan: &Plan,
        runtime: &Runtime,
        now: Timestamp,
    ) {
        let Some(Waiting { target, reply }) = self.waiting.remove(&ticket) else {
            return;
        };
        let refreshed = plan.job(&target, runtime, now).and_then(|job| {
            Some(Refreshed {
                loaded: job.expectation.ok()?,
                rules: job.rules,
            })
        });
        // A probe that was aborted has no receiver.
        let _ = reply.send(refreshed);
    }
}
