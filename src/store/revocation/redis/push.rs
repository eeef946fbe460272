//! Pushes from Redis, in a queue that is bounded: who cannot keep up reads the log instead.

use super::reply;
use crate::ports::revocation::{Batch, Pushed, Subscription};
use crate::ports::store::StoreError;
use crate::store::redis::link::Link;
use crate::store::redis::plan::Line;
use ::redis::{PushInfo, PushKind, Value};
use async_trait::async_trait;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Batches that may wait for the follower.
const BACKLOG: usize = 1024;

#[derive(Debug)]
pub(super) struct RedisSubscription {
    batches: Receiver<Batch>,
    lost: Arc<AtomicBool>,
    /// Pushes end with the connection, so it is held.
    _line: Line,
}

pub(super) async fn subscribe(link: &Link, channel: &str) -> Result<RedisSubscription, StoreError> {
    let (sender, batches) = mpsc::channel(BACKLOG);
    let lost = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&lost);
    let line = link.listen(channel, move |info| deliver(&info, &sender, &flag)).await?;
    Ok(RedisSubscription { batches, lost, _line: line })
}

/// Runs on the connection, which must not be held up.
fn deliver(info: &PushInfo, batches: &Sender<Batch>, lost: &AtomicBool) -> Result<(), ()> {
    let batch = match (&info.kind, info.data.as_slice()) {
        (PushKind::Message, [_, Value::BulkString(message)]) => reply::push(message),
        (PushKind::Disconnection, _) => None,
        _ => return Ok(()),
    };
    let told = batch.is_some_and(|batch| batches.try_send(batch).is_ok());
    if !told {
        lost.store(true, Ordering::Release);
    }
    Ok(())
}

#[async_trait]
impl Subscription for RedisSubscription {
    async fn next(&mut self, patience: Duration) -> Pushed {
        if self.lost.load(Ordering::Acquire) {
            return Pushed::Lost;
        }
        match tokio::time::timeout(patience, self.batches.recv()).await {
            Ok(Some(batch)) => Pushed::Batch(batch),
            Ok(None) => Pushed::Lost,
            Err(_) => Pushed::Nothing,
        }
    }
}
