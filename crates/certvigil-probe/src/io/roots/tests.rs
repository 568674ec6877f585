use std::fs;

use super::*;

/// Two certificates.
fn roots() -> [String; 2] {
    const END: &str = "-----END CERTIFICATE-----\n";
    const FILE: &str =
        include_str!("../../../../certvigil-core/src/certificate/testdata/P-256.pem");
    let mut blocks = FILE.split_inclusive(END).map(str::to_owned);
    [(); 2].map(|()| blocks.next().unwrap())
}

fn default(file: Option<&Path>, folder: Option<&Path>) -> Store {
    let folders = folder.map(Path::to_owned).into_iter().collect();
    Store::of_system(file.map(Path::to_owned), folders)
}

fn variables(file: Option<&Path>, folder: Option<&Path>) -> Store {
    Store::of_variables(file.map(Into::into), folder.map(Into::into)).unwrap()
}

fn count(store: &Store) -> usize {
    store.read().unwrap().len()
}

fn error(store: &Store) -> String {
    store.read().unwrap_err().to_string()
}

#[test]
fn only_hash_links_of_a_folder_are_roots() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let of_folder = || {
        let counts = [default(None, Some(folder)), variables(None, Some(folder))];
        let counts = counts.map(|store| store.read().map_or(0, |roots| roots.len()));
        assert_eq!(counts[0], counts[1]);
        counts[0]
    };
    let put = |name: &str| fs::write(folder.join(name), &roots()[0]).unwrap();
    for name in [
        "site.pem",
        "ca-certificates.crt",
        "5ed36f99",
        "5ED36F99.0",
        "5ed36f9.0",
        "5ed36f99.r0",
        "5ed36f99.00",
        "5ed36f99.+0",
        "5ed36f99.0.pem",
        // OpenSSL searches for the number 0 first.
        "12345678.1",
    ] {
        put(name);
        assert_eq!(of_folder(), 0, "{name}");
    }
    // Links to nothing and folders are skipped.
    std::os::unix::fs::symlink("absent.pem", folder.join("00000001.0")).unwrap();
    fs::create_dir(folder.join("00000002.0")).unwrap();
    assert_eq!(of_folder(), 0);
    put("5ed36f99.0");
    put("5ed36f99.1");
    put("5ed36f99.3");
    assert_eq!(of_folder(), 2);
    std::os::unix::fs::symlink("site.pem", folder.join("fedcba98.0")).unwrap();
    assert_eq!(of_folder(), 3);
}

#[test]
fn bundle_of_the_system_counts_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let bundle = folder.join("ca-certificates.crt");
    fs::write(&bundle, &roots()[0]).unwrap();
    fs::write(folder.join("5ed36f99.0"), &roots()[1]).unwrap();
    assert_eq!(count(&default(Some(&bundle), Some(folder))), 1);
    assert_eq!(count(&default(None, Some(folder))), 1);
    assert_eq!(count(&variables(Some(&bundle), None)), 1);
    assert_eq!(count(&variables(Some(&bundle), Some(folder))), 2);
}

#[test]
fn system_without_a_store_has_no_roots() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(count(&default(None, None)), 0);
    assert_eq!(count(&default(None, Some(folder.path()))), 0);
    assert_eq!(Store::of_variables(None, None), None);
    assert_eq!(Store::of_variables(None, Some(":".into())), None);
}

#[test]
fn unusable_store_is_an_error_with_its_path_and_advice() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let file = folder.join("store.pem");
    let absent = folder.join("absent");
    let damaged = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let empty = folder.join("empty");
    fs::create_dir(&empty).unwrap();
    for (text, reason) in [
        (String::new(), "is empty"),
        ("no certificate\n".into(), "has no `-----BEGIN"),
        (damaged.into(), "line 1: "),
        (roots()[0].clone() + damaged, "line "),
    ] {
        fs::write(&file, &text).unwrap();
        for (store, advice) in [
            (default(Some(&file), None), "update-ca-certificates"),
            (variables(Some(&file), None), "SSL_CERT_FILE"),
        ] {
            let error = error(&store);
            let path = format!("{}: ", file.display());
            assert!(error.starts_with(&path), "{error}");
            assert!(error.contains(reason), "{error}");
            assert!(error.contains(advice), "{error}");
        }
        let link = empty.join("5ed36f99.0");
        fs::write(&link, &text).unwrap();
        for store in [default(None, Some(&empty)), variables(None, Some(&empty))] {
            let error = error(&store);
            assert!(error.starts_with(link.to_str().unwrap()), "{error}");
        }
        fs::remove_file(&link).unwrap();
    }
    for (store, path, advice) in [
        (variables(Some(&absent), None), &absent, "SSL_CERT_FILE"),
        (variables(None, Some(&absent)), &absent, "SSL_CERT_DIR"),
        (variables(None, Some(&empty)), &empty, "SSL_CERT_DIR"),
        (variables(Some(&empty), None), &empty, "SSL_CERT_FILE"),
    ] {
        let error = error(&store);
        assert!(error.starts_with(path.to_str().unwrap()), "{error}");
        assert!(error.contains(advice), "{error}");
    }
}

#[test]
fn size_of_a_store_is_limited() {
    let error = error(&variables(Some(Path::new("/dev/zero")), None));
    assert!(error.starts_with("/dev/zero: "), "{error}");
    assert!(error.contains("larger than"), "{error}");
}
