//! A memory store as bytes and back.
//!
//! Numbers are big-endian, strings and bodies have their length in front, lists their count. A version stands first:
//! another program's snapshot is refused, not guessed at.

use super::{Kept, State, Timer, User};
use crate::domain::family::{Family, Streak};
use crate::domain::session::{whole, FamilyId, HandleHash, Millis, ProviderSid, SessionId, Times, UserHash};
use crate::ports::store::Document;
use std::sync::Arc;
use std::time::Duration;

const VERSION: &[u8] = b"doorward-memory-1\n";

pub(super) fn write(state: &State) -> Vec<u8> {
    let mut out = Writer(VERSION.to_vec());
    out.list(&state.users, |out, (user, known)| {
        out.raw(user.as_bytes());
        out.list(&known.sessions, Writer::session);
        out.list(&known.families, |out, (id, family)| {
            out.raw(id.as_bytes());
            out.family(family);
        });
    });
    out.list(&state.providers, |out, (sid, known)| {
        out.raw(sid.as_bytes());
        out.list(known, |out, (user, id, until)| {
            out.raw(user.as_bytes());
            out.raw(id.as_bytes());
            out.u64(until.0);
        });
    });
    out.list(&state.once, |out, (name, until)| {
        out.bytes(name.as_bytes());
        out.u64(until.0);
    });
    out.list(&state.documents, |out, (name, document)| {
        out.bytes(name.as_bytes());
        out.u64(document.version);
        out.bytes(&document.bytes);
    });
    out.0
}

pub(super) fn read(bytes: &[u8]) -> Option<State> {
    let mut input = Reader(bytes.strip_prefix(VERSION)?);
    let mut state = State::default();
    input.list(|input| {
        let user = input.user()?;
        let mut known = User::default();
        input.list(|input| {
            known.sessions.push(input.session()?);
            Some(())
        })?;
        input.list(|input| {
            let (id, family) = (FamilyId::from_bytes(input.array()?), input.family()?);
            known.families.insert(id, family);
            Some(())
        })?;
        state.users.insert(user, Arc::new(known));
        Some(())
    })?;
    input.list(|input| {
        let sid = ProviderSid::from_bytes(input.array()?);
        let mut known = Vec::new();
        input.list(|input| {
            known.push((input.user()?, input.id()?, input.millis()?));
            Some(())
        })?;
        state.providers.insert(sid, known);
        Some(())
    })?;
    input.list(|input| {
        let name = input.text()?;
        state.once.insert(name.into(), input.millis()?);
        Some(())
    })?;
    input.list(|input| {
        let name = input.text()?;
        let (version, bytes) = (input.u64()?, input.bytes()?.to_vec());
        state.documents.insert(name, Document { version, bytes });
        Some(())
    })?;
    if !input.0.is_empty() {
        return None;
    }
    state.set_timers();
    Some(state)
}

impl State {
    /// Counts and timers follow from what is kept.
    fn set_timers(&mut self) {
        self.sessions = self.users.values().map(|known| known.sessions.len()).sum();
        for (user, known) in &self.users {
            let sessions = known.sessions.iter().map(|kept| (kept.times.expires(), Timer::Session(*user, kept.id)));
            let families = known.families.iter().map(|(id, family)| (family.kept_until(), Timer::Family(*user, *id)));
            self.timers.extend(sessions.chain(families));
        }
        self.timers.extend(self.providers.keys().map(|sid| (Millis(0), Timer::Provider(*sid))));
        self.timers.extend(self.once.iter().map(|(name, until)| (*until, Timer::Once(Arc::clone(name)))));
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn u64(&mut self, number: u64) {
        self.raw(&number.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.raw(bytes);
    }

    fn list<I: IntoIterator<IntoIter: ExactSizeIterator>>(&mut self, items: I, one: impl Fn(&mut Self, I::Item)) {
        let items = items.into_iter();
        self.u64(items.len() as u64);
        items.for_each(|item| one(self, item));
    }

    fn session(&mut self, kept: &Kept) {
        self.raw(kept.id.as_bytes());
        self.bytes(kept.handle.as_ref().map_or(&[][..], |handle| handle.as_bytes()));
        self.bytes(kept.family.as_ref().map_or(&[][..], |family| family.as_bytes()));
        let Times { created, last_seen, idle, absolute } = kept.times;
        [kept.version, created.0, last_seen.0, whole(idle), absolute.0].into_iter().for_each(|n| self.u64(n));
        self.bytes(&kept.body);
    }

    fn family(&mut self, family: &Family) {
        self.raw(family.session.as_bytes());
        let Streak { length, counted, reaches } = family.streak;
        let small = [family.generation, family.confirmed, u32::from(family.revoked), length, counted, reaches];
        small.into_iter().for_each(|n| self.u64(u64::from(n)));
        let times = [family.created, family.handed, family.idle_at, family.absolute];
        times.into_iter().for_each(|time| self.u64(time.0));
    }
}

/// Whatever does not fit is `None`, and nothing is reserved for what a length merely claims.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn raw(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.raw(N)?.try_into().ok()
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.u64()?.try_into().ok()
    }

    fn millis(&mut self) -> Option<Millis> {
        self.u64().map(Millis)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u64()?.try_into().ok()?;
        self.raw(length)
    }

    fn text(&mut self) -> Option<String> {
        self.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::to_owned)
    }

    /// Absent, or exactly `N` bytes.
    fn maybe<const N: usize>(&mut self) -> Option<Option<[u8; N]>> {
        let bytes = self.bytes()?;
        if bytes.is_empty() {
            return Some(None);
        }
        bytes.try_into().ok().map(Some)
    }

    fn list(&mut self, mut one: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        (0..self.u64()?).try_for_each(|_| one(self))
    }

    fn user(&mut self) -> Option<UserHash> {
        self.array().map(UserHash::from_bytes)
    }

    fn id(&mut self) -> Option<SessionId> {
        self.array().map(SessionId::from_bytes)
    }

    fn session(&mut self) -> Option<Kept> {
        let id = self.id()?;
        let handle = self.maybe()?.map(HandleHash::from_bytes);
        let family = self.maybe()?.map(FamilyId::from_bytes);
        let version = self.u64()?;
        let (created, last_seen) = (self.millis()?, self.millis()?);
        let (idle, absolute) = (Duration::from_millis(self.u64()?), self.millis()?);
        let times = Times { created, last_seen, idle, absolute };
        Some(Kept { id, handle, family, version, times, body: self.bytes()?.into() })
    }

    fn family(&mut self) -> Option<Family> {
        let session = self.id()?;
        let (generation, confirmed, revoked) = (self.u32()?, self.u32()?, self.u32()? != 0);
        let streak = Streak { length: self.u32()?, counted: self.u32()?, reaches: self.u32()? };
        let (created, handed) = (self.millis()?, self.millis()?);
        let (idle_at, absolute) = (self.millis()?, self.millis()?);
        Some(Family { session, generation, created, handed, confirmed, revoked, idle_at, absolute, streak })
    }
}
