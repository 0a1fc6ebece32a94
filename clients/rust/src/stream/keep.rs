//! Storing checkpoints, again and again if need be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::config::StreamConfig;
use super::metrics::Counter;
use super::store::checkpoint::{BoxFuture, Checkpoint, CheckpointStore};
use crate::base::error::Error;
use crate::base::position::Lsn;

/// A checkpoint on its way to the store.
pub(super) type Saving = Option<BoxFuture<'static, Result<Lsn, Error>>>;

/// Between two attempts, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Stores a checkpoint; where it ends. A store that fails is tried again, until
/// `store_timeout` has passed, or the stream is being closed.
pub(super) async fn keep(
    config: Arc<StreamConfig>,
    store: Arc<dyn CheckpointStore>,
    checkpoint: Checkpoint,
    mut closing: watch::Receiver<bool>,
) -> Result<Lsn, Error> {
    let began = Instant::now();
    let mut pause = PAUSES.0;
    loop {
        let left = config.store_timeout.saturating_sub(began.elapsed()).max(PAUSES.0);
        let error = match timeout(left, store.save(&checkpoint)).await {
            Ok(Ok(())) => return Ok(checkpoint.end_lsn),
            Ok(Err(error)) => error,
            Err(_) => Error::Other("it does not answer".into()),
        };
        config.metrics.add(Counter::StoreFailures, 1);
        let over = began.elapsed() + pause > config.store_timeout;
        if over || *closing.borrow() {
            return Err(Error::Store(Box::new(error)));
        }
        tracing::warn!(slot = %config.slot, %error,
            "the checkpoint cannot be stored; this is tried again");
        tokio::select! {
            () = sleep(pause) => (),
            _ = closing.wait_for(|closing| *closing) => (),
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Waits for what is being saved, if there is something.
pub(super) async fn saved(saving: &mut Saving) -> Result<Lsn, Error> {
    match saving {
        Some(future) => {
            let result = future.await;
            *saving = None;
            result
        }
        None => std::future::pending().await,
    }
}
