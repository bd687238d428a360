//! Log lines in Consul's form, on standard error.

use std::io::Write;

use crate::base::log_tap::LogLine;

/// Writes one line, in one piece. A line that cannot be written is lost: there is nowhere to complain.
pub(super) fn write_line(line: &LogLine) {
    let text = format!("{line}\n");
    let _unwritable = std::io::stderr().lock().write_all(text.as_bytes());
}
