//! How many connections there are, in all and from each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

#[derive(Debug, Default)]
pub(crate) struct ConnectionCounts {
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection that counts until this is dropped.
#[derive(Debug)]
pub(super) struct CountedConnection {
    counts: Arc<ConnectionCounts>,
    address: IpAddr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TooManyConnections {
    #[error("max.connections = {0} are open")]
    InAll(usize),
    #[error("max.connections.per.ip = {0} are open from this address")]
    FromAddress(usize),
}

impl ConnectionCounts {
    pub(super) fn open(
        self: &Arc<ConnectionCounts>,
        address: IpAddr,
        all_max: usize,
        per_address_max: usize,
    ) -> Result<CountedConnection, TooManyConnections> {
        let mut by_address = self.by_address.lock();
        if by_address.values().sum::<usize>() >= all_max {
            return Err(TooManyConnections::InAll(all_max));
        }
        let count = by_address.get(&address).copied().unwrap_or_default();
        if count >= per_address_max {
            return Err(TooManyConnections::FromAddress(per_address_max));
        }
        by_address.insert(address, count + 1);
        Ok(CountedConnection {
            counts: Arc::clone(self),
            address,
        })
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        let mut by_address = self.counts.by_address.lock();
        let count = by_address.remove(&self.address).expect("an open connection is counted");
        if count > 1 {
            by_address.insert(self.address, count - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_in_all_and_by_address() {
        let counts = Arc::new(ConnectionCounts::default());
        let (one, two): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let first = counts.open(one, 3, 2).unwrap();
        let _second = counts.open(one, 3, 2).unwrap();
        assert_eq!(counts.open(one, 3, 2).unwrap_err(), TooManyConnections::FromAddress(2));
        let _third = counts.open(two, 3, 2).unwrap();
        assert_eq!(counts.open(two, 3, 2).unwrap_err(), TooManyConnections::InAll(3));
        drop(first);
        assert!(counts.open(one, 3, 2).is_ok());
    }
}
