//! Encrypted Client Hello: what clients that use the parameter `ech` of an HTTPS record do.

use crate::finding::{Client, ClientRefusal, Detail, Finding, Refusal, Refused};
use crate::model::Hostname;
use crate::observation::{Ech, Served};

use super::clients::{self, Clients, Opinion};
use super::path;
use super::presented::{Context, once_each, presented};

/// Clients that use the parameter, among those that are modelled. Firefox is another one, and
/// validates the same certificate (RFC 9849, section 6.1.7).
const USERS: [Client; 1] = [Client::Chromium];

/// A refusal by the clients that use the parameter.
pub(super) struct EchRefusal {
    pub(super) clients: Vec<Client>,
    /// The reason, as a clause.
    pub(super) reason: String,
    pub(super) finding: Finding,
}

/// Returns the refusal of a server by clients that offer Encrypted Client Hello. Returns `None` if they
/// accept it, or refuse the ordinary handshake for the same reason: `ordinary` has their opinions.
pub(super) fn refusal(
    served: &Served,
    host: Option<&Hostname>,
    ordinary: &Clients,
    context: Context<'_>,
) -> Option<EchRefusal> {
    let refusing = USERS.to_vec();
    let refused_by = refusing.clone();
    let (reason, refused) = match served.ech.as_deref()? {
        Ech::Malformed => (
            "the `ech` parameter of the HTTPS record cannot be decoded".to_owned(),
            Refused::EchMalformed { refused_by },
        ),
        Ech::Failed { public_name, error } => (
            format!("the handshake with Encrypted Client Hello fails: {error}"),
            Refused::EchFailed {
                refused_by,
                public_name: public_name.clone(),
                reason: error.to_string(),
            },
        ),
        Ech::Rejected {
            public_name,
            served,
        } => {
            let refusals = refusals(served, public_name, ordinary, context);
            let reason = format!(
                "the server does not accept the `ech` parameter of the HTTPS record, and for the public name \
                 {public_name}, {}",
                refusals.first()?.refusal.reason
            );
            let public_name = public_name.clone();
            (
                reason,
                Refused::EchRejected {
                    public_name,
                    refusals,
                },
            )
        }
        Ech::Accepted(with_ech) => {
            let is_same = with_ech.leaf == served.leaf && with_ech.rest == served.rest;
            let host = host.filter(|_| !is_same)?;
            let refusals = refusals(with_ech, host, ordinary, context);
            let reason = format!(
                "with Encrypted Client Hello, the server has another certificate: {}",
                refusals.first()?.refusal.reason
            );
            (reason, Refused::EchAccepted { refusals })
        }
    };
    Some(EchRefusal {
        clients: refusing,
        reason,
        finding: Finding::new(Detail::RefusedByClients(refused)),
    })
}

/// Returns the refusals of a chain for a name, without those of the ordinary chain.
fn refusals(
    served: &Served,
    name: &Hostname,
    ordinary: &Clients,
    context: Context<'_>,
) -> Vec<ClientRefusal> {
    let opinions = opinions(served, name, context);
    let known: Vec<(Client, &Refusal)> = ordinary.refusals().collect();
    let refusals = opinions
        .iter()
        .filter_map(|(client, opinion)| match opinion {
            Opinion::Refuses(refusal) if USERS.contains(&client) => Some((client, refusal)),
            _ => None,
        });
    let new = refusals.filter(|refusal| !known.contains(refusal));
    new.map(|(client, refusal)| ClientRefusal {
        clients: vec![client],
        refusal: refusal.clone(),
    })
    .collect()
}

/// Returns the opinions of all clients on a chain for a name.
fn opinions(served: &Served, name: &Hostname, context: Context<'_>) -> Clients {
    let Context {
        trust, links, now, ..
    } = context;
    let leaf = &served.leaf;
    let found = path::search(leaf, &once_each(leaf, &served.rest), trust, links, now);
    let constraints = clients::Constraints::new(leaf, links.comparisons());
    let presented = presented(served, Some(name), context, &constraints);
    clients::opinions(&presented, &found)
}
