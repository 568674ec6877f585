//! Requests of the reference: path, method and arguments → a call of the account.

use certvigil_core::model::{Hostname, Protocol, Timestamp, parse_port};
use serde_json::{Value, json};

use super::arguments::{Arguments, Given};
use super::expand::{Expand, Object};
use super::update::Change;
use super::{Account, ApiError, Body, Context, State, check};

/// Maximum host names of one test.
const MAX_TEST_HOSTNAMES: usize = 100;
/// Maximum characters of the notes and addresses of an invoice.
const MAX_NOTE: usize = 1000;
/// Maximum lifetime that `days` may ask for: two years.
const MAX_DAYS: i64 = 730;

/// HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// Any other.
    Other,
}

/// Request below the base path, decoded.
#[derive(Clone, Debug)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Segments of the path, percent-decoded.
    pub path: Vec<String>,
    /// Parameters of the query string, in order.
    pub query: Vec<(String, String)>,
    /// Body.
    pub body: Body,
}

/// Call of the account, with checked arguments.
#[derive(Clone, Debug)]
pub enum Call {
    /// List of all certificate objects.
    List,
    /// One certificate object.
    Retrieve(String),
    /// Creation or update of a certificate object.
    Update(String, Box<Change>),
    /// Purchase, with the lifetime in days if it is given.
    Buy(String, Option<i64>),
    /// Reissue.
    Reissue(String),
    /// Repeated approval.
    RedoApproval(String),
    /// Revocation; true for all instances.
    Revoke(String, bool),
    /// One instance, and the seconds to wait while it is pending.
    Instance(String, Which, Option<u64>),
    /// Test of the installation: host names and port.
    Test(String, Vec<Hostname>, u16),
}

/// Instance of a certificate in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Unique ID.
    Id(Option<u64>),
    /// Hash of the public key in hex.
    Key(String),
}

/// Call with the attributes to expand.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The call.
    pub call: Call,
    /// Attributes to expand in the response.
    pub expand: Expand,
}

/// Resource of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resource<'a> {
    Certificates,
    Certificate(&'a str),
    Instance(&'a str, &'a str),
    Test(&'a str),
    Action(&'a str, Action),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Buy,
    Reissue,
    RedoApproval,
    Revoke,
}

impl<'a> Resource<'a> {
    fn of(path: &'a [String]) -> Option<Self> {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        Some(match parts.as_slice() {
            ["certs"] => Self::Certificates,
            ["certs", cn] => Self::Certificate(cn),
            ["certs", cn, "instances", id] => Self::Instance(cn, id),
            ["certs", cn, "test"] => Self::Test(cn),
            ["certs", cn, "buy"] => Self::Action(cn, Action::Buy),
            ["certs", cn, "reissue"] => Self::Action(cn, Action::Reissue),
            ["certs", cn, "redo_approval"] => Self::Action(cn, Action::RedoApproval),
            ["certs", cn, "revoke"] => Self::Action(cn, Action::Revoke),
            _ => return None,
        })
    }

    fn methods(self) -> &'static str {
        match self {
            Self::Certificates | Self::Instance(..) | Self::Test(_) => "GET",
            Self::Certificate(_) => "GET, POST",
            Self::Action(..) => "POST",
        }
    }

    /// Returns the object of the response.
    fn object(self) -> Object {
        match self {
            Self::Certificates | Self::Certificate(_) => Object::Certificate,
            Self::Test(_) | Self::Action(_, Action::Revoke) => Object::Other,
            Self::Instance(..) | Self::Action(..) => Object::Instance,
        }
    }
}

