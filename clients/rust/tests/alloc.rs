//! The borrowed path allocates nothing for an event.
#![cfg(feature = "test")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use pgcdc::test::{insert, Script};
use pgcdc::{Batch, Limits, SchemaCache};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<T>(f: impl FnOnce() -> T) -> (u64, T) {
    let before = COUNT.with(Cell::get);
    let result = f();
    (COUNT.with(Cell::get) - before, result)
}

/// Everything of every event: rows, values by column, arrays.
fn walk(bytes: &[u8], schemas: &SchemaCache) -> u64 {
    let batch = Batch::parse(bytes).unwrap();
    let mut seen = 0;
    for event in batch.events() {
        let event = event.unwrap();
        seen += 1;
        for row in [event.key, event.new_key, event.old, event.new] {
            seen += row.fields().map(|field| u64::from(field.unwrap().number)).sum::<u64>();
            if event.schema == 0 {
                continue;
            }
            for value in row.values(&schemas.get(event.schema).unwrap().table) {
                let (_, value) = value.unwrap();
                if let pgcdc::Value::Array(array) = value {
                    seen += array
                        .iter()
                        .map(|element| u64::from(element.unwrap().is_some()))
                        .sum::<u64>();
                }
            }
        }
        seen += event.nulls().chain(event.unavailable()).count() as u64;
    }
    seen
}

#[test]
fn counts_are_counted() {
    assert_eq!(allocations(|| vec![1u8]).0, 1);
}

#[test]
fn no_allocation_for_an_event() {
    for path in common::golden() {
        let bytes = std::fs::read(&path).unwrap();
        let mut schemas = SchemaCache::new(Limits::DEFAULT);
        for frame in pgcdc::Frames::new(&bytes, Limits::DEFAULT) {
            let frame = frame.unwrap();
            schemas.add_all(&Batch::parse(frame).unwrap()).unwrap();
            let (count, seen) = allocations(|| walk(frame, &schemas));
            assert_eq!(count, 0, "{} of {seen}", path.display());
        }
    }
}

/// What a stream allocates for a batch does not depend on its events.
#[tokio::test]
async fn changes_allocate_nothing() {
    let events: Vec<_> = (0..1000).map(|i| insert(i, "name")).collect();
    let mut stream = Script::new().transaction(&events).start();
    let delivery = stream.next().await.unwrap().unwrap();
    let (count, changes) = allocations(|| {
        delivery.changes().filter(|change| change.as_ref().unwrap().schema.is_some()).count()
    });
    assert_eq!((count, changes), (0, 1000));
}
