//! How many connections each address has open, so that one client cannot take all descriptors.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The seats of one port. Clones share them.
#[derive(Clone, Debug)]
pub struct Seats {
    per_client: Arc<AtomicUsize>,
    taken: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

/// A connection's seat, free again when this is dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Seats,
    of: IpAddr,
}

impl Seats {
    /// So many for each address; 0: any number.
    #[must_use]
    pub fn new(per_client: usize) -> Self {
        let seats = Self { per_client: Arc::default(), taken: Arc::default() };
        seats.set_per_client(per_client);
        seats
    }

    /// So many from now on. Who sits stays.
    pub fn set_per_client(&self, per_client: usize) {
        let per_client = if per_client == 0 { usize::MAX } else { per_client };
        self.per_client.store(per_client, Ordering::Relaxed);
    }

    /// A seat for a connection from there; none when all of its seats are taken.
    #[must_use]
    pub fn take(&self, of: IpAddr) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(of).or_default();
        if *count >= self.per_client.load(Ordering::Relaxed) {
            return None;
        }
        *count += 1;
        Some(Seat { seats: self.clone(), of })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.of) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                taken.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_address_for_itself() {
        let seats = Seats::new(2);
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = seats.take(one).expect("a seat");
        let _second = seats.take(one).expect("a seat");
        assert!(seats.take(one).is_none());
        assert!(seats.take(other).is_some());
        drop(first);
        assert!(seats.take(one).is_some());
    }
}
