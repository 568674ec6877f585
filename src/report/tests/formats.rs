//! Machine-readable formats: JUnit, GitHub, Nagios plugins, and metrics in a file.

use insta::assert_snapshot;

use super::*;
use crate::finding::Severity;
use crate::report::{Gap, github, github_summary, junit, nagios, nagios_error, prometheus};

#[test]
fn junit_has_a_suite_per_certificate_and_a_case_per_probe() {
    let mut results = everything();
    Arc::make_mut(&mut results[1].observation.target).certificate =
        "another \"certificate\"".into();
    assert_snapshot!(junit(&results, true), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="certvigil" tests="10" failures="6" errors="1" time="0.119500">
      <testsuite name="another &quot;certificate&quot;" tests="1" failures="0" errors="0" time="0.011950" skipped="0">
        <testcase classname="another &quot;certificate&quot;" name="www.example.com 192.0.2.1:443 (seen from sslmate)" time="0.011950"/>
      </testsuite>
      <testsuite name="example.com" tests="9" failures="6" errors="1" time="0.107550" skipped="0">
        <testcase classname="example.com" name="www.example.com 192.0.2.1:443" time="0.011950"/>
        <testcase classname="example.com" name="www.example.com 192.0.2.1:443 (seen from eu-west)" time="0.011950"/>
        <testcase classname="example.com" name="www.example.com 192.0.2.2:443" time="0.011950">
          <failure type="wrong_certificate" message="another certificate is served: `www.example.com` by `Example Root`, from 2026-11-24 to 2046-11-19">critical: wrong_certificate: another certificate is served: `www.example.com` by `Example Root`, from 2026-11-24 to 2046-11-19
    fix: install instance 331 (expires on 2046-11-19), then reload the server
    warning: refused_by_clients: OpenSSL refuses the certificate: the certificate has a weak RSA key; rustls refuses the certificate: rustls verifies only with RSA keys of 2048 to 8192 bits and exponents of at most 33 bits; GnuTLS, Go, Java and Chromium accept it
    fix: have the certificate reissued for a key of RSA 2048, EC P-256 or stronger
    warning: weak_key: the certificate has a weak key: RSA 1024
    fix: make a new key (RSA 2048, EC P-256 or stronger) and have the certificate reissued for it</failure>
        </testcase>
        <testcase classname="example.com" name="www.example.com 192.0.2.2:443 (seen from sslmate)" time="0.011950">
          <failure type="wrong_certificate" message="seen from there, another certificate than the expected one is served">critical: wrong_certificate: seen from there, another certificate than the expected one is served
    fix: probe this address from there to see which; then install the expected one and reload the server</failure>
        </testcase>
        <testcase classname="example.com" name="www.example.com [2001:db8::2]:443" time="0.011950">
          <failure type="unreachable" message="this address does not answer, while 192.0.2.1 does: connection refused">critical: unreachable: this address does not answer, while 192.0.2.1 does: connection refused
    fix: start the server at this address, or take the address out of the DNS records of www.example.com
    warning: vantages_disagree: seen from `sslmate`, the right certificate is served; seen from `local`, it cannot be reached
    fix: check whether both reach the same server: split DNS, a load balancer or a proxy may redirect one of them</failure>
        </testcase>
        <testcase classname="example.com" name="www.example.com [2001:db8::2]:443 (seen from sslmate)" time="0.011950">
          <failure type="vantages_disagree" message="seen from `local`, it cannot be reached; seen from `sslmate`, the right certificate is served">warning: vantages_disagree: seen from `local`, it cannot be reached; seen from `sslmate`, the right certificate is served
    fix: check whether both reach the same server: split DNS, a load balancer or a proxy may redirect one of them</failure>
        </testcase>
        <testcase classname="example.com" name="nowhere.example.com :443" time="0.011950">
          <error type="dns_nxdomain" message="the name does not exist">dns_nxdomain: the name does not exist</error>
        </testcase>
        <testcase classname="example.com" name="plain.example.com 192.0.2.5:443" time="0.011950">
          <failure type="handshake_failed" message="the answer is not TLS">critical: handshake_failed: the answer is not TLS
    fix: check that this port speaks TLS from the first byte</failure>
        </testcase>
        <testcase classname="example.com" name="a-very-long-name-of-a-host.in-a-very-long-domain.example.com [2001:db8:85a3:1234:5678:8a2e:370:7334]:443" time="0.011950">
          <failure type="hostname_mismatch" message="the certificate is not valid for a-very-long-name-of-a-host.in-a-very-long-domain.example.com, only for www.example.com">critical: hostname_mismatch: the certificate is not valid for a-very-long-name-of-a-host.in-a-very-long-domain.example.com, only for www.example.com
    fix: serve a certificate that names a-very-long-name-of-a-host.in-a-very-long-domain.example.com, or take the name from the inventory
    info: root_included: the root `Example Root` is served along
    fix: take it out of the server's certificate file: clients use their own copy, and the handshake gets smaller</failure>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn junit_reports_warnings_as_failures_only_if_requested() {
    let warned = everything().into_iter();
    let warned = warned.filter(|judged| judged.severity() == Severity::Warning);
    let results: Vec<Judged> = warned.collect();
    assert_snapshot!(junit(&results[..1], true), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="certvigil" tests="1" failures="1" errors="0" time="0.011950">
      <testsuite name="example.com" tests="1" failures="1" errors="0" time="0.011950" skipped="0">
        <testcase classname="example.com" name="www.example.com [2001:db8::2]:443 (seen from sslmate)" time="0.011950">
          <failure type="vantages_disagree" message="seen from `local`, it cannot be reached; seen from `sslmate`, the right certificate is served">warning: vantages_disagree: seen from `local`, it cannot be reached; seen from `sslmate`, the right certificate is served
    fix: check whether both reach the same server: split DNS, a load balancer or a proxy may redirect one of them</failure>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
    assert_snapshot!(junit(&results[..1], false), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="certvigil" tests="1" failures="0" errors="0" time="0.011950">
      <testsuite name="example.com" tests="1" failures="0" errors="0" time="0.011950" skipped="0">
        <testcase classname="example.com" name="www.example.com [2001:db8::2]:443 (seen from sslmate)" time="0.011950">
          <system-out>warning: vantages_disagree: seen from `local`, it cannot be reached; seen from `sslmate`, the right certificate is served
    fix: check whether both reach the same server: split DNS, a load balancer or a proxy may redirect one of them</system-out>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
    assert_snapshot!(junit(&[], true), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="certvigil" tests="0" failures="0" errors="0" time="0.000000">
    </testsuites>
    "#);
}

#[test]
fn github_output_lists_the_most_severe_endpoints_first() {
    assert_snapshot!(github(&everything()), @"
    ::error title=wrong_certificate www.example.com 192.0.2.2%3A443::another certificate is served: `www.example.com` by `Example Root`, from 2026-11-24 to 2046-11-19%0Afix: install instance 331 (expires on 2046-11-19), then reload the server
    ::warning title=refused_by_clients www.example.com 192.0.2.2%3A443::OpenSSL refuses the certificate: the certificate has a weak RSA key; rustls refuses the certificate: rustls verifies only with RSA keys of 2048 to 8192 bits and exponents of at most 33 bits; GnuTLS, Go, Java and Chromium accept it%0Afix: have the certificate reissued for a key of RSA 2048, EC P-256 or stronger
    ::warning title=weak_key www.example.com 192.0.2.2%3A443::the certificate has a weak key: RSA 1024%0Afix: make a new key (RSA 2048, EC P-256 or stronger) and have the certificate reissued for it
    ::error title=unreachable www.example.com [2001%3Adb8%3A%3A2]%3A443::this address does not answer, while 192.0.2.1 does: connection refused%0Afix: start the server at this address, or take the address out of the DNS records of www.example.com
    ::warning title=vantages_disagree www.example.com [2001%3Adb8%3A%3A2]%3A443::seen from `sslmate`, the right certificate is served; seen from `local`, it cannot be reached%0Afix: check whether both reach the same server: split DNS, a load balancer or a proxy may redirect one of them
    ::error title=handshake_failed plain.example.com 192.0.2.5%3A443::the answer is not TLS%0Afix: check that this port speaks TLS from the first byte
    ::error title=hostname_mismatch a-very-long-name-of-a-host.in-a-very-long-domain.example.com [2001%3Adb8%3A85a3%3A1234%3A5678%3A8a2e%3A370%3A7334]%3A443::the certificate is not valid for a-very-long-name-of-a-host.in-a-very-long-domain.example.com, only for www.example.com%0Afix: serve a certificate that names a-very-long-name-of-a-host.in-a-very-long-domain.example.com, or take the name from the inventory
    ::notice title=root_included a-very-long-name-of-a-host.in-a-very-long-domain.example.com [2001%3Adb8%3A85a3%3A1234%3A5678%3A8a2e%3A370%3A7334]%3A443::the root `Example Root` is served along%0Afix: take it out of the server's certificate file: clients use their own copy, and the handshake gets smaller
    ::error title=dns_nxdomain nowhere.example.com %3A443::the name does not exist
    ::warning title=vantages_disagree www.example.com [2001%3Adb8%3A%3A2]%3A443 (seen from sslmate)::seen from `local`, it cannot be reached; seen from `sslmate`, the right certificate is served%0Afix: check whether both reach the same server: split DNS, a load balancer or a proxy may redirect one of them
    7 endpoints: 4 critical, 1 unknown, 1 warning, 1 ok
    ");
    let right = scan([result_of("www.example.com 192.0.2.1", right())]);
    assert_snapshot!(github(&right), @"1 endpoint: 0 critical, 0 unknown, 0 warning, 1 ok");
}

#[test]
fn github_has_one_annotation_for_equal_faults() {
    let results = scan([
        result_of("www.example.com 192.0.2.1", served(weak(), &[])),
        result_of("www.example.com 192.0.2.2", served(weak(), &[])),
        result_of("mail.example.com 2001:db8::7", served(weak(), &[])),
        result_of("www.example.com 192.0.2.3", right()),
    ]);
    assert_snapshot!(github(&results), @"
    ::error title=wrong_certificate at 3 endpoints::another certificate is served: `www.example.com` by `Example Root`, from 2026-11-24 to 2046-11-19%0Aat www.example.com 192.0.2.1:443, www.example.com 192.0.2.2:443, mail.example.com [2001:db8::7]:443%0Afix: install instance 331 (expires on 2046-11-19), then reload the server
    ::warning title=refused_by_clients at 2 endpoints::OpenSSL refuses the certificate: the certificate has a weak RSA key; rustls refuses the certificate: rustls verifies only with RSA keys of 2048 to 8192 bits and exponents of at most 33 bits; GnuTLS, Go, Java and Chromium accept it%0Aat www.example.com 192.0.2.1:443, www.example.com 192.0.2.2:443%0Afix: have the certificate reissued for a key of RSA 2048, EC P-256 or stronger
    ::warning title=weak_key at 3 endpoints::the certificate has a weak key: RSA 1024%0Aat www.example.com 192.0.2.1:443, www.example.com 192.0.2.2:443, mail.example.com [2001:db8::7]:443%0Afix: make a new key (RSA 2048, EC P-256 or stronger) and have the certificate reissued for it
    ::error title=hostname_mismatch mail.example.com [2001%3Adb8%3A%3A7]%3A443::the certificate is not valid for mail.example.com, only for www.example.com%0Afix: serve a certificate that names mail.example.com, or take the name from the inventory
    4 endpoints: 3 critical, 0 unknown, 0 warning, 1 ok
    ");
    let many: [Judged; 40] = std::array::from_fn(|n| {
        result_of(&format!("www.example.com 192.0.2.{n}"), served(weak(), &[]))
    });
    let text = github(&scan(many));
    assert_eq!(
        text.matches("::error title=wrong_certificate").count(),
        1,
        "{text}"
    );
    assert!(text.contains(" and 20 more%0A"), "{text}");
}

#[test]
fn github_job_summary_is_a_table_of_faults() {
    assert_snapshot!(github_summary(&everything(), None), @"
    ### Certificates: 7 endpoints: 4 critical, 1 unknown, 1 warning, 1 ok

    | severity | where | what | fix |
    | --- | --- | --- | --- |
    | CRITICAL | www.example.com 192.0.2.2:443 | `wrong_certificate`: another certificate is served: &#96;www.example.com&#96; by &#96;Example Root&#96;, from 2026-11-24 to 2046-11-19 | install instance 331 (expires on 2046-11-19), then reload the server |
    | CRITICAL | www.example.com &#91;2001:db8::2&#93;:443 | `unreachable`: this address does not answer, while 192.0.2.1 does: connection refused | start the server at this address, or take the address out of the DNS records of www.example.com |
    | CRITICAL | plain.example.com 192.0.2.5:443 | `handshake_failed`: the answer is not TLS | check that this port speaks TLS from the first byte |
    | CRITICAL | a-very-long-name-of-a-host.in-a-very-long-domain.example.com &#91;2001:db8:85a3:1234:5678:8a2e:370:7334&#93;:443 | `hostname_mismatch`: the certificate is not valid for a-very-long-name-of-a-host.in-a-very-long-domain.example.com, only for www.example.com | serve a certificate that names a-very-long-name-of-a-host.in-a-very-long-domain.example.com, or take the name from the inventory |
    | UNKNOWN | nowhere.example.com :443 | `dns_nxdomain`: the name does not exist |  |
    | WARNING | www.example.com 192.0.2.2:443 | `refused_by_clients`: OpenSSL refuses the certificate: the certificate has a weak RSA key; rustls refuses the certificate: rustls verifies only with RSA keys of 2048 to 8192 bits and exponents of at most 33 bits; GnuTLS, Go, Java and Chromium accept it | have the certificate reissued for a key of RSA 2048, EC P-256 or stronger |
    | WARNING | www.example.com 192.0.2.2:443 | `weak_key`: the certificate has a weak key: RSA 1024 | make a new key (RSA 2048, EC P-256 or stronger) and have the certificate reissued for it |
    | WARNING | www.example.com &#91;2001:db8::2&#93;:443 | `vantages_disagree`: seen from &#96;sslmate&#96;, the right certificate is served; seen from &#96;local&#96;, it cannot be reached | check whether both reach the same server: split DNS, a load balancer or a proxy may redirect one of them |
    | WARNING | www.example.com &#91;2001:db8::2&#93;:443 (seen from sslmate) | `vantages_disagree`: seen from &#96;local&#96;, it cannot be reached; seen from &#96;sslmate&#96;, the right certificate is served | check whether both reach the same server: split DNS, a load balancer or a proxy may redirect one of them |
    | info | a-very-long-name-of-a-host.in-a-very-long-domain.example.com &#91;2001:db8:85a3:1234:5678:8a2e:370:7334&#93;:443 | `root_included`: the root &#96;Example Root&#96; is served along | take it out of the server's certificate file: clients use their own copy, and the handshake gets smaller |
    ");
    let right = scan([result_of("www.example.com 192.0.2.1", right())]);
    assert_snapshot!(github_summary(&right, Some(&Gap::Interrupted)), @"
    ### Certificates: 1 endpoint: 1 ok

    interrupted: the result is incomplete
    ");
}

#[test]
fn nagios_first_line_names_the_most_severe_findings() {
    let text = nagios(&everything(), Severity::Critical, None, now());
    assert_snapshot!(text, @"
    CERTVIGIL CRITICAL - 7 endpoints: 4 critical, 1 unknown, 1 warning, 1 ok; wrong_certificate, refused_by_clients, weak_key at www.example.com 192.0.2.2:443 | 'endpoints'=7;;;0 'ok'=1;;;0 'warning'=1;;;0 'critical'=4;;;0 'unknown'=1;;;0 'days_left'=6166.82 'resolve'=0.001250s;;;0 'connect'=0.000800s;;;0 'handshake'=0.009900s;;;0
    CRITICAL www.example.com 192.0.2.2:443: wrong_certificate, refused_by_clients, weak_key
      critical: another certificate is served: `www.example.com` by `Example Root`, from 2026-11-24 to 2046-11-19
      fix: install instance 331 (expires on 2046-11-19), then reload the server
      warning: OpenSSL refuses the certificate: the certificate has a weak RSA key; rustls refuses the certificate: rustls verifies only with RSA keys of 2048 to 8192 bits and exponents of at most 33 bits; GnuTLS, Go, Java and Chromium accept it
      fix: have the certificate reissued for a key of RSA 2048, EC P-256 or stronger
      warning: the certificate has a weak key: RSA 1024
      fix: make a new key (RSA 2048, EC P-256 or stronger) and have the certificate reissued for it
    CRITICAL www.example.com [2001:db8::2]:443: unreachable, vantages_disagree
      critical: this address does not answer, while 192.0.2.1 does: connection refused
      fix: start the server at this address, or take the address out of the DNS records of www.example.com
      warning: seen from `sslmate`, the right certificate is served; seen from `local`, it cannot be reached
      fix: check whether both reach the same server: split DNS, a load balancer or a proxy may redirect one of them
    CRITICAL plain.example.com 192.0.2.5:443: handshake_failed
      critical: the answer is not TLS
      fix: check that this port speaks TLS from the first byte
    CRITICAL a-very-long-name-of-a-host.in-a-very-long-domain.example.com [2001:db8:85a3:1234:5678:8a2e:370:7334]:443: hostname_mismatch, root_included
      critical: the certificate is not valid for a-very-long-name-of-a-host.in-a-very-long-domain.example.com, only for www.example.com
      fix: serve a certificate that names a-very-long-name-of-a-host.in-a-very-long-domain.example.com, or take the name from the inventory
      info: the root `Example Root` is served along
      fix: take it out of the server's certificate file: clients use their own copy, and the handshake gets smaller
    UNKNOWN nowhere.example.com :443: dns_nxdomain
      the name does not exist
    WARNING www.example.com [2001:db8::2]:443 (seen from sslmate): vantages_disagree
      warning: seen from `local`, it cannot be reached; seen from `sslmate`, the right certificate is served
      fix: check whether both reach the same server: split DNS, a load balancer or a proxy may redirect one of them
    ");
}

#[test]
fn nagios_ok_line_shows_the_expiry() {
    let results = scan([result_of("www.example.com 192.0.2.1", right())]);
    let text = nagios(&results, Severity::Ok, Some(thresholds()), now());
    assert_snapshot!(text, @"CERTVIGIL OK - 1 endpoint: 0 critical, 0 unknown, 0 warning, 1 ok; until 2046-11-19, 6166 days | 'endpoints'=1;;;0 'ok'=1;;;0 'warning'=0;;;0 'critical'=0;;;0 'unknown'=0;;;0 'days_left'=6166.82;30.00:;7.00: 'resolve'=0.001250s;;;0 'connect'=0.000800s;;;0 'handshake'=0.009900s;;;0");
    assert_snapshot!(nagios(&[], Severity::Ok, Some(thresholds()), now()), @"CERTVIGIL OK - 0 endpoints: 0 critical, 0 unknown, 0 warning, 0 ok | 'endpoints'=0;;;0 'ok'=0;;;0 'warning'=0;;;0 'critical'=0;;;0 'unknown'=0;;;0");
}

#[test]
fn nagios_error_line_states_the_reason() {
    let text = nagios_error("first | line\nsecond line", Severity::Unknown);
    assert_eq!(text, "CERTVIGIL UNKNOWN - first / line\n");
}

/// The state in the first line is that of the exit code, whatever the findings are.
#[test]
fn nagios_state_is_independent_of_the_findings() {
    for (state, word) in [
        (Severity::Ok, "OK"),
        (Severity::Warning, "WARNING"),
        (Severity::Critical, "CRITICAL"),
        (Severity::Unknown, "UNKNOWN"),
    ] {
        let text = nagios(&everything(), state, None, now());
        let start = format!("CERTVIGIL {word} - 7 endpoints: 4 critical");
        assert!(text.starts_with(&start), "{text}");
    }
}

#[test]
fn textfile_output_has_the_metrics_of_each_endpoint() {
    let results = scan([
        result_of("www.example.com 192.0.2.1", right()),
        result_of("www.example.com 192.0.2.1 sslmate", reported(false)),
        result_of(
            "nowhere.example.com -",
            failed(ErrorKind::DnsNxdomain, "the name does not exist"),
        ),
    ]);
    let text = prometheus::textfile(&results, now());
    let samples: Vec<&str> = text
        .lines()
        .filter(|l| !l.starts_with('#') && !l.contains("_endpoint_status{"))
        .collect();
    assert_snapshot!(samples.join("\n"), @r#"
    certvigil_endpoint_correct{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 1
    certvigil_endpoint_correct{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="sslmate"} 0
    certvigil_endpoint_chained{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 1
    certvigil_endpoint_chained{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="sslmate"} 1
    certvigil_endpoint_dummy{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 0
    certvigil_endpoint_dummy{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="sslmate"} 0
    certvigil_endpoint_trusted{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 1
    certvigil_endpoint_hostname_match{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 1
    certvigil_endpoint_error{certificate="example.com",hostname="nowhere.example.com",ip="",port="443",key_type="any",vantage="local",error_kind="dns_nxdomain"} 1
    certvigil_endpoint_finding{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local",code="vantages_disagree",severity="warning"} 1
    certvigil_endpoint_finding{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="sslmate",code="wrong_certificate",severity="critical"} 1
    certvigil_endpoint_finding{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="sslmate",code="vantages_disagree",severity="warning"} 1
    certvigil_endpoint_not_before_timestamp_seconds{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 1795549680
    certvigil_endpoint_not_after_timestamp_seconds{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 2426269680
    certvigil_endpoint_chain_not_after_timestamp_seconds{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 2426269680
    certvigil_endpoint_warn_timestamp_seconds{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 2423677680
    certvigil_endpoint_crit_timestamp_seconds{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 2425664880
    certvigil_endpoint_last_check_timestamp_seconds{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 1893456000
    certvigil_endpoint_last_check_timestamp_seconds{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="sslmate"} 1893456000
    certvigil_endpoint_last_check_timestamp_seconds{certificate="example.com",hostname="nowhere.example.com",ip="",port="443",key_type="any",vantage="local"} 1893456000
    certvigil_endpoint_last_conclusive_timestamp_seconds{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 1893456000
    certvigil_endpoint_last_conclusive_timestamp_seconds{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="sslmate"} 1893456000
    certvigil_endpoint_info{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local",sha256="7c1cf595c606ab66d30042d45e097d65b32bd8d06a9488b52874f697db818357",issuer="CN=Example Intermediate",tls_version="1.3",cipher_suite="TLS13_AES_256_GCM_SHA384",protocol="https",subject="CN=www.example.com",serial="03",key="EC P-256"} 1
    certvigil_certificate_not_before_timestamp_seconds{certificate="example.com"} 1795549680
    certvigil_certificate_not_after_timestamp_seconds{certificate="example.com"} 2426269680
    certvigil_certificate_info{certificate="example.com",source="sslmate",instance_id="331",state="active",sha256="7c1cf595c606ab66d30042d45e097d65b32bd8d06a9488b52874f697db818357"} 1
    certvigil_hostname_addresses{certificate="example.com",hostname="nowhere.example.com",family="ipv4"} 0
    certvigil_hostname_addresses{certificate="example.com",hostname="nowhere.example.com",family="ipv6"} 0
    certvigil_hostname_addresses{certificate="example.com",hostname="www.example.com",family="ipv4"} 1
    certvigil_hostname_addresses{certificate="example.com",hostname="www.example.com",family="ipv6"} 0
    certvigil_vantages_disagree{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443"} 1
    "#);
}
