//! What is wrong with a configuration, and where.

use std::fmt;

/// A refused configuration: `agent.json:3: invalid config key "sever", did you mean "server"?`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file; none when the command line or the whole is at fault.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<usize>,
    /// What is wrong, and the remedy where there is one.
    pub text: String,
}

impl ConfigError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { file: None, line: None, text: text.into() }
    }

    pub(super) fn at(line: usize, text: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::new(text) }
    }

    pub(super) fn in_file(self, file: &str) -> Self {
        Self { file: Some(file.to_owned()), ..self }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.text)
    }
}

impl std::error::Error for ConfigError {}
