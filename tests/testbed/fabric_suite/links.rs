//! Cuts, loss, and what TCP makes of them.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use proconsul::base::runtime::{
    ByteWriter, Datagrams, Listener, Runtime, read, read_exact, shutdown, write_all,
};
use proconsul::base::{Duration, Ratio};
use sim_runner::fabric::LinkPolicy;

use super::{Machines, PORT, run, run_with};
use crate::runtime_suite::together;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn connecting_over_a_cut_times_out_after_two_minutes() {
    run(|net| async move {
        let _listener = net.on_b.listen(net.addr(net.b)).await.unwrap();
        net.cut_both_ways(1);
        let start = net.fabric.now();
        let error = net.on_a.connect(net.addr(net.b)).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(net.fabric.now().since(start).as_secs(), 127);
    });
}

#[test]
fn an_address_without_a_machine_is_silent() {
    run(|net| async move {
        let nobody = SocketAddr::new(IpAddr::from(Ipv4Addr::new(10, 9, 9, 9)), PORT);
        assert_eq!(net.on_a.connect(nobody).await.err().unwrap().kind(), ErrorKind::TimedOut);
        let off = net.on_a.connect(net.addr(net.c)).await.err().unwrap();
        assert_eq!(off.kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_cut_in_either_direction_delays_a_connect_until_the_next_syn() {
    for reverse in [false, true] {
        run(move |net| async move {
            let _listener = net.on_b.listen(net.addr(net.b)).await.unwrap();
            let (from, to) = if reverse { (net.b, net.a) } else { (net.a, net.b) };
            net.fabric.cut(1, from, to);
            let start = net.fabric.now();
            let connect = net.on_a.connect(net.addr(net.b));
            let heal = async {
                net.fabric.sleep(seconds(5)).await;
                net.fabric.heal(1);
            };
            let (stream, ()) = together(connect, heal).await;
            assert!(stream.is_ok());
            // SYNs go out at 0, 1, 3 and 7 s.
            assert_eq!(net.fabric.now().since(start).as_secs(), 7);
        });
    }
}

#[test]
fn data_sent_into_a_cut_arrives_after_it_heals() {
    run(|net| async move {
        let (mut client, mut server) = net.connected().await;
        write_all(&mut client, b"before ").await.unwrap();
        net.cut_both_ways(1);
        write_all(&mut client, b"during").await.unwrap();
        let mut bytes = [0; 13];
        let all = read_exact(&mut server, &mut bytes);
        assert!(net.on_b.timeout(seconds(10), all).await.is_err());
        net.fabric.heal(1);
        let healed = net.fabric.now();
        let mut rest = [0; 13];
        // What arrived before the cut may or may not have been read by the cancelled read.
        let taken = read(&mut server, &mut rest).await.unwrap();
        assert!(rest[..taken].ends_with(b"during"));
        // Retransmissions go out 0.2, 0.6, 1.4, 3, 6.2 and 12.6 s after the loss.
        assert!(net.fabric.now().since(healed) < seconds(3));
    });
}

#[test]
fn a_sender_gives_up_on_a_cut_that_never_heals() {
    run(|net| async move {
        let (mut client, _server) = net.connected().await;
        net.cut_both_ways(1);
        write_all(&mut client, b"hello?").await.unwrap();
        let start = net.fabric.now();
        let error = read(&mut client, &mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // Linux' tcp_retries2: 924.6 s.
        assert_eq!(net.fabric.now().since(start).as_secs(), 924);
    });
}

#[test]
fn one_way_cuts_stop_one_way() {
    run(|net| async move {
        let (mut client, mut server) = net.connected().await;
        net.fabric.cut(1, net.b, net.a);
        write_all(&mut client, b"to b").await.unwrap();
        let mut bytes = [0; 4];
        read_exact(&mut server, &mut bytes).await.unwrap();
        write_all(&mut server, b"to a").await.unwrap();
        let blocked = net.on_a.timeout(seconds(60), read(&mut client, &mut bytes)).await;
        assert!(blocked.is_err());
    });
}

#[test]
fn a_writer_whose_window_updates_are_cut_stops_and_goes_on_after_the_cut() {
    run(|net| async move {
        let (mut client, mut server) = net.connected().await;
        net.fabric.cut(1, net.b, net.a);
        let sent = vec![1; 200_000];
        let mut received = 0;
        let writing = async {
            write_all(&mut client, &sent).await.unwrap();
            shutdown(&mut client).await.unwrap();
        };
        let reading = async {
            let mut chunk = [0; 8192];
            let mut before_heal = 0;
            loop {
                match net.on_b.timeout(seconds(5), read(&mut server, &mut chunk)).await {
                    Ok(taken) => match taken.unwrap() {
                        0 => return before_heal,
                        more => received += more,
                    },
                    Err(_stopped) => {
                        before_heal = received;
                        net.fabric.heal(1);
                    }
                }
            }
        };
        let ((), before_heal) = together(writing, reading).await;
        assert_eq!(before_heal, 64 * 1024);
        assert_eq!(received, sent.len());
    });
}

#[test]
fn overlapping_cuts_heal_separately() {
    run(|net| async move {
        net.fabric.cut(1, net.a, net.b);
        net.fabric.cut(2, net.a, net.b);
        net.fabric.heal(1);
        net.fabric.heal(1);
        assert!(net.fabric.is_cut(net.a, net.b) && !net.fabric.is_cut(net.b, net.a));
        net.fabric.heal(2);
        assert!(!net.fabric.is_cut(net.a, net.b));
        net.cut_both_ways(3);
        net.fabric.heal_all();
        net.fabric.heal(3);
        assert!(!net.fabric.is_cut(net.a, net.b));
    });
}

#[test]
fn loopback_is_free_and_never_cut() {
    run(|net| async move {
        net.fabric.cut(1, net.a, net.a);
        let mut listener = net.on_a.listen(net.addr(net.a)).await.unwrap();
        let start = net.fabric.now();
        let mut client = net.on_a.connect(net.addr(net.a)).await.unwrap();
        let mut server = listener.accept().await.unwrap();
        write_all(&mut client, b"x").await.unwrap();
        read_exact(&mut server, &mut [0; 1]).await.unwrap();
        // Only the executor's own 50 to 100 ns per task.
        assert!(net.fabric.now().since(start) < Duration::from_micros(10));
    });
}

#[test]
fn a_lossy_link_delivers_streams_whole_and_datagrams_in_part() {
    let lossy = LinkPolicy { loss: Ratio::new(1, 5), ..LinkPolicy::default() };
    let heard = run_with(3, lossy, |net: Machines| async move {
        let (mut client, mut server) = net.connected().await;
        let writing = async {
            for number in 0..200_u8 {
                write_all(&mut client, &[number]).await.unwrap();
            }
        };
        let mut all = [0; 200];
        let ((), read) = together(writing, read_exact(&mut server, &mut all)).await;
        read.unwrap();
        assert!(all.into_iter().eq(0..200));

        let a = net.on_a.bind_datagrams(net.addr(net.a)).await.unwrap();
        let b = net.on_b.bind_datagrams(net.addr(net.b)).await.unwrap();
        for _ in 0..200 {
            a.send_to(b"x", b.local_addr()).await.unwrap();
        }
        let mut arrived = 0;
        while net.on_b.timeout(seconds(1), b.recv_from(&mut [0; 8])).await.is_ok() {
            arrived += 1;
        }
        assert!((120..190).contains(&arrived), "{arrived} of 200 at one in five lost");
    });
    assert!(heard.iter().any(|line| line.contains("tcp: true") && line.contains("Lost")));
}

#[test]
fn datagrams_can_be_doubled_damaged_and_held_back() {
    let always = Ratio::new(1, 1);
    let odd = LinkPolicy { duplicate: always, corrupt: always, ..LinkPolicy::default() };
    run_with(1, odd, |net: Machines| async move {
        let a = net.on_a.bind_datagrams(net.addr(net.a)).await.unwrap();
        let b = net.on_b.bind_datagrams(net.addr(net.b)).await.unwrap();
        a.send_to(&[0; 16], b.local_addr()).await.unwrap();
        for _ in 0..2 {
            let mut bytes = [0; 32];
            assert_eq!(b.recv_from(&mut bytes).await.unwrap().0, 16);
            assert_eq!(bytes.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
        }
        let held = LinkPolicy { reorder: always, reorder_by: seconds(9), ..LinkPolicy::default() };
        net.fabric.set_link(net.a, net.b, held);
        let start = net.fabric.now();
        a.send_to(b"late", b.local_addr()).await.unwrap();
        b.recv_from(&mut [0; 8]).await.unwrap();
        assert!(net.fabric.now().since(start) > Duration::from_millis(10));
    });
}

#[test]
fn bandwidth_queues_messages_behind_each_other() {
    let slow = LinkPolicy { bandwidth: Some(10_000), ..LinkPolicy::default() };
    run_with(1, slow, |net: Machines| async move {
        let (mut client, mut server) = net.connected().await;
        let start = net.fabric.now();
        write_all(&mut client, &[0; 20_000]).await.unwrap();
        write_all(&mut client, &[0; 20_000]).await.unwrap();
        read_exact(&mut server, &mut [0; 40_000]).await.unwrap();
        assert_eq!(net.fabric.now().since(start).as_secs(), 4);
    });
}

#[test]
fn the_backlog_is_bounded() {
    run(|net| async move {
        let mut listener = net.on_b.listen(net.addr(net.b)).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..128 {
            clients.push(net.on_a.connect(net.addr(net.b)).await.unwrap());
        }
        let one_more = net.on_a.connect(net.addr(net.b));
        let outcome = net.on_a.timeout(seconds(10), one_more).await;
        assert!(outcome.is_err(), "nobody answers while the backlog is full");
        let _accepted = listener.accept().await.unwrap();
        assert!(net.on_a.connect(net.addr(net.b)).await.is_ok());
    });
}

#[test]
fn a_waiting_writer_learns_of_a_reset() {
    run(|net| async move {
        let (mut client, server) = net.connected().await;
        let stuck = async {
            loop {
                let write = std::future::poll_fn(|cx| client.poll_write(cx, &[0; 65_536]));
                if let Err(error) = write.await {
                    return error.kind();
                }
            }
        };
        let dropping = async {
            net.fabric.sleep(seconds(1)).await;
            drop(server);
        };
        assert_eq!(together(stuck, dropping).await.0, ErrorKind::ConnectionReset);
    });
}
