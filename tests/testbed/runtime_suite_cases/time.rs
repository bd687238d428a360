//! Clocks, timers, tasks, entropy and names.

use std::future::{pending, poll_fn};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use proconsul::base::runtime::{Runtime, Task, Timer};
use proconsul::base::{Duration, Instant};

use crate::runtime_suite::{World, eventually, together};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(600);

async fn fired<T: Timer>(timer: &mut T) {
    poll_fn(|cx| timer.poll_fired(cx)).await;
}

pub async fn a_timer_fires_once<W: World>(world: W) {
    let runtime = world.host(0);
    let mut timer = runtime.timer();
    let due = runtime.now() + SHORT;
    timer.set(Some(due));
    fired(&mut timer).await;
    assert!(runtime.now() >= due);
    let again = runtime.timeout(SHORT, fired(&mut timer)).await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::TimedOut);
    let due = runtime.now() + SHORT;
    timer.set(Some(due));
    fired(&mut timer).await;
    assert!(runtime.now() >= due);
}

pub async fn a_timer_in_the_past_fires_at_once<W: World>(world: W) {
    let runtime = world.host(0);
    runtime.sleep(SHORT).await;
    let mut timer = runtime.timer();
    timer.set(Some(Instant::ZERO));
    runtime.timeout(LONG, fired(&mut timer)).await.unwrap();
}

pub async fn moving_a_timer_wakes_its_waiter<W: World>(world: W) {
    let runtime = world.host(0);
    // Cleared and far away at first; moved near while its task waits.
    for start in [None, Some(runtime.now() + LONG)] {
        let mut timer = runtime.timer();
        timer.set(start);
        let mut mover = runtime.timer();
        mover.set(Some(runtime.now() + SHORT));
        let due = runtime.now() + SHORT * 2;
        let mut moved = false;
        let waited = poll_fn(|cx| {
            // One task polls both, so the waiter is registered when the deadline moves.
            let done = timer.poll_fired(cx);
            if !moved && mover.poll_fired(cx).is_ready() {
                moved = true;
                timer.set(Some(due));
            }
            done
        });
        runtime.timeout(LONG, waited).await.unwrap();
        assert!(moved && runtime.now() >= due);
    }
}

pub async fn setting_a_timer_on_each_poll_does_not_spin<W: World>(world: W) {
    let runtime = world.host(0);
    let mut timer = runtime.timer();
    let due = runtime.now() + SHORT * 3;
    let mut polls = 0;
    poll_fn(|cx| {
        polls += 1;
        timer.set(Some(due));
        timer.poll_fired(cx)
    })
    .await;
    assert!(runtime.now() >= due);
    assert!(polls < 10, "{polls} polls");
}

pub async fn a_timer_cleared_and_set_again_wakes_its_waiter<W: World>(world: W) {
    let runtime = world.host(0);
    let (mut timer, mut script) = (runtime.timer(), runtime.timer());
    let start = runtime.now();
    timer.set(Some(start + SHORT * 2));
    script.set(Some(start + SHORT));
    let mut step = 0;
    let due = start + SHORT * 4;
    // Cleared before its deadline and set after it: the first deadline must leave no trace.
    let waited = poll_fn(|cx| {
        let done = timer.poll_fired(cx);
        while script.poll_fired(cx).is_ready() {
            step += 1;
            timer.set(if step == 1 { None } else { Some(due) });
            script.set((step == 1).then_some(start + SHORT * 3));
        }
        done
    });
    runtime.timeout(LONG, waited).await.unwrap();
    assert!(step == 2 && runtime.now() >= due);
}

pub async fn a_later_deadline_replaces_an_earlier_one<W: World>(world: W) {
    let runtime = world.host(0);
    let mut timer = runtime.timer();
    timer.set(Some(runtime.now() + SHORT));
    let early = poll_fn(|cx| Poll::Ready(timer.poll_fired(cx))).await;
    assert!(early.is_pending());
    let due = runtime.now() + SHORT * 3;
    timer.set(Some(due));
    fired(&mut timer).await;
    assert!(runtime.now() >= due);
}

