use std::io::Write;
use std::path::Path;

use certvigil_core::authority::{Authority, Issued, Key, Validity};
use certvigil_core::model::Timestamp;

use super::*;

fn issue() -> Issued {
    let validity = Validity::around(Timestamp(1_800_000_000), 1, 1);
    let root = Authority::root("Root", validity).unwrap();
    let key = Key::generate().unwrap();
    root.issue(&["localhost".into()], validity, &key).unwrap()
}

fn write(folder: &Path, issued: &Issued) {
    std::fs::write(folder.join("cert.pem"), issued.certificate.to_pem()).unwrap();
    let key = folder.join("key.pem");
    std::fs::write(&key, issued.key.to_pem()).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn open(folder: &Path) -> Arc<Tls> {
    let settings = TlsSettings {
        certificate: Pem::File(folder.join("cert.pem")),
        key: Pem::File(folder.join("key.pem")),
        client_ca: None,
        client_auth: ClientAuth::None,
        allowed_sans: Vec::new(),
        versions: rustls::ALL_VERSIONS.to_vec(),
        provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
        prefers_own_order: true,
    };
    Arc::new(Tls::open(settings).map_err(|e| format!("{e:?}")).unwrap())
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn unusable_renewed_certificate_is_logged_once_and_not_served() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &issue());
    let tls = open(folder.path());
    let in_force = || Arc::as_ptr(&*tls.config.read().unwrap());
    let first = in_force();
    let log = Log::default();
    let into = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || into.clone());
    // With a single dispatcher, a thread without it may disable an event for all threads.
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    tracing::subscriber::with_default(subscriber.finish(), || {
        // Without a change, the check logs nothing. Then only one file of a new pair is replaced.
        tls.read_again();
        let second = issue();
        std::fs::write(folder.path().join("key.pem"), second.key.to_pem()).unwrap();
        tls.read_again();
        tls.read_again();
        assert_eq!(in_force(), first);
        write(folder.path(), &second);
        tls.read_again();
        assert_ne!(in_force(), first);
        std::fs::remove_file(folder.path().join("cert.pem")).unwrap();
        tls.read_again();
        tls.read_again();
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    assert!(
        lines[0].contains("does not belong to the certificate"),
        "{log}"
    );
    assert!(lines[1].contains("is served from now on"), "{log}");
    assert!(lines[2].contains("cert.pem: it cannot be read"), "{log}");
    assert!(!log.contains("PRIVATE"), "{log}");
}

/// Simulates an unresponsive network disk: the certificate file is a pipe without a writer.
#[tokio::test]
#[cfg(unix)]
async fn hanging_certificate_file_blocks_one_thread_and_no_connection() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &issue());
    let tls = open(folder.path());
    let first = tls.config(Duration::ZERO).await;
    let file = folder.path().join("cert.pem");
    std::fs::remove_file(&file).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&file).status();
    assert!(made.unwrap().success());
    let mut served = Vec::new();
    for _ in 0..3 {
        served.push(timeout(30 * READ_PATIENCE, tls.config(Duration::ZERO)).await);
    }
    let holders = Arc::strong_count(&tls);
    // The read must end before any assertion can fail, because a runtime waits for its blocking
    // threads.
    let pipe = std::fs::File::options().write(true).open(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    write(folder.path(), &issue());
    drop(pipe);
    assert_eq!(holders, 2, "one look is under way");
    for config in served {
        assert!(Arc::ptr_eq(&config.unwrap(), &first));
    }
    // The new certificate is served afterwards.
    let renewed = async {
        while Arc::ptr_eq(&tls.config(Duration::ZERO).await, &first) {
            tokio::task::yield_now().await;
        }
    };
    timeout(30 * READ_PATIENCE, renewed).await.unwrap();
}

#[tokio::test]
async fn certificate_files_are_rechecked_only_after_the_interval() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &issue());
    let tls = open(folder.path());
    let hour = Duration::from_secs(3600);
    let first = tls.config(hour).await;
    write(folder.path(), &issue());
    assert!(Arc::ptr_eq(&tls.config(hour).await, &first));
    assert!(!Arc::ptr_eq(&tls.config(Duration::ZERO).await, &first));
}
