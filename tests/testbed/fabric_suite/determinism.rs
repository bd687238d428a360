//! The same twice, and one thing changed changes one thing.

use proconsul::base::runtime::{Datagrams, Runtime, Task, read, write_all};
use proconsul::base::{Duration, Ratio};
use sim_runner::fabric::{Keep, LinkPolicy};

use super::{Machines, echo_server, run_with};

/// Some of everything: streams, datagrams, loss, a cut, a power cut.
async fn busy(net: Machines) {
    net.fabric.boot(net.c, echo_server);
    for (runtime, own) in [(&net.on_a, net.a), (&net.on_b, net.b)] {
        let (runtime, server) = (runtime.clone(), net.addr(net.c));
        let gossip = runtime.bind_datagrams(net.addr(own)).await.unwrap();
        runtime.clone().spawn("client", async move {
            loop {
                let Ok(mut stream) = runtime.connect(server).await else {
                    runtime.sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let mut entropy = [0; 8];
                runtime.entropy(&mut entropy);
                let mut talks = write_all(&mut stream, &entropy).await.is_ok();
                while talks {
                    gossip.send_to(&entropy, server).await.unwrap();
                    let reply = read(&mut stream, &mut entropy);
                    let reply = runtime.timeout(Duration::from_secs(2), reply).await;
                    talks = matches!(reply, Ok(Ok(1..)))
                        && write_all(&mut stream, &entropy).await.is_ok();
                }
            }
        });
    }
    net.fabric.sleep(Duration::from_secs(1)).await;
    net.cut_both_ways(1);
    net.fabric.cut(2, net.a, net.c);
    net.fabric.sleep(Duration::from_secs(3)).await;
    net.fabric.heal_all();
    net.fabric.kill(net.c, Keep::Some);
    net.fabric.sleep(Duration::from_secs(3)).await;
    net.fabric.boot(net.c, echo_server);
    net.fabric.sleep(Duration::from_secs(3)).await;
}

fn lossy() -> LinkPolicy {
    LinkPolicy { loss: Ratio::new(1, 100), ..LinkPolicy::default() }
}

#[test]
fn one_seed_is_one_run() {
    let first = run_with(7, lossy(), busy);
    assert!(first.len() > 1000, "{}", first.len());
    assert_eq!(first, run_with(7, lossy(), busy));
    assert_ne!(first, run_with(8, lossy(), busy));
}

#[test]
fn planted_entropy_makes_runs_differ() {
    let planted = |net: Machines| async move {
        net.fabric.set_nondeterministic(true);
        busy(net).await;
    };
    assert_ne!(run_with(7, lossy(), planted), run_with(7, lossy(), planted));
}

/// Latencies of a→c, in nanoseconds, while b→c also carries messages.
fn latencies(loss_elsewhere: Ratio, traffic_elsewhere: u32) -> Vec<u64> {
    let (send, latencies) = std::sync::mpsc::channel();
    run_with(1, LinkPolicy::default(), move |net: Machines| async move {
        let slow = LinkPolicy::healthy(Duration::from_millis(1), Duration::from_secs(1));
        net.fabric.set_link(net.a, net.c, slow);
        let other = LinkPolicy { loss: loss_elsewhere, ..LinkPolicy::default() };
        net.fabric.set_link(net.b, net.c, other);
        let a = net.on_a.bind_datagrams(net.addr(net.a)).await.unwrap();
        let b = net.on_b.bind_datagrams(net.addr(net.b)).await.unwrap();
        let c = net.fabric.start(net.c).bind_datagrams(net.addr(net.c)).await.unwrap();
        for _ in 0..20 {
            for _ in 0..traffic_elsewhere {
                b.send_to(b"noise", c.local_addr()).await.unwrap();
            }
            let start = net.fabric.now();
            a.send_to(b"probe", c.local_addr()).await.unwrap();
            let mut bytes = [0; 8];
            while c.recv_from(&mut bytes).await.unwrap().1 != a.local_addr() {}
            send.send(net.fabric.now().since(start).as_nanos() as u64).unwrap();
        }
    });
    latencies.iter().collect()
}

#[test]
fn a_links_latencies_do_not_depend_on_other_links() {
    let quiet = latencies(Ratio::ZERO, 0);
    let noisy = latencies(Ratio::new(1, 2), 3);
    for (one, other) in quiet.iter().zip(&noisy) {
        // Equal but for the executor's 50 to 100 ns per task that runs.
        assert!(one.abs_diff(*other) < 10_000, "{quiet:?} {noisy:?}");
    }
    assert_eq!(quiet.len(), noisy.len());
}

#[test]
fn a_handle_of_a_finished_task_aborts_nothing() {
    run_with(1, LinkPolicy::default(), |net: Machines| async move {
        let task = net.on_a.spawn("brief", async {});
        net.fabric.sleep(Duration::from_secs(1)).await;
        task.abort();
        assert!(net.fabric.is_running(net.a));
    });
}
