//! A stream whose items come from a script.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::config::StreamConfig;
use super::driver::{now, Item};
use super::handle::Stream;
use super::start::System;
use super::tracker::Tracker;
use crate::base::error::Error;
use crate::base::position::Lsn;

/// A step of a script.
#[derive(Debug)]
pub(crate) enum Step {
    /// The payload of a message.
    Payload(Bytes),
    /// Nothing comes for a while.
    Delay(Duration),
    /// The connection breaks and is made again, to a server on this timeline.
    Reconnect(u32),
    /// The stream ends with an error.
    Fail(Error),
}

/// Of the server that there is not.
pub(crate) const SYSTEM: u64 = 7;
pub(crate) const DATABASE: &str = "test";

impl Stream {
    /// Plays it.
    pub(crate) fn play(config: StreamConfig, steps: Vec<Step>) -> Self {
        let system = |timeline| System {
            identifier: SYSTEM,
            timeline,
            wal_end: Lsn::ZERO,
            database: DATABASE.into(),
        };

        let guard = config.guard().expect("the settings are right").0;
        let tracker = Arc::new(Tracker::default());
        let (sender, items) = mpsc::unbounded_channel();
        let queue = tracker.clone();
        tokio::spawn(async move {
            for step in steps {
                let item = match step {
                    Step::Payload(payload) => {
                        queue.queue(payload.len());
                        Item::Payload(payload, now())
                    }
                    Step::Delay(time) => {
                        tokio::time::sleep(time).await;
                        continue;
                    }
                    Step::Reconnect(timeline) => {
                        queue.queue(0);
                        Item::Reconnected(0, system(timeline))
                    }
                    Step::Fail(error) => Item::Failed(error),
                };
                if sender.send(item).is_err() {
                    return;
                }
            }
        });
        Self::new(Arc::new(config), guard, tracker, items, system(1), None)
            .expect("there is no key")
    }
}
