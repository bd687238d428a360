//! A small DNS client: builds one question, reads one answer, and names every field in text.
//!
//! Written against RFC 1035, 2782 and 6891 and not with the agent's own library, so that a mistake of
//! that library cannot hide itself. What is malformed is an error with a name.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

const TYPES: [(&str, u16); 14] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("NULL", 10),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("NAPTR", 35),
    ("OPT", 41),
    ("AXFR", 252),
    ("ANY", 255),
];
const CLASSES: [(&str, u16); 4] = [("IN", 1), ("CH", 3), ("HS", 4), ("ANY", 255)];
const RCODES: [&str; 6] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
const FLAGS: [(&str, u16); 7] = [
    ("qr", 0x8000),
    ("aa", 0x0400),
    ("tc", 0x0200),
    ("rd", 0x0100),
    ("ra", 0x0080),
    ("ad", 0x0020),
    ("cd", 0x0010),
];
const OPT: u16 = 41;
/// EDNS option: the client's subnet (RFC 7871).
const SUBNET: u16 = 8;
/// Pointers that are followed in one name.
const HOPS_MAX: usize = 64;
/// A message is over or runs past its end.
const CUT: &str = "IndexError";

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    pub name: String,
    pub kind: String,
    pub class: String,
    pub over_tcp: bool,
    /// The size that EDNS announces, in bytes.
    pub edns: Option<u16>,
    /// `10.1.2.0/24`.
    pub subnet: Option<String>,
    pub recursion_desired: bool,
    pub opcode: u16,
}

/// A record: what it says is in the form of zone files.
#[derive(Clone, Debug)]
pub struct Record {
    pub name: String,
    pub ttl_s: u32,
    pub class: String,
    pub kind: String,
    pub data: String,
}

/// What EDNS says in an answer.
#[derive(Clone, Debug)]
pub struct Edns {
    pub udp_size: u16,
    /// In hex.
    pub options: String,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub rcode: String,
    pub opcode: u16,
    pub flags: Vec<&'static str>,
    pub questions: Vec<String>,
    pub answer: Vec<Record>,
    pub authority: Vec<Record>,
    pub additional: Vec<Record>,
    pub edns: Option<Edns>,
    pub size: usize,
    pub trailing_bytes: usize,
    pub over_tcp: bool,
}

fn number_of(names: &[(&str, u16)], name: &str, prefix: &str) -> Result<u16, String> {
    let known = names.iter().find(|(other, _)| *other == name).map(|(_, number)| *number);
    let by_number = || name.strip_prefix(prefix)?.parse().ok();
    known.or_else(by_number).ok_or_else(|| format!("{name} is none of {names:?}"))
}

fn name_of(names: &[(&str, u16)], number: u16, prefix: &str) -> String {
    let known = names.iter().find(|(_, other)| *other == number);
    known.map_or_else(|| format!("{prefix}{number}"), |(name, _)| (*name).to_owned())
}

/// A name in bytes; `\.` and `\ddd` escape.
pub fn encode_name(name: &str) -> Result<Vec<u8>, String> {
    let raw = name.as_bytes();
    let (mut out, mut label, mut at) = (Vec::new(), Vec::new(), 0);
    while at < raw.len() {
        match raw[at] {
            b'\\' if raw.get(at + 1..at + 4).is_some_and(|d| d.iter().all(u8::is_ascii_digit)) => {
                let byte = name[at + 1..at + 4].parse();
                label.push(byte.map_err(|_| format!("no byte in {name}"))?);
                at += 4;
                continue;
            }
            b'\\' => {
                label.extend(raw.get(at + 1));
                at += 1;
            }
            b'.' => put_label(&mut out, &mut label)?,
            byte => label.push(byte),
        }
        at += 1;
    }
    put_label(&mut out, &mut label)?;
    out.push(0);
    Ok(out)
}

fn put_label(out: &mut Vec<u8>, label: &mut Vec<u8>) -> Result<(), String> {
    if label.len() > 63 {
        return Err(format!("label too long for the wire: {} bytes", label.len()));
    }
    if !label.is_empty() {
        out.push(label.len() as u8);
        out.append(label);
    }
    Ok(())
}

