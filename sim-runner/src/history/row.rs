//! One line of a history file, as JSON has it: shapes and spellings, no meaning.
//!
//! serde refuses duplicate and unknown fields and numbers that do not fit; what a row *means*, and
//! whether rows agree with each other, is judged in [`super::file`].

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::operation::{Mode, Outcome};
use super::request::{Reply, Request};

/// A line. The order of the fields is the order they are written in.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub client: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
    pub op: String,
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_index: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Scalar>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Scalar>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Scalar>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    pub call: i64,
    #[serde(rename = "return", default)]
    pub returned: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<i64>,
    pub outcome: Outcome,
    #[serde(
        default,
        deserialize_with = "Answer::deserialize_present",
        skip_serializing_if = "Option::is_none"
    )]
    pub output: Option<Answer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Reply>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modify_index: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A value: a text, or (in histories of other systems) a whole number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Text(String),
    Number(String),
}

/// `output`.
#[derive(Debug)]
pub(super) enum Answer {
    Absent,
    Flag(bool),
    Value(Scalar),
    Rows(Vec<SeenRow>),
}

/// A row of a list.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeenRow {
    pub key: String,
    pub value: Scalar,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modify_index: Option<u64>,
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) | Self::Number(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(AnswerVisitor)? {
            Answer::Value(scalar) => Ok(scalar),
            _ => Err(de::Error::custom("a value is a text or a whole number")),
        }
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Value(scalar) => scalar.serialize(serializer),
            Self::Rows(rows) => rows.serialize(serializer),
        }
    }
}

impl Answer {
    /// `null` is an answer (absent); a missing field is none.
    fn deserialize_present<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Self>, D::Error> {
        deserializer.deserialize_any(AnswerVisitor).map(Some)
    }
}

struct AnswerVisitor;

impl<'de> Visitor<'de> for AnswerVisitor {
    type Value = Answer;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("null, true, false, a text, a whole number or a list of keys")
    }

    fn visit_unit<E>(self) -> Result<Answer, E> {
        Ok(Answer::Absent)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Answer, E> {
        Ok(Answer::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Answer, E> {
        Ok(Answer::Value(Scalar::Number(number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Answer, E> {
        Ok(Answer::Value(Scalar::Number(number.to_string())))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Answer, E> {
        // Two different numbers could be read as one: that would hide violations.
        Err(E::custom(format!("the number {number} is not a whole number of 64 bits: quote it")))
    }

    fn visit_str<E>(self, text: &str) -> Result<Answer, E> {
        Ok(Answer::Value(Scalar::Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Answer, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = items.next_element()? {
            rows.push(row);
        }
        Ok(Answer::Rows(rows))
    }
}