/// Reads a request.
///
/// # Errors
/// If the reference has no such request, or if an argument is unknown, missing or wrong.
pub fn parse(request: &Request) -> Result<Parsed, ApiError> {
    let path = || format!("/{}", request.path.join("/"));
    let resource = Resource::of(&request.path).ok_or_else(|| ApiError::NotFound(path()))?;
    let is_allowed = match request.method {
        Method::Get => resource.methods().starts_with("GET"),
        Method::Post => resource.methods().ends_with("POST"),
        Method::Other => false,
    };
    if !is_allowed {
        return Err(ApiError::MethodNotAllowed {
            path: path(),
            allowed: resource.methods(),
        });
    }
    let is_expand = |(name, _): &&(String, String)| name == "expand";
    let (expand, query): (Vec<_>, Vec<_>) = request.query.iter().partition(is_expand);
    let expand = Expand::parse(
        expand.iter().map(|(_, path)| path.as_str()),
        resource.object(),
    )?;
    let query: Vec<(String, String)> = query.into_iter().cloned().collect();
    let mut arguments = Arguments::of_form(&query)?;
    if request.method == Method::Post {
        // "The expand parameter is always passed in the query string", and the arguments of a POST
        // request in its body.
        arguments.finish()?;
        arguments = Arguments::of_body(&request.body)?;
    }
    let call = call(resource, request.method, &mut arguments)?;
    arguments.finish()?;
    Ok(Parsed { call, expand })
}

fn call(
    resource: Resource<'_>,
    method: Method,
    arguments: &mut Arguments,
) -> Result<Call, ApiError> {
    Ok(match resource {
        Resource::Certificates => Call::List,
        Resource::Certificate(cn) => {
            let cn = check::common_name(cn)?;
            if method == Method::Get {
                Call::Retrieve(cn)
            } else {
                let change = Change::parse(arguments, &cn)?;
                Call::Update(cn, Box::new(change))
            }
        }
        Resource::Instance(cn, id) => {
            let which = match id.strip_prefix("pubkey_hash:") {
                Some(hash) => Which::Key(hash.to_owned()),
                None => Which::Id(id.parse().ok()),
            };
            let poll = arguments.take_text("poll")?;
            let seconds = |text: String| {
                text.parse()
                    .map_err(|_| ApiError::of("poll", "`poll` must be a number of seconds"))
            };
            Call::Instance(
                check::common_name(cn)?,
                which,
                poll.map(seconds).transpose()?,
            )
        }
        Resource::Test(cn) => test(check::common_name(cn)?, arguments)?,
        Resource::Action(cn, action) => {
            let cn = check::common_name(cn)?;
            match action {
                Action::Buy => Call::Buy(cn, purchase(arguments)?),
                Action::Reissue => Call::Reissue(cn),
                Action::RedoApproval => Call::RedoApproval(cn),
                Action::Revoke => Call::Revoke(cn, arguments.take_flag("all")?),
            }
        }
    })
}

fn test(cn: String, arguments: &mut Arguments) -> Result<Call, ApiError> {
    let port = match arguments.take_text("port")? {
        Some(text) => parse_port(&text).map_err(|error| ApiError::of("port", error.to_string()))?,
        None => Protocol::Https.default_port(),
    };
    let given = arguments.take_all("hostname");
    if given.len() > MAX_TEST_HOSTNAMES {
        let message = format!("A test may have at most {MAX_TEST_HOSTNAMES} host names");
        return Err(ApiError::of("hostname", message));
    }
    let hostname = |given: Given| match given {
        Given::Text(text) => text
            .parse::<Hostname>()
            .map_err(|error| ApiError::of("hostname", error.to_string())),
        Given::Json(_) => Err(ApiError::of("hostname", "`hostname` must be a string")),
    };
    let hostnames = given.into_iter().map(hostname).collect::<Result<_, _>>()?;
    Ok(Call::Test(cn, hostnames, port))
}

