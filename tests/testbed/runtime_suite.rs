//! One behaviour suite for both forms of `Runtime`: the simulated one is worth something only if it
//! cannot be told from Linux by anything below.
//!
//! A case is an `async fn` over a [`World`] of two hosts. The list at the end of this file makes two
//! tests of each: one on the fabric, one on real sockets and files.

use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use proconsul::base::runtime::{ByteStream, Level, Listener, Runtime};
use proconsul::base::{Duration, Instant, Prng};
use proconsul::runtime::TokioRuntime;
use sim_runner::fabric::{
    DiskPolicy, Ended, Fabric, HostId, LinkPolicy, Observer, SimRuntime, simulate,
};

/// Hosts 0 and 1.
pub trait World: Clone + Send + 'static {
    type Host: Runtime;

    fn host(&self, number: usize) -> Self::Host;
    fn ip(&self, number: usize) -> IpAddr;
    /// A folder for files of host 0.
    fn folder(&self) -> PathBuf;
}

pub type StreamOf<W> = <<W as World>::Host as Runtime>::Stream;

/// A connection from host 0 to host 1, with the listener that accepted it.
pub async fn connected<W: World>(
    world: &W,
) -> (StreamOf<W>, StreamOf<W>, <W::Host as Runtime>::Listener) {
    let mut listener = world.host(1).listen(SocketAddr::new(world.ip(1), 0)).await.unwrap();
    let at = listener.local_addr();
    let client = world.host(0).connect(at).await.unwrap();
    let server = listener.accept().await.unwrap();
    assert_eq!(client.peer_addr(), at);
    (client, server, listener)
}

/// Runs two futures side by side until both are done.
pub async fn together<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut first, mut second) = (None, None);
    poll_fn(|cx| {
        if first.is_none() {
            first = ready(a.as_mut().poll(cx));
        }
        if second.is_none() {
            second = ready(b.as_mut().poll(cx));
        }
        if first.is_some() && second.is_some() {
            return Poll::Ready((first.take().unwrap(), second.take().unwrap()));
        }
        Poll::Pending
    })
    .await
}

