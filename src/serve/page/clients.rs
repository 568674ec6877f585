//! The opinions of mainstream clients on the served chains, as a matrix.

use std::rc::Rc;

use crate::finding::{Client, Severity};
use crate::judge::Opinion;

use super::faults::sentence;
use super::frame::{section, sign, table};
use super::html::Html;
use super::view::{Endpoint, VantageResult};

/// Maximum addresses that have a column.
const MAX_COLUMNS: usize = 6;

/// Returns the opinions on what an endpoint serves, if this program has received its chain.
fn opinions<'e>(
    endpoint: &'e Endpoint<'_>,
) -> Option<impl Iterator<Item = (Client, &'e Opinion)> + 'e> {
    let mut results = endpoint.results.iter();
    let clients = results.find_map(|result: &VantageResult<'_>| result.judged.clients.as_ref());
    Some(clients?.iter())
}

/// Writes a row for each client, and a column for the address and for each other address of the
/// same target, to compare.
pub(super) fn matrix(html: &mut Html, endpoint: &Endpoint<'_>, others: &[Rc<Endpoint<'_>>]) {
    if opinions(endpoint).is_none() {
        return;
    }
    let is_other = |other: &&Endpoint<'_>| {
        other.target == endpoint.target
            && (other.ip, other.key_type) != (endpoint.ip, endpoint.key_type)
            && opinions(other).is_some()
    };
    let others = others.iter().map(|other| &**other).filter(is_other);
    let shown: Vec<&Endpoint<'_>> = std::iter::once(endpoint)
        .chain(others)
        .take(MAX_COLUMNS)
        .collect();
    let places: Vec<String> = shown.iter().map(|endpoint| endpoint.place()).collect();
    let columns: Vec<&str> = std::iter::once("Client")
        .chain(places.iter().map(String::as_str))
        .collect();
    section(html, "clients", "Clients", |html| {
        let caption =
            "Which clients accept the served chain for this name, by certvigil's models of them";
        table(html, caption, &columns, |rows| {
            for client in Client::ALL {
                rows.row("", |cells| {
                    cells.head(|html| html.text(client.name()));
                    for endpoint in &shown {
                        let opinion = opinions(endpoint)
                            .and_then(|mut all| all.find(|(of, _)| *of == client));
                        cells.cell(|html| write(html, opinion.map(|(_, opinion)| opinion)));
                    }
                });
            }
        });
    });
}

fn write(html: &mut Html, opinion: Option<&Opinion>) {
    let (severity, word) = match opinion {
        Some(Opinion::Accepts) => (Severity::Ok, "accepts"),
        Some(Opinion::Refuses(_)) => (Severity::Critical, "refuses"),
        Some(Opinion::Unknown) | None => (Severity::Unknown, "not known"),
    };
    html.element("span", &[("class", &format!("badge {severity}"))], |html| {
        html.line("span", &[("aria-hidden", "true")], sign(severity));
        html.text(&format!(" {word}"));
    });
    if let Some(Opinion::Refuses(refusal)) = opinion {
        html.text(" ");
        html.element("span", &[("class", "reason")], |html| {
            html.prose(&sentence(&refusal.reason));
        });
    }
}