pub async fn a_cleared_timer_does_not_fire<W: World>(world: W) {
    let runtime = world.host(0);
    let mut timer = runtime.timer();
    timer.set(Some(runtime.now() + SHORT));
    let early = poll_fn(|cx| Poll::Ready(timer.poll_fired(cx))).await;
    assert!(early.is_pending());
    timer.set(None);
    let outcome = runtime.timeout(SHORT * 3, fired(&mut timer)).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::TimedOut);
}

pub async fn timeout_gives_up_or_passes_the_result<W: World>(world: W) {
    let runtime = world.host(0);
    let gave_up = runtime.timeout(SHORT, pending::<()>()).await.unwrap_err();
    assert_eq!(gave_up.kind(), ErrorKind::TimedOut);
    let quick = async {
        runtime.sleep(SHORT).await;
        7
    };
    assert_eq!(runtime.timeout(LONG, quick).await.unwrap(), 7);
    assert_eq!(runtime.timeout(Duration::ZERO, async { 8 }).await.unwrap(), 8);
}

pub async fn clocks_go_forward<W: World>(world: W) {
    let runtime = world.host(0);
    let (start, wall) = (runtime.now(), runtime.wall_clock());
    let sleeps = async {
        runtime.sleep(SHORT).await;
        runtime.sleep(SHORT).await;
    };
    together(sleeps, runtime.sleep(SHORT)).await;
    assert!(runtime.now().since(start) >= SHORT * 2);
    assert!(runtime.wall_clock() > wall);
    // After 2025-01-01: not a clock that starts at zero.
    assert!(wall.0 > 1_735_689_600_000_000_000);
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

pub async fn an_aborted_task_is_dropped<W: World>(world: W) {
    let runtime = world.host(0);
    let dropped = Arc::new(AtomicBool::new(false));
    let guard = SetOnDrop(dropped.clone());
    let task = runtime.spawn("forever", async move {
        let _held = guard;
        pending::<()>().await;
    });
    runtime.sleep(SHORT).await;
    assert!(!dropped.load(Ordering::SeqCst));
    task.abort();
    eventually(&runtime, || dropped.load(Ordering::SeqCst)).await;
}

pub async fn a_task_outlives_its_handle<W: World>(world: W) {
    let runtime = world.host(0);
    let done = Arc::new(AtomicBool::new(false));
    let (sleeper, flag) = (runtime.clone(), done.clone());
    drop(runtime.spawn("sleeper", async move {
        sleeper.sleep(SHORT).await;
        flag.store(true, Ordering::SeqCst);
    }));
    eventually(&runtime, || done.load(Ordering::SeqCst)).await;
}

pub async fn entropy_differs_between_calls<W: World>(world: W) {
    let (mut a, mut b, mut c) = ([0; 32], [0; 32], [0; 32]);
    world.host(0).entropy(&mut a);
    world.host(0).entropy(&mut b);
    world.host(1).entropy(&mut c);
    assert!(a != b && b != c && a != c);
}

pub async fn names_are_looked_up<W: World>(world: W) {
    let runtime = world.host(0);
    let literal = IpAddr::from(Ipv4Addr::new(192, 0, 2, 7));
    assert_eq!(runtime.resolve("192.0.2.7").await.unwrap(), [literal]);
    assert_eq!(runtime.resolve("::1").await.unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
    let own = runtime.resolve("localhost").await.unwrap();
    assert!(own.iter().all(IpAddr::is_loopback) && !own.is_empty());
    // No label may be longer than 63 bytes, so no resolver asks anybody about this one.
    let impossible = "x".repeat(70);
    let error = runtime.resolve(&impossible).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains(&impossible), "{error}");
}
