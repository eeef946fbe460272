//! Buckets in Redis: one number each, all of a call in one script, or side by side where a cluster spreads them.

use super::script::{self, unreadable, Call, Reply};
use super::{Redis, RedisKind};
use crate::domain::limit::lease::Told;
use crate::domain::limit::BucketId;
use crate::ports::limits::{Ask, Buckets};
use crate::ports::store::StoreError;
use ::redis::{cmd, from_redis_value};
use async_trait::async_trait;
use std::str::{FromStr, Split};
use tokio::task::JoinSet;

/// Of a bucket's key.
const KIND: char = 'r';

#[async_trait]
impl Buckets for Redis {
    async fn reserve(&self, asks: &[Ask]) -> Result<Vec<Option<Told>>, StoreError> {
        match (&self.link.plan().kind, asks) {
            (_, []) => Ok(Vec::new()),
            (RedisKind::Cluster(_), [_, _, ..]) => self.reserve_one_by_one(asks).await,
            (RedisKind::Cluster(_) | RedisKind::Single(_) | RedisKind::Sentinel { .. }, [first, others @ ..]) => {
                let call = self.of_key(&script::RESERVE, KIND, &first.id.to_string());
                let call = others.iter().fold(call, |call, ask| call.and(&self.key(KIND, &ask.id.to_string())));
                let reply = self.run(asks.iter().fold(call, described)).await?;
                told(reply, asks)
            }
        }
    }

    fn is_reachable(&self) -> bool {
        self.link.is_up()
    }

    async fn refill(&self, id: BucketId) -> Result<bool, StoreError> {
        let mut command = cmd("DEL");
        command.arg(self.key(KIND, &id.to_string()));
        let deleted: u32 = from_redis_value(self.ask(&command).await?).map_err(|_| unreadable())?;
        Ok(deleted > 0)
    }
}

impl Redis {
    /// Every bucket may be on another node, and one that is away takes nothing from the others. The connections carry as
    /// many questions at once as there are.
    async fn reserve_one_by_one(&self, asks: &[Ask]) -> Result<Vec<Option<Told>>, StoreError> {
        let mut under_way = JoinSet::new();
        // its own group says nothing to a node that sees one of it
        for (at, ask) in asks.iter().copied().enumerate() {
            let store = self.clone();
            under_way.spawn(async move { (at, Box::pin(store.reserve(&[ask])).await) });
        }
        let (mut said, mut trouble) = (vec![None; asks.len()], None);
        while let Some(done) = under_way.join_next().await {
            let (at, told) = done.map_err(|_| StoreError("a task broke off".to_owned()))?;
            match (told, said.get_mut(at)) {
                (Ok(told), Some(place)) => *place = told.into_iter().next().flatten(),
                (Err(error), _) => trouble = Some(error),
                (Ok(_), None) => {}
            }
        }
        trouble.filter(|_| said.iter().all(Option::is_none)).map_or(Ok(said), Err)
    }
}

fn described(call: Call, ask: &Ask) -> Call {
    call.number(ask.bucket.interval)
        .number(ask.bucket.burst)
        .number(ask.want)
        .number(ask.least)
        .number(ask.ahead)
        .number(ask.group.0)
}

fn told(mut reply: Reply, asks: &[Ask]) -> Result<Vec<Option<Told>>, StoreError> {
    let text = reply.text()?;
    let mut numbers = text.split(' ');
    let mut told = Vec::with_capacity(asks.len());
    for ask in asks {
        told.push(Some(Told {
            granted: next(&mut numbers)?,
            remaining: next(&mut numbers)?,
            reset: next(&mut numbers)?,
            retry: next(&mut numbers)?,
            least: ask.least,
        }));
    }
    Ok(told)
}

fn next<N: FromStr>(numbers: &mut Split<'_, char>) -> Result<N, StoreError> {
    numbers.next().and_then(|number| number.parse().ok()).ok_or_else(unreadable)
}
