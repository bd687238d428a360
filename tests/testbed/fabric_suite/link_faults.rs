//! What befalls the messages of a link on top of its policy.

use std::io::ErrorKind;

use proconsul::base::runtime::{Datagrams, Runtime, read, write_all};
use proconsul::base::{Duration, Ratio};
use sim_runner::fabric::{Harm, LinkHarm, SimStream};

use super::{Machines, echo_server, run};

const TCP: LinkHarm = LinkHarm { tcp: true, udp: false, label: 1, what: Harm::Blackhole };
const UDP: LinkHarm = LinkHarm { tcp: false, udp: true, label: 2, what: Harm::Blackhole };

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// How many of `count` datagrams from `a` reach `b`.
async fn arrive(net: &Machines, count: usize) -> Vec<Vec<u8>> {
    let at = net.addr(net.b);
    let receiver = net.on_b.bind_datagrams(at).await.unwrap();
    let sender = net.on_a.bind_datagrams(net.addr(net.a)).await.unwrap();
    for number in 0..count {
        sender.send_to(&[number as u8], at).await.unwrap();
    }
    let mut found = Vec::new();
    let mut bytes = [0; 16];
    while let Ok(Ok((taken, _))) =
        net.on_b.timeout(millis(500), receiver.recv_from(&mut bytes)).await
    {
        found.push(bytes[..taken].to_vec());
    }
    found
}

#[test]
fn harms_are_for_their_protocol_and_direction_and_end_when_mended() {
    run(|net| async move {
        net.fabric.harm(1, net.a, net.b, UDP);
        net.fabric.harm(2, net.b, net.a, LinkHarm { tcp: true, ..UDP });
        assert!(arrive(&net, 20).await.is_empty());
        net.fabric.mend(1, net.a, net.b);
        net.fabric.harm(3, net.a, net.b, TCP);
        assert_eq!(arrive(&net, 20).await.len(), 20);
    });
}

#[test]
fn ratios_lose_double_and_damage_datagrams() {
    run(|net| async move {
        let half = Ratio::new(1, 2);
        let with = |what| LinkHarm { what, ..UDP };
        net.fabric.harm(1, net.a, net.b, with(Harm::Lose(half)));
        assert!((30..70).contains(&arrive(&net, 100).await.len()));
        net.fabric.mend(1, net.a, net.b);
        net.fabric.harm(2, net.a, net.b, with(Harm::Duplicate(half)));
        assert!((130..170).contains(&arrive(&net, 100).await.len()));
        net.fabric.mend(2, net.a, net.b);
        net.fabric.harm(3, net.a, net.b, with(Harm::Reorder(half)));
        let order = arrive(&net, 100).await;
        assert!(order.len() == 100 && !order.is_sorted());
        net.fabric.mend(3, net.a, net.b);
        net.fabric.harm(4, net.a, net.b, with(Harm::Corrupt(Ratio::new(1, 1))));
        let mut found = arrive(&net, 1).await;
        assert_eq!(found.pop().unwrap()[0].count_ones(), 1);
    });
}

#[test]
fn a_slow_or_throttled_link_takes_its_time() {
    run(|net| async move {
        let (mut client, mut server) = net.connected().await;
        let slow = Harm::Slow(millis(300), millis(300));
        net.fabric.harm(1, net.a, net.b, LinkHarm { what: slow, ..TCP });
        let start = net.fabric.now();
        write_all(&mut client, b"x").await.unwrap();
        read(&mut server, &mut [0; 8]).await.unwrap();
        assert!((300..302).contains(&net.fabric.now().since(start).as_millis()));
        net.fabric.mend(1, net.a, net.b);
        net.fabric.harm(2, net.a, net.b, LinkHarm { what: Harm::Throttle(1_000), ..TCP });
        let start = net.fabric.now();
        for _ in 0..4 {
            write_all(&mut client, &[0; 500]).await.unwrap();
        }
        let mut taken = 0;
        while taken < 2_000 {
            taken += read(&mut server, &mut [0; 4_096]).await.unwrap();
        }
        assert_eq!(net.fabric.now().since(start).as_secs(), 2);
    });
}

#[test]
fn a_clogged_link_brings_everything_once_it_is_mended() {
    run(|net| async move {
        let (mut client, mut server) = net.connected().await;
        let clog = LinkHarm { tcp: true, udp: true, label: 3, what: Harm::Clog };
        net.fabric.harm(1, net.a, net.b, clog);
        net.fabric.harm(2, net.a, net.b, clog);
        for part in [b"one", b"two"] {
            write_all(&mut client, part).await.unwrap();
            net.fabric.sleep(millis(500)).await;
        }
        net.fabric.mend(1, net.a, net.b);
        let mut bytes = [0; 16];
        let early = net.on_b.timeout(millis(500), read(&mut server, &mut bytes)).await;
        assert!(early.is_err(), "another harm clogs it still");
        net.fabric.mend(2, net.a, net.b);
        let taken = read(&mut server, &mut bytes).await.unwrap();
        let rest =
            if taken < 6 { read(&mut server, &mut bytes[taken..]).await.unwrap() } else { 0 };
        assert_eq!(&bytes[..taken + rest], b"onetwo");
        assert!(!net.heard.contains("dropped"), "nothing was lost");
    });
}

/// A connection to an echo server on `b`, which goes on listening.
async fn echoing(net: &Machines) -> SimStream {
    net.on_b.spawn("echo", echo_server(net.on_b.clone()));
    net.fabric.sleep(millis(10)).await;
    net.on_a.connect(net.addr(net.b)).await.unwrap()
}

async fn echoes(stream: &mut SimStream) -> std::io::Result<usize> {
    write_all(stream, b"x").await?;
    read(stream, &mut [0; 8]).await
}

#[test]
fn a_reset_breaks_what_is_open_and_refuses_what_is_new() {
    run(|net| async move {
        let mut stream = echoing(&net).await;
        assert_eq!(echoes(&mut stream).await.unwrap(), 1);
        net.fabric.harm(1, net.a, net.b, LinkHarm { what: Harm::Reset, ..TCP });
        let broken = read(&mut stream, &mut [0; 8]).await.unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::ConnectionReset);
        let refused = net.on_a.connect(net.addr(net.b)).await.err().expect("refused");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        net.fabric.mend(1, net.a, net.b);
        let mut stream = net.on_a.connect(net.addr(net.b)).await.unwrap();
        assert_eq!(echoes(&mut stream).await.unwrap(), 1);
    });
}

#[test]
fn a_refusal_leaves_open_connections_alone() {
    run(|net| async move {
        let mut stream = echoing(&net).await;
        net.fabric.harm(1, net.a, net.b, LinkHarm { what: Harm::Refuse, ..TCP });
        assert_eq!(echoes(&mut stream).await.unwrap(), 1);
        let refused = net.on_a.connect(net.addr(net.b)).await.err().expect("refused");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        net.fabric.mend(1, net.a, net.b);
        assert!(net.on_a.connect(net.addr(net.b)).await.is_ok());
    });
}
