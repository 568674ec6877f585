//! Arguments of a request, from a form or from JSON.

use serde_json::{Map, Value};

use super::ApiError;

/// Maximum arguments of one request.
const MAX_ARGUMENTS: usize = 1000;
/// Parameter that SSLMate's own client adds to some requests, with the name of its command.
const CLIENT_COMMAND: &str = "_command";

/// Body of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Form, decoded. An absent body is an empty form.
    Form(Vec<(String, String)>),
    /// JSON object. The reference has only forms; SSLMate's own client sends JSON too.
    Json(Map<String, Value>),
}

/// Value of an argument.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given {
    /// Text of a form.
    Text(String),
    /// Value of a JSON object.
    Json(Value),
}

/// Arguments that have not been read yet.
#[derive(Debug)]
pub(super) struct Arguments(Vec<(String, Given)>);

impl Arguments {
    /// Returns the arguments of a query string or of a form.
    pub(super) fn of_form(pairs: &[(String, String)]) -> Result<Self, ApiError> {
        let all = pairs.iter().filter(|(name, _)| name != CLIENT_COMMAND);
        let given = |(name, text): &(String, String)| (name.clone(), Given::Text(text.clone()));
        Self::bounded(all.map(given).collect())
    }

    /// Returns the arguments of a body.
    pub(super) fn of_body(body: &Body) -> Result<Self, ApiError> {
        match body {
            Body::Form(pairs) => Self::of_form(pairs),
            Body::Json(object) => {
                let given =
                    |(name, value): (&String, &Value)| (name.clone(), Given::Json(value.clone()));
                Self::bounded(object.iter().map(given).collect())
            }
        }
    }

    fn bounded(all: Vec<(String, Given)>) -> Result<Self, ApiError> {
        match all.get(MAX_ARGUMENTS) {
            Some((name, _)) => Err(ApiError::of(
                name,
                format!("The request has more than {MAX_ARGUMENTS} parameters"),
            )),
            None => Ok(Self(all)),
        }
    }

    /// Takes all values of an argument that may be repeated.
    pub(super) fn take_all(&mut self, name: &str) -> Vec<Given> {
        let (taken, left) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(key, _)| key == name);
        self.0 = left;
        let taken: Vec<(String, Given)> = taken;
        taken.into_iter().map(|(_, given)| given).collect()
    }

    /// Takes the value of an argument.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<Given>, ApiError> {
        let mut all = self.take_all(name);
        let first = all.pop();
        if all.is_empty() {
            Ok(first)
        } else {
            Err(ApiError::RepeatedParam(name.to_owned()))
        }
    }

    /// Takes the text of an argument. JSON `null` is the same as no argument.
    pub(super) fn take_text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.take(name)? {
            None | Some(Given::Json(Value::Null)) => Ok(None),
            Some(Given::Text(text) | Given::Json(Value::String(text))) => Ok(Some(text)),
            Some(Given::Json(_)) => Err(ApiError::of(name, format!("`{name}` must be a string"))),
        }
    }

    /// Takes a boolean: `true` or `false`.
    pub(super) fn take_bool(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        let wrong = || ApiError::of(name, format!("`{name}` must be true or false"));
        match self.take(name)? {
            None | Some(Given::Json(Value::Null)) => Ok(None),
            Some(Given::Json(Value::Bool(is_true))) => Ok(Some(is_true)),
            Some(Given::Text(text) | Given::Json(Value::String(text))) => match text.as_str() {
                "true" => Ok(Some(true)),
                "false" => Ok(Some(false)),
                _ => Err(wrong()),
            },
            Some(Given::Json(_)) => Err(wrong()),
        }
    }

    /// Takes a boolean that SSLMate's own client sends as `1` or `0`.
    pub(super) fn take_flag(&mut self, name: &str) -> Result<bool, ApiError> {
        let as_text = |text: &str| match text {
            "1" => Some(true),
            "0" => Some(false),
            _ => None,
        };
        let found = self.0.iter().find(|(key, _)| key == name);
        let number = match found {
            Some((_, Given::Text(text))) => as_text(text),
            Some((_, Given::Json(value @ Value::Number(_)))) => as_text(&value.to_string()),
            _ => None,
        };
        match number {
            Some(flag) => self.take(name).map(|_| flag),
            None => Ok(self.take_bool(name)?.unwrap_or(false)),
        }
    }

    /// Takes a JSON document: the text of a form contains it. Returns `None` without the argument.
    pub(super) fn take_json(&mut self, name: &str) -> Result<Option<Value>, ApiError> {
        let parse = |text: &str| {
            serde_json::from_str(text)
                .map_err(|error| ApiError::of(name, format!("`{name}` is not JSON: {error}")))
        };
        match self.take(name)? {
            None => Ok(None),
            Some(Given::Text(text) | Given::Json(Value::String(text))) => parse(&text).map(Some),
            Some(Given::Json(value)) => Ok(Some(value)),
        }
    }

    /// Takes all arguments whose name begins with a prefix, with the rest of their names.
    pub(super) fn take_prefixed(&mut self, prefix: &str) -> Vec<(String, Given)> {
        let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(key, _)| key.starts_with(prefix));
        self.0 = left;
        let rest = |key: &str| key.strip_prefix(prefix).unwrap_or_default().to_owned();
        let taken = taken.into_iter();
        taken.map(|(key, given)| (rest(&key), given)).collect()
    }

    /// Checks that all arguments were read.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        match self.0.into_iter().next() {
            Some((name, _)) => Err(ApiError::UnknownParam(name)),
            None => Ok(()),
        }
    }
}
