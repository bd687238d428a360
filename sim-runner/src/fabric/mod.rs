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

mod disk;
mod files;
mod link;
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
mod world;

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

use madsim::runtime::Handle;
use madsim::time::TimeHandle;
use proconsul::base::runtime::{Signal, Timer};
use proconsul::base::{Duration, Instant, Prng};

pub use files::{SimDisk, SimFile};
pub use observer::{Blind, Ended, HostId, Message, Observer, Why};
pub use policy::{DiskPolicy, Keep, LinkPolicy};
pub use process::{SimRuntime, SimTask, WALL_CLOCK_START};
pub use simulate::{Crashed, simulate};
pub use stream::{SimListener, SimReader, SimStream, SimWriter};
pub use timer::SimTimer;
pub use udp::SimDatagrams;

use disk::DiskImage;
use link::Links;
use process::Process;
use queue::Queue;
use slab::Slab;
use world::{Host, Ports, World, locked};

/// The testbed's hand on the simulated machines. Clones are the same fabric.
#[derive(Clone)]
pub struct Fabric {
    world: Arc<Mutex<World>>,
    time: TimeHandle,
    executor: Handle,
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
        Self { world, time, executor: Handle::current() }
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
        SimTimer::new(self, 0)
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

    // ---- hosts

    /// Adds a machine, without power until its first boot.
    ///
    /// # Panics
    /// When the name or the address is taken: the testbed's own mistake.
    pub fn add_host(&self, name: &str, ip: IpAddr, disk: DiskPolicy) -> HostId {
        let mut world = self.lock();
        let id = HostId(u16::try_from(world.hosts.len()).expect("fewer than 65,536 hosts"));
        let fresh = world.by_name.insert(name.to_owned(), id).is_none();
        assert!(fresh && world.by_ip.insert(ip, id).is_none(), "host {name} {ip} is there already");
        let disk = DiskImage::new(&world.streams.fork(&format!("disk/{name}")), disk);
        world.links.add_host();
        world.hosts.push(Host {
            name: name.to_owned(),
            ip,
            up: false,
            boots: 0,
            process: None,
            paused: false,
            disk: Arc::new(Mutex::new(disk)),
            wall_offset_ns: 0,
            lookups_fail: false,
            signals: VecDeque::new(),
            signal_waker: None,
            tcp_ports: Ports::new(),
            udp_ports: Ports::new(),
        });
        id
    }

