//! Further connections to a server whose first handshake failed, each within the deadline of the
//! probe: with a smaller ClientHello, with a key share of ML-KEM, and with offers that rustls lacks.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::{KeyType, Timings};
use crate::observation::{ErrorKind, ProbeError, Served};

use super::cleartext::{self, Answer, HelloFault, Offer, Reply};
use super::handshake::{self, Connection};
use super::setup::Hello;
use super::{LINGER, Prober, Request, open, starttls};

impl Prober {
    /// Probes a server again that may be unable to read the first ClientHello, or have nothing in
    /// common with rustls. Returns the first failure if this yields no valid result.
    pub(super) async fn take_again(
        &self,
        failure: handshake::Failure,
        start: Instant,
        request: Request<'_>,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<Served, ProbeError> {
        if failure.may_be_size
            && let Some(served) = self
                .probe_with_small_hello(request, deadline, timings)
                .await
        {
            return Ok(served);
        }
        if failure.asked_for_ml_kem
            && let Some(served) = self
                .probe_with(Hello::ML_KEM, request, deadline, timings)
                .await
        {
            return Ok(served);
        }
        if failure.shares_nothing
            && let Some(result) = self.probe_in_cleartext(request, deadline, timings).await
        {
            return result;
        }
        if failure.is_silent {
            let elapsed = start.elapsed();
            timings.handshake = Some(elapsed);
            return Err(handshake::no_answer(elapsed));
        }
        Err(failure.error)
    }

    /// Probes a server again with a ClientHello of one packet. Returns `None` if this fails too, or
    /// unless each further large one fails and each further small one does not. A server, a network
    /// or a machine that is overloaded fails now and then, whatever the size.
    async fn probe_with_small_hello(
        &self,
        request: Request<'_>,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Option<Served> {
        let start = Instant::now();
        let mut next = *timings;
        let mut served = self
            .probe_with(Hello::SMALL, request, deadline, &mut next)
            .await?;
        let took = start.elapsed();
        // The rest of the time is for the small one in between, and for the second large one.
        let share = deadline.saturating_duration_since(Instant::now()) / 3;
        let mut unused = *timings;
        if !self.fails_if_large(request, took, share).await {
            return None;
        }
        self.probe_with(Hello::SMALL, request, deadline, &mut unused)
            .await?;
        let rest = deadline.saturating_duration_since(Instant::now());
        if !self.fails_if_large(request, took, rest).await {
            return None;
        }
        *timings = next;
        served.parameters.refused_large_hello = true;
        Some(served)
    }

    /// Returns true if the server fails after a large ClientHello as one that cannot read it. Silence
    /// counts only if it lasts for a multiple of the time that the small one took.
    async fn fails_if_large(&self, request: Request<'_>, took: Duration, limit: Duration) -> bool {
        const MULTIPLE: u32 = 2;
        if limit < took * MULTIPLE {
            return false;
        }
        let deadline = Instant::now() + limit;
        let Ok(stream) = open(request, deadline, &mut Timings::default()).await else {
            return false;
        };
        let Ok(mut connection) = Connection::new(&self.config, request, Hello::FIRST, stream)
        else {
            return false;
        };
        let result = connection.handshake(deadline, deadline).await;
        result.is_err_and(|failure| failure.may_be_size)
    }

    /// Probes a server that has nothing in common with rustls again. Returns `None` if this yields
    /// no valid result, so that the first error is reported.
    async fn probe_in_cleartext(
        &self,
        request: Request<'_>,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Option<Result<Served, ProbeError>> {
        let offers = match request.key_type {
            KeyType::Any => &[Offer::Current, Offer::LastResort][..],
            KeyType::Rsa | KeyType::Ecdsa => &[Offer::Both],
        };
        for offer in offers {
            let mut next = *timings;
            let stream = open(request, deadline, &mut next).await.ok()?;
            let algorithms = &self.config.algorithms;
            let answer = cleartext::read(
                request, *offer, stream, algorithms, deadline, LINGER, &mut next,
            );
            match answer.await {
                Answer::Read(result) => {
                    *timings = next;
                    let mut served = match result {
                        Ok(served) => self.shared(*served),
                        Err(error) => return Some(Err(error)),
                    };
                    let may_be_common =
                        *offer == Offer::Current && cleartext::may_be_common(&served);
                    let mut reply = Reply::Refused;
                    if may_be_common {
                        reply = offer_to(Offer::Common, request, deadline).await;
                    }
                    let is_common = reply != Reply::Refused;
                    // The last offer has TLS 1.3 itself.
                    if !is_common && *offer != Offer::LastResort {
                        reply = offer_to(Offer::Everything, request, deadline).await;
                        if reply == Reply::Refused {
                            return None;
                        }
                    }
                    note_fault(&mut served, reply);
                    served.parameters.refused_common_offer = may_be_common && !is_common;
                    if *offer == Offer::Current && cleartext::is_not_of_java(&served) {
                        let is_accepted = accepts(Offer::Java, request, deadline).await;
                        served.parameters.refused_java_offer = !is_accepted;
                    }
                    if *offer == Offer::Current && cleartext::is_not_of_gnutls(&served) {
                        let is_accepted = accepts(Offer::Gnutls, request, deadline).await;
                        served.parameters.refused_gnutls_offer = !is_accepted;
                    }
                    return Some(Ok(served));
                }
                Answer::Tls13 => {
                    let mut next = *timings;
                    let served = self.probe_with(Hello::ANY_KEY, request, deadline, &mut next);
                    let served = served.await?;
                    *timings = next;
                    return Some(Ok(served));
                }
                Answer::Refused => {}
                Answer::Nothing => return None,
            }
        }
        None
    }

