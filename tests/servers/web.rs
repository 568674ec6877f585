//! The web server of the monitor, used with curl.

use crate::common::web_client::{Setup, over_tls, start};
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl"]
async fn curl_authenticates_with_certificate_and_password() {
    let setup = Setup::new();
    let client = setup.issue(|_| {});
    setup.write("client.pem", &client.pem);
    setup.write("client.key", &client.key.serialize_pem());
    let hash = bcrypt::hash("pässwörd", 4).unwrap();
    let text = over_tls(&format!(
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\nbasic_auth_users: {{alice: '{hash}'}}\n"
    ));
    let port = start(setup.open(&text)).await.port();
    let curl = async |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command
            .current_dir(setup.folder.path())
            .args([
                "-q",
                "--silent",
                "--show-error",
                "--noproxy",
                "*",
                "--cacert",
                "ca.pem",
            ])
            .args(["--connect-to", &format!("localhost:443:127.0.0.1:{port}")])
            .args(["--write-out", " %{http_code} %{http_version}"])
            .args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .unwrap()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (certificate, key) = (["--cert", "client.pem"], ["--key", "client.key"]);
    let ours = [certificate, key].concat();
    let with = |more: &[&'static str]| [&ours[..], more].concat();
    let heard = curl(&with(&["--user", "alice:pässwörd", "https://localhost/x"])).await;
    assert_eq!(heard, "this is /x 200 1.1");
    let heard = curl(&with(&["--user", "alice:password", "https://localhost/x"])).await;
    assert_eq!(heard, "the user name or the password is wrong 401 1.1");
    assert_eq!(
        curl(&with(&["https://localhost/open"])).await,
        "this is /open 200 1.1"
    );
    let heard = curl(&["--user", "alice:pässwörd", "https://localhost/x"]).await;
    assert!(heard.ends_with(" 000 0"), "without a certificate: {heard}");
}
