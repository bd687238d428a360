//! Clocks that run fast or slow, or show the wrong time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proconsul::base::runtime::{Runtime, Timer};
use proconsul::base::{Duration, Instant};
use sim_runner::fabric::{Keep, WALL_CLOCK_START};

use super::{Machines, run};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// True time that a sleep on `a` takes.
async fn takes(net: &Machines, span: Duration) -> Duration {
    let before = net.fabric.now();
    net.on_a.sleep(span).await;
    net.fabric.now().since(before)
}

fn near(found: Duration, wanted: Duration) -> bool {
    found.abs_diff(wanted) < Duration::from_micros(1)
}

#[test]
fn a_slow_clock_shows_less_and_its_timers_fire_late() {
    run(|net| async move {
        net.fabric.set_drift(net.a, -500_000);
        assert!(near(takes(&net, seconds(5)).await, seconds(10)));
        assert!(near(net.on_a.now().since(Instant::ZERO), seconds(5)));
        assert!(near(net.on_b.now().since(Instant::ZERO), seconds(10)), "its own clock only");
        let shown = net.on_a.wall_clock().0 - WALL_CLOCK_START.0;
        assert_eq!(shown / 1_000_000, 5_000, "the wall clock drifts with it");
    });
}

#[test]
fn a_fast_clock_shows_more_and_its_timers_fire_early() {
    run(|net| async move {
        net.fabric.set_drift(net.a, 1_000_000);
        assert!(near(takes(&net, seconds(4)).await, seconds(2)));
        net.fabric.set_drift(net.a, 200);
        assert!(near(takes(&net, seconds(10)).await, Duration::from_nanos(9_998_000_400)));
    });
}

#[test]
fn a_change_of_rate_moves_the_timers_that_run_already() {
    run(|net| async move {
        let fired = Arc::new(AtomicU64::new(0));
        let (flag, fabric, sleeper) = (fired.clone(), net.fabric.clone(), net.on_a.clone());
        net.on_a.spawn("sleeper", async move {
            sleeper.sleep(seconds(10)).await;
            flag.store(fabric.now().as_nanos(), Ordering::Relaxed);
        });
        net.fabric.sleep(seconds(2)).await;
        // 8 s are left; at four times the speed they take 2 s.
        net.fabric.set_drift(net.a, 3_000_000);
        net.fabric.sleep(seconds(1)).await;
        // 4 s are left; at half speed they take 8 s.
        net.fabric.set_drift(net.a, -500_000);
        net.fabric.sleep(seconds(7)).await;
        assert_eq!(fired.load(Ordering::Relaxed), 0);
        net.fabric.sleep(seconds(2)).await;
        let at = Duration::from_nanos(fired.load(Ordering::Relaxed));
        assert!(near(at, seconds(11)), "{at:?}");
    });
}

#[test]
fn a_clock_never_goes_back_whatever_its_rates() {
    run(|net| async move {
        let mut shown = net.on_a.now();
        for (step, drift) in [-900_000, 9_000_000, 0, -1, 1, -500_000].into_iter().enumerate() {
            let before = net.on_a.now();
            net.fabric.set_drift(net.a, drift);
            assert_eq!(net.on_a.now(), before, "a change of rate is no jump");
            assert!(before >= shown);
            shown = before;
            net.fabric.sleep(Duration::from_nanos(7 + 1_000 * step as u64)).await;
        }
    });
}

#[test]
fn a_clock_keeps_its_drift_over_a_power_cut_and_a_new_process_begins_at_zero() {
    run(|net| async move {
        net.fabric.set_drift(net.b, -500_000);
        net.fabric.sleep(seconds(4)).await;
        net.fabric.kill(net.b, Keep::All);
        let again = net.fabric.start(net.b);
        assert_eq!(again.now(), Instant::ZERO);
        net.fabric.sleep(seconds(4)).await;
        assert!(near(again.now().since(Instant::ZERO), seconds(2)));
    });
}

#[test]
fn an_offset_moves_the_wall_clock_and_no_timer() {
    run(|net| async move {
        net.fabric.set_wall_offset(net.a, -3_600_000_000_000);
        assert!(net.on_a.wall_clock() < WALL_CLOCK_START);
        assert!(near(takes(&net, seconds(1)).await, seconds(1)));
        net.fabric.set_wall_offset(net.a, 0);
        assert!(net.on_a.wall_clock() > WALL_CLOCK_START);
    });
}

#[test]
fn a_timer_that_is_set_before_the_clock_slows_down_keeps_its_deadline() {
    run(|net| async move {
        let mut timer = net.on_a.timer();
        timer.set(Some(net.on_a.now() + seconds(3)));
        net.fabric.set_drift(net.a, -900_000);
        let before = net.fabric.now();
        std::future::poll_fn(|cx| timer.poll_fired(cx)).await;
        assert!(near(net.fabric.now().since(before), seconds(30)));
    });
}
