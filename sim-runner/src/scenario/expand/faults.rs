//! The tables of machines, and the verbs that act on clocks, disks, files and commands.

use super::super::fault::{
    CliExpect, CliStep, ClockFault, DiskFault, DiskPlan, FileAct, FileStep, LinkFault, Links,
    Proto, Which,
};
use super::super::model::Plan;
use super::super::signed::{show_ns, show_ppm, show_span as show_signed};
use super::super::target;
use super::super::toml_text::{cli_expect, file_expect};
use super::super::values::{show_bandwidth, show_duration, show_span};
use super::Printer;

impl Printer<'_> {
    /// `[disk]` and `[clock]`, where they say something. Ranges stay: disks draw per call, and each
    /// node draws its clock from a stream of its own name.
    pub(super) fn machines(&mut self, plan: &Plan) {
        let disk = &plan.disk;
        if *disk != DiskPlan::default() {
            self.header("[disk]");
            for (key, span) in [("fsync", disk.fsync), ("read", disk.read), ("write", disk.write)] {
                self.text(key, &show_span(span));
            }
            if let Some(capacity) = disk.capacity {
                self.text("capacity", &format!("{capacity}B"));
            }
        }
        if plan.clock != Default::default() {
            self.header("[clock]");
            self.text("skew", &show_signed(plan.clock.skew_ns, show_ns));
            self.text("drift", &show_signed(plan.clock.drift_ppm, show_ppm));
        }
    }

    pub(super) fn clock_fault(&mut self, fault: ClockFault) {
        match fault {
            ClockFault::Drift(ppm) => self.text("by", &show_ppm(ppm)),
            ClockFault::Skew(by) | ClockFault::Jump(by) => self.text("by", &show_ns(by)),
            ClockFault::Strobe { by_ns, every } => {
                self.text("by", &show_ns(by_ns));
                self.text("every", &show_duration(every));
            }
        }
    }

    pub(super) fn disk_fault(&mut self, fault: &DiskFault) {
        match fault {
            DiskFault::SlowFsync { by } => self.text("by", &show_span(*by)),
            DiskFault::DiskFull { after: 0 }
            | DiskFault::FsyncLies
            | DiskFault::TornWrite
            | DiskFault::LoseUnsynced => {}
            DiskFault::DiskFull { after } => self.text("after", &format!("{after}B")),
            DiskFault::IoError { read, write, fsync, which } => {
                let ops = [("read", *read), ("write", *write), ("fsync", *fsync)];
                let ops = ops.iter().filter(|(_, on)| *on).map(|(op, _)| *op);
                self.text("op", &ops.collect::<Vec<_>>().join(" "));
                match which {
                    Which::Every => {}
                    Which::Nth(nth) => self.line("nth", nth),
                    Which::Ratio(ratio) => {
                        self.text("ratio", &format!("{}/{}", ratio.numerator, ratio.denominator));
                    }
                }
            }
            DiskFault::BitRot { path, count } | DiskFault::Misdirect { path, count } => {
                self.text("path", path);
                self.line("count", count);
            }
        }
    }

    pub(super) fn link(&mut self, links: &Links, proto: Option<Proto>, fault: LinkFault) {
        match links {
            Links::Of(target) => self.target("target", target),
            Links::Between { from, to, both } => {
                let arrow = if *both { "<->" } else { "->" };
                let (from, to) = (target::show(from, &self.names), target::show(to, &self.names));
                self.text("link", &format!("{from} {arrow} {to}"));
            }
        }
        match proto {
            None => {}
            Some(Proto::Tcp) => self.text("proto", "tcp"),
            Some(Proto::Udp) => self.text("proto", "udp"),
        }
        match fault {
            LinkFault::Slow(by) => self.text("by", &show_span(by)),
            LinkFault::Lose(ratio)
            | LinkFault::Duplicate(ratio)
            | LinkFault::Reorder(ratio)
            | LinkFault::Corrupt(ratio) => {
                self.text("ratio", &format!("{}/{}", ratio.numerator, ratio.denominator));
            }
            LinkFault::Throttle(bytes) => self.text("to", &show_bandwidth(bytes)),
            LinkFault::Clog | LinkFault::Reset | LinkFault::Refuse | LinkFault::Blackhole => {}
        }
    }

    pub(super) fn file(&mut self, file: &FileStep) {
        self.target("target", &file.target);
        self.text("path", &file.path);
        match &file.act {
            FileAct::Write(text) => self.text("write", text),
            FileAct::Delete => self.line("delete", true),
            FileAct::Truncate(bytes) => self.text("truncate", &format!("{bytes}B")),
            FileAct::Corrupt(bits) => self.line("corrupt", bits),
            FileAct::Expect(expect) => self.line("expect", file_expect(expect)),
        }
    }

    pub(super) fn cli(&mut self, cli: &CliStep) {
        self.target("via", &cli.via);
        self.text("run", &cli.run);
        if cli.expect != CliExpect::default() {
            self.line("expect", cli_expect(&cli.expect));
        }
    }
}
