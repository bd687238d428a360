//! UDP.

use std::io::ErrorKind;
use std::net::SocketAddr;

use proconsul::base::Duration;
use proconsul::base::runtime::{Datagrams, Runtime};

use crate::runtime_suite::{World, together};

type SocketOf<W> = <<W as World>::Host as Runtime>::Datagrams;

async fn socket<W: World>(world: &W, number: usize) -> SocketOf<W> {
    world.host(number).bind_datagrams(SocketAddr::new(world.ip(number), 0)).await.unwrap()
}

pub async fn round_trip<W: World>(world: W) {
    let (a, b) = (socket(&world, 0).await, socket(&world, 1).await);
    assert_eq!(a.send_to(b"ping", b.local_addr()).await.unwrap(), 4);
    let mut bytes = [0; 64];
    let (len, from) = b.recv_from(&mut bytes).await.unwrap();
    assert_eq!((&bytes[..len], from), (&b"ping"[..], a.local_addr()));
    b.send_to(b"", from).await.unwrap();
    assert_eq!(a.recv_from(&mut bytes).await.unwrap(), (0, b.local_addr()));
}

pub async fn what_does_not_fit_is_cut_off<W: World>(world: W) {
    let (a, b) = (socket(&world, 0).await, socket(&world, 1).await);
    a.send_to(b"0123456789", b.local_addr()).await.unwrap();
    let mut bytes = [0; 4];
    assert_eq!(b.recv_from(&mut bytes).await.unwrap().0, 4);
    assert_eq!(&bytes, b"0123");
    a.send_to(b"next", b.local_addr()).await.unwrap();
    assert_eq!(b.recv_from(&mut bytes).await.unwrap().0, 4);
    assert_eq!(&bytes, b"next");
}

pub async fn a_cancelled_receive_loses_nothing<W: World>(world: W) {
    let (a, b) = (socket(&world, 0).await, socket(&world, 1).await);
    let runtime = world.host(1);
    let sender = async {
        for number in 0..50_u8 {
            a.send_to(&[number], b.local_addr()).await.unwrap();
            world.host(0).sleep(Duration::from_millis(2)).await;
        }
    };
    let receiver = async {
        let mut all = Vec::new();
        while all.len() < 50 {
            let mut bytes = [0; 8];
            let attempt = b.recv_from(&mut bytes);
            if let Ok(received) = runtime.timeout(Duration::from_millis(1), attempt).await {
                assert_eq!(received.unwrap().0, 1);
                all.push(bytes[0]);
            }
        }
        all
    };
    let ((), mut all) = together(sender, receiver).await;
    all.sort_unstable();
    assert_eq!(all, (0..50).collect::<Vec<u8>>());
}

pub async fn sending_to_a_closed_port_succeeds<W: World>(world: W) {
    let (a, b) = (socket(&world, 0).await, socket(&world, 1).await);
    let closed = b.local_addr();
    drop(b);
    a.send_to(b"hello?", closed).await.unwrap();
    let mut bytes = [0; 8];
    let receive = a.recv_from(&mut bytes);
    let outcome = world.host(0).timeout(Duration::from_millis(20), receive).await;
    assert_eq!(outcome.err().map(|error| error.kind()), Some(ErrorKind::TimedOut));
}

pub async fn too_large_a_datagram_is_refused<W: World>(world: W) {
    let (a, b) = (socket(&world, 0).await, socket(&world, 1).await);
    let error = a.send_to(&[0; 65_508], b.local_addr()).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(90), "EMSGSIZE: {error}");
}

pub async fn an_address_is_bound_once<W: World>(world: W) {
    let a = socket(&world, 0).await;
    let error = world.host(0).bind_datagrams(a.local_addr()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

pub async fn loopback_carries_datagrams<W: World>(world: W) {
    let runtime = world.host(0);
    let any = "0.0.0.0:0".parse().unwrap();
    let (a, b) = (runtime.bind_datagrams(any).await, runtime.bind_datagrams(any).await);
    let (a, b) = (a.unwrap(), b.unwrap());
    let to = SocketAddr::new("127.0.0.1".parse().unwrap(), b.local_addr().port());
    a.send_to(b"me", to).await.unwrap();
    let mut bytes = [0; 8];
    let (len, from) = b.recv_from(&mut bytes).await.unwrap();
    assert_eq!(&bytes[..len], b"me");
    assert_eq!(from, SocketAddr::new("127.0.0.1".parse().unwrap(), a.local_addr().port()));
}