impl Question {
    fn encode(&self, id: u16) -> Result<Vec<u8>, String> {
        let flags = (self.opcode << 11) | if self.recursion_desired { 0x0100 } else { 0 };
        let has_edns = self.edns.is_some() || self.subnet.is_some();
        let kind = number_of(&TYPES, &self.kind, "TYPE")?;
        let class = number_of(&CLASSES, &self.class, "CLASS")?;
        let head = [id, flags, 1, 0, 0, u16::from(has_edns)];
        let mut out: Vec<u8> = head.iter().flat_map(|word| word.to_be_bytes()).collect();
        out.extend(encode_name(&self.name)?);
        out.extend([kind, class].iter().flat_map(|word| word.to_be_bytes()));
        if has_edns {
            let options = self.options()?;
            let length = u16::try_from(options.len()).map_err(|error| error.to_string())?;
            out.push(0);
            out.extend(OPT.to_be_bytes());
            out.extend(self.edns.unwrap_or(4096).to_be_bytes());
            out.extend([0; 4]);
            out.extend(length.to_be_bytes());
            out.extend(options);
        }
        Ok(out)
    }

    fn options(&self) -> Result<Vec<u8>, String> {
        let Some(subnet) = &self.subnet else { return Ok(Vec::new()) };
        let wrong = || format!("{subnet} is no subnet");
        let (address, length) = subnet.split_once('/').ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        let length: u8 = length.parse().map_err(|_| wrong())?;
        let bytes = usize::from(length).div_ceil(8).min(4);
        let mut out = SUBNET.to_be_bytes().to_vec();
        out.extend((4 + bytes as u16).to_be_bytes());
        // Family 1 is IPv4.
        out.extend([0, 1, length, 0]);
        out.extend(&address.octets()[..bytes]);
        Ok(out)
    }

    /// Asks at a port of 127.0.0.1. The inner error is what the network or the answer had, by name.
    pub fn ask(&self, port: u16, timeout: Duration) -> Result<Result<Message, String>, String> {
        static NEXT: AtomicU16 = AtomicU16::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let query = self.encode(id)?;
        let bytes = if self.over_tcp {
            over_tcp(port, &query, timeout)
        } else {
            over_udp(port, &query, id, timeout)
        };
        let decode = |bytes: Vec<u8>| Message::decode(&bytes);
        let answer = bytes.map_err(|error| error_name(&error)).and_then(decode);
        Ok(answer.map(|message| Message { over_tcp: self.over_tcp, ..message }))
    }
}

/// The recorder's names of errors.
fn error_name(error: &std::io::Error) -> String {
    use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, TimedOut, WouldBlock};
    let name = match error.kind() {
        TimedOut | WouldBlock => "TimeoutError",
        ConnectionRefused => "ConnectionRefusedError",
        ConnectionReset => "ConnectionResetError",
        _ => "DnsError",
    };
    name.to_owned()
}

fn over_udp(port: u16, query: &[u8], id: u16, timeout: Duration) -> std::io::Result<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(timeout))?;
    socket.connect((Ipv4Addr::LOCALHOST, port))?;
    socket.send(query)?;
    let mut bytes = vec![0; 65_535];
    loop {
        let length = socket.recv(&mut bytes)?;
        if bytes[..length].starts_with(&id.to_be_bytes()) {
            bytes.truncate(length);
            return Ok(bytes);
        }
    }
}

fn over_tcp(port: u16, query: &[u8], timeout: Duration) -> std::io::Result<Vec<u8>> {
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&at, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    write_framed(&mut stream, query)?;
    read_framed(&mut stream)
}

/// Over TCP each message has its length before it.
pub fn write_framed(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let mut bytes = (message.len() as u16).to_be_bytes().to_vec();
    bytes.extend(message);
    stream.write_all(&bytes)
}