/// Reads the arguments of a purchase. Returns the lifetime in days.
fn purchase(arguments: &mut Arguments) -> Result<Option<i64>, ApiError> {
    if let Some(note) = arguments.take_text("invoice_note")?
        && note.len() > MAX_NOTE
    {
        let message = format!("`invoice_note` may have at most {MAX_NOTE} bytes");
        return Err(ApiError::of("invoice_note", message));
    }
    if let Some(address) = arguments.take_text("email_invoice_to")? {
        check::email("email_invoice_to", &address)?;
    }
    // SSLMate's own client sends these two: the sandbox has no subscriptions, and `days` replaces
    // the lifetime of one year.
    arguments.take_flag("force_new_subscription")?;
    let days = arguments.take_text("days")?;
    let days = days.map(|text| match text.parse() {
        Ok(days @ 1..=MAX_DAYS) => Ok(days),
        _ => Err(ApiError::of(
            "days",
            format!("`days` must be a number from 1 to {MAX_DAYS}"),
        )),
    });
    days.transpose()
}

impl Account {
    /// Makes a call and returns the object of its response. An instance that is pending has no
    /// effect on `poll`: the caller waits. A test is refused, unless there is an active instance.
    ///
    /// # Errors
    /// The reason for which the call is refused. The account is then unchanged.
    pub fn answer(
        &mut self,
        parsed: &Parsed,
        context: &mut Context<'_>,
    ) -> Result<Value, ApiError> {
        let expand = &parsed.expand;
        match &parsed.call {
            Call::List => {
                let cns: Vec<&String> = self.certificates.keys().collect();
                let object =
                    |cn: &String| self.certificate_object(cn, expand, context.policy, context.now);
                let data: Vec<Value> = cns.into_iter().map(object).collect();
                return Ok(json!({ "data": data }));
            }
            Call::Retrieve(cn) => {
                return Ok(self.certificate_object(cn, expand, context.policy, context.now));
            }
            Call::Update(cn, change) => {
                self.update(cn, change, context)?;
                return Ok(self.certificate_object(cn, expand, context.policy, context.now));
            }
            Call::Test(cn, ..) => {
                let is_active = |record: &super::CertificateRecord| record.current().is_some();
                return match self.certificates.get(cn) {
                    Some(record) if is_active(record) => Ok(Value::Null),
                    _ => Err(ApiError::NoActiveCertificate(cn.clone())),
                };
            }
            Call::Revoke(cn, all) => {
                let counts = self.revoke(cn, *all, context.now)?;
                return Ok(json!({
                    "status": "revoked",
                    "num_revoked": counts.revoked,
                    "num_active": counts.active,
                    "num_imported": counts.imported,
                }));
            }
            Call::Buy(..) | Call::Reissue(_) | Call::RedoApproval(_) | Call::Instance(..) => {}
        }
        let (cn, id) = match &parsed.call {
            Call::Buy(cn, days) => (cn, self.buy(cn, *days, context)?),
            Call::Reissue(cn) => (cn, self.reissue(cn, context)?),
            Call::RedoApproval(cn) => (cn, self.redo_approval(cn, context)?),
            Call::Instance(cn, which, _) => (cn, self.find(cn, which)?),
            _ => return Err(ApiError::NoSuchInstance),
        };
        let record = self.certificate(cn)?;
        let instance = record.instance(id).ok_or(ApiError::NoSuchInstance)?;
        Ok(instance.to_json(expand, context.policy, context.now))
    }

    /// Returns true if the instance that a call waits for is pending.
    pub fn is_pending(&self, cn: &str, which: &Which) -> bool {
        let id = self.find(cn, which).ok();
        let instance = id.and_then(|id| self.certificate(cn).ok()?.instance(id));
        instance.is_some_and(|i| i.state == State::Pending)
    }

    /// Returns true if time has made a transition due.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.next_transition().is_some_and(|at| at <= now)
    }

    fn find(&self, cn: &str, which: &Which) -> Result<u64, ApiError> {
        let record = self.certificates.get(cn);
        match which {
            Which::Id(id) => {
                let found = id.and_then(|id| record?.instance(id));
                found.map(|i| i.id).ok_or(ApiError::NoSuchInstance)
            }
            Which::Key(hash) => {
                let found = record.and_then(|record| record.instance_by_key(hash));
                found.map(|i| i.id).ok_or(ApiError::NoSuchPubkeyHash)
            }
        }
    }
}
