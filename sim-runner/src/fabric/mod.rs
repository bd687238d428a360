//! The simulated operating system: `proconsul`'s [`Runtime`](proconsul::base::runtime::Runtime) on
//! madsim's executor and virtual clock, with network, disk, clocks and entropy of our own.
//!
//! ```text
//!   testbed ── Fabric ──┬─ hosts ── process (SimRuntime) ── the agent, unchanged
//!                       ├─ links   policy, cuts, seeded streams per direction
//!                       ├─ disks   durable image + pending operations
//!                       └─ queue ── one pump ── one madsim `Sleep`
//! ```
//!
//! Mechanism only: the nemesis decides what fails, the [`Observer`] hears of everything. Promises:
//! * A run is a function of the scheduler's seed and the streams given to [`Fabric::new`]; each link,
//!   disk and process draws from a stream of its own label.
//! * A host without power is silent: nothing it had planned is sent, nothing is answered. A host with
//!   power and no process refuses connections and resets those of former processes.
//! * A paused process' kernel goes on: connections reach its backlog, its buffers fill.
//! * The same behaviour suite runs against this and against real sockets and files.
//!
//! Only this folder names madsim.

mod ailments;
mod clock;
mod content;
mod disk;
mod files;
mod harm;
mod link;
mod machines;
mod observer;
mod policy;
mod process;
mod queue;
mod simulate;
mod slab;
mod stream;
mod tcp;
mod timer;
mod udp;
mod wires;
mod world;

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

use madsim::runtime::Handle;
use madsim::time::TimeHandle;
use proconsul::base::runtime::Timer;
use proconsul::base::{Duration, Instant, Prng};

pub use files::{SimDisk, SimFile};
pub use observer::{Blind, Ended, HostId, Message, Observer, Why};
pub use policy::{
    Damage, DiskFaults, DiskPolicy, Harm, IoErrors, Keep, LinkHarm, LinkPolicy, NextCut, Strikes,
};
pub use process::{SimRuntime, SimTask, WALL_CLOCK_START};
pub use simulate::{Crashed, simulate};
pub use stream::{SimListener, SimReader, SimStream, SimWriter};
pub use timer::SimTimer;
pub use udp::SimDatagrams;

use clock::NodeClock;
use link::Links;
use process::Process;
use queue::Queue;
use slab::Slab;
use world::{World, locked};

/// The testbed's hand on the simulated machines. Clones are the same fabric.
#[derive(Clone)]
pub struct Fabric {
    world: Arc<Mutex<World>>,
    time: TimeHandle,
    executor: Handle,
    /// The testbed's own clock, which is always right.
    clock: Arc<NodeClock>,
}

impl Fabric {
    /// An empty network. Inside [`simulate`] only.
    #[must_use]
    pub fn new(streams: &Prng, default: LinkPolicy, observer: Arc<dyn Observer>) -> Self {
        let time = TimeHandle::current();
        let world = Arc::new(Mutex::new(World {
            time: time.clone(),
            queue: Queue::new(),
            timers: Slab::new(),
            hosts: Vec::new(),
            by_name: BTreeMap::new(),
            by_ip: BTreeMap::new(),
            links: Links::new(streams, default),
            cuts: BTreeMap::new(),
            conns: Slab::new(),
            listeners: Slab::new(),
            datagram_sockets: Slab::new(),
            observer,
            streams: streams.clone(),
        }));
        madsim::task::spawn(queue::pump(Arc::downgrade(&world), time.clone()));
        Self { world, time, executor: Handle::current(), clock: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        locked(&self.world)
    }

    /// Time since the simulation started.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::from_nanos(self.time.elapsed().as_nanos() as u64)
    }

    /// A timer of the testbed, on the fabric's clock.
    #[must_use]
    pub fn timer(&self) -> SimTimer {
        SimTimer::new(self, self.clock.clone(), 0)
    }

    /// Waits until this time of the fabric's clock.
    pub async fn sleep_until(&self, at: Instant) {
        let mut timer = self.timer();
        timer.set(Some(at));
        poll_fn(|cx| timer.poll_fired(cx)).await;
    }

    /// Waits this long.
    pub async fn sleep(&self, span: Duration) {
        self.sleep_until(self.now() + span).await;
    }

    /// Runs a task of the testbed, beside the hosts. A panic of it ends the simulation.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        madsim::task::spawn(task);
    }

    /// Ends every process and forgets every event, so that nothing of the simulation outlives it.
    /// Tells the observer nothing.
    pub async fn shut_down(&self) {
        let processes: Vec<Arc<Process>> = {
            let mut world = self.lock();
            world.observer = Arc::new(Blind);
            world.queue.clear();
            let of_host = |host: &mut world::Host| {
                host.process.take().into_iter().chain(std::mem::take(&mut host.guests))
            };
            world.hosts.iter_mut().flat_map(of_host).collect()
        };
        for process in processes {
            process.alive.store(false, Ordering::Relaxed);
            self.drop_tasks(Some(process));
        }
        // Longer than madsim takes to drop them, one by one, at 50 to 100 ns each.
        self.sleep(Duration::from_millis(10)).await;
        let mut world = self.lock();
        for host in 0..world.hosts.len() {
            world.close_sockets(HostId(host as u16), false);
        }
    }
}
