//! The log in Redis: a stream whose entries name their predecessors, a channel that hurries them on, and what each
//! replica has acknowledged. All its keys share one hash slot, so it works on a cluster as on a single server.
//!
//! Every command has a deadline; whatever goes wrong is a [`StoreError`] and the follower's business.

mod dial;
mod link;
mod push;
mod reply;

pub use dial::{Dial, LogPlan};

use crate::domain::revocation::{Position, Sealed};
use crate::ports::revocation::{
    Ack, Appended, Confirmed, Entry, Epoch, Opened, Replicas, RevocationLog, Subscription, DEAD_AFTER,
};
use crate::ports::store::StoreError;
use ::redis::cmd;
use async_trait::async_trait;
use link::{Line, Script};
use std::time::Duration;

#[derive(Debug)]
pub struct RedisLog {
    line: Line,
    keys: Keys,
    append: Script,
    open: Script,
    confirm: Script,
    acknowledged: Script,
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
    /// Connects to nothing yet: that happens when it is first used, and again whenever it has to.
    #[must_use]
    pub fn new(plan: LogPlan) -> Self {
        let key = |name| format!("{}{{rv}}:{name}", plan.prefix);
        Self {
            keys: Keys { log: key("log"), meta: key("meta"), acks: key("ack"), live: key("live"), channel: key("ev") },
            append: Script::new(include_str!("append.lua")),
            open: Script::new(include_str!("open.lua")),
            confirm: Script::new(include_str!("confirm.lua")),
            acknowledged: Script::new(include_str!("acknowledged.lua")),
            line: Line::new(plan),
        }
    }
}

#[async_trait]
impl RevocationLog for RedisLog {
    async fn open(&self, candidate: Epoch) -> Result<Opened, StoreError> {
        let call = self.open.on([&self.keys.meta]).arg(candidate.to_string());
        reply::opened(&self.line.run(call).await?).ok_or_else(reply::strange)
    }

    async fn append(&self, records: &[Sealed], keep: Duration) -> Result<Appended, StoreError> {
        let mut call = self.append.on([&self.keys.log, &self.keys.meta]);
        call = call.arg(millis(keep)).arg(self.keys.channel.as_bytes());
        for record in records {
            call = call.arg(record.to_bytes());
        }
        reply::appended(&self.line.run(call).await?, records).ok_or_else(reply::strange)
    }

    async fn pull(&self, after: Position, most: usize) -> Result<Vec<Entry>, StoreError> {
        let mut range = cmd("XRANGE");
        range.arg(&self.keys.log).arg(format!("({after}")).arg("+").arg("COUNT").arg(most);
        reply::entries(&self.line.ask(&range).await?).ok_or_else(reply::strange)
    }

    async fn confirm(&self, ack: &Ack) -> Result<Confirmed, StoreError> {
        let call = self.confirm.on([&self.keys.meta, &self.keys.acks, &self.keys.live]);
        let call = call.arg(ack.replica.as_bytes()).arg(ack.epoch.map_or(String::new(), |epoch| epoch.to_string()));
        let call = call.arg(ack.position.to_string()).arg(millis(DEAD_AFTER));
        reply::confirmed(&self.line.run(call).await?, ack.position).ok_or_else(reply::strange)
    }

    async fn acknowledged(&self, position: Position) -> Result<Replicas, StoreError> {
        let call = self.acknowledged.on([&self.keys.acks, &self.keys.live]).arg(millis(DEAD_AFTER));
        reply::replicas(&self.line.run(call).await?, position).ok_or_else(reply::strange)
    }

    async fn leave(&self, replica: &str) -> Result<(), StoreError> {
        let (mut live, mut ack) = (cmd("ZREM"), cmd("HDEL"));
        self.line.ask(live.arg(&self.keys.live).arg(replica)).await?;
        self.line.ask(ack.arg(&self.keys.acks).arg(replica)).await?;
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        Ok(Box::new(push::subscribe(&self.line, &self.keys.channel).await?))
    }
}

fn millis(span: Duration) -> String {
    span.as_millis().to_string()
}
