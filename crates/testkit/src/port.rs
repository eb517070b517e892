//! Ports for processes that must be found again at the same place, or that are told their port before they bind it.
//!
//! A port that the system gave out can be given to somebody else while nobody listens on it. These are outside of the range that
//! it gives out from, and each is one test's own for as long as its value lives.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Where the range begins that systems give ports out from, unless this one says otherwise.
const GIVEN_OUT_FROM: u16 = 32_768;
/// Below this, ports belong to things that people know.
const FIRST: u16 = 10_000;

/// A port on loopback that no other test uses.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Taken by one test at a time; the system takes the lock away with the process.
    _lock: File,
}

impl Port {
    /// Reserves one that nobody listens on.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn reserve() -> Port {
        let folder = folder();
        std::fs::create_dir_all(&folder).expect("the target folder takes files");
        let range = range();
        let (first, count) = (u32::from(range.start), u32::from(range.end - range.start));
        // Tests that run at the same time begin at different places.
        let begin = std::process::id().wrapping_mul(31) % count;
        let numbers = (0..count).map(|step| first + (begin + step) % count);
        let mut ports = numbers.filter_map(|number| Port::take(&folder, u16::try_from(number).ok()?));
        ports.next().expect("a port that no other test has")
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    fn take(folder: &Path, number: u16) -> Option<Port> {
        let file = folder.join(number.to_string());
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(file).ok()?;
        lock.try_lock().ok()?;
        // Somebody who is no test of ours may listen there.
        TcpListener::bind(("127.0.0.1", number)).ok()?;
        Some(Port { number, _lock: lock })
    }
}

/// Beside the tests.
fn folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    test.parent().expect("tests lie in a folder").join("ports")
}

/// The ports that the system does not give out.
fn range() -> Range<u16> {
    let told = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let given_out_from = told.split_whitespace().next().and_then(|first| first.parse().ok());
    FIRST..given_out_from.filter(|first| *first > FIRST).unwrap_or(GIVEN_OUT_FROM)
}

#[cfg(test)]
mod tests {
    use super::{Port, range};

    #[test]
    fn a_port_is_one_tests_own_until_it_is_given_back() {
        let (one, two) = (Port::reserve(), Port::reserve());
        assert_ne!(one.number(), two.number());
        assert!(range().contains(&one.number()));
        let number = one.number();
        assert!(Port::take(&super::folder(), number).is_none());
        drop(one);
        assert_eq!(Port::take(&super::folder(), number).map(|port| port.number()), Some(number));
    }
}
