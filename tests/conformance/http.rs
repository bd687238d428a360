//! A small blocking HTTP/1.1 client, one connection a request.
//!
//! It sends exactly what a step says, also what no good client would send, and gives back exactly
//! what came. A server may answer before it has read all that is sent to it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// A request that can be sent from any thread.
#[derive(Clone)]
pub struct Request {
    pub port: u16,
    pub method: String,
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: Option<Vec<u8>>,
    /// In chunks, not with a length.
    pub chunked: bool,
    /// Longest wait for each piece of the answer.
    pub timeout: Duration,
}

/// What came back.
#[derive(Debug, PartialEq)]
pub struct Response {
    pub status: u16,
    /// Names in lower case; the last of each.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// Bytes of a chunk that is sent.
const CHUNK: usize = 4096;
/// Bytes of a line of the answer's head that are put up with.
const LINE_MAX: u64 = 65_536;

impl Request {
    pub fn get(port: u16, target: &str, timeout: Duration) -> Self {
        let (method, target) = ("GET".to_owned(), target.to_owned());
        Self { port, method, target, headers: BTreeMap::new(), body: None, chunked: false, timeout }
    }

    /// Sends it and reads the answer; an error is named by its kind.
    pub fn send(&self) -> Result<Response, String> {
        self.exchange().map_err(|error| name(&error))
    }

    fn exchange(&self) -> io::Result<Response> {
        let mut stream = connect(self.port, self.timeout)?;
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let has = |name: &str| self.headers.keys().any(|key| key.eq_ignore_ascii_case(name));
        if !has("host") {
            head += &format!("Host: 127.0.0.1:{}\r\n", self.port);
        }
        for (key, value) in &self.headers {
            head += &format!("{key}: {value}\r\n");
        }
        match &self.body {
            _ if self.chunked => head += "Transfer-Encoding: chunked\r\n",
            Some(body) if !has("content-length") => {
                head += &format!("Content-Length: {}\r\n", body.len());
            }
            _ => {}
        }
        stream.write_all((head + "\r\n").as_bytes())?;
        match self.send_body(&mut stream) {
            // The server may have answered already, and closed.
            Err(error) if is_closed(error.kind()) => {}
            sent => sent?,
        }
        receive(stream, &self.method)
    }

    fn send_body(&self, stream: &mut TcpStream) -> io::Result<()> {
        let body = self.body.as_deref().unwrap_or_default();
        if !self.chunked {
            return stream.write_all(body);
        }
        for part in body.chunks(CHUNK) {
            stream.write_all(format!("{:x}\r\n", part.len()).as_bytes())?;
            stream.write_all(part)?;
            stream.write_all(b"\r\n")?;
        }
        stream.write_all(b"0\r\n\r\n")
    }
}

/// Sends this text as it stands and reads one answer.
pub fn send_raw(port: u16, text: &str) -> Result<Response, String> {
    let exchange = || {
        let mut stream = connect(port, Duration::from_secs(5))?;
        stream.write_all(text.as_bytes())?;
        receive(stream, text.split(' ').next().unwrap_or_default())
    };
    exchange().map_err(|error: io::Error| name(&error))
}

fn connect(port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let stream =
        TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn receive(stream: TcpStream, method: &str) -> io::Result<Response> {
    let mut reader = BufReader::new(stream);
    let mut status = 100;
    let mut headers = BTreeMap::new();
    while status == 100 {
        let first = line(&mut reader)?;
        if first.is_empty() {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "no answer"));
        }
        let bad = || io::Error::new(ErrorKind::InvalidData, "not HTTP");
        let mut words = first.split_ascii_whitespace();
        let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/"));
        status =
            words.next().filter(|_| is_http).and_then(|code| code.parse().ok()).ok_or_else(bad)?;
        headers = self::headers(&mut reader)?;
    }
    let bodiless = method == "HEAD" || status == 204 || status == 304;
    let body = if bodiless { Vec::new() } else { body(&mut reader, &headers)? };
    Ok(Response { status, headers, body })
}

/// Up to the empty line.
pub fn headers(reader: &mut impl BufRead) -> io::Result<BTreeMap<String, String>> {
    let mut headers = BTreeMap::new();
    loop {
        let line = line(reader)?;
        let Some((name, value)) = line.split_once(':') else { return Ok(headers) };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
}

/// One line without its end; empty at the end of the stream.
pub fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    reader.take(LINE_MAX).read_until(b'\n', &mut bytes)?;
    // One character a byte, as the standard has it.
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn body(reader: &mut impl BufRead, headers: &BTreeMap<String, String>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if headers.get("transfer-encoding").is_some_and(|how| how.contains("chunked")) {
        loop {
            let size = line(reader)?;
            let digits = size.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(digits, 16)
                .map_err(|_| io::Error::new(ErrorKind::InvalidData, "not a chunk"))?;
            if size == 0 {
                self::headers(reader)?;
                return Ok(body);
            }
            exactly(reader, size, &mut body)?;
            line(reader)?;
        }
    }
    match headers.get("content-length").and_then(|length| length.parse().ok()) {
        Some(length) => exactly(reader, length, &mut body)?,
        None => drop(reader.read_to_end(&mut body)?),
    }
    Ok(body)
}

fn exactly(reader: &mut impl Read, length: usize, into: &mut Vec<u8>) -> io::Result<()> {
    let got = reader.take(length as u64).read_to_end(into)?;
    let cut = || io::Error::other("a cut body");
    if got == length { Ok(()) } else { Err(cut()) }
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// The name that recorded answers give this error.
fn name(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "TimeoutError".to_owned(),
        ErrorKind::ConnectionRefused => "ConnectionRefusedError".to_owned(),
        ErrorKind::ConnectionReset => "ConnectionResetError".to_owned(),
        ErrorKind::BrokenPipe => "BrokenPipeError".to_owned(),
        ErrorKind::UnexpectedEof => "RemoteDisconnected".to_owned(),
        ErrorKind::InvalidData => "BadStatusLine".to_owned(),
        ErrorKind::Other => "IncompleteRead".to_owned(),
        kind => format!("{kind:?}"),
    }
}