    /// Gives the host power, if it has none, and starts a process; it ends when the future does.
    ///
    /// # Panics
    /// When a process is running there: the testbed's own mistake.
    pub fn boot<F>(&self, host: HostId, main: impl FnOnce(SimRuntime) -> F) -> SimRuntime
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = self.start(host);
        let main = main(runtime.clone());
        let ending = runtime.clone();
        runtime.spawn_guarded("main", async move {
            main.await;
            ending.0.fabric.end_process(&ending.0, Ended::Returned, "");
        });
        runtime
    }

    /// Like [`Fabric::boot`], for a process without a main future: it does what the testbed does with
    /// its runtime, until it is terminated.
    ///
    /// # Panics
    /// When a process is running there: the testbed's own mistake.
    pub fn start(&self, host: HostId) -> SimRuntime {
        let mut world = self.lock();
        let streams = world.streams.fork("entropy");
        let machine = world.host_mut(host);
        assert!(machine.process.is_none(), "{} runs a process already", machine.name);
        machine.up = true;
        machine.paused = false;
        machine.boots += 1;
        let entropy = streams.fork(&format!("{}/{}", machine.name, machine.boots));
        let node = self.executor.create_node().name(machine.name.clone()).build();
        let process = Arc::new(Process::new(self, host, node, entropy));
        machine.process = Some(process.clone());
        SimRuntime(process)
    }

    /// Power cut: the process is gone, the kernel with it, and of unsynced data what `keep` says.
    pub fn kill(&self, host: HostId, keep: Keep) {
        let process = {
            let mut world = self.lock();
            let machine = world.host_mut(host);
            machine.up = false;
            let process = machine.process.take();
            if let Some(process) = &process {
                process.alive.store(false, Ordering::Relaxed);
            }
            world.close_sockets(host, false);
            let at = world.now();
            let disk = world.host(host).disk.clone();
            for (path, bytes) in locked(&disk).lose_power(keep) {
                world.observer.lost_unsynced(at, host, &path, bytes);
            }
            if process.is_some() {
                world.observer.process_ended(at, host, Ended::Killed, "");
            }
            process
        };
        self.drop_tasks(process);
    }

    /// Ends a host's process as SIGKILL does: the kernel closes its sockets, the disk keeps all.
    pub fn terminate(&self, host: HostId) {
        let process = self.lock().host(host).process.clone();
        if let Some(process) = process {
            self.end_process(&process, Ended::Terminated, "");
        }
    }

    fn end_process(&self, process: &Arc<Process>, how: Ended, detail: &str) {
        if !process.alive.swap(false, Ordering::Relaxed) {
            return;
        }
        {
            let mut world = self.lock();
            world.close_sockets(process.host, true);
            world.host_mut(process.host).process = None;
            world.observer.process_ended(world.now(), process.host, how, detail);
        }
        self.drop_tasks(Some(process.clone()));
    }

    /// Lets madsim drop the tasks of a process. Not under the lock: their `Drop` code takes it.
    fn drop_tasks(&self, process: Option<Arc<Process>>) {
        if let Some(process) = process {
            self.executor.kill(process.node.id());
        }
    }

    /// Sends a signal to a host's process; it reads it with `Runtime::signal`. False when there is none.
    pub fn signal(&self, host: HostId, signal: Signal) -> bool {
        let mut world = self.lock();
        let machine = world.host_mut(host);
        machine.signals.push_back(signal);
        if let Some(waker) = machine.signal_waker.take() {
            waker.wake();
        }
        machine.process.is_some()
    }

    /// Stops a process' tasks where they stand (SIGSTOP). Its kernel goes on.
    pub fn pause(&self, host: HostId) {
        self.set_paused(host, true);
    }

    /// Lets a paused process go on; timers that came due meanwhile fire now.
    pub fn resume(&self, host: HostId) {
        self.set_paused(host, false);
    }

    fn set_paused(&self, host: HostId, paused: bool) {
        let mut world = self.lock();
        let machine = world.host_mut(host);
        let Some(process) = machine.process.clone() else {
            return;
        };
        machine.paused = paused;
        drop(world);
        if paused {
            self.executor.pause(process.node.id());
        } else {
            self.executor.resume(process.node.id());
        }
    }

    /// Whether the host has power.
    #[must_use]
    pub fn is_up(&self, host: HostId) -> bool {
        self.lock().host(host).up
    }

    /// Whether a process runs there, paused or not.
    #[must_use]
    pub fn is_running(&self, host: HostId) -> bool {
        self.lock().host(host).process.is_some()
    }

    /// Whether the host's process is paused.
    #[must_use]
    pub fn is_paused(&self, host: HostId) -> bool {
        let world = self.lock();
        world.host(host).paused && world.host(host).process.is_some()
    }

    /// The host's address.
    #[must_use]
    pub fn ip(&self, host: HostId) -> IpAddr {
        self.lock().host(host).ip
    }

    /// The host's name.
    #[must_use]
    pub fn name(&self, host: HostId) -> String {
        self.lock().host(host).name.clone()
    }

    /// Moves the host's wall clock this far from the true time, in nanoseconds.
    pub fn set_wall_offset(&self, host: HostId, offset_ns: i64) {
        self.lock().host_mut(host).wall_offset_ns = offset_ns;
    }

    /// Makes name lookups on this host fail, or work again.
    pub fn fail_lookups(&self, host: HostId, on: bool) {
        self.lock().host_mut(host).lookups_fail = on;
    }

    // ---- links

    /// Sets the policy of one direction of one link.
    pub fn set_link(&self, from: HostId, to: HostId, policy: LinkPolicy) {
        self.with_link(from, to, |link| link.policy = policy);
    }

    /// The policy of one direction of one link.
    #[must_use]
    pub fn link(&self, from: HostId, to: HostId) -> LinkPolicy {
        self.with_link(from, to, |link| link.policy)
    }

    /// Cuts one direction of one link on behalf of a fault, until that fault is healed. A link that
    /// several faults cut passes messages when the last of them is healed.
    pub fn cut(&self, fault: u64, from: HostId, to: HostId) {
        self.with_link(from, to, |link| link.cuts += 1);
        self.lock().cuts.entry(fault).or_default().push((from, to));
    }

    /// Takes back all cuts of one fault.
    pub fn heal(&self, fault: u64) {
        let routes = self.lock().cuts.remove(&fault).unwrap_or_default();
        for (from, to) in routes {
            self.with_link(from, to, |link| link.cuts -= 1);
        }
    }

    /// Takes back the cuts of every fault.
    pub fn heal_all(&self) {
        let mut world = self.lock();
        world.cuts.clear();
        for link in world.links.all() {
            link.cuts = 0;
        }
    }

    /// Whether one direction of one link is cut now.
    #[must_use]
    pub fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.lock().is_cut(from, to)
    }

    fn with_link<T>(
        &self,
        from: HostId,
        to: HostId,
        use_it: impl FnOnce(&mut link::Link) -> T,
    ) -> T {
        let world = &mut *self.lock();
        let names =
            (&*world.hosts[usize::from(from.0)].name, &*world.hosts[usize::from(to.0)].name);
        use_it(world.links.get(from, to, names))
    }

    /// The planted non-determinism: latencies take real entropy, so no two runs agree.
    pub fn set_nondeterministic(&self, on: bool) {
        self.lock().links.set_nondeterministic(on);
    }

    /// Ends every process and forgets every event, so that nothing of the simulation outlives it.
    /// Tells the observer nothing.
    pub async fn shut_down(&self) {
        let processes: Vec<Arc<Process>> = {
            let mut world = self.lock();
            world.observer = Arc::new(Blind);
            world.queue.clear();
            world.hosts.iter_mut().filter_map(|host| host.process.take()).collect()
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