pub fn read_framed(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads a message from front to back.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let part = self.bytes.get(self.at..self.at + length).ok_or(CUT)?;
        self.at += length;
        Ok(part)
    }

    fn u16(&mut self) -> Result<u16, String> {
        Ok(self.take(2)?.iter().fold(0, |word, byte| (word << 8) | u16::from(*byte)))
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(self.take(4)?.iter().fold(0, |word, byte| (word << 8) | u32::from(*byte)))
    }

    fn name(&mut self) -> Result<String, String> {
        let mut labels = Vec::new();
        let (mut from, mut end, mut hops) = (self.at, None, 0);
        loop {
            let length = usize::from(*self.bytes.get(from).ok_or("DnsError")?);
            if length & 0xC0 == 0xC0 {
                let low = usize::from(*self.bytes.get(from + 1).ok_or(CUT)?);
                end = end.or(Some(from + 2));
                from = ((length & 0x3F) << 8) | low;
                hops += 1;
                if hops > HOPS_MAX {
                    return Err("DnsError".to_owned());
                }
                continue;
            }
            from += 1;
            if length == 0 {
                break;
            }
            labels.push(escaped(self.bytes.get(from..from + length).ok_or(CUT)?));
            from += length;
        }
        self.at = end.unwrap_or(from);
        Ok(labels.join(".") + ".")
    }

    fn data(&mut self, kind: &str, length: usize) -> Result<String, String> {
        let end = self.at + length;
        let raw = self.bytes.get(self.at..end).ok_or(CUT)?;
        let text = match kind {
            "A" => <[u8; 4]>::try_from(raw).map(|it| Ipv4Addr::from(it).to_string()).ok(),
            "AAAA" => <[u8; 16]>::try_from(raw).map(|it| Ipv6Addr::from(it).to_string()).ok(),
            "NS" | "CNAME" | "PTR" => Some(self.name()?),
            "MX" => Some(format!("{} {}", self.u16()?, self.name()?)),
            "SRV" => {
                let (priority, weight, port) = (self.u16()?, self.u16()?, self.u16()?);
                Some(format!("{priority} {weight} {port} {}", self.name()?))
            }
            "SOA" => {
                let mut words = vec![self.name()?, self.name()?];
                for _ in 0..5 {
                    words.push(self.u32()?.to_string());
                }
                Some(words.join(" "))
            }
            "TXT" => Some(self.texts(end)?.join(" ")),
            _ => None,
        };
        self.at = end;
        let hex = || raw.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Ok(text.unwrap_or_else(|| format!("\\# {length} {}", hex())))
    }

    fn texts(&mut self, end: usize) -> Result<Vec<String>, String> {
        let mut out = Vec::new();
        while self.at < end {
            let length = usize::from(self.take(1)?[0]);
            let part = self.take(length)?;
            out.push(format!(
                "\"{}\"",
                part.iter().map(|byte| char::from(*byte)).collect::<String>()
            ));
        }
        Ok(out)
    }
}

fn escaped(label: &[u8]) -> String {
    let escape = |byte: &u8| match byte {
        b'.' | b'\\' => format!("\\{}", char::from(*byte)),
        33..=126 => char::from(*byte).to_string(),
        _ => format!("\\{byte:03}"),
    };
    label.iter().map(escape).collect()
}

impl Message {
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut reader = Reader { bytes, at: 2 };
        let flags = reader.u16()?;
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        let code = flags & 15;
        let rcode = RCODES.get(usize::from(code)).map(|name| (*name).to_owned());
        let mut out = Self {
            rcode: rcode.unwrap_or_else(|| format!("RCODE{code}")),
            opcode: (flags >> 11) & 15,
            flags: FLAGS
                .iter()
                .filter(|(_, bit)| flags & bit != 0)
                .map(|(name, _)| *name)
                .collect(),
            size: bytes.len(),
            ..Self::default()
        };
        for _ in 0..counts[0] {
            let (name, kind, class) = (reader.name()?, reader.u16()?, reader.u16()?);
            let (class, kind) = (name_of(&CLASSES, class, ""), name_of(&TYPES, kind, "TYPE"));
            out.questions.push(format!("{name} {class} {kind}"));
        }
        for (section, count) in counts[1..].iter().enumerate() {
            for _ in 0..*count {
                if let Some(record) = out.record(&mut reader)? {
                    [&mut out.answer, &mut out.authority, &mut out.additional][section]
                        .push(record);
                }
            }
        }
        out.trailing_bytes = bytes.len() - reader.at;
        Ok(out)
    }

    /// A record, but for the one of EDNS, which is kept apart.
    fn record(&mut self, reader: &mut Reader) -> Result<Option<Record>, String> {
        let (name, kind, class) = (reader.name()?, reader.u16()?, reader.u16()?);
        let (ttl_s, length) = (reader.u32()?, usize::from(reader.u16()?));
        if kind == OPT {
            let options = reader.take(length)?.iter().map(|byte| format!("{byte:02x}")).collect();
            self.edns = Some(Edns { udp_size: class, options });
            return Ok(None);
        }
        let (class, kind) = (name_of(&CLASSES, class, ""), name_of(&TYPES, kind, "TYPE"));
        let data = reader.data(&kind, length)?;
        Ok(Some(Record { name, ttl_s, class, kind, data }))
    }
}
