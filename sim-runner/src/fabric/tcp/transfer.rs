//! Writing, the wire, reading.

use std::io;
use std::task::{Context, Poll};

use super::{
    FIRST_RETRANSMIT_NS, LONGEST_RETRANSMIT_NS, MAX_RETRANSMISSIONS, Segment, State, WINDOW,
};
use crate::fabric::observer::Why;
use crate::fabric::queue::Event;
use crate::fabric::slab::Key;
use crate::fabric::world::World;

impl World {
    pub fn tcp_write(
        &mut self,
        key: Key,
        end: usize,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.conns.get(key).is_some_and(|conn| conn.lanes[end].withheld > 0) {
            self.update_window(key, end, 0);
        }
        let Some(conn) = self.conns.get_mut(key) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let lane = &mut conn.lanes[end];
        if conn.ends[end].state == State::Gone {
            let kind = conn.ends[end].error.unwrap_or(io::ErrorKind::BrokenPipe);
            return Poll::Ready(Err(kind.into()));
        }
        if lane.fin_sent {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = WINDOW.saturating_sub(lane.charged);
        if lane.full || room == 0 {
            lane.full = true;
            conn.ends[end].writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let taken = bytes.len().min(room);
        if taken > 0 {
            lane.charged += taken;
            self.send_segment(key, end, Segment::Data(bytes[..taken].to_vec()));
        }
        Poll::Ready(Ok(taken))
    }

    pub fn tcp_shutdown(&mut self, key: Key, end: usize) -> io::Result<()> {
        let conn = self.conns.get_mut(key).ok_or(io::ErrorKind::NotConnected)?;
        if conn.ends[end].state == State::Gone {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if !conn.lanes[end].fin_sent {
            conn.lanes[end].fin_sent = true;
            self.send_segment(key, end, Segment::Fin);
        }
        Ok(())
    }

    pub fn tcp_read(
        &mut self,
        key: Key,
        end: usize,
        into: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let Some(conn) = self.conns.get_mut(key) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let lane = &mut conn.lanes[1 - end];
        if lane.unread > 0 {
            let taken = lane.take(into);
            lane.withheld += taken;
            self.update_window(key, 1 - end, 0);
            return Poll::Ready(Ok(taken));
        }
        if lane.fin_arrived || into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if conn.ends[end].state == State::Gone {
            let kind = conn.ends[end].error.unwrap_or(io::ErrorKind::ConnectionReset);
            return Poll::Ready(Err(kind.into()));
        }
        conn.ends[end].reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Tells the sender of a lane how much its peer has read, unless the way back is cut.
    fn update_window(&mut self, key: Key, lane: usize, tries: u8) {
        let now_ns = self.now_ns();
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        let (from, to) = conn.route(1 - lane);
        let cut = self.is_cut(from, to);
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let update = &mut conn.lanes[lane];
        if cut {
            if !update.probing {
                update.probing = true;
                let retry_ns = now_ns + backoff_ns(tries);
                let event = Event::WindowProbe { conn: key, lane: lane as u8, tries: tries + 1 };
                self.queue.push(retry_ns, event);
            }
            return;
        }
        update.charged -= update.withheld;
        update.withheld = 0;
        if update.full && update.charged <= WINDOW / 2 {
            update.full = false;
            conn.ends[lane].wake_writer();
        }
    }

    pub fn window_probe(&mut self, key: Key, lane: usize, tries: u8) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        conn.lanes[lane].probing = false;
        if conn.lanes[lane].withheld > 0 && conn.ends[lane].state != State::Gone {
            self.update_window(key, lane, tries.min(MAX_RETRANSMISSIONS));
        }
    }

    pub(super) fn send_segment(&mut self, key: Key, lane: usize, segment: Segment) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let (from, to) = conn.route(lane);
        let sending = &mut conn.lanes[lane];
        let bytes = segment.payload().len();
        sending.flight.push_back(segment);
        if sending.stalled {
            return;
        }
        if from == to {
            let round = sending.round;
            return self.segment_arrives(key, lane, round);
        }
        if let Err(why) = self.launch(key, lane, bytes) {
            let newest = self.conns.get(key).map_or(0, |conn| conn.lanes[lane].flight.len() - 1);
            self.lose_segment(key, lane, newest, why);
        }
    }

    /// Puts one segment of a lane on the wire.
    fn launch(&mut self, key: Key, lane: usize, bytes: usize) -> Result<(), Why> {
        let Some(conn) = self.conns.get(key) else {
            return Ok(());
        };
        let (from, to) = conn.route(lane);
        let arrives_ns = self.transmit(from, to, bytes, true)?;
        if self.links.known(from, to).is_some_and(|link| link.damages_segment()) {
            return Err(Why::Lost);
        }
        if let Some(conn) = self.conns.get_mut(key) {
            let sending = &mut conn.lanes[lane];
            sending.last_arrival_ns = arrives_ns.max(sending.last_arrival_ns);
            let event = Event::Segment { conn: key, lane: lane as u8, round: sending.round };
            self.queue.push(sending.last_arrival_ns, event);
        }
        Ok(())
    }

    /// The segment at this place of a lane's flight did not get through.
    fn lose_segment(&mut self, key: Key, lane: usize, place: usize, why: Why) {
        if let Some(conn) = self.conns.get(key) {
            let (from, to) = conn.route(lane);
            if let Some(segment) = conn.lanes[lane].flight.get(place) {
                self.report_dropped(from, to, true, segment.payload(), why);
            }
        }
        self.stall(key, lane, place);
    }

    /// What is in flight from this place on is sent again, later. What stands before it is still on
    /// the wire and arrives.
    pub(super) fn stall(&mut self, key: Key, lane: usize, place: usize) {
        let now_ns = self.now_ns();
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let stalled = &mut conn.lanes[lane];
        if place == 0 {
            stalled.round = stalled.round.wrapping_add(1);
        }
        if !stalled.stalled {
            stalled.stalled = true;
            let retry_ns = now_ns + backoff_ns(stalled.retransmissions);
            stalled.retransmissions += 1;
            self.queue.push(retry_ns, Event::Retransmit { conn: key, lane: lane as u8 });
        }
    }

    pub fn retransmit(&mut self, key: Key, lane: usize) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let sending = &mut conn.lanes[lane];
        sending.stalled = false;
        // Whatever is still on the wire is superseded by what is sent now.
        sending.round = sending.round.wrapping_add(1);
        if conn.ends[lane].state == State::Gone {
            sending.flight.clear();
            return self.tcp_free(key);
        }
        if sending.retransmissions > MAX_RETRANSMISSIONS {
            sending.flight.clear();
            return self.tcp_lose(key, lane, io::ErrorKind::TimedOut);
        }
        let sizes: Vec<usize> =
            sending.flight.iter().map(|segment| segment.payload().len()).collect();
        for (place, bytes) in sizes.into_iter().enumerate() {
            if let Err(why) = self.launch(key, lane, bytes) {
                return self.lose_segment(key, lane, place, why);
            }
        }
    }

    /// The oldest segment of a lane reaches the other machine.
    pub fn segment_arrives(&mut self, key: Key, lane: usize, round: u32) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        if conn.lanes[lane].round != round || conn.lanes[lane].flight.is_empty() {
            return;
        }
        let (from, to) = conn.route(lane);
        if let Some(why) = self.blocked(from, to) {
            return self.lose_segment(key, lane, 0, why);
        }
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let receiver = conn.ends[1 - lane].state;
        let has_data = matches!(conn.lanes[lane].flight.front(), Some(Segment::Data(_)));
        match receiver {
            State::Gone => self.send_reset(key, lane),
            State::Closed if has_data => {
                // Nobody can read this any more: Linux answers with RST and forgets.
                conn.ends[1 - lane].state = State::Gone;
                self.send_reset(key, lane);
            }
            State::Opening | State::Open | State::Closed => self.take_segment(key, lane),
        }
    }

    fn take_segment(&mut self, key: Key, lane: usize) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let (from, to) = conn.route(lane);
        let arriving = &mut conn.lanes[lane];
        arriving.retransmissions = 0;
        match arriving.flight.pop_front() {
            Some(Segment::Data(bytes)) => {
                arriving.unread += bytes.len();
                conn.ends[1 - lane].wake_reader();
                self.report_delivered(from, to, true, &bytes);
                if let Some(conn) = self.conns.get_mut(key) {
                    conn.lanes[lane].inbox.push_back(bytes);
                }
            }
            Some(Segment::Fin) => {
                arriving.fin_arrived = true;
                conn.ends[1 - lane].wake_reader();
                self.tcp_free(key);
            }
            None => {}
        }
    }
}

fn backoff_ns(tries: u8) -> u64 {
    (FIRST_RETRANSMIT_NS << tries.min(10)).min(LONGEST_RETRANSMIT_NS)
}
