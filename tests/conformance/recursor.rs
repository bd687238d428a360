//! The DNS server that plays an agent's upstream recursor, over UDP and TCP.
//!
//! `nx.…` does not exist, `refused.…` is refused, `alias.…` is a CNAME of `target.example.test`; any
//! other name has the address 192.0.2.99. Questions that cannot be read are not answered.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::dns::{Message, encode_name, read_framed, write_framed};
use crate::processes::meanwhile;

const HEAD: usize = 12;
const A: u16 = 1;
const CNAME: u16 = 5;
/// Seconds that an answer may be kept.
const TTL_S: u32 = 60;
/// QR, AA, RD, RA.
const FLAGS: u16 = 0x8580;
const PATIENCE: Duration = Duration::from_secs(3);

pub struct Recursor {
    port: u16,
    closing: Arc<AtomicBool>,
}

impl Recursor {
    pub fn open(port: u16) -> io::Result<Self> {
        let at = (Ipv4Addr::LOCALHOST, port);
        let (socket, listener) = (UdpSocket::bind(at)?, TcpListener::bind(at)?);
        let closing = Arc::new(AtomicBool::new(false));
        let ends = closing.clone();
        meanwhile(move || {
            let mut question = vec![0; 4096];
            while let Ok((length, peer)) = socket.recv_from(&mut question) {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                if let Some(answer) = answer(&question[..length]) {
                    // A client that went away does not want it.
                    let _ = socket.send_to(&answer, peer);
                }
            }
        });
        let ends = closing.clone();
        meanwhile(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                meanwhile(move || stream.and_then(serve));
            }
        });
        Ok(Self { port, closing })
    }
}

impl Drop for Recursor {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        // Both are woken to see it; if they are gone, so much the better.
        let at = (Ipv4Addr::LOCALHOST, self.port);
        let _ = TcpStream::connect(at);
        let _ = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|from| from.send_to(b"", at));
    }
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let question = read_framed(&mut stream)?;
    answer(&question).map_or(Ok(()), |answer| write_framed(&mut stream, &answer))
}

fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let message = Message::decode(question).ok()?;
    let mut words = message.questions.first()?.split(' ');
    let (name, kind) = (words.next()?.to_lowercase(), words.nth(1)?);
    let wants_address = ["A", "ANY"].contains(&kind);
    let asked = vec![0xC0, HEAD as u8];
    let target = encode_name("target.example.test").ok()?;
    let (mut code, mut records) = (0, Vec::new());
    if name.starts_with("nx.") {
        code = 3;
    } else if name.starts_with("refused.") {
        code = 5;
    } else if name.starts_with("alias.") {
        records.push((asked, CNAME, target.clone()));
        if wants_address {
            records.push((target, A, vec![192, 0, 2, 98]));
        }
    } else if wants_address {
        records.push((asked, A, vec![192, 0, 2, 99]));
    }
    let end = HEAD + question.get(HEAD..)?.iter().position(|byte| *byte == 0)? + 5;
    let mut out = question.get(..2)?.to_vec();
    let head = [FLAGS | code, 1, records.len() as u16, 0, 0];
    out.extend(head.iter().flat_map(|word| word.to_be_bytes()));
    out.extend(question.get(HEAD..end)?);
    for (owner, kind, data) in records {
        out.extend(owner);
        out.extend([kind, 1].iter().flat_map(|word| word.to_be_bytes()));
        out.extend(TTL_S.to_be_bytes());
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
    }
    Some(out)
}
