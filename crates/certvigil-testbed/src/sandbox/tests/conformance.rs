//! The reference, line by line: each rule is a row of the table in `docs/sandbox.md`.

use serde_json::{Value, json};

use super::{NOW, P256, SECOND, World, authorization, keys};
use crate::sandbox::account::Policy;

/// Page with the table.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sandbox.md");

/// Section of the reference, rule, and check. The page quotes section and rule.
type Rule = (&'static str, &'static str, fn(World));

const CN: &str = "/certs/www.example.com";
const WILDCARD: &str = include_str!("../testdata/wildcard.csr");

macro_rules! csr {
    ($name:literal) => {
        include_str!(concat!("../testdata/", $name, ".csr"))
    };
}

fn without_expiry(mut instance: Value) -> Value {
    instance.as_object_mut().unwrap().remove("expiration");
    instance
}

fn san(name: &str, method: &str) -> Value {
    json!({"type": "dns", "value": name, "approval_method": method})
}

fn bought() -> World {
    let world = World::new();
    world.create(&[]);
    world.post("/certs/www.example.com/buy", &[]).ok();
    world
}

const RULES: &[Rule] = &[
    (
        "Introduction",
        "arguments are a form in the body of POST requests",
        |w| {
            let form = authorization("1_key:") + "Content-Type: text/plain\r\n";
            w.send("POST", "/api/v2/certs/a.example", &form, b"csr=x")
                .is_error(415, "bad_content_type", None);
        },
    ),
    (
        "Introduction",
        "arguments are in the query string of GET requests",
        |w| {
            w.get(&format!("{CN}/instances/1?poll=x"))
                .is_error(400, "bad_param", Some("poll"));
        },
    ),
    ("Introduction", "all responses are JSON, errors too", |w| {
        for path in ["/api/v2/certs", "/api/v2/nowhere", "/nowhere"] {
            for user in ["1_key:", "wrong:"] {
                w.send("GET", path, &authorization(user), b"").json();
            }
        }
    }),
    ("Introduction", "requests and responses are UTF-8", |w| {
        let tags = [("tags", "[\"grün\"]")];
        assert_eq!(w.create(&tags)["tags"], json!(["grün"]));
    }),
    (
        "Authentication",
        "the API key is the user name, with an empty password",
        |w| {
            for (user, status) in [("1_key:", 200), ("1_key:x", 401), ("", 401), ("x:", 401)] {
                let answer = w.send("GET", "/api/v2/certs", &authorization(user), b"");
                assert_eq!(answer.status, status, "{user}");
            }
        },
    ),
    (
        "Authentication",
        "user name and password are equivalent to the API key",
        |w| {
            for (user, status) in [("user:pass:word", 200), ("user:", 401), ("user:pass", 401)] {
                let answer = w.send("GET", "/api/v2/certs", &authorization(user), b"");
                assert_eq!(answer.status, status, "{user}");
            }
        },
    ),
    ("Authentication", "HTTP Basic is required", |w| {
        let answer = w.send("GET", "/api/v2/certs", "", b"");
        assert!(answer.headers.contains("www-authenticate: basic "));
        answer.is_error(401, "bad_credentials", None);
    }),
    ("Errors", "an error has `reason` and `message`", |w| {
        let error = w.get("/nowhere").json();
        assert_eq!(keys(&error), ["message", "reason"]);
    }),
    (
        "Errors",
        "`param` is present only if the error is parameter-specific",
        |w| {
            let form = [("csr", csr!("rsa1024")), ("approval_method", "http")];
            w.post(CN, &form).is_error(400, "bad_bitsize", Some("csr"));
            let error = w.post(CN, &form).json();
            assert_eq!(
                error["message"],
                "RSA keys must be 2048, 3072, or 4096 bits"
            );
            w.post("/certs/www.example.com/buy", &[])
                .is_error(404, "no_such_certificate", None);
        },
    ),
    ("Errors", "errors of a request have a 4xx code", |w| {
        w.get("/certs/a%20b").is_error(400, "bad_cn", None);
        w.get("/other").is_error(404, "not_found", None);
        let deleted = w.send("DELETE", "/api/v2/certs", &authorization("1_key:"), b"");
        assert!(deleted.headers.contains("allow: get\r\n"));
        deleted.is_error(405, "method_not_allowed", None);
        w.post("/certs", &[])
            .is_error(405, "method_not_allowed", None);
        w.get(&format!("{CN}/buy"))
            .is_error(405, "method_not_allowed", None);
        w.post(&format!("{CN}/test"), &[])
            .is_error(405, "method_not_allowed", None);
        let body = vec![b'x'; (1 << 20) + 1];
        let form = authorization("1_key:") + "Content-Type: application/x-www-form-urlencoded\r\n";
        w.send("POST", "/api/v2/certs/a.example", &form, &body)
            .is_error(413, "body_too_large", None);
    }),
    (
        "Errors",
        "an unknown or repeated parameter is refused",
        |w| {
            w.create(&[]);
            w.post(CN, &[("color", "red")])
                .is_error(400, "unknown_param", Some("color"));
            w.post(CN, &[("muted", "true"), ("muted", "false")])
                .is_error(400, "repeated_param", Some("muted"));
            w.get(&format!("{CN}?color=red"))
                .is_error(400, "unknown_param", Some("color"));
            w.post(&format!("{CN}/reissue"), &[("all", "true")])
                .is_error(400, "unknown_param", Some("all"));
        },
    ),
    (
        "Expanding objects",
        "`expand` includes an expandable attribute",
        |w| {
            w.create(&[]);
            assert!(w.get(CN).ok().get("csr").is_none());
            assert_eq!(w.get(&format!("{CN}?expand=csr")).ok()["csr"], P256);
        },
    ),
    (
        "Expanding objects",
        "a dot expands an attribute of a nested object",
        |w| {
            w.issue();
            let current = w.get(&format!("{CN}?expand=current.crt")).ok()["current"].clone();
            assert!(current["crt"].is_string() && current["id"] == 1);
            assert!(current.get("chain").is_none());
        },
    ),
    ("Expanding objects", "`expand` may be repeated", |w| {
        w.issue();
        let path = format!("{CN}?expand=current.crt&expand=current.chain&expand=csr");
        let object = w.get(&path).ok();
        assert!(object["csr"].is_string() && object["current"]["chain"].is_array());
    }),
    (
        "Expanding objects",
        "`expand` is in the query string of POST requests too",
        |w| {
            w.issue();
            let object = w.post(&format!("{CN}?expand=current.crt"), &[]).ok();
            assert!(object["current"]["crt"].is_string());
            let bought = w.post(&format!("{CN}/buy?expand=csr"), &[]).ok();
            assert_eq!(bought["csr"], P256);
            w.post(CN, &[("expand", "csr")])
                .is_error(400, "unknown_param", Some("expand"));
        },
    ),
    (
        "Expanding objects",
        "an attribute that is not expandable is refused",
        |w| {
            w.issue();
            w.get(&format!("{CN}?expand=tags"))
                .is_error(400, "bad_param", Some("expand"));
            w.post(&format!("{CN}/revoke?expand=crt"), &[]).is_error(
                400,
                "bad_param",
                Some("expand"),
            );
        },
    ),
    (
        "Certificate instances",
        "an instance uses the details of the certificate object at its purchase",
        |w| {
            w.create(&[]);
            let first = w.post(&format!("{CN}/buy"), &[]).ok();
            w.post(CN, &[("csr", SECOND), ("approval_method", "dns")])
                .ok();
            let again = w.get(&format!("{CN}/instances/1")).ok();
            assert_eq!(first, again);
            let second = w.post(&format!("{CN}/buy"), &[]).ok();
            assert_ne!(second["pubkey_hash"], first["pubkey_hash"]);
            assert_eq!(second["approval_method"], "dns");
        },
    ),
    (
        "The certificate object",
        "`exists` is false, and `approval_method`, `type`, `pubkey_hash` and `current_download` are null, if and only if there is no such certificate",
        |w| {
            let nulls = ["approval_method", "type", "pubkey_hash", "current_download"];
            let missing = w.get(CN).ok();
            assert_eq!(missing["exists"], false);
            assert!(
                nulls.iter().all(|name| missing[*name].is_null()),
                "{missing}"
            );
            let present = w.create(&[]);
            assert_eq!(present["exists"], true);
            assert!(
                nulls.iter().all(|name| present[*name].is_string()),
                "{present}"
            );
        },
    ),
    ("The certificate object", "`cn` and `wildcard`", |w| {
        assert_eq!(w.create(&[])["cn"], "www.example.com");
        let form = [("csr", WILDCARD), ("approval_method", "dns")];
        let object = w.post("/certs/%2A.Example.COM", &form).ok();
        assert_eq!(
            (&object["cn"], &object["wildcard"]),
            (&json!("*.example.com"), &json!(true))
        );
    }),
    (
        "The certificate object",
        "`dn` is for generating a CSR",
        |w| {
            assert_eq!(
                w.get(CN).ok()["dn"],
                json!({"C": "US", "CN": "www.example.com"})
            );
        },
    ),
    ("The certificate object", "`auto_renew` and `muted`", |w| {
        let object = w.create(&[]);
        assert_eq!(
            (&object["auto_renew"], &object["muted"]),
            (&json!(false), &json!(false))
        );
        let object = w.create(&[("auto_renew", "true"), ("muted", "true")]);
        assert_eq!(
            (&object["auto_renew"], &object["muted"]),
            (&json!(true), &json!(true))
        );
        w.post(CN, &[("muted", "yes")])
            .is_error(400, "bad_param", Some("muted"));
    }),
    (
        "The certificate object",
        "`approver_email` is present if and only if `approval_method` is email",
        |w| {
            assert!(w.create(&[]).get("approver_email").is_none());
            let email = [
                ("approval_method", "email"),
                ("approver_email", "admin@example.com"),
            ];
            assert_eq!(w.create(&email)["approver_email"], "admin@example.com");
        },
    ),
    (
        "The certificate object",
        "`http_approval` is present if `approval_method` is http",
        |w| {
            assert!(w.create(&[])["http_approval"].is_object());
            assert!(
                w.create(&[("approval_method", "dns")])
                    .get("http_approval")
                    .is_none()
            );
        },
    ),
    (
        "The certificate object",
        "`dns_approval` is present if and only if `approval_method` is dns",
        |w| {
            assert!(w.create(&[]).get("dns_approval").is_none());
            assert!(w.create(&[("approval_method", "dns")])["dns_approval"].is_object());
        },
    ),
    (
        "The certificate object",
        "`type` affects only future purchases",
        |w| {
            w.issue();
            assert_eq!(w.create(&[("type", "ev")])["type"], "ev");
            assert_eq!(w.certificate()["current"]["type"], "dv");
            assert_eq!(w.post(&format!("{CN}/buy"), &[]).ok()["type"], "ev");
            w.post(CN, &[("type", "ov")])
                .is_error(400, "bad_param", Some("type"));
        },
    ),
    (
        "The certificate object",
        "`sans` is an array of SAN objects, or null for the default ones",
        |w| {
            assert_eq!(w.create(&[])["sans"], Value::Null);
            let sans = json!([san("a.example.com", "http")]).to_string();
            let object = w.create(&[("sans", &sans)]);
            assert_eq!(object["sans"][0]["value"], "a.example.com");
            assert_eq!(object["sans"].as_array().unwrap().len(), 1);
            assert_eq!(w.create(&[("sans", "null")])["sans"], Value::Null);
        },
    ),
    (
        "The certificate object",
        "`csr` ends with a newline and is present only if expanded",
        |w| {
            w.post(CN, &[("csr", P256.trim_end()), ("approval_method", "http")])
                .ok();
            let object = w.get(&format!("{CN}?expand=csr")).ok();
            assert!(
                object["csr"]
                    .as_str()
                    .unwrap()
                    .ends_with("-----END CERTIFICATE REQUEST-----\n")
            );
        },
    ),
    (
        "The certificate object",
        "`pubkey_hash` is the SHA-256 of the CSR's public key in hex",
        |w| {
            let object = w.create(&[]);
            let text = object["pubkey_hash"].as_str().unwrap();
            let request = certvigil_core::certificate::SigningRequest::from_pem(P256).unwrap();
            assert_eq!(text, request.public_key_hash().to_string());
            assert!(text.len() == 64 && text == text.to_lowercase());
        },
    ),
    (
        "The certificate object",
        "`current_download` needs no authentication, stays the same, and is empty with code 202 without a current instance",
        |w| {
            let url = w.create(&[])["current_download"]
                .as_str()
                .unwrap()
                .to_owned();
            let path = url.strip_prefix("http://sandbox.example").unwrap();
            let answer = w.send("GET", path, "", b"");
            assert_eq!((answer.status, answer.body.len()), (202, 0));
            w.issue();
            let answer = w.send("GET", path, "", b"");
            assert_eq!(answer.status, 200);
            let all = certvigil_core::certificate::parse_certificates(&answer.body).unwrap();
            assert_eq!(all.len(), 3);
            w.post(CN, &[("csr", SECOND)]).ok();
            w.post(&format!("{CN}/reissue"), &[]).ok();
            w.approve("www.example.com").ok();
            assert_eq!(w.get(CN).ok()["current_download"], url.as_str());
            assert_ne!(w.send("GET", path, "", b"").body, answer.body);
            assert_eq!(w.send("GET", "/download/other", "", b"").status, 404);
        },
    ),
    (
        "The certificate object",
        "`current` and `pending` are present only if expanded and if there is one",
        |_| {
            let w = bought();
            assert!(w.get(CN).ok().get("pending").is_none());
            let object = w.certificate();
            assert!(object["pending"].is_object() && object.get("current").is_none());
            w.approve("www.example.com").ok();
            let object = w.certificate();
            assert!(object["current"].is_object() && object.get("pending").is_none());
            assert!(w.get(CN).ok().get("current").is_none());
        },
    ),
    (
        "Create/update",
        "only the specified attributes are updated",
        |w| {
            let email = [
                ("approval_method", "email"),
                ("approver_email", "admin@example.com"),
            ];
            w.create(&[email[0], email[1], ("tags", "[\"a\"]"), ("muted", "true")]);
            let before = w.get(CN).ok();
            let mut after = w.post(CN, &[("auto_renew", "true")]).ok();
            after["auto_renew"] = json!(false);
            assert_eq!(after, before);
        },
    ),
    (
        "Create/update",
        "`csr` and `approval_method` are required for new certificates",
        |w| {
            w.post(CN, &[("approval_method", "http")])
                .is_error(400, "missing_param", Some("csr"));
            w.post(CN, &[("csr", P256)])
                .is_error(400, "missing_param", Some("approval_method"));
            w.post(CN, &[("csr", P256), ("approval_method", "fax")])
                .is_error(400, "bad_param", Some("approval_method"));
            assert_eq!(w.get(CN).ok()["exists"], false);
        },
    ),
    (
        "Create/update",
        "`approver_email` is required for new certificates if `approval_method` is email",
        |w| {
            let form = [("csr", P256), ("approval_method", "email")];
            w.post(CN, &form)
                .is_error(400, "missing_param", Some("approver_email"));
            w.post(CN, &[form[0], form[1], ("approver_email", "nobody")])
                .is_error(400, "bad_param", Some("approver_email"));
        },
    ),
    ("Create/update", "`type` defaults to dv", |w| {
        assert_eq!(w.create(&[])["type"], "dv");
    }),
    (
        "Create/update",
        "`sans` is a JSON array or the string null",
        |w| {
            w.create(&[]);
            for wrong in ["x", "{}", "\"\"", "[1]", "[{}]"] {
                w.post(CN, &[("sans", wrong)])
                    .is_error(400, "bad_param", Some("sans"));
            }
        },
    ),
    (
        "Create/update",
        "`sans` must not include the common name",
        |w| {
            w.create(&[]);
            let sans = json!([san("www.example.com", "http")]).to_string();
            w.post(CN, &[("sans", &sans)])
                .is_error(400, "bad_param", Some("sans"));
            let sans =
                json!([san("a.example.com", "http"), san("A.example.com", "http")]).to_string();
            w.post(CN, &[("sans", &sans)])
                .is_error(400, "bad_param", Some("sans"));
        },
    ),
    ("Create/update", "`tags` is a JSON array of strings", |w| {
        assert_eq!(
            w.create(&[("tags", "[\"b\",\"a\"]")])["tags"],
            json!(["a", "b"])
        );
        w.post(CN, &[("tags", "a")])
            .is_error(400, "bad_param", Some("tags"));
        w.post(CN, &[("tags", "[1]")])
            .is_error(400, "bad_param", Some("tags"));
    }),
    (
        "Create/update",
        "`tags.TAGNAME` adds (1) or removes (0) a tag",
        |w| {
            w.create(&[("tags", "[\"a\"]")]);
            let object = w.post(CN, &[("tags.b", "1"), ("tags.a", "0")]).ok();
            assert_eq!(object["tags"], json!(["b"]));
            w.post(CN, &[("tags.b", "2")])
                .is_error(400, "bad_param", Some("tags.b"));
        },
    ),
    ("Create/update", "a certificate object is returned", |w| {
        assert_eq!(w.create(&[]), w.get(CN).ok());
    }),
    ("Buy", "the certificate object must exist", |w| {
        w.post(&format!("{CN}/buy"), &[])
            .is_error(404, "no_such_certificate", None);
    }),
    (
        "Buy",
        "the new instance is pending until it is approved",
        |_| {
            let w = bought();
            assert_eq!(w.certificate()["pending"]["state"], "pending");
            assert_eq!(w.approve("www.example.com").ok()["state"], "active");
        },
    ),
    ("Buy", "the expiration date is one year from today", |w| {
        assert_eq!(w.issue()["expiration"], NOW + Policy::YEAR);
    }),
    ("Buy", "`invoice_note` and `email_invoice_to`", |w| {
        w.create(&[]);
        let form = [
            ("invoice_note", "spring"),
            ("email_invoice_to", "money@example.com"),
        ];
        assert_eq!(
            w.post(&format!("{CN}/buy"), &form).ok()["invoice_id"],
            "1001"
        );
        w.post(&format!("{CN}/buy"), &[("email_invoice_to", "x")])
            .is_error(400, "bad_param", Some("email_invoice_to"));
    }),
    (
        "Reissue",
        "the expiration is that of the active instance",
        |w| {
            let first = w.issue();
            w.pass(1000);
            w.post(&format!("{CN}/reissue"), &[]).ok();
            let second = w.approve("www.example.com").ok();
            assert_eq!(second["expiration"], first["expiration"]);
            assert_ne!(second["sha256_fingerprint"], first["sha256_fingerprint"]);
        },
    ),
    ("Reissue", "an active instance must exist", |_| {
        let w = bought();
        w.post(&format!("{CN}/reissue"), &[])
            .is_error(409, "not_active", None);
        w.post("/certs/other.example/reissue", &[])
            .is_error(404, "no_such_certificate", None);
    }),
    (
        "Reissue",
        "a rekey is free, a net increase in SANs is charged",
        |w| {
            w.issue();
            w.post(CN, &[("csr", SECOND)]).ok();
            let free = w.post(&format!("{CN}/reissue"), &[]).ok();
            assert_eq!(free["invoice_id"], Value::Null);
            let sans = json!([san("a.example.com", "http"), san("b.example.com", "http")]);
            w.create(&[("sans", &sans.to_string())]);
            assert_eq!(
                w.post(&format!("{CN}/reissue"), &[]).ok()["invoice_id"],
                "1002"
            );
        },
    ),
    (
        "Redo approval",
        "the approval settings of the certificate object apply to the pending instance",
        |_| {
            let w = bought();
            w.post(CN, &[("approval_method", "dns")]).ok();
            assert_eq!(w.certificate()["pending"]["approval_method"], "http");
            let pending = w.post(&format!("{CN}/redo_approval"), &[]).ok();
            assert_eq!(
                (&pending["id"], &pending["approval_method"]),
                (&json!(1), &json!("dns"))
            );
            w.pass(10);
            assert_eq!(w.certificate()["current"]["approval_method"], "dns");
        },
    ),
    (
        "Redo approval",
        "the certificate must have a pending instance",
        |w| {
            w.issue();
            w.post(&format!("{CN}/redo_approval"), &[])
                .is_error(409, "not_pending", None);
        },
    ),
    (
        "Revoke",
        "by default, all instances except for the active one are revoked",
        |w| {
            w.issue();
            w.post(&format!("{CN}/reissue"), &[]).ok();
            w.approve("www.example.com").ok();
            let counts = w.post(&format!("{CN}/revoke"), &[]).ok();
            let expected =
                json!({"status": "revoked", "num_revoked": 1, "num_active": 1, "num_imported": 0});
            assert_eq!(counts, expected);
            assert_eq!(w.get(&format!("{CN}/instances/1")).ok()["state"], "revoked");
            assert_eq!(w.certificate()["current"]["state"], "active");
        },
    ),
    (
        "Revoke",
        "if `all` is true, even the active instance is revoked",
        |w| {
            w.issue();
            let counts = w.post(&format!("{CN}/revoke"), &[("all", "true")]).ok();
            assert_eq!(
                (&counts["num_revoked"], &counts["num_active"]),
                (&json!(1), &json!(0))
            );
            assert!(w.certificate().get("current").is_none());
            w.post(&format!("{CN}/revoke"), &[("all", "x")]).is_error(
                400,
                "bad_param",
                Some("all"),
            );
            w.post("/certs/a.example/revoke", &[])
                .is_error(404, "no_such_certificate", None);
        },
    ),
    ("Revoke", "`num_imported` counts imported instances", |w| {
        w.issue();
        let change = w.sandbox().change(|account, _| {
            let pem = account
                .certificate("www.example.com")?
                .current()
                .unwrap()
                .certificate
                .crt
                .clone();
            let leaf = certvigil_core::certificate::parse_certificates(pem.as_bytes()).unwrap();
            let imported = crate::sandbox::account::NewInstance {
                id: None,
                state: crate::sandbox::account::State::Active,
                source: crate::sandbox::account::Source::Import,
                leaf: leaf[0].clone(),
                chain: Vec::new(),
                root: None,
            };
            account.insert("www.example.com", imported)
        });
        assert_eq!(change.unwrap(), 2);
        let counts = w.post(&format!("{CN}/revoke"), &[("all", "true")]).ok();
        let expected =
            json!({"status": "revoked", "num_revoked": 1, "num_active": 1, "num_imported": 1});
        assert_eq!(counts, expected);
        let imported = w.certificate()["current"].clone();
        assert_eq!(imported["source"], "import");
        for null in ["type", "invoice_id", "approval_method"] {
            assert!(imported[null].is_null(), "{null}");
        }
    }),
    ("Test", "an active instance must exist", |_| {
        let w = bought();
        w.get(&format!("{CN}/test"))
            .is_error(404, "no_active_certificate", None);
        w.get("/certs/a.example/test")
            .is_error(404, "no_active_certificate", None);
    }),
    ("Test", "`hostname` may be repeated, `port` not", |w| {
        w.issue();
        let path = format!("{CN}/test?hostname=a.example&hostname=127.0.0.1&port=8443");
        assert_eq!(w.get(&path).ok(), json!({"result": []}));
        w.get(&format!("{CN}/test?hostname=*.a"))
            .is_error(400, "bad_param", Some("hostname"));
        w.get(&format!("{CN}/test?port=0"))
            .is_error(400, "bad_param", Some("port"));
        w.get(&format!("{CN}/test?port=1&port=2"))
            .is_error(400, "repeated_param", Some("port"));
    }),
    (
        "Retrieve",
        "an error is returned unless a valid common name was provided",
        |w| {
            for cn in ["a%20b", "127.0.0.1", "-%2Fx", "*.*.example.com"] {
                w.get(&format!("/certs/{cn}")).is_error(400, "bad_cn", None);
            }
        },
    ),
    ("The certificate instance object", "its attributes", |w| {
        let instance = w.issue();
        let all = [
            "approval_method",
            "expiration",
            "expiring",
            "id",
            "invoice_id",
            "pubkey_hash",
            "sans",
            "sha1_fingerprint",
            "sha256_fingerprint",
            "source",
            "state",
            "type",
        ];
        assert_eq!(keys(&instance), all);
        assert_eq!(instance["source"], "sslmate");
    }),
    (
        "The certificate instance object",
        "`state` is pending, active, expired, revoked or canceled",
        |_| {
            let w = bought();
            let state =
                |w: &World, id: u32| w.get(&format!("{CN}/instances/{id}")).ok()["state"].clone();
            assert_eq!(state(&w, 1), "pending");
            w.post(&format!("{CN}/buy"), &[]).ok();
            assert_eq!(
                (state(&w, 1), state(&w, 2)),
                (json!("canceled"), json!("pending"))
            );
            w.approve("www.example.com").ok();
            assert_eq!(state(&w, 2), "active");
            w.post(&format!("{CN}/reissue"), &[]).ok();
            w.approve("www.example.com").ok();
            assert_eq!(
                (state(&w, 2), state(&w, 3)),
                (json!("canceled"), json!("active"))
            );
            w.post(&format!("{CN}/revoke"), &[]).ok();
            assert_eq!(state(&w, 2), "revoked");
            w.pass(Policy::YEAR);
            assert_eq!(state(&w, 3), "expired");
        },
    ),
    (
        "The certificate instance object",
        "`expiring` is true for an active instance that expires soon",
        |w| {
            assert_eq!(w.issue()["expiring"], false);
            w.pass(Policy::YEAR - 30 * 86_400);
            assert_eq!(w.certificate()["current"]["expiring"], true);
        },
    ),
    (
        "The certificate instance object",
        "`sans` are the names of the instance, or null for the default ones",
        |w| {
            assert_eq!(w.issue()["sans"], Value::Null);
            let sans = json!([san("a.example.com", "dns")]).to_string();
            w.create(&[("sans", &sans)]);
            assert_eq!(w.certificate()["current"]["sans"], Value::Null);
            let reissued = w.post(&format!("{CN}/reissue"), &[]).ok();
            assert_eq!(reissued["sans"][0]["value"], "a.example.com");
        },
    ),
    (
        "The certificate instance object",
        "fingerprints are those of the certificate",
        |w| {
            w.issue();
            let instance = w.get(&format!("{CN}/instances/1?expand=crt")).ok();
            let pem = instance["crt"].as_str().unwrap();
            let leaf = &certvigil_core::certificate::parse_certificates(pem.as_bytes()).unwrap()[0];
            assert_eq!(instance["sha256_fingerprint"], leaf.sha256().to_string());
            assert_eq!(
                instance["sha1_fingerprint"],
                certvigil_core::certificate::sha1_hex(leaf.der())
            );
            assert_eq!(
                instance["pubkey_hash"],
                leaf.public_key_hash().unwrap().to_string()
            );
            assert_eq!(instance["expiration"], leaf.facts().unwrap().not_after.0);
        },
    ),
    (
        "The certificate instance object",
        "`csr`, `crt`, `chain` and `root` are present only if expanded",
        |w| {
            w.issue();
            let path = format!("{CN}/instances/1?expand=csr&expand=crt&expand=chain&expand=root");
            let instance = w.get(&path).ok();
            for name in ["csr", "crt", "root"] {
                assert!(
                    instance[name].as_str().unwrap().ends_with("-----\n"),
                    "{name}"
                );
            }
            let plain = w.get(&format!("{CN}/instances/1")).ok();
            assert!(
                ["csr", "crt", "chain", "root"]
                    .iter()
                    .all(|name| plain.get(name).is_none())
            );
        },
    ),
    (
        "The certificate instance object",
        "the first certificate of `chain` issued `crt`, and `root` the last one",
        |w| {
            w.issue();
            let path = format!("{CN}/instances/1?expand=crt&expand=chain&expand=root");
            let instance = w.get(&path).ok();
            let mut pem = instance["crt"].as_str().unwrap().to_owned();
            for one in instance["chain"].as_array().unwrap() {
                pem += one.as_str().unwrap();
            }
            pem += instance["root"].as_str().unwrap();
            let all = certvigil_core::certificate::parse_certificates(pem.as_bytes()).unwrap();
            assert_eq!(all.len(), 4);
            for pair in all.windows(2) {
                let link = certvigil_core::certificate::certifies(&pair[1], &pair[0]);
                assert_eq!(link, certvigil_core::certificate::Link::Verified);
            }
        },
    ),
    (
        "The certificate instance object",
        "`expiration` is null, and `crt` is a temporary certificate, while it is pending",
        |_| {
            let w = bought();
            let path = format!("{CN}/instances/1?expand=crt&expand=chain");
            let instance = w.get(&path).ok();
            assert_eq!(
                (&instance["expiration"], &instance["chain"]),
                (&Value::Null, &json!([]))
            );
            let pem = instance["crt"].as_str().unwrap();
            let leaf = certvigil_core::certificate::parse_certificates(pem.as_bytes())
                .unwrap()
                .remove(0);
            let facts = leaf.facts().unwrap();
            assert_eq!(facts.subject_der, facts.issuer_der);
            assert_eq!(facts.public_key_hash.to_string(), instance["pubkey_hash"]);
            assert_eq!(facts.common_name.as_deref(), Some("www.example.com"));
        },
    ),
    (
        "The certificate instance object",
        "`approver_email` and `approval_email_from` apply if and only if `approval_method` is email",
        |w| {
            let email = [
                ("approval_method", "email"),
                ("approver_email", "admin@example.com"),
            ];
            w.create(&email);
            let instance = w.post(&format!("{CN}/buy"), &[]).ok();
            assert_eq!(instance["approver_email"], "admin@example.com");
            assert!(instance["approval_email_from"].is_string());
            w.post(CN, &[("approval_method", "dns")]).ok();
            let instance = w.post(&format!("{CN}/buy"), &[]).ok();
            assert!(instance.get("approver_email").is_none());
            assert!(instance.get("approval_email_from").is_none());
        },
    ),
    ("Retrieve an instance", "by its ID", |w| {
        let instance = w.issue();
        assert_eq!(w.get(&format!("{CN}/instances/1")).ok(), instance);
        for id in ["2", "x", "-1"] {
            w.get(&format!("{CN}/instances/{id}"))
                .is_error(404, "no_such_instance", None);
        }
        w.get("/certs/a.example/instances/1")
            .is_error(404, "no_such_instance", None);
    }),
    (
        "Retrieve an instance",
        "by `pubkey_hash`: the active one, if several have it",
        |w| {
            let hash = w.issue()["pubkey_hash"].as_str().unwrap().to_owned();
            w.post(&format!("{CN}/reissue"), &[]).ok();
            w.approve("www.example.com").ok();
            w.post(&format!("{CN}/reissue"), &[]).ok();
            let found = w.get(&format!("{CN}/instances/pubkey_hash:{hash}")).ok();
            assert_eq!(
                (&found["id"], &found["state"]),
                (&json!(2), &json!("active"))
            );
            w.get(&format!("{CN}/instances/pubkey_hash:00")).is_error(
                404,
                "no_such_pubkey_hash",
                None,
            );
        },
    ),
    (
        "Retrieve an instance",
        "with `poll`, a pending instance is a 412 error with `retry_after`",
        |_| {
            let w = bought();
            let answer = w.get(&format!("{CN}/instances/1?poll=0"));
            assert!(answer.json()["retry_after"].is_u64());
            answer.is_error(412, "not_ready", None);
            w.get(&format!("{CN}/instances/1?poll=-1"))
                .is_error(400, "bad_param", Some("poll"));
        },
    ),
    (
        "Retrieve an instance",
        "with `poll`, the response waits for the instance",
        |_| {
            let w = bought();
            let polled = std::thread::scope(|scope| {
                let polled = scope.spawn(|| w.get(&format!("{CN}/instances/1?poll=60")));
                while w.sandbox().waiting() == 0 {
                    std::thread::yield_now();
                }
                w.approve("www.example.com").ok();
                polled.join().unwrap().ok()
            });
            assert_eq!(polled["state"], "active");
            assert_eq!(
                without_expiry(polled),
                without_expiry(w.certificate()["current"].clone())
            );
        },
    ),
    (
        "DNS approval",
        "each option has a fully-qualified `name`, a `type` and a `value`",
        |w| {
            let object = w.create(&[("approval_method", "dns")]);
            for option in object["dns_approval"]["options"].as_array().unwrap() {
                assert_eq!(keys(option), ["name", "type", "value"]);
                assert!(
                    option["name"]
                        .as_str()
                        .unwrap()
                        .ends_with(".www.example.com.")
                );
                let is_quoted = option["value"].as_str().unwrap().starts_with('"');
                assert_eq!(is_quoted, option["type"] == "TXT");
            }
        },
    ),
    ("SANs", "attributes of a SAN object", |w| {
        let email = json!({
            "type": "dns", "value": "a.example.com", "approval_method": "email",
            "approver_email": "admin@example.com",
        });
        let sans = json!([
            email,
            san("b.example.com", "dns"),
            san("c.example.com", "http")
        ]);
        let object = w.create(&[("sans", &sans.to_string())]);
        let sans = object["sans"].as_array().unwrap();
        assert_eq!(
            keys(&sans[0]),
            ["approval_method", "approver_email", "type", "value"]
        );
        assert_eq!(
            keys(&sans[1]),
            ["approval_method", "dns_approval", "type", "value"]
        );
        assert_eq!(
            keys(&sans[2]),
            ["approval_method", "http_approval", "type", "value"]
        );
        let name = sans[1]["dns_approval"]["options"][0]["name"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(name.ends_with(".b.example.com."));
    }),
    (
        "SANs",
        "`type` must be dns, and `approver_email` is required for email",
        |w| {
            w.create(&[]);
            let mut ip = san("a.example.com", "http");
            ip["type"] = json!("ip");
            for wrong in [
                ip,
                san("a.example.com", "email"),
                san("a b", "http"),
                san("a.example", "x"),
            ] {
                let sans = json!([wrong]).to_string();
                w.post(CN, &[("sans", &sans)])
                    .is_error(400, "bad_param", Some("sans"));
            }
        },
    ),
    (
        "SANs",
        "the certificate has a SAN for the common name and for each SAN object",
        |w| {
            let sans = json!([san("a.example.com", "http")]).to_string();
            w.create(&[("sans", &sans)]);
            w.issue();
            assert_eq!(names(&w, CN), ["www.example.com", "a.example.com"]);
        },
    ),
    (
        "Default SANs",
        "`www.` is removed, `*.` is removed, and otherwise `www.` is added",
        |w| {
            w.issue();
            assert_eq!(names(&w, CN), ["www.example.com", "example.com"]);
            for (cn, csr, second) in [
                ("%2A.example.com", WILDCARD, "example.com"),
                ("example.com", csr!("other_name"), "www.example.com"),
            ] {
                let path = format!("/certs/{cn}");
                w.post(&path, &[("csr", csr), ("approval_method", "http")])
                    .ok();
                w.post(&format!("{path}/buy"), &[]).ok();
                w.approve(cn.replace("%2A", "*").as_str()).ok();
                assert_eq!(names(&w, &path)[1], second);
            }
        },
    ),
    (
        "Default SANs",
        "an empty array has no additional SAN",
        |w| {
            w.create(&[("sans", "[]")]);
            w.issue();
            assert_eq!(names(&w, CN), ["www.example.com"]);
        },
    ),
    ("CSRs", "RSA keys of 2048, 3072 or 4096 bits", |w| {
        for csr in [csr!("rsa2048"), csr!("rsa3072"), csr!("rsa4096")] {
            w.post(CN, &[("csr", csr), ("approval_method", "http")])
                .ok();
            w.post(&format!("{CN}/buy"), &[]).ok();
            let issued = w.approve("www.example.com").ok();
            assert_eq!(issued["pubkey_hash"], w.get(CN).ok()["pubkey_hash"]);
        }
        for csr in [csr!("rsa1024"), csr!("rsa2056")] {
            w.post(CN, &[("csr", csr)])
                .is_error(400, "bad_bitsize", Some("csr"));
        }
    }),
    ("CSRs", "ECDSA keys on P-256 or P-384", |w| {
        for csr in [csr!("p256"), csr!("p384")] {
            w.post(CN, &[("csr", csr), ("approval_method", "http")])
                .ok();
            w.post(&format!("{CN}/buy"), &[]).ok();
            let issued = w.approve("www.example.com").ok();
            assert_eq!(issued["pubkey_hash"], w.get(CN).ok()["pubkey_hash"]);
        }
        w.post(CN, &[("csr", csr!("p521"))])
            .is_error(400, "bad_curve", Some("csr"));
        w.post(CN, &[("csr", csr!("ed25519"))])
            .is_error(400, "bad_key", Some("csr"));
    }),
    ("CSRs", "CN is the common name", |w| {
        w.create(&[]);
        for csr in [csr!("other_name"), csr!("no_name")] {
            w.post(CN, &[("csr", csr)])
                .is_error(400, "bad_common_name", Some("csr"));
        }
    }),
    ("CSRs", "C is a two-letter ISO country code", |w| {
        w.create(&[]);
        for csr in [csr!("no_country"), csr!("country_xx")] {
            w.post(CN, &[("csr", csr)])
                .is_error(400, "bad_country", Some("csr"));
        }
    }),
    ("CSRs", "the key made the signature", |w| {
        w.create(&[]);
        w.post(CN, &[("csr", csr!("bad_signature"))])
            .is_error(400, "bad_signature", Some("csr"));
        w.post(CN, &[("csr", "no CSR")])
            .is_error(400, "bad_csr", Some("csr"));
    }),
    (
        "Not in the reference: listing",
        "`GET /certs` returns all certificate objects as `data`, with `expand`",
        |w| {
            w.issue();
            let list = w.get("/certs?expand=current&expand=pending").ok();
            assert_eq!(list, json!({"data": [w.certificate()]}));
        },
    ),
    (
        "Not in the reference: SSLMate's own client",
        "bodies may be JSON, `null` is the same as no argument, and `sans` is an array",
        |w| {
            let body = json!({
                "csr": P256, "approval_method": "dns", "approver_email": null, "auto_renew": true,
                "type": "dv", "sans": [san("a.example.com", "dns")],
            });
            let object = w.post_json(CN, &body).ok();
            assert_eq!(object["auto_renew"], true);
            assert_eq!(object["sans"][0]["value"], "a.example.com");
            assert_eq!(
                w.post_json(CN, &json!({"sans": null})).ok()["sans"],
                Value::Null
            );
            w.post_json(CN, &json!({"muted": 1}))
                .is_error(400, "bad_param", Some("muted"));
            w.post_json(CN, &json!([])).is_error(400, "bad_body", None);
        },
    ),
    (
        "Not in the reference: SSLMate's own client",
        "SAN objects may have their read-only attributes",
        |w| {
            let sans = json!([san("a.example.com", "dns")]);
            w.create(&[("sans", &sans.to_string())]);
            let sans = w.get(CN).ok()["sans"].clone();
            assert_eq!(w.post_json(CN, &json!({"sans": sans})).ok()["sans"], sans);
        },
    ),
    (
        "Not in the reference: SSLMate's own client",
        "`approver_email` may accompany another method, and is ignored",
        |w| {
            let object = w.create(&[("approver_email", "admin@example.com")]);
            assert!(object.get("approver_email").is_none());
        },
    ),
    (
        "Not in the reference: SSLMate's own client",
        "`all=1`, `force_new_subscription`, `days` and `_command`",
        |w| {
            w.create(&[]);
            let form = [("force_new_subscription", "true"), ("days", "90")];
            w.post(&format!("{CN}/buy"), &form).ok();
            let issued = w.approve("www.example.com").ok();
            assert_eq!(issued["expiration"], NOW + 90 * 86_400);
            w.get(&format!("{CN}?_command=download")).ok();
            let counts = w.post(&format!("{CN}/revoke"), &[("all", "1")]).ok();
            assert_eq!(counts["num_revoked"], 1);
            w.post(&format!("{CN}/buy"), &[("days", "0")])
                .is_error(400, "bad_param", Some("days"));
        },
    ),
    (
        "Not in the reference: SSLMate's own client",
        "`expand=dns_approval.status` and `expand=http_approval.status`",
        |w| {
            let path = format!("{CN}?expand=dns_approval.status&expand=http_approval.status");
            w.create(&[]);
            assert_eq!(w.get(&path).ok()["http_approval"]["status"]["ready"], true);
            w.create(&[("approval_method", "dns")]);
            assert_eq!(w.get(&path).ok()["dns_approval"]["status"]["ready"], true);
            assert!(w.get(CN).ok()["dns_approval"].get("status").is_none());
        },
    ),
];

/// Returns the names of the current certificate.
fn names(world: &World, path: &str) -> Vec<String> {
    let current = world.get(&format!("{path}?expand=current.crt")).ok()["current"].clone();
    let pem = current["crt"].as_str().unwrap();
    let leaf = certvigil_core::certificate::parse_certificates(pem.as_bytes())
        .unwrap()
        .remove(0);
    let sans = leaf.facts().unwrap().sans.iter();
    sans.map(ToString::to_string)
        .map(|san| san.replace("DNS:", ""))
        .collect()
}

#[test]
#[expect(clippy::print_stdout, reason = "the last rule is the one that fails")]
fn the_sandbox_conforms_to_the_reference() {
    for (section, rule, check) in RULES {
        println!("{section}: {rule}");
        check(World::new());
    }
}

#[test]
fn the_page_lists_the_rules() {
    const BEGIN: &str = "| section | rule |\n| --- | --- |\n";
    let mut table = String::from(BEGIN);
    for (section, rule, _) in RULES {
        table += &format!("| {section} | {rule} |\n");
    }
    let page = std::fs::read_to_string(PAGE).unwrap();
    let at = page
        .find(BEGIN)
        .expect("the page has no table of the rules");
    let end = page[at..]
        .find("\n\n")
        .map_or(page.len(), |end| at + end + 1);
    if std::env::var_os("CERTVIGIL_REWRITE").is_some() {
        let page = format!("{}{table}{}", &page[..at], &page[end..]);
        std::fs::write(PAGE, page).unwrap();
        return;
    }
    assert_eq!(
        &page[at..end],
        table,
        "CERTVIGIL_REWRITE=1 writes the table"
    );
}
