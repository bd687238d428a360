//! Power cuts, ends of processes, signals, pauses, clocks.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proconsul::base::runtime::{
    ByteWriter, ChildCommand, Listener, Runtime, Signal, Task, read, read_exact, write_all,
};
use proconsul::base::{Duration, Instant};
use sim_runner::fabric::{Keep, SimRuntime, SimStream, WALL_CLOCK_START, simulate};

use super::{echo_server, run};
use crate::runtime_suite::together;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

async fn echoes(stream: &mut SimStream) -> bool {
    let mut bytes = [0; 4];
    write_all(stream, b"echo").await.is_ok()
        && read_exact(stream, &mut bytes).await.is_ok()
        && &bytes == b"echo"
}

async fn expect_kind(stream: &mut SimStream) -> ErrorKind {
    read(stream, &mut [0; 8]).await.unwrap_err().kind()
}

#[test]
fn a_killed_host_is_silent_until_it_boots_again() {
    run(|net| async move {
        net.fabric.boot(net.c, echo_server);
        let mut stream = net.on_a.connect(net.addr(net.c)).await.unwrap();
        assert!(echoes(&mut stream).await);
        net.fabric.kill(net.c, Keep::Synced);
        assert!(!net.fabric.is_up(net.c) && !net.fabric.is_running(net.c));
        assert!(net.heard.contains("ended 2 Killed"));

        write_all(&mut stream, b"hello?").await.unwrap();
        let silence = net.on_a.timeout(seconds(60), read(&mut stream, &mut [0; 8])).await;
        assert_eq!(silence.unwrap_err().kind(), ErrorKind::TimedOut);
        let connect = net.on_a.timeout(seconds(60), net.on_a.connect(net.addr(net.c))).await;
        assert!(connect.is_err(), "a dead machine answers no SYN");

        net.fabric.boot(net.c, echo_server);
        assert_eq!(expect_kind(&mut stream).await, ErrorKind::ConnectionReset);
        let mut fresh = net.on_a.connect(net.addr(net.c)).await.unwrap();
        assert!(echoes(&mut fresh).await);
    });
}

#[test]
fn an_idle_connection_to_a_killed_host_hears_nothing() {
    run(|net| async move {
        net.fabric.boot(net.c, echo_server);
        let mut stream = net.on_a.connect(net.addr(net.c)).await.unwrap();
        net.fabric.kill(net.c, Keep::Synced);
        net.fabric.boot(net.c, echo_server);
        let silence = net.on_a.timeout(seconds(3600), read(&mut stream, &mut [0; 8])).await;
        assert_eq!(silence.unwrap_err().kind(), ErrorKind::TimedOut);
        write_all(&mut stream, b"x").await.unwrap();
        assert_eq!(expect_kind(&mut stream).await, ErrorKind::ConnectionReset);
    });
}

#[test]
fn the_end_of_a_process_closes_its_connections_and_ports() {
    run(|net| async move {
        net.fabric.boot(net.c, echo_server);
        let mut stream = net.on_a.connect(net.addr(net.c)).await.unwrap();
        assert!(echoes(&mut stream).await);
        net.fabric.terminate(net.c);
        assert!(net.fabric.is_up(net.c) && !net.fabric.is_running(net.c));
        assert_eq!(read(&mut stream, &mut [0; 8]).await.unwrap(), 0, "FIN");
        let refused = net.on_a.connect(net.addr(net.c)).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        net.fabric.boot(net.c, echo_server);
        assert!(net.on_a.connect(net.addr(net.c)).await.is_ok());
    });
}

