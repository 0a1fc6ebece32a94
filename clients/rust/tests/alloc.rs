//! The borrowed path allocates nothing for an event.
#![cfg(feature = "test")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use pgcdc::test::{insert, Script};
use pgcdc::{Inflater, Limits, SchemaCache};

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
fn walk(inflater: &mut Inflater, bytes: &[u8], schemas: &SchemaCache) -> u64 {
    let batch = inflater.parse(bytes).unwrap();
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

fn walk_all(bytes: &[u8], name: &str) {
    let mut schemas = SchemaCache::new(Limits::DEFAULT);
    let mut inflater = Inflater::new(Limits::DEFAULT);
    for frame in pgcdc::Frames::new(bytes, Limits::DEFAULT) {
        let frame = frame.unwrap();
        // which may make the buffer larger
        schemas.add_all(&inflater.parse(frame).unwrap()).unwrap();
        let (count, seen) = allocations(|| walk(&mut inflater, frame, &schemas));
        assert_eq!(count, 0, "{name} of {seen}");
    }
}

#[test]
fn no_allocation_for_an_event() {
    for path in common::golden() {
        let bytes = std::fs::read(&path).unwrap();
        let name = path.display().to_string();
        walk_all(&bytes, &name);
        for codec in [common::LZ4, common::ZSTD] {
            let compressed = common::compress_all(&bytes, codec);
            walk_all(&compressed, &format!("{name}, compressed by {codec}"));
        }
    }
}

/// What a stream allocates for a batch does not depend on its events.
#[tokio::test]
async fn changes_allocate_nothing() {
    let events: Vec<_> = (0..1000).map(|i| insert(i, "name")).collect();
    let mut stream = Script::new().transaction(&events).start();
    let delivery = stream.next_batch().await.unwrap().unwrap();
    let (count, changes) = allocations(|| {
        delivery.changes().filter(|change| change.as_ref().unwrap().schema.is_some()).count()
    });
    assert_eq!((count, changes), (0, 1000));
}

/// Of a batch that is compressed a stream uses the memory again.
#[tokio::test]
async fn compressed_batches_share_memory() {
    for codec in [common::LZ4, common::ZSTD] {
        let mut counts = Vec::new();
        for events in [10, 1000] {
            let events: Vec<_> = (0..events).map(|i| insert(i, "name")).collect();
            let mut script = Script::new();
            for _ in 0..20 {
                script =
                    script.transaction(&events).map_last(|batch| common::compress(batch, codec));
            }
            let mut stream = script.start();
            // what there is once, and room in the queue
            for _ in 0..10 {
                let delivery = stream.next_batch().await.unwrap().unwrap();
                assert_eq!(delivery.changes().count(), events.len());
                stream.ack(&delivery);
            }
            let before = COUNT.with(Cell::get);
            for _ in 10..20 {
                let delivery = stream.next_batch().await.unwrap().unwrap();
                assert_eq!(delivery.changes().count(), events.len());
                stream.ack(&delivery);
            }
            counts.push(COUNT.with(Cell::get) - before);
        }
        println!("{counts:?} allocations for 10 batches of 10 and of 1000 events");
        assert!(counts[1] <= counts[0] && counts[1] <= 30, "{counts:?}");
    }
}
