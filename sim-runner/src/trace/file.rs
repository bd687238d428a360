//! Traces on disk: `trace.jsonl` for people and tools, a binary form for comparing a run with its
//! replay.
//!
//! ```text
//!  trace.jsonl   {"version":1,"title":…}            the header
//!                {"at":"0.000000000","host":…}      one event a line
//!  binary        magic · header · events            postcard, as digested
//! ```
//!
//! Reading never panics: what is wrong is said with the file and the line.

use std::fmt;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::event::{Header, TraceEvent};
use super::json::Lines;
use super::record::{Events, Recording, Trace};

/// The only format this version reads and writes.
pub const VERSION: u32 = 1;

/// No event is further from time zero: differences of times cannot overflow.
const LONGEST_NS: i64 = 1_000_000_000_000_000_000;

const MAGIC: &[u8; 8] = b"pctrace1";

/// Why a trace could not be read: `place: message`.
#[derive(Debug)]
pub struct ReadError {
    path: PathBuf,
    line: Option<usize>,
    message: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ReadError {}

/// Writes `trace.jsonl`.
///
/// # Errors
/// Those of the file system.
pub fn write_jsonl(trace: &Trace, path: &Path) -> io::Result<()> {
    write_lines(trace, &mut fs::File::create(path)?)
}

/// Writes the lines of `trace.jsonl`.
///
/// # Errors
/// Those of the writer.
pub fn write_lines(trace: &Trace, out: &mut dyn Write) -> io::Result<()> {
    let mut file = BufWriter::new(out);
    let header = trace.header();
    serde_json::to_writer(&mut file, header)?;
    let lines = Lines::new(header);
    for event in trace.events() {
        write!(file, "\n{}", lines.write(&event))?;
    }
    writeln!(file)?;
    file.flush()
}

/// Reads `trace.jsonl`.
///
/// # Errors
/// An unreadable file, or the first line that is not what it must be.
pub fn read_jsonl(path: &Path) -> Result<Recording, ReadError> {
    let bytes = fs::read(path).map_err(|error| whole(path, error.to_string()))?;
    from_jsonl(&bytes, path)
}

fn from_jsonl(bytes: &[u8], path: &Path) -> Result<Recording, ReadError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| whole(path, format!("not UTF-8 from byte {}", error.valid_up_to())))?;
    parse_jsonl(text, path)
}

/// Reads the text of a `trace.jsonl`; `path` is for messages.
///
/// # Errors
/// The first line that is not what it must be.
pub fn parse_jsonl(text: &str, path: &Path) -> Result<Recording, ReadError> {
    let at_line = |line, message| ReadError { path: path.to_owned(), line: Some(line), message };
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let header: Header = serde_json::from_str(first)
        .map_err(|error| at_line(1, format!("not the header of a trace: {error}")))?;
    check_version(&header).map_err(|message| at_line(1, message))?;
    let reader = Lines::new(&header);
    let mut events = Vec::new();
    for (number, line) in (2..).zip(lines) {
        let event = reader.read(line).map_err(|message| at_line(number, message))?;
        check(&header, events.last(), &event).map_err(|message| at_line(number, message))?;
        events.push(event);
    }
    Ok(Recording { header, events })
}

/// What every reader of a trace relies on.
fn check(header: &Header, before: Option<&TraceEvent>, event: &TraceEvent) -> Result<(), String> {
    if usize::from(event.host.0) >= header.hosts.len() {
        return Err(format!("host {} is not in the header", event.host.0));
    }
    if !(-LONGEST_NS..=LONGEST_NS).contains(&event.at) {
        return Err("its time is more than 31 years from zero".to_owned());
    }
    match before.is_some_and(|before| before.at > event.at) {
        true => Err("its time is before that of the event above".to_owned()),
        false => Ok(()),
    }
}

fn check_version(header: &Header) -> Result<(), String> {
    if header.version == VERSION {
        Ok(())
    } else {
        Err(format!("format {} of traces; this sim-runner reads {VERSION}", header.version))
    }
}

fn whole(path: &Path, message: String) -> ReadError {
    ReadError { path: path.to_owned(), line: None, message }
}

/// The binary form.
#[must_use]
pub fn to_binary(trace: &Trace) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out = postcard::to_extend(trace.header(), out).expect("a header is plain data");
    out.extend_from_slice(trace.bytes());
    out
}

/// Writes the binary form.
///
/// # Errors
/// Those of the file system.
pub fn write_binary(trace: &Trace, path: &Path) -> io::Result<()> {
    fs::write(path, to_binary(trace))
}

/// Reads the binary form.
///
/// # Errors
/// An unreadable file, or bytes that are not a trace.
pub fn read_binary(path: &Path) -> Result<Recording, ReadError> {
    let bytes = fs::read(path).map_err(|error| whole(path, error.to_string()))?;
    from_binary(&bytes).map_err(|message| whole(path, message))
}

/// Decodes the binary form.
///
/// # Errors
/// Bytes that are not a trace, in words.
pub fn from_binary(bytes: &[u8]) -> Result<Recording, String> {
    let body = bytes.strip_prefix(MAGIC).ok_or("not a binary trace")?;
    let (header, rest) = postcard::take_from_bytes::<Header>(body)
        .map_err(|error| format!("the header is damaged: {error}"))?;
    check_version(&header)?;
    let mut events = Vec::new();
    for event in (Events { rest }) {
        let number = events.len();
        let damaged = |error: String| format!("event {number} is damaged: {error}");
        let event = event.map_err(|error| damaged(error.to_string()))?;
        check(&header, events.last(), &event).map_err(damaged)?;
        events.push(event);
    }
    Ok(Recording { header, events })
}

/// Reads either form, told apart by the first bytes.
///
/// # Errors
/// As the reader of that form.
pub fn read(path: &Path) -> Result<Recording, ReadError> {
    let bytes = fs::read(path).map_err(|error| whole(path, error.to_string()))?;
    if bytes.starts_with(MAGIC) {
        from_binary(&bytes).map_err(|message| whole(path, message))
    } else {
        from_jsonl(&bytes, path)
    }
}
