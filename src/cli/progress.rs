//! How far something is that takes long: one line on standard error, written over again and again, and
//! gone at the end.
//!
//! Only for a person who looks ([`Terminal::watched`]); scripts and logs see what Consul prints and
//! nothing else. There are no colours and no control sequences but the carriage return.

use crate::cli::Terminal;

/// A line that is written over.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Characters of the line that is there now.
    shown: usize,
}

impl Progress {
    /// Says how far it is.
    pub(super) fn say(&mut self, terminal: &mut Terminal<'_>, text: &str) {
        if !terminal.watched {
            return;
        }
        let length = text.chars().count();
        let rest = self.shown.saturating_sub(length);
        self.shown = length;
        // That a person cannot be told how far it is is no reason to stop.
        let _ =
            write!(terminal.stderr, "\r{text}{:rest$}", "").and_then(|()| terminal.stderr.flush());
    }

    /// Takes the line away.
    pub(super) fn end(&mut self, terminal: &mut Terminal<'_>) {
        if self.shown > 0 {
            self.say(terminal, "");
            let _ = write!(terminal.stderr, "\r").and_then(|()| terminal.stderr.flush());
        }
    }
}

/// `3.4 MB`.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{}.{} kB", bytes / 1000, bytes % 1000 / 100),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_over_and_taken_away() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut terminal = Terminal {
            stdin: &mut std::io::empty(),
            stdout: &mut out,
            stderr: &mut err,
            env: <_>::default(),
            watched: true,
            program: String::new(),
        };
        let mut progress = Progress::default();
        progress.say(&mut terminal, "1.2 MB");
        progress.say(&mut terminal, "done");
        progress.end(&mut terminal);
        progress.end(&mut terminal);
        terminal.watched = false;
        progress.say(&mut terminal, "unseen");
        assert_eq!(String::from_utf8_lossy(&err), "\r1.2 MB\rdone  \r    \r");
        assert_eq!([0, 999, 1000, 2_345_678].map(size), ["0 B", "999 B", "1.0 kB", "2.3 MB"]);
    }
}
