//! TCP.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use proconsul::base::Duration;
use proconsul::base::runtime::{
    ByteReader, ByteStream, ByteWriter, Listener, Runtime, read, read_exact, shutdown, write_all,
};

use crate::runtime_suite::{World, connected, together};

async fn read_to_end<S: ByteReader>(stream: &mut S) -> Vec<u8> {
    let mut all = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match read(stream, &mut chunk).await.unwrap() {
            0 => return all,
            more => all.extend_from_slice(&chunk[..more]),
        }
    }
}

pub async fn eof_follows_shutdown<W: World>(world: W) {
    let (mut client, mut server, _listener) = connected(&world).await;
    write_all(&mut client, b"last words").await.unwrap();
    shutdown(&mut client).await.unwrap();
    assert_eq!(read_to_end(&mut server).await, b"last words");
    assert_eq!(read(&mut server, &mut [0; 8]).await.unwrap(), 0, "EOF stays EOF");
}

pub async fn half_closed_connection_still_carries_the_other_way<W: World>(world: W) {
    let (mut client, mut server, _listener) = connected(&world).await;
    write_all(&mut client, b"question").await.unwrap();
    shutdown(&mut client).await.unwrap();
    assert_eq!(read_to_end(&mut server).await, b"question");
    write_all(&mut server, b"answer").await.unwrap();
    drop(server);
    assert_eq!(read_to_end(&mut client).await, b"answer");
}

pub async fn writes_to_a_closed_peer_fail<W: World>(world: W) {
    let (mut client, server, _listener) = connected(&world).await;
    drop(server);
    assert_eq!(read(&mut client, &mut [0; 8]).await.unwrap(), 0);
    // The first write may still succeed: the answer to it is what tells.
    for _ in 0..100 {
        if let Err(error) = write_all(&mut client, b"anybody there?").await {
            assert!(
                matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
                "{error}"
            );
            return;
        }
        world.host(0).sleep(Duration::from_millis(5)).await;
    }
    panic!("writing never failed");
}

