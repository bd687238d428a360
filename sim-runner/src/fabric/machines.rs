//! The testbed's hand on the machines: power, processes, signals, pauses, clocks.

use std::collections::VecDeque;
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use proconsul::base::runtime::Signal;

use super::Fabric;
use super::disk::DiskImage;
use super::observer::{Ended, HostId};
use super::policy::{DiskPolicy, Keep};
use super::process::{Process, SimRuntime};
use super::world::{Host, Ports, locked};

impl Fabric {
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
            guests: Vec::new(),
            visits: 0,
            paused: false,
            disk: Arc::new(Mutex::new(disk)),
            clock: Arc::default(),
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
        let clock = machine.clock.clone();
        let entropy = streams.fork(&format!("{}/{}", machine.name, machine.boots));
        let node = self.executor.create_node().name(machine.name.clone()).build();
        let process = Arc::new(Process::new(self, host, node, clock, entropy));
        machine.process = Some(process.clone());
        SimRuntime(process)
    }

    /// Power cut: the process is gone, the kernel with it, and of unsynced data what `keep` says.
    pub fn kill(&self, host: HostId, keep: Keep) {
        let (process, guests) = {
            let mut world = self.lock();
            let machine = world.host_mut(host);
            machine.up = false;
            let process = machine.process.take();
            let guests = std::mem::take(&mut machine.guests);
            for process in process.iter().chain(&guests) {
                process.alive.store(false, Ordering::Relaxed);
            }
            world.close_sockets(host, false);
            let at = world.now();
            let disk = world.host(host).disk.clone();
            let lost = locked(&disk).lose_power(keep);
            for (path, bytes) in lost.torn {
                let detail = format!("{bytes} bytes of the last write did not arrive");
                world.observer.disk_struck(at, host, "torn-write", &path, &detail);
            }
            for (path, bytes) in lost.files {
                world.observer.lost_unsynced(at, host, &path, bytes);
            }
            if process.is_some() {
                world.observer.process_ended(at, host, Ended::Killed, "");
            }
            (process, guests)
        };
        self.drop_tasks(process);
        for guest in guests {
            self.drop_tasks(Some(guest));
        }
    }

    /// A process beside the host's own: a command of somebody who is logged in there. None when the
    /// host has no power. It is neither paused nor ended with the host's own, but its connections are
    /// closed with those of that one. [`Fabric::leave`] ends it.
    #[must_use]
    pub fn visit(&self, host: HostId) -> Option<SimRuntime> {
        let mut world = self.lock();
        let streams = world.streams.fork("entropy");
        let machine = world.host_mut(host);
        if !machine.up {
            return None;
        }
        machine.visits += 1;
        let entropy = streams.fork(&format!("{}/visit {}", machine.name, machine.visits));
        let node = self.executor.create_node().name(machine.name.clone()).build();
        let clock = machine.clock.clone();
        let process = Arc::new(Process::new(self, host, node, clock, entropy));
        machine.guests.push(process.clone());
        Some(SimRuntime(process))
    }

    /// Ends a process that [`Fabric::visit`] began.
    pub fn leave(&self, guest: &SimRuntime) {
        guest.0.alive.store(false, Ordering::Relaxed);
        let mut world = self.lock();
        let guests = &mut world.host_mut(guest.0.host).guests;
        guests.retain(|process| !Arc::ptr_eq(process, &guest.0));
        drop(world);
        self.drop_tasks(Some(guest.0.clone()));
    }

    /// Ends a host's process as SIGKILL does: the kernel closes its sockets, the disk keeps all.
    pub fn terminate(&self, host: HostId) {
        let process = self.lock().host(host).process.clone();
        if let Some(process) = process {
            self.end_process(&process, Ended::Terminated, "");
        }
    }

    pub(super) fn end_process(&self, process: &Arc<Process>, how: Ended, detail: &str) {
        if !process.alive.swap(false, Ordering::Relaxed) {
            return;
        }
        {
            let mut world = self.lock();
            let guests = &world.host(process.host).guests;
            if guests.iter().any(|guest| Arc::ptr_eq(guest, process)) {
                world.observer.command_panicked(world.now(), process.host, detail);
                return;
            }
            world.close_sockets(process.host, true);
            world.host_mut(process.host).process = None;
            world.observer.process_ended(world.now(), process.host, how, detail);
        }
        self.drop_tasks(Some(process.clone()));
    }

    /// Lets madsim drop the tasks of a process. Not under the lock: their `Drop` code takes it.
    pub(super) fn drop_tasks(&self, process: Option<Arc<Process>>) {
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

    /// Gives a host another address. What is on its way to the old one arrives nowhere.
    ///
    /// # Panics
    /// When the address is another host's, or the host has power: the testbed's own mistake.
    pub fn set_ip(&self, host: HostId, ip: IpAddr) {
        let mut world = self.lock();
        let machine = world.host_mut(host);
        assert!(!machine.up, "{} is moved while it has power", machine.name);
        let old = std::mem::replace(&mut machine.ip, ip);
        world.by_ip.remove(&old);
        assert!(world.by_ip.insert(ip, host).is_none(), "{ip} is another host's");
    }

    /// The host's name.
    #[must_use]
    pub fn name(&self, host: HostId) -> String {
        self.lock().host(host).name.clone()
    }

    /// Moves the host's wall clock this far from the true time, in nanoseconds.
    pub fn set_wall_offset(&self, host: HostId, offset_ns: i64) {
        self.lock().host(host).clock.set_wall_offset(offset_ns);
    }

    /// Lets the host's clocks run this much faster (or slower, down to -999,999) than true time, in
    /// parts per million. Timers of its processes fire by that clock.
    ///
    /// # Panics
    /// When the clock would not run at all.
    pub fn set_drift(&self, host: HostId, drift_ppm: i64) {
        let mut world = self.lock();
        let clock = world.host(host).clock.clone();
        clock.set_drift(world.now_ns(), drift_ppm);
        world.requeue_timers(&clock);
    }

    /// Makes name lookups on this host fail, or work again.
    pub fn fail_lookups(&self, host: HostId, on: bool) {
        self.lock().host_mut(host).lookups_fail = on;
    }
}
