//! The thread that a stream's driver has to itself, with a runtime of its own: a
//! consumer may block its own runtime for as long as it wants, and the server still
//! hears from us.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot, watch};

use super::config::StreamConfig;
use super::driver::{Driver, Flush, Item, Orders};
use super::start::System;
use super::tracker::Tracker;
use crate::base::error::Error;

/// How long what was dropped at work may take to be cancelled.
const SETTLE: Duration = Duration::from_secs(3);

/// The thread, as its owner sees it. Dropping it ends the connection.
#[derive(Debug)]
pub(super) struct Worker {
    stop: oneshot::Sender<()>,
    flush: mpsc::UnboundedSender<Flush>,
    closing: watch::Sender<bool>,
    outcome: oneshot::Receiver<Result<(), Error>>,
    /// Dropped with the rest: nobody is there any more.
    _owner: oneshot::Sender<()>,
}

impl Worker {
    /// Connects, checks, and begins to stream; from what.
    pub(super) async fn start(
        config: Arc<StreamConfig>,
        tracker: Arc<Tracker>,
        items: mpsc::UnboundedSender<Item>,
    ) -> Result<(Self, System), Error> {
        let (stop, stopped) = oneshot::channel();
        let (flush, flushes) = mpsc::unbounded_channel();
        let (closing, closes) = watch::channel(false);
        let orders = Orders { stop: stopped, flush: flushes };
        let (owner, abandoned) = oneshot::channel();
        let (done, outcome) = oneshot::channel();
        let (begun, started) = oneshot::channel();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let subscriber = tracing::dispatcher::get_default(Clone::clone);
        let failures = items.clone();
        let work = async move {
            let (driver, connection) = match Driver::start(config, tracker, items, closes).await {
                Ok(begin) => begin,
                Err(error) => {
                    let _ = begun.send(Err(error));
                    return Ok(());
                }
            };
            match begun.send(Ok(driver.system.clone())) {
                Ok(()) => driver.run(connection, orders).await,
                Err(_) => Ok(()),
            }
        };
        let thread = move || {
            let _subscriber = tracing::dispatcher::set_default(&subscriber);
            runtime.block_on(async move {
                let mut task = tokio::spawn(work);
                let result = tokio::select! {
                    result = &mut task => result,
                    _ = abandoned => {
                        task.abort();
                        task.await
                    }
                };
                let result = result.unwrap_or_else(|error| match error.try_into_panic() {
                    Ok(panic) => {
                        let text = format!("the stream panicked: {}", message(&*panic));
                        tracing::error!("{text}");
                        let _ = failures.send(Item::Failed(Error::Other(text.clone().into())));
                        Err(Error::Other(text.into()))
                    }
                    Err(_) => Ok(()),
                });
                let _ = done.send(result);
                settle().await;
            });
        };
        std::thread::Builder::new().name("pgcdc".into()).spawn(thread)?;
        match started.await {
            Ok(result) => {
                let system = result?;
                Ok((Worker { stop, flush, closing, outcome, _owner: owner }, system))
            }
            // it panicked, and says so
            Err(_) => Err(outcome.await.ok().and_then(Result::err).unwrap_or_else(gone)),
        }
    }

    /// Has what is acknowledged stored and reported.
    pub(super) async fn flush(&self) -> Result<(), Error> {
        let (done, told) = oneshot::channel();
        let _ = self.flush.send(done);
        told.await.map_err(|_| Error::Other("the stream has ended".into()))
    }

    /// Has what is acknowledged stored and reported, and the connection ended. Whether
    /// that was done.
    pub(super) async fn close(self) -> Result<(), Error> {
        let Worker { stop, closing, outcome, _owner, .. } = self;
        closing.send_replace(true);
        let _ = stop.send(());
        outcome.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn gone() -> Error {
    Error::Other("the stream's thread is gone".into())
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "no message",
    }
}

/// Waits for the tasks that cancel what was dropped at work.
async fn settle() {
    let settled = async {
        while Handle::current().metrics().num_alive_tasks() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let _ = tokio::time::timeout(SETTLE, settled).await;
}
