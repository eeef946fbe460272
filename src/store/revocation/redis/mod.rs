//! The log in Redis: a stream whose entries name their predecessors, a channel that hurries them on, and what each
//! replica has acknowledged. All its keys share one hash slot, so it works on a cluster as on a single server.
//!
//! Every command has a deadline; whatever goes wrong is a [`StoreError`] and the follower's business.

mod push;
mod reply;

use crate::domain::revocation::{Position, Sealed};
use crate::ports::revocation::{
    Ack, Appended, Confirmed, Entry, Epoch, Opened, Replicas, RevocationLog, Subscription, DEAD_AFTER,
};
use crate::ports::store::StoreError;
use crate::store::redis::link::{For, Link};
use crate::store::redis::script::{Call, Script};
use crate::store::Redis;
use ::redis::cmd;
use async_trait::async_trait;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

static APPEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("append.lua")));
static OPEN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("open.lua")));
static CONFIRM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("confirm.lua")));
static ACKNOWLEDGED: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("acknowledged.lua")));

#[derive(Debug)]
pub struct RedisLog {
    link: Arc<Link>,
    keys: Keys,
}

#[derive(Debug)]
struct Keys {
    log: String,
    meta: String,
    acks: String,
    live: String,
    channel: String,
}

impl RedisLog {
    /// In the same place as `store`, and over the same connection.
    #[must_use]
    pub fn new(store: &Redis) -> Self {
        let link = store.link();
        let key = |name| format!("{}{{rv}}:{name}", link.prefix());
        let keys = Keys { log: key("log"), meta: key("meta"), acks: key("ack"), live: key("live"), channel: key("ev") };
        Self { link, keys }
    }
}

#[async_trait]
impl RevocationLog for RedisLog {
    async fn open(&self, candidate: Epoch) -> Result<Opened, StoreError> {
        let call = Call::new(&OPEN, &self.keys.meta).arg(candidate.to_string());
        reply::opened(&self.link.answer(For::TheLog, &call).await?).ok_or_else(reply::strange)
    }

    async fn append(&self, records: &[Sealed], keep: Duration) -> Result<Appended, StoreError> {
        let mut call = Call::new(&APPEND, &self.keys.log).and(&self.keys.meta);
        call = call.arg(millis(keep)).arg(self.keys.channel.as_bytes());
        for record in records {
            call = call.arg(record.to_bytes());
        }
        reply::appended(&self.link.answer(For::TheLog, &call).await?, records).ok_or_else(reply::strange)
    }

    async fn pull(&self, after: Position, most: usize) -> Result<Vec<Entry>, StoreError> {
        let mut range = cmd("XRANGE");
        range.arg(&self.keys.log).arg(format!("({after}")).arg("+").arg("COUNT").arg(most);
        reply::entries(&self.link.ask(For::TheLog, &range).await?).ok_or_else(reply::strange)
    }

    async fn confirm(&self, ack: &Ack) -> Result<Confirmed, StoreError> {
        let call = Call::new(&CONFIRM, &self.keys.meta).and(&self.keys.acks).and(&self.keys.live);
        let call = call.arg(ack.replica.as_bytes()).arg(ack.epoch.map_or(String::new(), |epoch| epoch.to_string()));
        let call = call.arg(ack.position.to_string()).arg(millis(DEAD_AFTER));
        reply::confirmed(&self.link.answer(For::TheLog, &call).await?, ack.position).ok_or_else(reply::strange)
    }

    async fn acknowledged(&self, position: Position) -> Result<Replicas, StoreError> {
        let call = Call::new(&ACKNOWLEDGED, &self.keys.acks).and(&self.keys.live).arg(millis(DEAD_AFTER));
        reply::replicas(&self.link.answer(For::TheLog, &call).await?, position).ok_or_else(reply::strange)
    }

    async fn leave(&self, replica: &str) -> Result<(), StoreError> {
        let (mut live, mut ack) = (cmd("ZREM"), cmd("HDEL"));
        self.link.ask(For::TheLog, live.arg(&self.keys.live).arg(replica)).await?;
        self.link.ask(For::TheLog, ack.arg(&self.keys.acks).arg(replica)).await?;
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        Ok(Box::new(push::subscribe(&self.link, &self.keys.channel).await?))
    }
}

fn millis(span: Duration) -> String {
    span.as_millis().to_string()
}
