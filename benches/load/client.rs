//! A keep-alive connection that asks one thing at a time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub struct Client {
    stream: TcpStream,
    /// What was read of the answer that is awaited.
    answer: Vec<u8>,
}

fn cut(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, what.to_owned())
}

impl Client {
    pub fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream, answer: Vec::new() })
    }

    pub fn send(&mut self, method: &str, path: &str, body: &str) -> io::Result<()> {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: l\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes())
    }

    /// The next answer: its head's and its body's end.
    fn receive(&mut self) -> io::Result<(usize, usize)> {
        self.answer.clear();
        let mut buffer = [0; 16 * 1024];
        let mut ends = None;
        loop {
            if let Some((head, end)) = ends
                && self.answer.len() >= end
            {
                return Ok((head, end));
            }
            let count = self.stream.read(&mut buffer)?;
            if count == 0 {
                return Err(cut("hung up"));
            }
            self.answer.extend_from_slice(&buffer[..count]);
            if ends.is_none()
                && let Some(at) = self.answer.windows(4).position(|window| window == b"\r\n\r\n")
            {
                let length = self.header(at, "Content-Length")?;
                ends = Some((at + 4, at + 4 + length as usize));
            }
        }
    }

    fn header(&self, head: usize, name: &str) -> io::Result<u64> {
        let head = String::from_utf8_lossy(&self.answer[..head]);
        let value = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.and_then(|text| text.trim().parse().ok()).ok_or_else(|| cut("no such header"))
    }

    /// The body of the answer, which is 200.
    pub fn answer(&mut self) -> io::Result<String> {
        let (body, end) = self.receive()?;
        let text = String::from_utf8_lossy(&self.answer[body..end]).into_owned();
        match self.answer.starts_with(b"HTTP/1.1 200") {
            true => Ok(text),
            false => Err(io::Error::other(text)),
        }
    }

    /// Asks, and reads the whole answer, which must be 200.
    pub fn ok(&mut self, method: &str, path: &str, body: &str) -> io::Result<()> {
        self.send(method, path, body)?;
        let (body, end) = self.receive()?;
        if self.answer.starts_with(b"HTTP/1.1 200") {
            return Ok(());
        }
        Err(io::Error::other(String::from_utf8_lossy(&self.answer[body..end]).into_owned()))
    }

    /// The index of what is there.
    pub fn index(&mut self, path: &str) -> io::Result<u64> {
        self.send("GET", path, "")?;
        let (body, _) = self.receive()?;
        self.header(body, "X-Consul-Index")
    }

    /// The body of any answer.
    pub fn text(&mut self, path: &str) -> io::Result<String> {
        self.send("GET", path, "")?;
        let (body, end) = self.receive()?;
        Ok(String::from_utf8_lossy(&self.answer[body..end]).into_owned())
    }
}
