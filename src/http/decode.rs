//! JSON bodies as Go's decoder takes them: names match in any case, null is absent, what is not known is
//! read over, and a value of the wrong kind is refused in Go's words (spec api 1.8).

use std::collections::BTreeMap;

use hyper::header::CONTENT_LENGTH;
use serde_json::{Map, Value};

use crate::base::{Duration, go_duration};
use crate::http::body::BodyError;
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
        Self::of_value(value_of_body(call, MAX_BYTES).await?, of)
    }

    /// A value that is to be one object.
    pub(super) fn of_value(value: Value, of: &'static str) -> Result<Self, String> {
        match value {
            Value::Object(fields) => Ok(Self { of, fields }),
            Value::Null => Ok(Self { of, fields: Map::new() }),
            other => {
                Err(format!("json: cannot unmarshal {} into Go value of type {of}", kind(&other)))
            }
        }
    }

    /// Refuses the first field that is not one of these, in any case, as Go's strict decoder does.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), String> {
        let unknown = |name: &&String| !known.iter().any(|it| it.eq_ignore_ascii_case(name));
        match self.fields.keys().find(unknown) {
            Some(name) => Err(format!("json: unknown field {}", go_quote(name))),
            None => Ok(()),
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

    /// A signed whole number; 0 when absent.
    pub(super) fn signed(&self, name: &str) -> Result<i64, String> {
        self.value(name, "int", Value::as_i64)
    }

    /// A span, in Go's form or as nanoseconds; zero when absent. Negative ones are zero.
    pub(super) fn span(&self, name: &str) -> Result<Duration, String> {
        let nanos = match self.get(name) {
            None => 0,
            Some(Value::String(text)) => go_duration::parse(text)
                .ok_or_else(|| format!("time: invalid duration {}", go_quote(text)))?,
            Some(Value::Number(number)) => {
                let whole = number.as_i64();
                whole.ok_or_else(|| format!("cannot unmarshal {number} into a duration"))?
            }
            Some(other) => return Err(format!("cannot unmarshal {} into a duration", kind(other))),
        };
        Ok(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
    }

    /// Texts; none when absent.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let text = |value: &Value| match value {
            Value::Null => Some(String::new()),
            other => other.as_str().map(str::to_owned),
        };
        let read = |value: &Value| value.as_array()?.iter().map(text).collect();
        self.value(name, "[]string", read)
    }

    /// Texts by names; none when absent.
    pub(super) fn text_map(&self, name: &str) -> Result<BTreeMap<String, String>, String> {
        let read = |value: &Value| {
            let fields = value.as_object()?.iter();
            fields.map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
        };
        self.value(name, "map[string]string", read)
    }

    /// Objects; none when absent.
    pub(super) fn objects(&self, name: &str, of: &'static str) -> Result<Vec<Object>, String> {
        let list: Vec<Value> = self.value(name, of, |value| value.as_array().cloned())?;
        list.into_iter().map(|value| Object::of_value(value, of)).collect()
    }

    /// Objects by names; none when absent.
    pub(super) fn object_map(
        &self,
        name: &str,
        of: &'static str,
    ) -> Result<BTreeMap<String, Object>, String> {
        let fields: Map<String, Value> =
            self.value(name, of, |value| value.as_object().cloned())?;
        let object = |(name, value)| Object::of_value(value, of).map(|object| (name, object));
        fields.into_iter().map(object).collect()
    }

    /// An object in the object.
    pub(super) fn object(&self, name: &str, of: &'static str) -> Result<Option<Object>, String> {
        self.get(name).map(|value| Object::of_value(value.clone(), of)).transpose()
    }

    /// Lists of texts by names; none when absent.
    pub(super) fn text_lists(&self, name: &str) -> Result<BTreeMap<String, Vec<String>>, String> {
        let list = |value: &Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|it| it.as_str().map(str::to_owned)).collect()
        };
        let read = |value: &Value| {
            let fields = value.as_object()?.iter();
            fields.map(|(name, value)| Some((name.clone(), list(value)?))).collect()
        };
        self.value(name, "map[string][]string", read)
    }

    /// Whether a field is there, be it null.
    pub(super) fn is_there(&self, name: &str) -> bool {
        self.fields.keys().any(|given| given.eq_ignore_ascii_case(name))
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

/// Whether a request has a body that says its length: what Consul takes for one where it need not be.
pub(super) fn has_body<B>(call: &Call<B>) -> bool {
    let length = call.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|text| text.parse::<u64>().ok()).is_some_and(|length| length > 0)
}

/// The body of a request, which is to be JSON of at most so many bytes.
pub(super) async fn value_of_body<B>(call: &mut Call<B>, max_bytes: u64) -> Result<Value, String> {
    let bytes = match call.read_body(max_bytes).await {
        Ok(bytes) => bytes,
        Err(BodyError::TooLarge(size)) => {
            return Err(format!("body of {size} bytes too large, max size: {max_bytes} bytes"));
        }
        Err(BodyError::Broken(text)) => return Err(text),
    };
    first_value(&bytes)
}

/// The first value of a text; as in Go, what follows it is not looked at.
pub(super) fn first_value(text: &[u8]) -> Result<Value, String> {
    match serde_json::Deserializer::from_slice(text).into_iter().next() {
        Some(value) => value.map_err(|error: serde_json::Error| error.to_string()),
        None => Err("EOF".to_owned()),
    }
}

/// JSON's word for what a value is.
pub(crate) fn kind(value: &Value) -> &'static str {
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
