//! What a credential can be hit by.

use super::position::Position;
use super::record::Kind;
use super::target::Id;
use crate::domain::principal::SourceName;
use crate::domain::time::UnixTime;

/// The marks a verified credential bears.
#[derive(Clone, Copy, Debug)]
pub struct Marks<'a> {
    pub source: &'a SourceName,
    pub subject: &'a str,
    pub jti: Option<&'a str>,
    pub session: Option<&'a str>,
    pub family: Option<&'a str>,
    /// `client_id` of one of our own clients, or the id of an API key.
    pub client: Option<&'a str>,
    /// Of our own tokens only: a `kid` of another issuer may be anything.
    pub key: Option<&'a str>,
    /// `iat`; of an API key its creation. Without one, nothing shows that it is younger than a revocation, so every
    /// revocation of its user or client hits it.
    pub issued_at: Option<UnixTime>,
    /// `rv` of a token that we signed ourselves. Never taken from anybody else's: a token could claim to be younger
    /// than every revocation.
    pub position: Option<Position>,
}

/// The same, made ready for look-ups: hashed once when the credential is verified, so that a request hashes nothing.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The user of this source, and whoever has this `sub` anywhere.
    pub(super) user: [Id; 2],
    pub(super) marks: Vec<(Kind, Id)>,
    pub(super) issued_at: Option<UnixTime>,
    pub(super) position: Option<Position>,
}

impl Subject {
    #[must_use]
    pub fn new(marks: &Marks<'_>) -> Self {
        let user = [Id::of_user(Some(marks.source.as_str()), marks.subject), Id::of_user(None, marks.subject)];
        let named = [
            (Kind::Session, marks.session),
            (Kind::Family, marks.family),
            (Kind::Jti, marks.jti),
            (Kind::Client, marks.client),
            (Kind::SigningKey, marks.key),
        ];
        let named = named.into_iter().filter_map(|(kind, value)| Some((kind, Id::of(kind, &[value?]))));
        let of_source = marks.session.map(|sid| (Kind::Session, Id::of(Kind::Session, &[marks.source.as_str(), sid])));
        let issued = [Id::of_source(Some(marks.source)), Id::of_source(None)].map(|id| (Kind::IssuedBefore, id));
        let marks_of_user = user.map(|id| (Kind::User, id));
        Self {
            user,
            marks: named.chain(of_source).chain(marks_of_user).chain(issued).collect(),
            issued_at: marks.issued_at,
            position: marks.position,
        }
    }

    /// The names it can be hit by, one by one; what it shares with very many others is not among them.
    pub fn names(&self) -> impl Iterator<Item = Id> + '_ {
        self.marks.iter().filter(|(kind, _)| !kind.is_wide()).map(|(_, id)| *id)
    }

    /// Whether a record of `kind` about `id` could concern this credential: for finding the open streams that one
    /// revocation may have ended.
    #[must_use]
    pub fn bears(&self, kind: Kind, id: Id) -> bool {
        if kind.is_block() {
            self.user.contains(&id)
        } else {
            self.marks.contains(&(kind, id))
        }
    }
}
