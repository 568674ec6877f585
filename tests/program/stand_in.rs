//! The sandbox of the SSLMate API, compared with the reference by a plain HTTP client.

use std::path::Path;
use std::sync::Arc;

use certvigil::model::Timestamp;
use certvigil::testbed::sandbox::account::{ApiError, State};
use certvigil::testbed::{API_KEY, Scenario, Testbed};
use serde_json::Value;

const SCENARIO: &str = "
hosts:
  - host: right.demo.example
    servers: [{at: 127.0.0.31, serve: current}]
  - host: old.demo.example
    servers: [{at: 127.0.0.32, serve: previous}]
  - host: pending.demo.example
    issued: false
    servers: [{at: 127.0.0.33, serve: temporary}]
  - host: bare.demo.example
    servers: [{at: 127.0.0.34, serve: current, chain: none}]
  - host: gone.demo.example
    servers: [{at: 127.0.0.35, serve: nothing}]
";
const NOW: Timestamp = Timestamp(1_800_000_000);

struct Client<'a> {
    lab: &'a Testbed,
    http: reqwest::Client,
}

struct Answer {
    status: u16,
    content_type: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.content_type, "application/json", "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Client<'_> {
    async fn get_as(&self, path: &str, auth: Option<(&str, Option<&str>)>) -> Answer {
        let mut request = self.http.get(format!("{}{path}", self.lab.endpoint()));
        if let Some((user, password)) = auth {
            request = request.basic_auth(user, password);
        }
        let response = request.send().await.unwrap();
        let content_type = response.headers().get("content-type");
        Answer {
            status: response.status().as_u16(),
            content_type: content_type
                .map(|v| v.to_str().unwrap().to_owned())
                .unwrap_or_default(),
            body: response.text().await.unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.get_as(path, Some((API_KEY, Some("")))).await
    }
}

async fn with_testbed(test: impl AsyncFnOnce(Client<'_>)) {
    let scenario = Scenario::parse(SCENARIO, Path::new("stand_in.yml")).unwrap();
    let lab = certvigil::testbed::start(scenario, NOW).await.unwrap();
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(rustls::RootCertStore::empty())
    .with_no_client_auth();
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(tls)
        .build()
        .unwrap();
    test(Client { lab: &lab, http }).await;
}

#[tokio::test]
async fn testbed_api_accepts_api_key_and_basic_auth_only() {
    with_testbed(async |api| {
        let path = "/certs/right.demo.example";
        assert_eq!(
            api.get_as(path, Some((API_KEY, Some("")))).await.status,
            200
        );
        assert_eq!(
            api.get_as(path, Some(("demo", Some("demo")))).await.status,
            200
        );
        for wrong in [
            None,
            Some(("x", Some(""))),
            Some((API_KEY, Some("x"))),
            Some(("demo", Some(""))),
        ] {
            let answer = api.get_as(path, wrong).await;
            assert_eq!(answer.status, 401);
            let error = answer.json();
            assert!(
                error["reason"].is_string() && error["message"].is_string(),
                "{error}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn testbed_certificates_follow_the_api_reference() {
    with_testbed(async |api| {
        let plain = api.get("/certs/right.demo.example").await.json();
        assert_eq!(plain["exists"], true);
        assert_eq!(plain["cn"], "right.demo.example");
        assert_eq!(plain["wildcard"], false);
        assert_eq!(plain["sans"], serde_json::json!([]));
        for absent in ["csr", "current", "pending"] {
            assert!(plain.get(absent).is_none(), "{absent} is there without being expanded");
        }
        let current = api.get("/certs/right.demo.example?expand=current").await.json()["current"].clone();
        assert_eq!(current["state"], "active");
        assert_eq!(current["id"], 102);
        for absent in ["csr", "crt", "chain", "root"] {
            assert!(current.get(absent).is_none(), "{absent} is there without being expanded");
        }
        let path = "/certs/right.demo.example?expand=current.crt&expand=current.chain&expand=current.root&expand=csr";
        let whole = api.get(path).await.json();
        assert!(whole["csr"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
        let instance = &whole["current"];
        assert_eq!(instance["chain"].as_array().unwrap().len(), 2);
        assert!(instance["root"].as_str().unwrap().ends_with("-----END CERTIFICATE-----\n"));
        let crt = certvigil::certificate::parse_certificates(instance["crt"].as_str().unwrap().as_bytes());
        let leaf = &crt.unwrap()[0];
        assert_eq!(instance["sha256_fingerprint"], leaf.sha256().to_string());
        assert_eq!(instance["pubkey_hash"], leaf.public_key_hash().unwrap().to_string());

        let unknown = api.get("/certs/unknown.example?expand=current.crt").await;
        assert_eq!(unknown.status, 200);
        assert_eq!(unknown.json()["exists"], false);
        assert_eq!(api.get("/certs/not%20a%20name").await.status, 400);
        let list = api.get("/certs?expand=current").await.json();
        assert_eq!(list["data"].as_array().unwrap().len(), 5);
        assert_eq!(api.get("/nowhere").await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn testbed_instances_are_found_by_id_and_key() {
    with_testbed(async |api| {
        let by_id = api
            .get("/certs/right.demo.example/instances/101?expand=crt")
            .await
            .json();
        assert_eq!(by_id["id"], 101);
        assert!(by_id["crt"].is_string());
        let path = format!(
            "/certs/right.demo.example/instances/pubkey_hash:{}",
            by_id["pubkey_hash"].as_str().unwrap()
        );
        assert_eq!(api.get(&path).await.json()["id"], 101);
        let missing = api.get("/certs/right.demo.example/instances/999").await;
        assert_eq!(
            (
                missing.status,
                missing.json()["reason"].as_str().unwrap().to_owned()
            ),
            (404, "no_such_instance".into())
        );
        let missing = api
            .get(&format!(
                "/certs/right.demo.example/instances/pubkey_hash:{}",
                "0".repeat(64)
            ))
            .await;
        assert_eq!(missing.json()["reason"], "no_such_pubkey_hash");
    })
    .await;
}

#[tokio::test]
async fn testbed_polling_waits_for_the_instance_or_sets_retry_after() {
    with_testbed(async |api| {
        let path = "/certs/pending.demo.example/instances/301";
        assert_eq!(api.get(path).await.json()["state"], "pending");
        let early = api.get(&format!("{path}?poll=0")).await;
        assert_eq!(early.status, 412);
        let error = early.json();
        assert_eq!(error["reason"], "not_ready");
        assert!(error["retry_after"].is_u64(), "{error}");
        let odd = api.get(&format!("{path}?poll=soon")).await;
        assert_eq!(
            (odd.status, odd.json()["param"].as_str().unwrap().to_owned()),
            (400, "poll".into())
        );

        let polled = format!("{path}?poll=60");
        let waiting = api.get(&polled);
        let issue = async {
            while api.lab.api().waiting() == 0 {
                tokio::task::yield_now().await;
            }
            let change = api.lab.api().change(|account, _| {
                let certificate = account.certificates.get_mut("pending.demo.example");
                let certificate = Arc::make_mut(certificate.unwrap());
                Arc::make_mut(&mut certificate.instances[0]).state = State::Active;
                Ok::<(), ApiError>(())
            });
            change.unwrap();
        };
        let (answer, ()) = tokio::join!(waiting, issue);
        assert_eq!(answer.json()["state"], "active");
    })
    .await;
}

#[tokio::test]
async fn the_testbeds_certificates_can_be_reissued_and_revoked() {
    with_testbed(async |api| {
        let post = async |url: String| {
            let request = api.http.post(url).basic_auth(API_KEY, Some(""));
            let response = request.send().await.unwrap();
            assert_eq!(response.status().as_u16(), 200);
            serde_json::from_str::<Value>(&response.text().await.unwrap()).unwrap()
        };
        let endpoint = api.lab.endpoint();
        let path = "/certs/right.demo.example";
        let order = post(format!("{endpoint}{path}/reissue")).await;
        assert_eq!(order["state"], "pending");
        let approve = endpoint.replace("/api/v2", "/sandbox") + path + "/approve";
        let issued = post(approve).await;
        assert_eq!(
            (&issued["state"], &issued["id"]),
            (&"active".into(), &order["id"])
        );
        let current = api.get(&format!("{path}?expand=current")).await.json()["current"].clone();
        assert_eq!(current["sha256_fingerprint"], issued["sha256_fingerprint"]);
        // The two older instances are valid too.
        let counts = post(format!("{endpoint}{path}/revoke")).await;
        assert_eq!(counts["num_revoked"], 2);
    })
    .await;
}

#[tokio::test]
async fn testbed_test_endpoint_performs_a_handshake() {
    with_testbed(async |api| {
        let port = api.lab.port();
        let row = async |cn: &str| {
            let answer = api.get(&format!("/certs/{cn}/test?port={port}")).await.json();
            answer["result"][0].clone()
        };
        let flags = |row: &Value| (row["correct"].as_bool(), row["chained"].as_bool(), row["dummy"].as_bool());
        let right = row("right.demo.example").await;
        assert_eq!(right["status"], "conclusive");
        assert_eq!(right["ip_address"], "127.0.0.31");
        assert_eq!(flags(&right), (Some(true), Some(true), Some(false)));
        assert!(right.get("error").is_none());
        assert_eq!(flags(&row("old.demo.example").await).0, Some(false));
        assert_eq!(flags(&row("bare.demo.example").await), (Some(true), Some(false), Some(false)));
        let gone = row("gone.demo.example").await;
        assert_eq!(gone["status"], "connect_error");
        assert!(gone["error"].is_string() && gone.get("correct").is_none(), "{gone}");

        let two = api
            .get(&format!("/certs/right.demo.example/test?port={port}&hostname=right.demo.example&hostname=old.demo.example"))
            .await
            .json();
        assert_eq!(two["result"].as_array().unwrap().len(), 2);
        for (path, status) in [
            ("/certs/pending.demo.example/test", 404),
            ("/certs/unknown.example/test", 404),
            ("/certs/right.demo.example/test?port=0", 400),
            ("/certs/right.demo.example/test?hostname=*.x", 400),
        ] {
            let answer = api.get(path).await;
            assert_eq!(answer.status, status, "{path}");
            assert!(answer.json()["reason"].is_string(), "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn testbed_download_needs_no_credentials_and_is_202_until_issued() {
    with_testbed(async |api| {
        let url = api.get("/certs/right.demo.example").await.json()["current_download"]
            .as_str()
            .unwrap()
            .to_owned();
        let pem = api
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert_eq!(
            certvigil::certificate::parse_certificates(&pem)
                .unwrap()
                .len(),
            3
        );
        let url = api.get("/certs/pending.demo.example").await.json()["current_download"]
            .as_str()
            .unwrap()
            .to_owned();
        let response = api.http.get(url).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 202);
        assert_eq!(response.bytes().await.unwrap().len(), 0);
    })
    .await;
}
