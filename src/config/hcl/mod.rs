//! HCL 1, the other language of configuration files (spec api 6.5), read into the tree that JSON is read
//! into, so that nobody further down knows which it was.
//!
//! ```text
//!   server = true            "server": true
//!   ports { http = 1 }       "ports": {"http": 1}
//!   check { … } check { … }  "check": [{…}, {…}]       blocks of one name add up
//!   service "web" { … }      "service": {"web": {…}}   labels are keys
//! ```
//!
//! It is HCL **1**, as Consul reads it: keys may stand in quotes, `=` before a block may be left out, commas
//! between items may be there or not, numbers are also hexadecimal (`0x1F`) and octal (`017`), text is never
//! evaluated (`${…}` stays as it is, and quotes in it do not end the text). A file that begins with `{` is JSON.
//!
//! Invariants: no input makes it panic; blocks and lists are nested at most [`MAX_DEPTH`] deep; memory is in
//! proportion to the text; every error names line and column and what was expected there.
//!
//! Deliberately not here: expressions, functions and variables of HCL 2; `null`, which HCL 1 has not.

mod lexer;
mod parser;
mod text;

#[cfg(test)]
mod tests;

use crate::config::error::ConfigError;
use crate::config::located_json::{self, Located};

/// So deep blocks and lists may be nested.
const MAX_DEPTH: usize = 64;

/// Reads a file.
pub(super) fn parse(text: &str) -> Result<Located, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') {
        return located_json::parse(text);
    }
    parser::Parser::new(text)?.file()
}