#[test]
fn a_main_future_that_returns_ends_the_process_and_its_tasks() {
    run(|net| async move {
        let ticks = Arc::new(AtomicU32::new(0));
        let counter = ticks.clone();
        net.fabric.boot(net.c, |runtime: SimRuntime| async move {
            let ticker = runtime.clone();
            runtime.spawn("ticker", async move {
                loop {
                    ticker.sleep(seconds(1)).await;
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            });
            runtime.sleep(Duration::from_millis(3500)).await;
        });
        net.fabric.sleep(seconds(10)).await;
        assert!(!net.fabric.is_running(net.c));
        assert_eq!(ticks.load(Ordering::Relaxed), 3);
        assert!(net.heard.contains("ended 2 Returned"));
    });
}

#[test]
fn a_panic_ends_its_process_and_nothing_else() {
    run(|net| async move {
        net.fabric.boot(net.c, |runtime: SimRuntime| async move {
            runtime.spawn("clumsy", async { panic!("fell over") });
            std::future::pending::<()>().await;
        });
        net.fabric.sleep(seconds(1)).await;
        assert!(!net.fabric.is_running(net.c));
        assert!(net.heard.contains("ended 2 Panicked task `clumsy`: fell over, at "));
        assert!(net.heard.contains("machines.rs"));
    });
}

#[test]
fn a_panic_of_the_testbed_is_an_error_with_its_place() {
    let crashed = simulate(1, || async { panic!("out of order") }).unwrap_err();
    assert!(crashed.0.starts_with("out of order, at "), "{}", crashed.0);
    let stuck = simulate(1, std::future::pending::<()>).unwrap_err();
    assert!(stuck.0.contains("block forever"), "{}", stuck.0);
}

#[test]
fn code_of_dead_tasks_reaches_nobody() {
    run(|net| async move {
        let (mut client, server) = net.connected().await;
        net.on_b.spawn("holder", async move {
            let _held = server;
            std::future::pending::<()>().await;
        });
        net.fabric.sleep(seconds(1)).await;
        // The task is dropped, and with it the stream: a live kernel would send FIN now.
        net.fabric.kill(net.b, Keep::Synced);
        let silence = net.on_a.timeout(seconds(60), read(&mut client, &mut [0; 8])).await;
        assert_eq!(silence.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(!net.on_b.is_alive());
        assert!(net.on_b.connect(net.addr(net.a)).await.is_err());
        net.on_b.spawn("ghost", async { unreachable!("its process is dead") }).abort();
    });
}

#[test]
fn a_paused_process_stops_while_its_kernel_goes_on() {
    run(|net| async move {
        net.fabric.boot(net.c, echo_server);
        net.fabric.sleep(seconds(1)).await;
        net.fabric.pause(net.c);
        assert!(net.fabric.is_paused(net.c));
        let mut stream = net.on_a.connect(net.addr(net.c)).await.unwrap();
        let mut sent = 0;
        let fill = async {
            loop {
                let write = std::future::poll_fn(|cx| stream.poll_write(cx, &[1; 1000]));
                sent += write.await.unwrap();
            }
        };
        let full = net.on_a.timeout(seconds(30), fill).await;
        assert!(full.is_err());
        assert_eq!(sent, 64 * 1024);
        net.fabric.resume(net.c);
        let mut rest = vec![0; sent];
        read_exact(&mut stream, &mut rest).await.unwrap();
        assert!(!net.fabric.is_paused(net.c));
    });
}

#[test]
fn timers_of_a_paused_process_fire_when_it_resumes() {
    run(|net| async move {
        let (tell, told) = (Arc::new(AtomicU32::new(0)), net.fabric.clone());
        let flag = tell.clone();
        net.fabric.boot(net.c, |runtime: SimRuntime| async move {
            runtime.sleep(seconds(5)).await;
            flag.store(told.now().since(Instant::ZERO).as_secs() as u32, Ordering::Relaxed);
            std::future::pending::<()>().await;
        });
        net.fabric.sleep(seconds(1)).await;
        net.fabric.pause(net.c);
        net.fabric.sleep(seconds(19)).await;
        assert_eq!(tell.load(Ordering::Relaxed), 0);
        net.fabric.resume(net.c);
        net.fabric.sleep(seconds(1)).await;
        assert_eq!(tell.load(Ordering::Relaxed), 20);
    });
}

#[test]
fn a_paused_process_can_be_killed_and_booted_again() {
    run(|net| async move {
        net.fabric.boot(net.c, echo_server);
        net.fabric.sleep(seconds(1)).await;
        net.fabric.pause(net.c);
        let _stream = net.on_a.connect(net.addr(net.c)).await.unwrap();
        net.fabric.kill(net.c, Keep::All);
        net.fabric.boot(net.c, echo_server);
        let mut stream = net.on_a.connect(net.addr(net.c)).await.unwrap();
        assert!(echoes(&mut stream).await);
    });
}

#[test]
fn signals_arrive_in_order_and_end_with_their_process() {
    run(|net| async move {
        assert!(net.fabric.signal(net.b, Signal::Hangup));
        assert!(net.fabric.signal(net.b, Signal::Terminate));
        assert_eq!(net.on_b.signal().await, Signal::Hangup);
        let waiting = together(net.on_b.signal(), net.on_b.signal());
        let later = async {
            net.fabric.sleep(seconds(1)).await;
            net.fabric.signal(net.b, Signal::Interrupt);
        };
        let (got, ()) = together(waiting, later).await;
        assert_eq!(got, (Signal::Terminate, Signal::Interrupt));
        assert!(!net.fabric.signal(net.c, Signal::Terminate), "nobody there");
    });
}

#[test]
fn each_process_has_its_own_clock_and_entropy() {
    run(|net| async move {
        net.fabric.sleep(seconds(10)).await;
        let first = net.fabric.start(net.c);
        assert_eq!(first.now(), Instant::ZERO);
        let mut before = [0; 16];
        first.entropy(&mut before);
        net.fabric.terminate(net.c);
        net.fabric.sleep(seconds(10)).await;
        let second = net.fabric.start(net.c);
        let mut after = [0; 16];
        second.entropy(&mut after);
        assert_ne!(before, after);
        assert_eq!(second.started_at().since(Instant::ZERO).as_secs(), 20);

        let passed = net.on_a.wall_clock().0 - WALL_CLOCK_START.0;
        assert_eq!(passed / 1_000_000_000, 20);
        net.fabric.set_wall_offset(net.a, -3_600_000_000_000);
        assert!(net.on_a.wall_clock() < WALL_CLOCK_START);
    });
}

#[test]
fn names_of_hosts_are_looked_up_and_lookups_can_fail() {
    run(|net| async move {
        assert_eq!(net.on_a.resolve("b").await.unwrap(), [net.fabric.ip(net.b)]);
        net.fabric.fail_lookups(net.a, true);
        let error = net.on_a.resolve("b").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(net.on_b.resolve("b").await.is_ok());
    });
}

#[test]
fn simulated_hosts_have_no_programs() {
    run(|net| async move {
        let command = ChildCommand { argv: vec!["/bin/true".into()], ..ChildCommand::default() };
        let error = net.on_a.run_child(command).await.unwrap_err();
        assert!(error.to_string().contains("/bin/true"), "{error}");
    });
}

#[test]
fn giving_up_a_connect_closes_it() {
    run(|net| async move {
        let mut listener = net.on_b.listen(net.addr(net.b)).await.unwrap();
        net.cut_both_ways(1);
        let connect = net.on_a.connect(net.addr(net.b));
        assert!(net.on_a.timeout(seconds(2), connect).await.is_err());
        net.fabric.heal(1);
        let nobody = net.on_b.timeout(seconds(200), listener.accept()).await;
        assert!(nobody.is_err(), "its SYNs stopped with it");
    });
}
