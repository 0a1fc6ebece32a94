//! An allocator that gives up where more memory is asked for than any input may need:
//! libFuzzer sees allocations only with a sanitizer, which needs a nightly toolchain.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use pgcdc::Limits;

/// Inputs are small; what they announce must not count.
pub const LIMITS: Limits = Limits { max_batch_bytes: 1 << 20, ..Limits::DEFAULT };

/// Of all that is in use at once.
const MOST: usize = 64 << 20;

struct Bounded;

static USED: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

fn take(size: usize) {
    if USED.fetch_add(size, Ordering::Relaxed).saturating_add(size) > MOST {
        // a message would need memory; the signal makes libFuzzer keep the input
        std::process::abort();
    }
}

unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        take(size);
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}