pub async fn dropping_unread_data_resets_the_peer<W: World>(world: W) {
    let (mut client, mut server, _listener) = connected(&world).await;
    write_all(&mut client, b"0123456789").await.unwrap();
    read_exact(&mut server, &mut [0; 1]).await.unwrap();
    drop(server);
    let error = read(&mut client, &mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

pub async fn connect_to_a_closed_port_is_refused<W: World>(world: W) {
    let listener = world.host(1).listen(SocketAddr::new(world.ip(1), 0)).await.unwrap();
    let at = listener.local_addr();
    drop(listener);
    let error = world.host(0).connect(at).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains(&at.to_string()), "{error}");
}

pub async fn an_address_is_listened_on_once<W: World>(world: W) {
    let listener = world.host(1).listen(SocketAddr::new(world.ip(1), 0)).await.unwrap();
    let at = listener.local_addr();
    let error = world.host(1).listen(at).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    drop(listener);
    assert_eq!(world.host(1).listen(at).await.unwrap().local_addr(), at);
}

pub async fn foreign_addresses_cannot_be_listened_on<W: World>(world: W) {
    // A documentation address (RFC 5737): no machine has it.
    let foreign = SocketAddr::new(Ipv4Addr::new(203, 0, 113, 1).into(), 0);
    let error = world.host(0).listen(foreign).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
}

pub async fn a_peer_that_does_not_read_stops_the_writer<W: World>(world: W) {
    let (mut client, mut server, _listener) = connected(&world).await;
    let runtime = world.host(0);
    let chunk = [7; 65_536];
    let mut written = 0;
    loop {
        let write = poll_fn(|cx| client.poll_write(cx, &chunk));
        match runtime.timeout(Duration::from_millis(100), write).await {
            Ok(taken) => written += taken.unwrap(),
            Err(_stopped) => break,
        }
        assert!(written < 256 << 20, "nothing stops it");
    }
    let writer = async {
        write_all(&mut client, &chunk).await.unwrap();
        shutdown(&mut client).await.unwrap();
    };
    let ((), read) = together(writer, read_to_end(&mut server)).await;
    assert_eq!(read.len(), written + chunk.len());
}

pub async fn a_large_transfer_arrives_intact<W: World>(world: W) {
    let (mut client, mut server, _listener) = connected(&world).await;
    let sent: Vec<u8> = (0..1_u32 << 20).map(|place| (place * 31 + place / 977) as u8).collect();
    let writer = async {
        write_all(&mut client, &sent).await.unwrap();
        shutdown(&mut client).await.unwrap();
    };
    let ((), read) = together(writer, read_to_end(&mut server)).await;
    assert!(read == sent);
}

pub async fn small_writes_arrive_in_order<W: World>(world: W) {
    let (mut client, mut server, _listener) = connected(&world).await;
    let writer = async {
        for number in 0..2000_u32 {
            write_all(&mut client, &number.to_be_bytes()).await.unwrap();
        }
    };
    let reader = async {
        for number in 0..2000_u32 {
            let mut bytes = [0; 4];
            read_exact(&mut server, &mut bytes).await.unwrap();
            assert_eq!(u32::from_be_bytes(bytes), number);
        }
    };
    together(writer, reader).await;
}

pub async fn loopback_connects<W: World>(world: W) {
    let runtime = world.host(0);
    let mut listener = runtime.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mut client = runtime.connect(listener.local_addr()).await.unwrap();
    let mut server = listener.accept().await.unwrap();
    write_all(&mut client, b"to myself").await.unwrap();
    let mut bytes = [0; 9];
    read_exact(&mut server, &mut bytes).await.unwrap();
    assert_eq!(&bytes, b"to myself");
    assert_eq!(client.local_addr().ip(), IpAddr::from(Ipv4Addr::LOCALHOST));
}

pub async fn a_listener_on_every_address_is_reached_by_each<W: World>(world: W) {
    let mut listener = world.host(1).listen("0.0.0.0:0".parse().unwrap()).await.unwrap();
    let port = listener.local_addr().port();
    for (from, ip) in [(0, world.ip(1)), (1, Ipv4Addr::LOCALHOST.into())] {
        let at = SocketAddr::new(ip, port);
        let client = world.host(from).connect(at).await.unwrap();
        let server = listener.accept().await.unwrap();
        assert_eq!(server.local_addr(), at);
        assert_eq!(server.peer_addr(), client.local_addr());
    }
}

pub async fn reconnecting_after_close_works<W: World>(world: W) {
    let mut listener = world.host(1).listen(SocketAddr::new(world.ip(1), 0)).await.unwrap();
    for round in 0..3_u8 {
        let mut client = world.host(0).connect(listener.local_addr()).await.unwrap();
        let mut server = listener.accept().await.unwrap();
        write_all(&mut client, &[round]).await.unwrap();
        drop(client);
        assert_eq!(read_to_end(&mut server).await, [round]);
    }
}

pub async fn connections_wait_in_the_backlog<W: World>(world: W) {
    let mut listener = world.host(1).listen(SocketAddr::new(world.ip(1), 0)).await.unwrap();
    let mut clients = Vec::new();
    for number in 0..5_u8 {
        let mut client = world.host(0).connect(listener.local_addr()).await.unwrap();
        write_all(&mut client, &[number]).await.unwrap();
        clients.push(client);
    }
    for number in 0..5_u8 {
        let mut server = listener.accept().await.unwrap();
        let mut byte = [0];
        read_exact(&mut server, &mut byte).await.unwrap();
        assert_eq!(byte, [number]);
    }
}

pub async fn closing_a_listener_resets_its_backlog<W: World>(world: W) {
    let listener = world.host(1).listen(SocketAddr::new(world.ip(1), 0)).await.unwrap();
    let mut client = world.host(0).connect(listener.local_addr()).await.unwrap();
    drop(listener);
    let error = read(&mut client, &mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

pub async fn port_zero_takes_a_free_port<W: World>(world: W) {
    let any = SocketAddr::new(world.ip(1), 0);
    let first = world.host(1).listen(any).await.unwrap().local_addr();
    let listener = world.host(1).listen(any).await.unwrap();
    let second = world.host(1).listen(any).await.unwrap().local_addr();
    assert_ne!(first.port(), 0);
    assert_ne!(second.port(), listener.local_addr().port());
    assert_eq!(second.ip(), world.ip(1));
}

pub async fn both_ends_agree_on_addresses<W: World>(world: W) {
    let (client, server, listener) = connected(&world).await;
    assert_eq!(client.local_addr(), server.peer_addr());
    assert_eq!(client.peer_addr(), server.local_addr());
    assert_eq!(server.local_addr(), listener.local_addr());
    assert_ne!(client.local_addr().port(), 0);
}

pub async fn a_cancelled_read_loses_nothing<W: World>(world: W) {
    let (mut client, mut server, _listener) = connected(&world).await;
    let runtime = world.host(1);
    let writer = async {
        for number in 0..50_u8 {
            write_all(&mut client, &[number]).await.unwrap();
            world.host(0).sleep(Duration::from_millis(2)).await;
        }
    };
    let reader = async {
        let mut all = Vec::new();
        while all.len() < 50 {
            let mut chunk = [0; 8];
            let attempt = read(&mut server, &mut chunk);
            if let Ok(taken) = runtime.timeout(Duration::from_millis(1), attempt).await {
                all.extend_from_slice(&chunk[..taken.unwrap()]);
            }
        }
        all
    };
    let ((), all) = together(writer, reader).await;
    assert_eq!(all, (0..50).collect::<Vec<u8>>());
}

pub async fn halves_work_in_two_tasks<W: World>(world: W) {
    let (client, mut server, _listener) = connected(&world).await;
    let (mut reader, mut writer) = client.split();
    world.host(0).spawn("writer", async move {
        for number in 0..100_u8 {
            write_all(&mut writer, &[number]).await.unwrap();
        }
    });
    let echo = async {
        let mut all = [0; 100];
        read_exact(&mut server, &mut all).await.unwrap();
        write_all(&mut server, &all).await.unwrap();
    };
    let mut all = [0; 100];
    let ((), read) = together(echo, read_exact(&mut reader, &mut all)).await;
    read.unwrap();
    assert!(all.into_iter().eq(0..100));
}

pub async fn dropping_the_writing_half_is_a_shutdown<W: World>(world: W) {
    let (client, mut server, _listener) = connected(&world).await;
    let (mut reader, writer) = client.split();
    drop(writer);
    assert_eq!(read(&mut server, &mut [0; 8]).await.unwrap(), 0);
    write_all(&mut server, b"still here").await.unwrap();
    drop(server);
    assert_eq!(read_to_end(&mut reader).await, b"still here");
}

pub async fn writing_after_shutdown_fails<W: World>(world: W) {
    let (mut client, _server, _listener) = connected(&world).await;
    shutdown(&mut client).await.unwrap();
    let error = write_all(&mut client, b"too late").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

pub async fn an_empty_read_takes_nothing<W: World>(world: W) {
    let (mut client, mut server, _listener) = connected(&world).await;
    write_all(&mut client, b"x").await.unwrap();
    let mut byte = [0];
    read_exact(&mut server, &mut []).await.unwrap();
    read_exact(&mut server, &mut byte).await.unwrap();
    assert_eq!(&byte, b"x");
    let nothing = poll_fn(|cx| server.poll_read(cx, &mut []));
    let outcome = world.host(1).timeout(Duration::from_millis(20), nothing).await;
    assert!(!matches!(outcome, Ok(Ok(1..))));
}
