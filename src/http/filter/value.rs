//! What filters look at: rows as trees of named values, and schemas, which say what rows of a kind have.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The fields of an object, by name.
pub type Schema = &'static [(&'static str, Field)];

/// What a field is.
#[derive(Clone, Copy, Debug)]
pub enum Field {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// True or false.
    Flag,
    /// Texts in a list.
    Texts,
    /// Values by names that the user chose.
    Map(&'static Field),
    /// An object.
    Object(Schema),
    /// Objects in a list.
    Objects(Schema),
}

/// A value of a row; of the kind that its schema says.
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A whole number.
    Number(i128),
    /// True or false.
    Flag(bool),
    /// Texts in a list.
    Texts(&'a [String]),
    /// Texts by name.
    TextMap(&'a BTreeMap<String, String>),
    /// Objects by name.
    ObjectMap(BTreeMap<&'a str, &'a dyn Selectable>),
    /// An object.
    Object(&'a dyn Selectable),
    /// Objects in a list.
    Objects(Vec<&'a dyn Selectable>),
}

/// What has named fields.
pub trait Selectable {
    /// The field of this name; none: the schema does not have it either.
    fn field(&self, name: &str) -> Option<Value<'_>>;
}

/// A row that is shared with the store is a row.
impl<T: Selectable> Selectable for Arc<T> {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        T::field(self, name)
    }
}