fn ready<T>(polled: Poll<T>) -> Option<T> {
    match polled {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

/// Waits until a condition holds; it gets ten seconds.
pub async fn eventually<R: Runtime>(runtime: &R, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        runtime.sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not come true");
}

// ---- the simulated form

/// Two simulated hosts, 10.0.0.1 and 10.0.0.2.
#[derive(Clone)]
pub struct Simulated {
    pub fabric: Fabric,
    pub ids: [HostId; 2],
    runtimes: [SimRuntime; 2],
}

/// Writes down panics of processes.
#[derive(Default)]
struct Panics(Mutex<Vec<String>>);

impl Observer for Panics {
    fn process_ended(&self, _at: Instant, _host: HostId, how: Ended, detail: &str) {
        if how == Ended::Panicked {
            self.0.lock().unwrap().push(detail.to_owned());
        }
    }
}

impl World for Simulated {
    type Host = SimRuntime;

    fn host(&self, number: usize) -> SimRuntime {
        self.runtimes[number].clone()
    }

    fn ip(&self, number: usize) -> IpAddr {
        self.fabric.ip(self.ids[number])
    }

    fn folder(&self) -> PathBuf {
        PathBuf::from("/var/lib/suite")
    }
}

fn simulated<F: Future<Output = ()>>(case: impl FnOnce(Simulated) -> F + Send) {
    let panics = Arc::new(Panics::default());
    let observer = panics.clone();
    let outcome = simulate(1, move || async move {
        let fabric = Fabric::new(&Prng::new(1), LinkPolicy::default(), observer);
        let add = |name, last| {
            fabric.add_host(name, Ipv4Addr::new(10, 0, 0, last).into(), DiskPolicy::default())
        };
        let ids = [add("a", 1), add("b", 2)];
        let runtimes = ids.map(|id| fabric.start(id));
        case(Simulated { fabric: fabric.clone(), ids, runtimes }).await;
        fabric.shut_down().await;
    });
    assert_eq!(outcome, Ok(()));
    assert_eq!(*panics.0.lock().unwrap(), Vec::<String>::new());
}

// ---- the real form

/// This machine twice, as 127.0.0.1 and 127.0.0.2, with a folder of its own.
#[derive(Clone)]
pub struct Linux {
    runtime: TokioRuntime,
    folder: Arc<Path>,
}

impl World for Linux {
    type Host = TokioRuntime;

    fn host(&self, _number: usize) -> TokioRuntime {
        self.runtime.clone()
    }

    fn ip(&self, number: usize) -> IpAddr {
        Ipv4Addr::new(127, 0, 0, 1 + number as u8).into()
    }

    fn folder(&self) -> PathBuf {
        self.folder.to_path_buf()
    }
}

fn on_linux<F: Future<Output = ()>>(case: impl FnOnce(Linux) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let path: Arc<Path> = folder.path().into();
    TokioRuntime::run(Level::Error, |runtime| case(Linux { runtime, folder: path })).unwrap();
}

macro_rules! both_forms {
    ($($module:ident: $($case:ident)*;)*) => {
        $(
            mod $module {
                mod simulated {
                    $(#[test]
                    fn $case() {
                        crate::runtime_suite::simulated(crate::runtime_suite_cases::$module::$case);
                    })*
                }

                mod linux {
                    $(#[test]
                    fn $case() {
                        crate::runtime_suite::on_linux(crate::runtime_suite_cases::$module::$case);
                    })*
                }
            }
        )*
    };
}

both_forms! {
    streams:
        eof_follows_shutdown
        half_closed_connection_still_carries_the_other_way
        writes_to_a_closed_peer_fail
        dropping_unread_data_resets_the_peer
        connect_to_a_closed_port_is_refused
        an_address_is_listened_on_once
        foreign_addresses_cannot_be_listened_on
        a_peer_that_does_not_read_stops_the_writer
        a_large_transfer_arrives_intact
        small_writes_arrive_in_order
        loopback_connects
        a_listener_on_every_address_is_reached_by_each
        reconnecting_after_close_works
        connections_wait_in_the_backlog
        closing_a_listener_resets_its_backlog
        port_zero_takes_a_free_port
        both_ends_agree_on_addresses
        a_cancelled_read_loses_nothing
        halves_work_in_two_tasks
        dropping_the_writing_half_is_a_shutdown
        writing_after_shutdown_fails
        an_empty_read_takes_nothing;
    datagrams:
        round_trip
        what_does_not_fit_is_cut_off
        a_cancelled_receive_loses_nothing
        sending_to_a_closed_port_succeeds
        too_large_a_datagram_is_refused
        an_address_is_bound_once
        loopback_carries_datagrams;
    time:
        a_timer_fires_once
        a_timer_in_the_past_fires_at_once
        moving_a_timer_wakes_its_waiter
        setting_a_timer_on_each_poll_does_not_spin
        a_timer_cleared_and_set_again_wakes_its_waiter
        a_later_deadline_replaces_an_earlier_one
        a_cleared_timer_does_not_fire
        timeout_gives_up_or_passes_the_result
        clocks_go_forward
        an_aborted_task_is_dropped
        a_task_outlives_its_handle
        entropy_differs_between_calls
        names_are_looked_up;
    files:
        what_was_written_is_read
        reads_end_at_the_end
        lengths_are_set_and_gaps_are_zero
        rename_replaces
        removed_files_are_gone_and_open_ones_live_on
        missing_files_and_folders_are_not_found
        folders_list_their_names_sorted
        syncs_succeed
        paths_stay_below_the_folder
        two_handles_see_each_other
        folders_are_not_files;
    probes:
        http_statuses_decide
        http_failures_are_critical
        http_requests_say_what_the_check_says
        tcp_probes_connect;
}
