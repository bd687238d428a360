//! Filter expressions, `?filter=`: which elements of a list are kept (spec api 1.10).
//!
//! ```text
//!   text ──parse──► Expr (words) ──bind(Schema)──► Filter (typed, patterns compiled) ──keeps(row)──► bool
//! ```
//!
//! The language is that of Consul 1.9.8, with its corners: blanks around words are needed, `and` binds
//! stronger than `or`, a bare value is a selector's form or a number, and what is said of a list of
//! objects holds when it holds of any of them, negations too. A key that a map does not have equals
//! nothing and is empty.
//!
//! Invariants: a bound filter asks only for what its schema has, so evaluation cannot fail; depth and
//! length of a text are bounded before anything recurses; patterns match in linear time.
//!
//! Deliberately not here: where filters are applied. Consul's servers do it; here it is the agent that
//! was asked, which gives the same rows under the same index.

mod bind;
mod parse;
mod rows;
mod value;

use std::fmt;

use bind::Bound;

pub use rows::{CHECK, CHECK_SERVICE_NODE, NODE, NODE_INFO, SERVICE, SERVICE_NODE};
pub use value::{Field, Schema, Selectable, Value};

/// Longer expressions are refused, bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// Parentheses and negations may be nested this deep.
pub const MAX_DEPTH: usize = 128;

/// An expression that is known to fit the rows that it is for.
#[derive(Clone, Debug)]
pub struct Filter(Bound);

impl Filter {
    /// Reads an expression about rows of this kind.
    ///
    /// # Errors
    /// It is no expression, or asks for what such rows do not have.
    pub fn parse(text: &str, schema: Schema) -> Result<Self, FilterError> {
        let expression = parse::parse(text).map_err(FilterError)?;
        bind::bind(expression, schema).map(Self).map_err(FilterError)
    }

    /// Whether the row is one of those that are asked for.
    #[must_use]
    pub fn keeps(&self, row: &dyn Selectable) -> bool {
        self.0.holds(row)
    }
}

/// Why an expression is refused. `Display` is Consul's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError(String);

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failed to create boolean expression evaluator: {}", self.0)
    }
}

#[cfg(test)]
mod tests;
