//! Metrics of very many endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::finding::EntryNotes;
use crate::report::prometheus::{
    Exposition, Gathered, Lines, Pieces, SharedSamples, certificates, endpoints,
    gathered_endpoints, hosts,
};

/// Result: certificate, host, last byte of the address, family, port, and whether the vantage is
/// remote.
type Drawn = (u8, u8, Option<u8>, bool, u16, bool);

fn drawn(base: &Judged, (certificate, host, ip, is_ipv6, port, is_remote): Drawn) -> Judged {
    let mut judged = base.clone();
    judged.observation.target = Arc::new(Target {
        certificate: format!("c{certificate}"),
        hostname: format!("h{host}.example").parse().unwrap(),
        port,
        protocol: Protocol::Https,
        names: Box::default(),
    });
    judged.observation.ip = ip.map(|ip| match is_ipv6 {
        true => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, ip.into()).into(),
        false => Ipv4Addr::new(192, 0, 2, ip).into(),
    });
    judged.observation.vantage = match is_remote {
        true => Vantage::named("north"),
        false => Vantage::local(),
    };
    judged.notes = Arc::new(EntryNotes {
        labels: own(&format!("c{certificate}")).into_iter().collect(),
        ..EntryNotes::default()
    });
    judged
}

/// Returns the label of an entry, if it has one.
fn own(certificate: &str) -> Option<(String, String)> {
    (certificate == "c1").then(|| ("team".to_owned(), "web".to_owned()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The number of addresses of each host is that of its distinct ones from the local vantage.
    #[test]
    fn hosts_have_the_number_of_their_distinct_local_addresses(
        all in prop::collection::vec(
            (0_u8..3, 0_u8..3, prop::option::of(0_u8..3), any::<bool>(), 443_u16..445, any::<bool>()),
            0..40,
        ),
        enough in 1_usize..5000,
    ) {
        let base = result_of("www.example.com 192.0.2.1", right());
        let mut results: Vec<Judged> = all.iter().map(|one| drawn(&base, *one)).collect();
        results.sort_by(|a, b| a.observation.target.cmp(&b.observation.target));
        let mut addresses: BTreeMap<(String, String), BTreeSet<IpAddr>> = BTreeMap::new();
        for judged in results.iter().filter(|judged| judged.observation.vantage.is_local()) {
            let Observation { target, ip, .. } = &judged.observation;
            let host = (target.certificate.clone(), target.hostname.to_string());
            addresses.entry(host).or_default().extend(*ip);
        }
        let mut wanted = String::new();
        for ((certificate, host), ips) in &addresses {
            let own = own(certificate).map(|(name, value)| format!(",{name}=\"{value}\""));
            let own = own.unwrap_or_default();
            let ipv4 = ips.iter().filter(|ip| ip.is_ipv4()).count();
            for (family, count) in [("ipv4", ipv4), ("ipv6", ips.len() - ipv4)] {
                wanted += &format!(
                    "certvigil_hostname_addresses{{certificate=\"{certificate}\",hostname=\"{host}\"{own},family=\"{family}\"}} {count}\n"
                );
            }
        }
        let lines: Vec<Lines> = results.iter().map(|judged| Lines::new(judged, now())).collect();
        let gathered = Arc::new(Gathered::new(&lines));
        let exposition = || {
            let mut out = Exposition::default();
            gathered_endpoints(&mut out, &gathered);
            hosts(&mut out, &gathered, &results);
            out
        };
        let whole = exposition().finish();
        let lines = whole.lines().filter(|l| l.starts_with("certvigil_hostname_addresses{"));
        let written: String = lines.map(|line| format!("{line}\n")).collect();
        prop_assert_eq!(written, wanted);

        let mut pieces = Pieces::new([Arc::new(exposition())]);
        prop_assert_eq!(pieces.left(), whole.len());
        let mut text = String::new();
        while pieces.left() > 0 {
            let mut piece = String::new();
            pieces.write(&mut piece, enough);
            prop_assert!(!piece.is_empty());
            text.push_str(&piece);
            prop_assert_eq!(pieces.left(), whole.len() - text.len());
        }
        prop_assert_eq!(text, whole);
    }
}

#[test]
fn endpoints_with_equal_results_share_their_samples() {
    let of = |place: &str| Lines::new(&result_of(place, right()), now());
    let mut shared = SharedSamples::default();
    let mut first = of("www.example.com 192.0.2.1");
    first.share(&mut shared);
    let mut second = of("www.example.com 192.0.2.2");
    second.share(&mut shared);
    assert_eq!(shared.len(), 1);
    assert!(first.shares_samples_with(&second));
    let text_of = |lines: &Lines| {
        let mut out = Exposition::default();
        endpoints(&mut out, [lines]);
        out.finish()
    };
    let of_first = text_of(&first);
    assert!(of_first.contains("192.0.2.1"), "{of_first}");
    assert_eq!(of_first.replace("192.0.2.1", "192.0.2.2"), text_of(&second));
}

#[test]
fn samples_without_an_endpoint_are_dropped() {
    const PROBES: i64 = 5_000;
    let mut judged = result_of("www.example.com 192.0.2.1", right());
    let mut shared = SharedSamples::default();
    for number in 0..PROBES {
        judged.path_expiry = Some(Timestamp(number));
        Lines::new(&judged, now()).share(&mut shared);
    }
    assert!(shared.len() < 2_000, "{}", shared.len());
}

/// One certificate at the ports of two entries, each with labels of its own.
#[test]
fn a_host_of_two_entries_has_the_labels_of_each() {
    let of = |team: &str, port: u16, last: u8| {
        let base = result_of("www.example.com 192.0.2.1", right());
        let mut judged = drawn(&base, (0, 0, Some(last), false, port, false));
        judged.notes = Arc::new(EntryNotes {
            labels: [("team".to_owned(), team.to_owned())].into(),
            ..EntryNotes::default()
        });
        judged
    };
    let results = [of("web", 443, 1), of("api", 444, 1), of("web", 445, 2)];
    let lines: Vec<Lines> = results
        .iter()
        .map(|judged| Lines::new(judged, now()))
        .collect();
    let mut out = Exposition::default();
    hosts(&mut out, &Arc::new(Gathered::new(&lines)), &results);
    let text = out.finish();
    for (team, count) in [("web", 2), ("api", 1)] {
        let wanted = format!("team=\"{team}\",family=\"ipv4\"}} {count}\n");
        assert!(text.contains(&wanted), "{text}");
    }
    assert_eq!(text.matches("family=\"ipv4\"").count(), 2, "{text}");
}

/// Files of one name in two folders, and one certificate of two entries.
#[test]
fn series_of_certificates_are_unique_by_name_and_labels() {
    let only = |of_file: Certificate| {
        let instance = Instance {
            leaf: of_file,
            ..Instance::from_chain(vec![leaf()]).unwrap()
        };
        Expected {
            what: Expectation::Instances(Box::new(Instances::only(instance))),
            ..expected()
        }
    };
    let end = |expected: &Expected| {
        let leaf = &expected.instances().unwrap().expected.leaf;
        leaf.facts().unwrap().validity().unwrap().1
    };
    let later = certificate(include_str!(
        "../../../crates/certvigil-core/src/judge/testdata/pss-leaf.pem"
    ));
    let (one, other) = (only(leaf()), only(later));
    let earliest = end(&one).min(end(&other));
    assert_ne!(end(&one), end(&other));
    let notes = |team: &str| EntryNotes {
        labels: [("team".to_owned(), team.to_owned())].into(),
        ..EntryNotes::default()
    };
    let (web, api) = (notes("web"), notes("api"));
    for pair in [[&one, &other], [&other, &one]] {
        let mut out = Exposition::default();
        let all = [
            ("site", pair[0], &web),
            ("site", pair[1], &web),
            ("site", pair[1], &web),
            ("site", &one, &api),
        ];
        certificates(&mut out, all);
        let text = out.finish();
        let name = "certvigil_certificate_not_after_timestamp_seconds";
        let of = |team: &str, end: Timestamp| {
            format!("{name}{{certificate=\"site\",team=\"{team}\"}} {}\n", end.0)
        };
        assert!(text.contains(&of("web", earliest)), "{text}");
        assert!(text.contains(&of("api", end(&one))), "{text}");
        assert_eq!(text.matches(&format!("{name}{{")).count(), 2, "{text}");
        // The certificates themselves, of which two are the same.
        let info = text.matches("certvigil_certificate_info{").count();
        assert_eq!(info, 3, "{text}");
    }
}
