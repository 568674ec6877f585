//! `docs/clients.md`, generated from the table of the models and from the record.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use certvigil::finding::{Client, Trait, TraitPosition};
use certvigil::judge::{BESIDE, Effect, RULES};

use crate::clients::judged::judged;
use crate::clients::record::Record;
use crate::clients::replay::Scores;

/// Environment variable that makes the test write the page; otherwise the test compares it.
const REWRITE: &str = "CERTVIGIL_REWRITE";

const HEAD: &str = "\
# Client models

A certificate chain that one TLS client accepts may be refused by another. certvigil has a model of six clients. Each model
says whether its client accepts the served chain for the name, at the time and with the roots in use, and why it does not.
The models are pure code: no client is installed or run for a check.
";

const JSON: &str = "\
## In JSON

Each row has `clients`, with one entry a client:

```json
{\"openssl\": {\"accepts\": true}, \"go\": {\"accepts\": false, \"reason\": \"the root `Example Root` has expired\"}, \"java\": {\"accepts\": null}}
```

- `true`: the client accepts the chain.
- `false`: the client refuses the chain. `reason` is the first reason that the model finds; the client may report another one.
- `null`: the model does not cover this case. Most often certvigil cannot verify a signature that the client can.

The models judge the path and the host name. A client that cannot negotiate a handshake with the server refuses it too, with that
reason. The finding [refused_by_clients](findings/refused_by_clients.md) has both, if the chain is otherwise trusted.
Revocation is no part of the models.
";

const MODEL: &str = "\
## How a model decides

certvigil enumerates the paths from the leaf to the roots (see [How it decides](how-it-decides.md)) and searches for the
properties in the table below in each of them.

- Go, Chromium and rustls try every path. They accept the chain if they accept one path.
- Java validates a chain that is served in order as it is, up to the first certificate that has the name and the key of a root,
  and tries no other root. It tries every path of other chains.
- OpenSSL and GnuTLS choose each issuer by its name and its key identifier, before they verify a signature, and do not go back.
  OpenSSL searches the trust store first and prefers an issuer that is valid now. GnuTLS takes the first served one,
  and of several stored roots the last one that is valid now. It verifies the path up to the last served certificate
  that continues it, with the roots that have the name of this certificate's issuer, also if a root is in the middle of the path.
  Only if none is the issuer, or something has expired or is too weak, it tries the roots that have the name of this
  certificate itself.
- rustls' model is webpki, the library that rustls validates paths with. It is not a column of the table. rustls also refuses a key
  for which it has no signature scheme, RSA keys of other sizes than 2048 to 8192 bits, and a Certificate message of more
  than 64 KiB.
";

const LEGEND: &str = "\
## Rules

- `yes`: the client accepts a path with the property.
- `no`: the client refuses the path.
- `?`: the model does not know.
- `~yes`, `~no`: no recorded chain has the property in this place. The model takes the rule of another place,
  or one that was measured apart from the record.
- `beside`: a served certificate that is not in the path, such as a copy of the root. OpenSSL, GnuTLS, Go and Java
  read every certificate of the handshake. These rules were measured apart from the record.
";

fn page() -> String {
    let record = Record::read();
    let mut out = format!("{HEAD}\n{JSON}\n{MODEL}\n## Versions\n\n");
    out.push_str("The models hold for these versions, with the defaults of Debian 12:\n\n");
    for client in Client::ALL {
        let version = &record.versions[client.name()];
        writeln!(out, "- `{}`: {version}", client.name()).unwrap();
    }
    let cases = record.cases.len();
    write!(
        out,
        "\n## Models and clients compared\n\n\
         `make clients` makes {cases} chains, each with one deviation or two, and serves them on loopback to the six real clients.\n\
         It takes about three minutes and writes the answers to `tests/servers/clients/data`. `cargo test --test servers clients` compares the models\n\
         with the recorded answers:\n\n{}\n\
         `unknown` is an answer of `null`. Each answer that is not right is in `tests/servers/clients/data/divergences.jsonl`, with its reason.\n\
         Answers about a handshake that the record does not contain are not counted.\n\
         A new one fails the test, and so does one that is right again.\n\n\
         rustls is recorded without a handshake: the record is of its path validation.\n\n\
         `CERTVIGIL_REWRITE=1 cargo test --test servers clients::page` writes this page.\n\n{LEGEND}\n",
        Scores::of(&record)
    )
    .unwrap();
    let traits = recorded_traits(&record);
    out.push_str("| place | property | OpenSSL | GnuTLS | Go | Java | Chromium | source |\n");
    out.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for rule in RULES {
        for place in [
            TraitPosition::Leaf,
            TraitPosition::Intermediate,
            TraitPosition::Root,
            TraitPosition::Beside,
        ] {
            let effects = rule.at(place);
            let is_beside = place == TraitPosition::Beside;
            if effects.contains(&Effect::Absent)
                || is_beside && BESIDE.iter().all(|(known, _)| *known != rule.property)
            {
                continue;
            }
            let place = if rule.is_of_chain {
                TraitPosition::Chain
            } else {
                place
            };
            let property = rule.property;
            let is_recorded = is_beside || traits.contains(&Trait { place, property });
            let mark = if is_recorded { "" } else { "~" };
            let cells = effects.map(|effect| match effect {
                Effect::Accepts => format!("{mark}yes"),
                Effect::Refuses => format!("{mark}no"),
                Effect::Unknown | Effect::Absent => "?".into(),
            });
            let (place, cells) = (place.name(), cells.join(" | "));
            writeln!(
                out,
                "| {place} | {} | {cells} | {} |",
                rule.meaning, rule.source
            )
            .unwrap();
        }
    }
    out
}

/// The traits of the recorded chains.
fn recorded_traits(record: &Record) -> BTreeSet<Trait> {
    let judged = record.cases.iter().map(|case| judged(record, case));
    judged
        .flat_map(|judged| judged.clients.unwrap().traits().to_vec())
        .collect()
}

#[test]
fn every_trait_of_a_recorded_chain_has_its_row() {
    let is_without_row = |of: &Trait| {
        let rule = RULES.iter().find(|rule| rule.property == of.property);
        rule.is_none_or(|rule| rule.at(of.place).contains(&Effect::Absent))
    };
    let mut traits = recorded_traits(&Record::read());
    traits.retain(is_without_row);
    assert!(traits.is_empty(), "no row for {traits:#?}");
}

#[test]
fn clients_page_is_current() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/clients.md");
    let page = page();
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == page,
        "docs/clients.md is out of date; run {REWRITE}=1 cargo test --test servers clients::page"
    );
}
