//! An HTTP server that sends the responses of a test, valid or not, and records the requests.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One request's path, and its headers in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    headers: Vec<String>,
}

impl Request {
    pub(crate) fn has_credentials(&self) -> bool {
        self.headers.iter().any(|h| h.starts_with("authorization:"))
    }
}

/// The server. It runs until the test process exits; each connection carries one request.
pub(crate) struct Canned {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Canned {
    /// Answers the n-th request (from 0) with the bytes that `answer` returns.
    pub(crate) fn start(
        answer: impl Fn(usize, &Request) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(answer, |serve| serve())
    }

    /// Like [`Self::start`], but a slow response does not delay other requests.
    pub(crate) fn start_many(
        answer: impl Fn(usize, &Request) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(answer, |serve| drop(std::thread::spawn(serve)))
    }

    fn serve(
        answer: impl Fn(usize, &Request) -> Vec<u8> + Send + Sync + 'static,
        run: impl Fn(Box<dyn FnOnce() + Send>) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (requests.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (seen.clone(), answer.clone());
                run(Box::new(move || {
                    let Some(request) = read_request(&stream) else {
                        return;
                    };
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    let mut stream = stream;
                    // The client may have closed the connection.
                    let _ = stream.write_all(&answer(number, &request));
                }));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}/api/v2", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let headers = lines.map_while(Result::ok).take_while(|h| !h.is_empty());
    Some(Request {
        path: first.split(' ').nth(1)?.to_owned(),
        headers: headers.map(|h| h.to_ascii_lowercase()).collect(),
    })
}

/// A complete HTTP response with a text body.
pub(crate) fn response(status: u16, content_type: &str, body: &str) -> Vec<u8> {
    bytes(status, content_type, body.as_bytes())
}

/// A complete HTTP response with any body.
pub(crate) fn bytes(status: u16, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A JSON response.
pub(crate) fn json(status: u16, body: &serde_json::Value) -> Vec<u8> {
    response(status, "application/json", &body.to_string())
}
