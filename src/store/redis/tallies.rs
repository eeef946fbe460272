//! Counters of failed sign-ins in Redis: one key each, which ends when nobody remembers any more.

use super::script::{self, unreadable};
use super::Redis;
use crate::domain::failures::{Charged, Schedule, TallyKey, MEMORY};
use crate::domain::session::whole;
use crate::ports::store::{Failures, StoreError};
use ::redis::cmd;
use async_trait::async_trait;
use std::time::Duration;

const KIND: char = 'b';

#[async_trait]
impl Failures for Redis {
    async fn charge(&self, key: TallyKey, schedule: &Schedule) -> Result<Charged, StoreError> {
        let call = self.of_key(&script::CHARGE, KIND, &key.to_string()).number(schedule.free);
        let call = call.number(whole(schedule.block)).number(whole(schedule.block_max)).number(whole(MEMORY));
        let mut reply = self.run(call).await?;
        match reply.text()?.as_str() {
            "taken" => Ok(Charged::Taken { serial: reply.number()? }),
            "blocked" => Ok(Charged::Blocked { again_in: Duration::from_millis(reply.number()?) }),
            _ => Err(unreadable()),
        }
    }

    async fn give_back(&self, key: TallyKey, serial: u32, schedule: &Schedule) -> Result<(), StoreError> {
        let call = self.of_key(&script::GIVE_BACK, KIND, &key.to_string()).number(serial).number(schedule.free);
        self.run(call).await.map(drop)
    }

    async fn forget(&self, key: TallyKey) -> Result<(), StoreError> {
        self.ask(cmd("DEL").arg(self.key(KIND, &key.to_string()))).await.map(drop)
    }
}
