//! What a process spends: CPU time, allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crate::Tally;

static COUNT: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, counting.
struct Counting;

fn count(bytes: usize) {
    COUNT.fetch_add(1, Relaxed);
    BYTES.fetch_add(bytes as u64, Relaxed);
}

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        System.alloc(layout)
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        System.alloc_zeroed(layout)
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        System.realloc(at, layout, size)
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        System.dealloc(at, layout);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Of all threads of this process, in seconds.
fn cpu() -> f64 {
    // SAFETY: getrusage fills in the struct, of which all zeros is a value.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage
    };
    [usage.ru_utime, usage.ru_stime]
        .iter()
        .map(|time| time.tv_sec as f64 + time.tv_usec as f64 / 1e6)
        .sum()
}

/// Of reading all changes once.
#[derive(Clone, Debug)]
pub struct Measured {
    pub cpu: f64,
    pub wall: f64,
    pub allocations: u64,
    pub bytes: u64,
    pub tally: Tally,
}

/// Since when, and from what.
pub struct Meter {
    began: Instant,
    cpu: f64,
    allocations: u64,
    bytes: u64,
}

impl Meter {
    pub fn start() -> Self {
        Meter {
            began: Instant::now(),
            cpu: cpu(),
            allocations: COUNT.load(Relaxed),
            bytes: BYTES.load(Relaxed),
        }
    }

    pub fn stop(self, tally: Tally) -> Measured {
        Measured {
            cpu: cpu() - self.cpu,
            wall: self.began.elapsed().as_secs_f64(),
            allocations: COUNT.load(Relaxed) - self.allocations,
            bytes: BYTES.load(Relaxed) - self.bytes,
            tally,
        }
    }
}

impl Measured {
    /// As a line, for the process that has asked.
    pub fn line(&self) -> String {
        let Tally { events, values, quantity } = self.tally;
        format!(
            "{} {} {} {} {events} {values} {quantity}",
            self.cpu, self.wall, self.allocations, self.bytes
        )
    }

    pub fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [cpu, wall, allocations, bytes, events, values, quantity] = words[..] else {
            return None;
        };
        Some(Measured {
            cpu: cpu.parse().ok()?,
            wall: wall.parse().ok()?,
            allocations: allocations.parse().ok()?,
            bytes: bytes.parse().ok()?,
            tally: Tally {
                events: events.parse().ok()?,
                values: values.parse().ok()?,
                quantity: quantity.parse().ok()?,
            },
        })
    }
}
