//! Tests of an internal error in one probe while the monitor continues.

mod demand;

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::model::Timestamp;
use crate::scan::tests::{BAD_ADDRESS, BAD_HOST, BAD_SOURCE};
use crate::source::Environment;
use crate::testbed::authority::{self, Key, Validity};

/// Maximum time to wait for an event on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "this test reads the system clock"
    )]
    let now = std::time::SystemTime::now();
    let seconds = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    Timestamp(seconds.cast_signed())
}

/// Starts a TLS server on every loopback address.
async fn tls_server() -> (u16, JoinSet<()>) {
    let key = Key::generate().unwrap();
    let validity = Validity::around(now(), 10, 100);
    let leaf = authority::self_signed(&["good.example".into()], validity, &key).unwrap();
    let chain = vec![leaf.certificate.der().to_vec().into()];
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key.to_der())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut tls) = acceptor.accept(stream).await {
                let _ = tls.read(&mut [0; 64]).await;
            }
        }
    });
    (port, tasks)
}

/// Returns a monitor with this configuration.
fn setup(text: String) -> Setup {
    Setup {
        load: Box::new(move || {
            let inventory = crate::config::parse(&text, Path::new("test.yml"));
            inventory.map_err(|e| e.to_string().into())
        }),
        environment: || Environment {
            variable: &|_| None,
            home: None,
        },
        overrides: Vec::new(),
        concurrency: 16,
        clock: now,
        state: None,
        web: Arc::new(web::Web::open(None).unwrap()),
        routes: Routes::default(),
    }
}

async fn metrics(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// Returns the value of the only series of this metric whose labels include all of these.
fn value(text: &str, metric: &str, labels: &[&str]) -> Option<f64> {
    let mut lines = text.lines().filter(|line| {
        line.strip_prefix(metric)
            .is_some_and(|l| l.starts_with('{'))
            && labels.iter().all(|label| line.contains(label))
    });
    let line = lines.next()?;
    assert_eq!(lines.next(), None, "{metric} {labels:?}");
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn panic_in_one_probe_is_internal_for_that_endpoint_and_it_is_reprobed() {
    let (port, _server) = tls_server().await;
    let text = format!(
        "defaults: {{interval: 1s, timeout: 10s, port: {port}}}
trust: {{system: false}}
certificates:
  - {{name: half, trust: true, hostnames: [half.example], addresses: [127.0.0.1, {BAD_ADDRESS}]}}
  - {{name: bad, trust: true, hostnames: [{BAD_HOST}], addresses: [127.0.0.2]}}
  - {{name: {BAD_SOURCE}, trust: true, hostnames: [unasked.example], addresses: [127.0.0.4]}}
  - {{name: good, trust: true, hostnames: [good.example], addresses: [127.0.0.3]}}
"
    );
    let server = Server::new(setup(text));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let web_port = listener.local_addr().unwrap().port();
    let (stop, stopped) = oneshot::channel::<()>();
    let (_reloads, reloads) = mpsc::channel(1);
    let running = tokio::spawn(server.unwrap().run(vec![listener], reloads, async {
        let _ = stopped.await;
    }));
    let bad_ip = format!("ip=\"{BAD_ADDRESS}\"");
    let bad_host = format!("hostname=\"{BAD_HOST}\"");
    let internal_error = "error_kind=\"internal\"";
    let seen = async {
        loop {
            let text = metrics(web_port).await;
            let probes = |status: &str| value(&text, "certvigil_probes_total", &[status]);
            let failed = probes("status=\"internal_error\"").unwrap_or_default();
            let went_well = probes("status=\"conclusive\"").unwrap_or_default();
            // Three failed and two successful probes in each interval.
            if failed >= 9.0 && went_well >= 6.0 {
                return text;
            }
        }
    };
    let text = tokio::time::timeout(PATIENCE, seen).await.unwrap();
    let unasked = "hostname=\"unasked.example\"";
    for place in [bad_ip.as_str(), bad_host.as_str(), unasked] {
        let labels = [place, internal_error];
        let error = value(&text, "certvigil_endpoint_error", &labels);
        assert_eq!(error, Some(1.0), "{labels:?}\n{text}");
    }
    for ip in ["ip=\"127.0.0.1\"", "ip=\"127.0.0.3\""] {
        let labels = [ip, "status=\"conclusive\""];
        let status = value(&text, "certvigil_endpoint_status", &labels);
        assert_eq!(status, Some(1.0), "{ip}\n{text}");
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}
