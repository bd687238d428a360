//! JSON bodies as Go's decoder takes them: names match in any case, null is absent, what is not known is
//! read over, and a value of the wrong kind is refused in Go's words (spec api 1.8).

use serde_json::{Map, Value};

use crate::http::body::{BodyError, read_limited};
use crate::http::endpoint::Call;
use crate::http::kv::go_quote;
use crate::http::options::{NumberError, parse_unsigned};

/// Longer bodies are refused: nothing that is asked for in JSON comes near.
const MAX_BYTES: u64 = 1024 * 1024;

/// One object.
pub(super) struct Object {
    /// The name of Go's struct, for texts.
    of: &'static str,
    fields: Map<String, Value>,
}

impl Object {
    /// The body of a request, which is to be one object.
    pub(super) async fn of_body<B>(call: &mut Call<B>, of: &'static str) -> Result<Self, String> {
        let body = std::mem::take(&mut call.body);
        let bytes = match read_limited(body, &call.headers, MAX_BYTES).await {
            Ok(bytes) => bytes,
            Err(BodyError::TooLarge(size)) => {
                return Err(format!("body of {size} bytes too large, max size: {MAX_BYTES} bytes"));
            }
            Err(BodyError::Broken(text)) => return Err(text),
        };
        if bytes.trim_ascii().is_empty() {
            return Err("EOF".to_owned());
        }
        let value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        Self::of_value(value, of)
    }

    fn of_value(value: Value, of: &'static str) -> Result<Self, String> {
        match value {
            Value::Object(fields) => Ok(Self { of, fields }),
            Value::Null => Ok(Self { of, fields: Map::new() }),
            other => {
                Err(format!("json: cannot unmarshal {} into Go value of type {of}", kind(&other)))
            }
        }
    }

    /// A field that is there.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let same = |(given, _): &(&String, &Value)| given.eq_ignore_ascii_case(name);
        let found = self.fields.get(name);
        let found = found.or_else(|| self.fields.iter().find(same).map(|(_, value)| value));
        found.filter(|value| !value.is_null())
    }

    /// A text; empty when absent.
    pub(super) fn text(&self, name: &str) -> Result<String, String> {
        self.value(name, "string", |value| value.as_str().map(str::to_owned))
    }

    /// A boolean; false when absent.
    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        self.value(name, "bool", Value::as_bool)
    }

    /// A whole number; 0 when absent.
    pub(super) fn unsigned(&self, name: &str) -> Result<u64, String> {
        self.value(name, "uint64", Value::as_u64)
    }

    /// A number; 0 when absent.
    pub(super) fn float(&self, name: &str) -> Result<f64, String> {
        self.value(name, "float64", Value::as_f64)
    }

    /// Numbers; none when absent.
    pub(super) fn floats(&self, name: &str) -> Result<Vec<f64>, String> {
        let read = |value: &Value| value.as_array()?.iter().map(Value::as_f64).collect();
        self.value(name, "[]float64", read)
    }

    /// An object in the object.
    pub(super) fn object(&self, name: &str, of: &'static str) -> Result<Option<Object>, String> {
        self.get(name).map(|value| Object::of_value(value.clone(), of)).transpose()
    }

    fn value<T: Default>(
        &self,
        name: &str,
        kind_wanted: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, String> {
        let Some(value) = self.get(name) else { return Ok(T::default()) };
        read(value).ok_or_else(|| {
            let (kind, of) = (kind(value), self.of);
            format!(
                "json: cannot unmarshal {kind} into Go struct field {of}.{name} of type {kind_wanted}"
            )
        })
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Go's `strconv.ParseUint`, with its text.
pub(super) fn parse_uint(text: &str) -> Result<u64, String> {
    parse_unsigned(text).map_err(|error| {
        let why = match error {
            NumberError::Syntax => "invalid syntax",
            NumberError::Range => "value out of range",
        };
        format!("strconv.ParseUint: parsing {}: {why}", go_quote(text))
    })
}
