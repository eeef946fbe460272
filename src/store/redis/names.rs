//! Locks, things that happen once, and documents: one key each; and whether the server answers at all.

use super::script::{self, unreadable};
use super::Redis;
use crate::domain::session::{whole, Millis};
use crate::ports::store::{Document, Locks, Nonce, Once, Reach, StoreError, Vault};
use crate::store::REMEMBERED_LONGER;
use ::redis::{cmd, from_redis_value};
use async_trait::async_trait;
use std::time::Duration;

#[async_trait]
impl Locks for Redis {
    async fn acquire(&self, name: &str, nonce: &Nonce, ttl: Duration) -> Result<bool, StoreError> {
        let call = self.of_key(&script::ACQUIRE, 'l', name).arg(nonce.0).number(whole(ttl).max(1));
        self.agree(call).await
    }

    async fn extend(&self, name: &str, nonce: &Nonce, ttl: Duration) -> Result<bool, StoreError> {
        let call = self.of_key(&script::EXTEND, 'l', name).arg(nonce.0).number(whole(ttl).max(1));
        self.agree(call).await
    }

    async fn release(&self, name: &str, nonce: &Nonce) -> Result<bool, StoreError> {
        self.agree(self.of_key(&script::RELEASE, 'l', name).arg(nonce.0)).await
    }
}

impl Reach for Redis {
    fn answers(&self) -> bool {
        self.link.answers()
    }
}

#[async_trait]
impl Once for Redis {
    async fn first(&self, name: &str, until: Millis) -> Result<bool, StoreError> {
        let call = self.of_key(&script::FIRST, 'o', name).arg(fastrand::u128(..).to_string());
        self.agree(call.number(until.0).number(whole(REMEMBERED_LONGER))).await
    }
}

#[async_trait]
impl Vault for Redis {
    async fn read(&self, name: &str) -> Result<Option<Document>, StoreError> {
        let mut command = cmd("HMGET");
        command.arg(self.key('v', name)).arg("v").arg("b");
        let answer = from_redis_value(self.ask(&command).await?);
        match answer.map_err(|_| unreadable())? {
            (None, None) => Ok(None),
            (Some(version), Some(bytes)) => Ok(Some(Document { version, bytes })),
            _ => Err(unreadable()),
        }
    }

    async fn replace(&self, name: &str, seen: u64, bytes: &[u8]) -> Result<bool, StoreError> {
        self.agree(self.of_key(&script::REPLACE, 'v', name).number(seen).arg(bytes)).await
    }
}