    /// Probes a server under a name that rustls cannot send, in TLS 1.2 and before.
    pub(super) async fn take_with_odd_name(
        &self,
        request: Request<'_>,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<Served, ProbeError> {
        let offers = match request.key_type {
            KeyType::Any => &[Offer::Common, Offer::Current, Offer::LastResort][..],
            KeyType::Rsa | KeyType::Ecdsa => &[Offer::Common, Offer::Both],
        };
        let mut is_common_accepted = false;
        for offer in offers {
            let stream = open(request, deadline, timings)
                .await
                .map_err(|failure| failure.error)?;
            let algorithms = &self.config.algorithms;
            let answer = cleartext::read(
                request, *offer, stream, algorithms, deadline, LINGER, timings,
            );
            match answer.await {
                Answer::Read(Ok(mut served)) if *offer != Offer::Common && !is_common_accepted => {
                    if *offer != Offer::LastResort {
                        let reply = offer_to(Offer::Everything, request, deadline).await;
                        if reply == Reply::Refused {
                            break;
                        }
                        note_fault(&mut served, reply);
                    }
                    served.parameters.refused_common_offer =
                        *offer == Offer::Current && cleartext::may_be_common(&served);
                    return Ok(self.shared(*served));
                }
                Answer::Read(result) => return result.map(|served| self.shared(*served)),
                Answer::Tls13 => is_common_accepted |= *offer == Offer::Common,
                Answer::Refused | Answer::Nothing => {}
            }
        }
        let name = request.sni().unwrap_or_default();
        Err(ProbeError::new(
            ErrorKind::Internal,
            format!(
                "`{name}` cannot be sent as SNI in TLS 1.3 here, and there was no answer in TLS 1.2"
            ),
        ))
    }

    /// Performs a handshake on a further connection. Returns `None` if it fails.
    async fn probe_with(
        &self,
        hello: Hello,
        request: Request<'_>,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Option<Served> {
        let stream = open(request, deadline, timings).await.ok()?;
        let start = Instant::now();
        let mut connection = Connection::new(&self.config, request, hello, stream).ok()?;
        let mut served = connection.handshake(deadline, deadline).await.ok()?;
        let took = start.elapsed();
        timings.handshake = Some(took);
        let patience = connection.patience(LINGER, took);
        let refusal = connection.leave(starttls::quit(request), patience).await;
        served.failure = served.failure.or(refusal);
        Some(served)
    }

    /// Returns the result with its certificates replaced by the shared copies.
    fn shared(&self, mut served: Served) -> Served {
        for certificate in std::iter::once(&mut served.leaf).chain(&mut served.rest) {
            *certificate = self.certificates().share(certificate);
        }
        served
    }
}

/// Adds a fault that the server has only in its response to an offer of TLS 1.3, which all current
/// clients make: a random that announces TLS 1.3 is right in a response to other offers.
fn note_fault(served: &mut Served, reply: Reply) {
    if let Reply::Accepted(Some(fault)) = reply {
        let failure = &mut served.failure;
        failure.get_or_insert_with(|| Box::new(HelloFault::explain(fault)));
    }
}

/// Returns true if the server accepts an offer on a further connection.
pub(super) async fn accepts(offer: Offer, request: Request<'_>, deadline: Instant) -> bool {
    offer_to(offer, request, deadline).await != Reply::Refused
}

/// Returns the response to an offer on a further connection.
async fn offer_to(offer: Offer, request: Request<'_>, deadline: Instant) -> Reply {
    let mut timings = Timings::default();
    match open(request, deadline, &mut timings).await {
        Ok(stream) => cleartext::reply(request, offer, stream, deadline, LINGER).await,
        Err(_) => Reply::Refused,
    }
}
