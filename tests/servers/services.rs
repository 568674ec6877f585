//! `srv:` targets, with the records of knot.

use crate::common::resolution::knot;
use crate::common::resolution::places;
use crate::fixture::check::Check;
use crate::fixture::pki::Pki;

#[test]
#[ignore = "needs knot"]
fn records_of_a_real_name_server_are_followed() {
    let pki = Pki::new();
    let knot = knot();
    let dns = format!("127.0.0.1:{}", knot.port);
    let check = |target: &str| {
        Check::new(&pki)
            .args(&["--dns", &dns, "--timeout", "20s"])
            .arg(target)
    };
    let row = check("srv:_imaps._tcp.example").row();
    assert!(row.text("/error").contains("is not offered"), "{row:?}");
    let rows = check("srv:_ldaps._tcp.example").rows();
    assert_eq!(
        places(&rows),
        [
            ("alias.example", "127.0.0.6"),
            ("v4only.example", "127.0.0.4")
        ]
        .map(|(host, ip)| (host.to_owned(), ip.to_owned()))
    );
}
