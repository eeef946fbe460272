//! Requests under way at once: counted in, and counted out when whatever holds the count is dropped, on every path.

use crate::domain::session::UserHash;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

/// Users are kept apart in so many maps, so that few wait for each other.
const SHARDS: usize = 16;

/// What is under way on one route.
#[derive(Debug, Default)]
pub struct OnRoute {
    all: AtomicU32,
    /// Who has none under way is not in here, so there are never more entries than requests.
    users: [Mutex<HashMap<UserHash, u32>>; SHARDS],
}

/// One request that is under way.
#[derive(Debug)]
pub struct UnderWay {
    route: Arc<OnRoute>,
    user: Option<UserHash>,
}

/// Whose requests are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crowded {
    Route,
    User,
}

impl UnderWay {
    /// At most so many on `route` in all, and so many of one user, where that is asked for.
    pub(super) fn begin(route: &Arc<OnRoute>, most: u32, user: Option<(UserHash, u32)>) -> Result<Self, Crowded> {
        let more = |count: u32| (count < most).then(|| count.saturating_add(1));
        let counted = route.all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        counted.map_err(|_| Crowded::Route)?;
        // From here on dropping it counts it out again.
        let mut begun = Self { route: Arc::clone(route), user: None };
        if let Some((user, most)) = user {
            let mut users = route.shard(user).lock();
            let count = users.entry(user).or_default();
            if *count >= most {
                drop(users);
                return Err(Crowded::User);
            }
            *count = count.saturating_add(1);
            begun.user = Some(user);
        }
        Ok(begun)
    }
}

impl OnRoute {
    fn shard(&self, user: UserHash) -> &Mutex<HashMap<UserHash, u32>> {
        // half a SHA-256: its last bits are as good as any
        let [.., last] = *user.as_bytes();
        let [first, rest @ ..] = &self.users;
        let at = usize::from(last) % SHARDS;
        at.checked_sub(1).and_then(|at| rest.get(at)).unwrap_or(first)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.route.all.fetch_sub(1, Ordering::Relaxed);
        if let Some(user) = self.user {
            let mut users = self.route.shard(user).lock();
            match users.get_mut(&user) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) | None => _ = users.remove(&user),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: UserHash = UserHash::from_bytes([1; 16]);
    const BOB: UserHash = UserHash::from_bytes([2; 16]);

    fn held(route: &OnRoute) -> usize {
        route.users.iter().map(|shard| shard.lock().len()).sum()
    }

    #[test]
    fn what_has_ended_makes_room() {
        let route = Arc::default();
        let first = UnderWay::begin(&route, 2, None);
        let second = UnderWay::begin(&route, 2, None);
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(UnderWay::begin(&route, 2, None).unwrap_err(), Crowded::Route);
        drop(first);
        assert!(UnderWay::begin(&route, 2, None).is_ok());
        assert_eq!(route.all.load(Ordering::Relaxed), 1, "and what was not kept is gone");
    }

    #[test]
    fn one_user_leaves_room_for_others_and_is_forgotten_when_all_has_ended() {
        let route = Arc::default();
        let begin = |user| UnderWay::begin(&route, u32::MAX, Some((user, 2)));
        let of_alice = [begin(ALICE).unwrap(), begin(ALICE).unwrap()];
        assert_eq!(begin(ALICE).unwrap_err(), Crowded::User);
        let of_bob = begin(BOB).unwrap();
        assert_eq!((route.all.load(Ordering::Relaxed), held(&route)), (3, 2), "who was refused is not counted");
        let [one, other] = of_alice;
        drop(one);
        let again = begin(ALICE).unwrap();
        drop((other, again, of_bob));
        assert_eq!((route.all.load(Ordering::Relaxed), held(&route)), (0, 0));
    }

    #[test]
    fn a_full_route_counts_nobody() {
        let route = Arc::default();
        let _one = UnderWay::begin(&route, 1, Some((ALICE, 5))).unwrap();
        assert_eq!(UnderWay::begin(&route, 1, Some((BOB, 5))).unwrap_err(), Crowded::Route);
        assert_eq!(held(&route), 1);
    }
}
