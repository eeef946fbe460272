//! What an access token of ours says of its session, or the store where sessions are opaque, and what is remembered
//! about it while it lives.

use super::session::lease::{end_of, Lease};
use crate::domain::device::PerMille;
use crate::domain::principal::SourceName;
use crate::domain::revocation::Position;
use crate::domain::session::{SessionId, Times, UserHash};
use crate::domain::time::UnixTime;
use foldhash::quality::FixedState;
use http::header::{ACCEPT_LANGUAGE, USER_AGENT};
use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

const X_SCREEN_RESOLUTION: HeaderName = HeaderName::from_static("x-screen-resolution");
const X_TIMEZONE: HeaderName = HeaderName::from_static("x-timezone");

/// The session behind an access token or a handle.
#[derive(Debug)]
pub struct SessionFacts {
    pub id: SessionId,
    pub user: UserHash,
    pub issued: UnixTime,
    /// Where the revocations stood when the token was minted.
    pub minted_at: Option<Position>,
    /// The device that signed in, component by component.
    pub dfp: String,
    /// The device headers that were last found good, as hashes; 0: none yet. Two, because a page and its scripts tell
    /// different things of one device, and take turns.
    known_on: [AtomicU64; 2],
    /// The similarity that was last written down, plus one; 0: none yet.
    written: AtomicU32,
    /// Of the family, where the token has one; and whether somebody has to be told that it arrived.
    pub generation: Option<u32>,
    untold: AtomicBool,
    last_use: AtomicU64,
    /// It stands among those to tell the store about.
    listed: AtomicBool,
    /// Of an opaque session.
    lease: Option<Lease>,
}

impl SessionFacts {
    /// `None` without a session: the token is ours, but no browser's.
    #[must_use]
    pub fn read(claims: &Map<String, Value>) -> Option<Self> {
        let text = |name| claims.get(name).and_then(Value::as_str);
        Some(Self {
            id: SessionId::parse(text("sid")?)?,
            user: UserHash::of(&SourceName::new(text("provider")?), text("sub")?),
            issued: UnixTime(claims.get("iat").and_then(Value::as_u64)?),
            minted_at: text("rv").and_then(|rv| rv.parse().ok()),
            dfp: text("dfp").unwrap_or_default().to_owned(),
            known_on: Default::default(),
            written: AtomicU32::new(0),
            generation: claims.get("gen").and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok()),
            untold: AtomicBool::new(true),
            last_use: AtomicU64::new(0),
            listed: AtomicBool::new(false),
            lease: None,
        })
    }

    #[must_use]
    pub fn leased(self, lease: Lease) -> Self {
        Self { lease: Some(lease), ..self }
    }

    /// Of an opaque session; a token says itself how long it counts.
    #[must_use]
    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// True once: the token of this generation is here, so the answer that carried it has arrived.
    pub(super) fn arrives(&self) -> bool {
        self.generation.is_some() && self.untold.load(Ordering::Relaxed) && self.untold.swap(false, Ordering::AcqRel)
    }

    /// It could not be told.
    pub(super) fn tell_again(&self) {
        self.untold.store(true, Ordering::Release);
    }

    /// The last use here.
    #[must_use]
    pub fn last_use(&self) -> Option<UnixTime> {
        Some(UnixTime(self.last_use.load(Ordering::Acquire))).filter(|last_use| last_use.0 > 0)
    }

    /// `times` as the store has them, and uses here that it does not know of yet.
    #[must_use]
    pub fn with_uses(&self, mut times: Times, now: UnixTime) -> Times {
        if let Some(last_use) = self.last_use() {
            times.touch(end_of(last_use), times.idle, end_of(now));
        }
        times
    }

    /// Goes on where the facts of the same session were that stood here `before`.
    pub(super) fn go_on_from(&self, before: &Self) {
        self.last_use.fetch_max(before.last_use.load(Ordering::Acquire), Ordering::AcqRel);
    }

    /// The device was checked already, under the same terms.
    pub(super) fn go_on_with_device(&self, before: &Self) {
        if self.dfp == before.dfp {
            for (known, before) in self.known_on.iter().zip(&before.known_on) {
                known.store(before.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            self.written.store(before.written.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Notes a use. True when somebody has to put it on the list.
    pub(super) fn use_at(&self, now: UnixTime) -> bool {
        if self.last_use.load(Ordering::Relaxed) < now.0 {
            self.last_use.fetch_max(now.0, Ordering::Relaxed);
        }
        // Read first: a busy session's line stays shared between cores.
        !self.listed.load(Ordering::Relaxed) && !self.listed.swap(true, Ordering::AcqRel)
    }

    /// The last use, for the store; a use from now on is listed again.
    pub(super) fn take_use(&self) -> UnixTime {
        self.listed.store(false, Ordering::Release);
        UnixTime(self.last_use.load(Ordering::Acquire))
    }

    /// Whether a request with exactly these device headers was found good before.
    #[must_use]
    pub fn is_known_on(&self, headers: &HeaderMap) -> bool {
        let seen = self.fold(headers);
        self.known_on.iter().any(|known| known.load(Ordering::Relaxed) == seen)
    }

    /// The one before last is forgotten.
    pub fn know_on(&self, headers: &HeaderMap) {
        let (seen, [last, before]) = (self.fold(headers), &self.known_on);
        let known = last.swap(seen, Ordering::Relaxed);
        if known != seen {
            before.store(known, Ordering::Relaxed);
        }
    }

    /// Whether what was last written down about the device is something else.
    pub(super) fn is_news(&self, similarity: PerMille) -> bool {
        let similarity = u32::from(similarity.0).saturating_add(1);
        self.written.swap(similarity, Ordering::Relaxed) != similarity
    }

    /// Keyed by the session: nobody can look for two devices with one hash ahead of time.
    fn fold(&self, headers: &HeaderMap) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = *self.id.as_bytes();
        let mut hasher = FixedState::with_seed(u64::from_le_bytes([a, b, c, d, e, f, g, h])).build_hasher();
        for name in [USER_AGENT, ACCEPT_LANGUAGE, X_SCREEN_RESOLUTION, X_TIMEZONE] {
            headers.get(name).map(|value| value.as_bytes()).hash(&mut hasher);
        }
        hasher.finish().max(1)
    }
}
