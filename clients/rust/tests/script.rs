//! Policies and resuming, against a source in memory.
#![cfg(feature = "test")]

mod common;

use std::io;
use std::sync::{Arc, Mutex};

use common::golden;
use pgcdc::test::{insert, Script};
use pgcdc::{Checkpoint, DeadLetter, DeadLetterSink, Delivery, Error, Policy, Reason, Stream};

/// Every delivery's number of changes, and the error at the end.
async fn drain(mut stream: Stream) -> (Vec<usize>, Option<Error>) {
    let mut counts = Vec::new();
    while let Some(delivery) = stream.next_batch().await {
        match delivery {
            Ok(delivery) => {
                let mut count = 0;
                for change in delivery.changes() {
                    match change {
                        Ok(_) => count += 1,
                        Err(error) => return (counts, Some(error)),
                    }
                }
                counts.push(count);
                stream.ack(&delivery);
            }
            Err(error) => return (counts, Some(error)),
        }
    }
    (counts, None)
}

#[derive(Default)]
struct Letters(Mutex<Vec<(Reason, usize)>>);

impl DeadLetterSink for Letters {
    fn put(&self, letter: &DeadLetter<'_>) -> io::Result<()> {
        self.0.lock().unwrap().push((letter.reason, letter.batch.len()));
        Ok(())
    }
}

#[tokio::test]
async fn golden_files_play() {
    for path in golden() {
        let bytes = std::fs::read(&path).unwrap();
        let (counts, error) = drain(Script::new().frames(&bytes).unwrap().start()).await;
        assert!(error.is_none(), "{}: {error:?}", path.display());
        let wanted = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let events = wanted.lines().filter(|line| line.contains("\"position\"")).count();
        assert_eq!(counts.iter().sum::<usize>(), events, "{}", path.display());
    }
}

#[tokio::test]
async fn duplicates_are_passed_over() {
    let script =
        || Script::new().transaction(&[insert(1, "a")]).duplicate().transaction(&[insert(2, "b")]);
    assert_eq!(drain(script().start()).await.0, [1, 1]);
    assert_eq!(drain(script().reconnect().duplicate().start()).await.0, [1, 1]);
}

#[tokio::test]
async fn checkpoints_are_of_the_server_that_there_is() {
    let mut stream = Script::new()
        .transaction(&[insert(1, "a")])
        .transaction(&[insert(2, "b")])
        .failover()
        .transaction(&[insert(3, "c"), insert(4, "d")])
        .start();
    let mut deliveries = Vec::new();
    while let Some(delivery) = stream.next_batch().await {
        let delivery = delivery.unwrap();
        let timeline = stream.checkpoint(&delivery).timeline;
        assert_eq!(timeline, if deliveries.len() < 2 { 1 } else { 2 });
        deliveries.push(delivery);
    }
    let [first, second, third] = &deliveries[..] else { panic!("{deliveries:?}") };
    let behind = |delivery: &Delivery| {
        let batch = delivery.batch().unwrap();
        Checkpoint {
            system_identifier: 7,
            timeline: 2,
            database: "test".into(),
            slot: "test".into(),
            position: batch.events().last().unwrap().unwrap().position,
            end_lsn: batch.end_lsn,
        }
    };
    assert_eq!(stream.checkpoint(first), behind(first));
    assert_eq!(stream.checkpoint(third).end_lsn.0, 0, "the first ones are not acknowledged");
    stream.ack(second);
    assert_eq!(stream.checkpoint(first), behind(second));
    stream.ack(first);
    assert_eq!(stream.checkpoint(first), behind(second), "it does not go back");
    assert_eq!(stream.checkpoint(third), behind(third));
}

#[tokio::test]
async fn damage_by_policy() {
    let script = || {
        Script::new()
            .transaction(&[insert(1, "a")])
            .transaction(&[insert(2, "b"), insert(3, "c")])
            .damage()
            .transaction(&[insert(4, "d")])
    };
    let (counts, error) = drain(script().start()).await;
    assert!(matches!((&counts[..], error), ([1], Some(Error::Damage(_)))));

    let mut config = Script::config();
    config.on_damage = Policy::Skip;
    let (counts, error) = drain(script().start_with(config)).await;
    assert!(error.is_none() && counts == [1, 1], "{counts:?} {error:?}");

    let letters = Arc::new(Letters::default());
    let config = Script::config().dead_letters(letters.clone());
    let (counts, error) = drain(script().payload(&b"\x05"[..]).start_with(config)).await;
    assert!(error.is_none() && counts == [1, 1], "{counts:?} {error:?}");
    let letters = letters.0.lock().unwrap();
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|(reason, len)| *reason == Reason::Damage && *len > 0));
}

#[tokio::test]
async fn unknown_schemas_and_limits() {
    let mut event = insert(1, "a");
    event.schema = 7;
    let script = || Script::new().transaction(&[event.clone(), insert(2, "b")]);
    let (counts, error) = drain(script().start()).await;
    assert!(counts.is_empty() && error.unwrap().to_string().contains("0000000000000007"));
    let mut config = Script::config();
    config.on_damage = Policy::Skip;
    assert_eq!(drain(script().start_with(config)).await.0, [1]);

    let mut config = Script::config();
    config.limits.max_batch_bytes = 10;
    let (_, error) = drain(script().start_with(config)).await;
    assert!(error.unwrap().to_string().contains("limit of 10"));
    let (counts, error) = drain(script().fail(Error::Config("x".into())).start()).await;
    assert!(counts.is_empty() && matches!(error, Some(Error::Damage(_))));
}
