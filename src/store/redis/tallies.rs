//! Counters of failed sign-ins in Redis: one key each, which ends when nobody remembers any more.

use super::script::{self, unreadable, Call, Script};
use super::Redis;
use crate::domain::failures::{Charged, Schedule, Tally, TallyKey, MEMORY};
use crate::domain::session::{whole, Millis};
use crate::ports::store::{Failures, StoreError};
use ::redis::cmd;
use async_trait::async_trait;
use std::time::Duration;

const KIND: char = 'b';

#[async_trait]
impl Failures for Redis {
    async fn charge(&self, key: TallyKey, schedule: &Schedule) -> Result<Charged, StoreError> {
        let mut reply = self.run(self.scheduled(&script::CHARGE, key, schedule)).await?;
        match reply.text()?.as_str() {
            "taken" => Ok(Charged::Taken { serial: reply.number()? }),
            "blocked" => Ok(Charged::Blocked { again_in: Duration::from_millis(reply.number()?) }),
            _ => Err(unreadable()),
        }
    }

    async fn give_back(&self, key: TallyKey, serial: u32, schedule: &Schedule) -> Result<(), StoreError> {
        let call = self.of_key(&script::GIVE_BACK, KIND, &key.to_string()).number(serial).number(schedule.free);
        self.run(call.number(fades(schedule))).await.map(drop)
    }

    async fn failed(&self, key: TallyKey, schedule: &Schedule) -> Result<(), StoreError> {
        self.run(self.scheduled(&script::FAILED, key, schedule)).await.map(drop)
    }

    async fn tally(&self, key: TallyKey) -> Result<(Tally, Millis), StoreError> {
        let mut reply = self.run(self.of_key(&script::TALLY, KIND, &key.to_string())).await?;
        let (failures, serial) = (reply.number()?, reply.number()?);
        let (blocked_until, last) = (Millis(reply.number()?), Millis(reply.number()?));
        Ok((Tally { failures, serial, blocked_until, last }, Millis(reply.number()?)))
    }

    async fn forget(&self, key: TallyKey) -> Result<(), StoreError> {
        self.ask(cmd("DEL").arg(self.key(KIND, &key.to_string()))).await.map(drop)
    }
}

impl Redis {
    fn scheduled(&self, script: &'static Script, key: TallyKey, schedule: &Schedule) -> Call {
        let call = self.of_key(script, KIND, &key.to_string()).number(schedule.free);
        let call = call.number(whole(schedule.block)).number(whole(schedule.block_max)).number(whole(MEMORY));
        call.number(fades(schedule)).number(schedule.under_way())
    }
}

/// 0: all are forgotten together.
fn fades(schedule: &Schedule) -> u64 {
    schedule.fades.map_or(0, whole)
}
