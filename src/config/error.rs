//! What is wrong with a configuration, and where.

use std::fmt;

/// A refused configuration: `agent.json:3: invalid config key "sever", did you mean "server"?`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file; none when the command line or the whole is at fault.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<usize>,
    /// The column in the line, from 1; of what cannot be read at all.
    pub column: Option<usize>,
    /// What is wrong, and the remedy where there is one.
    pub text: String,
}

impl ConfigError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { file: None, line: None, column: None, text: text.into() }
    }

    pub(super) fn at(line: usize, text: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::new(text) }
    }

    pub(super) fn at_column(line: usize, column: usize, text: impl Into<String>) -> Self {
        Self { column: Some(column), ..Self::at(line, text) }
    }

    /// As Consul begins it, for those who look for its words: `failed to parse agent.json: line 3: …`.
    #[must_use]
    pub fn in_consuls_words(&self) -> String {
        match (&self.file, self.line, self.column) {
            (Some(file), Some(line), Some(column)) => {
                format!("failed to parse {file}: line {line}, column {column}: {}", self.text)
            }
            (Some(file), Some(line), None) => {
                format!("failed to parse {file}: line {line}: {}", self.text)
            }
            _ => self.to_string(),
        }
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
            if let Some(column) = self.column {
                write!(f, "{column}:")?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.text)
    }
}

impl std::error::Error for ConfigError {}
