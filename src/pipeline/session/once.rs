//! What counts once: on sensitive routes a credential that was used is used up, on every replica.
//!
//! The store is the only place where replicas meet, so it is asked, and when it cannot answer nobody gets in. What is
//! kept there is a hash.

use super::recognise::{cleared, Asking, BOUNCE};
use super::renew::Renewed;
use super::{House, Place};
use crate::domain::cookies::{Name, OurCookies, SessionCookie};
use crate::domain::denial::{Code, Denial};
use crate::domain::principal::AuthMethod;
use crate::domain::session::Millis;
use crate::domain::signing::access_token::AccessToken;
use crate::domain::time::UnixTime;
use crate::pipeline::cache::{SessionFacts, Verified};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use http::HeaderValue;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// In the mark of a browser that was sent back, before the generation it came with.
const UNKEPT: &str = "u";

/// Why a request on a sensitive route does not go on.
#[derive(Debug)]
pub enum Unused {
    /// The cookies are for the browser all the same.
    Refused(Denial, Vec<HeaderValue>),
    /// It came with a renewal token, which is no token to use up: with the access token it is given now it may come
    /// again. The cookie tells that it was sent back.
    Back(Vec<HeaderValue>),
}

impl From<Denial> for Unused {
    fn from(denial: Denial) -> Self {
        Self::Refused(denial, Vec::new())
    }
}

impl House {
    /// Uses up what `verified` came from, if the list of revocations is known to be complete. The cookies that come back
    /// hold a token that was not used yet.
    ///
    /// # Errors
    /// [`Unused`]
    pub(in crate::pipeline) async fn use_up(
        self: &Arc<Self>,
        verified: &Verified,
        held: &OurCookies<'_>,
        asking: &Asking<'_>,
    ) -> Result<Vec<HeaderValue>, Unused> {
        self.check_list().await?;
        // Once more: what was fetched just now may hit this very caller, who was looked up before.
        self.check_again(verified, held, asking)?;
        // A key is the same all its life, so nothing tells a second request from a replay.
        if verified.api_key().is_some() {
            return Ok(Vec::new());
        }
        let cookie = verified.session().filter(|_| verified.principal.method == AuthMethod::Session);
        let next = match cookie {
            // So is a handle.
            Some(facts) if facts.lease().is_some() => return Ok(Vec::new()),
            Some(facts) if is_held(verified, held) => self.next(verified, facts, held, asking).await?,
            Some(_) => return Err(self.sent_back(held, asking)),
            None => Vec::new(),
        };
        // Of what is older than a loss of the store's nobody knows any more whether it was used.
        let issued = UnixTime(verified.credential().issued);
        let known = self.ground.revocations.remembers(issued, verified.ends());
        let until = Millis::from(verified.principal.expires);
        if known && self.ground.store.first(&name(verified), until).await.map_err(Denial::from)? {
            return Ok(next);
        }
        let cookies = if cookie.is_some() { self.instead(held, asking).await } else { Vec::new() };
        Err(Unused::Refused(
            Denial::new(Code::TokenUsed, "it was used on a sensitive route before, or nobody knows"),
            cookies,
        ))
    }

    /// Whether the list of revocations is complete, asked of the store now: one that lost its data a moment ago has also
    /// forgotten what was used. Before anything is sent that would use something up, though nobody is let in by it.
    async fn check_list(&self) -> Result<(), Denial> {
        let list = &self.ground.revocations;
        let stale = || Denial::new(Code::RevocationStale, "the list of revocations may lack something");
        if !list.is_fresh() {
            return Err(stale());
        }
        match list.caught_up().await {
            false if list.is_fresh() => {
                Err(Denial::new(Code::StoreUnavailable, "the log of revocations cannot be asked"))
            }
            true if list.is_fresh() => Ok(()),
            _ => Err(stale()),
        }
    }

    fn check_again(&self, verified: &Verified, held: &OurCookies<'_>, asking: &Asking<'_>) -> Result<(), Unused> {
        if verified.principal.method != AuthMethod::Session {
            return Ok(self.check_bearer_revoked(verified)?);
        }
        self.check_revoked(verified).map_err(|denial| {
            let plan = self.cookies(asking.authority, asking.proto);
            let ends = denial.code == Code::SessionTerminated;
            let clear = if ends { cleared(&denial, &plan, held, asking.headers) } else { Vec::new() };
            Unused::Refused(denial, clear)
        })
    }

    /// Once: a browser that keeps our mark and not the token that came with it would go round for ever. This mark is not
    /// the one of a renewal token that was replaced, which would be judged the harder for it.
    fn sent_back(&self, held: &OurCookies<'_>, asking: &Asking<'_>) -> Unused {
        let mark = self.renewal(held).map(|said| format!("{UNKEPT}{}", said.generation));
        let mark = mark.unwrap_or_else(|| UNKEPT.to_owned());
        if held.bounced() == Some(mark.as_str()) {
            return Denial::new(Code::TryAgain, "sent back once, and came without the token it was given").into();
        }
        let line = self.cookies(asking.authority, asking.proto).set(Name::Bounced, &mark, BOUNCE);
        Unused::Back(line.into_iter().collect())
    }

    /// The same token under another name: it says the same and ends when the other would have, so that nobody lives
    /// longer by it. Like the other it is hit by whatever was revoked after the other was minted.
    async fn next(
        &self,
        verified: &Verified,
        facts: &SessionFacts,
        held: &OurCookies<'_>,
        asking: &Asking<'_>,
    ) -> Result<Vec<HeaderValue>, Denial> {
        let place = Place { user: facts.user, id: facts.id };
        let looked = self.look(place).await?;
        let (record, times) =
            looked.ok_or_else(|| Denial::new(Code::SessionExpired, "the store knows no such session"))?;
        let minted_at = facts.minted_at.map_or_else(|| "0-0".to_owned(), |position| position.to_string());
        let token = self.say((&record, place), facts.generation, (facts.issued, verified.ends()), |token| {
            self.mint(&AccessToken { rv: &minted_at, ..token.clone() })
        })?;
        let keep = times.absolute.since(Millis::from(asking.now));
        let lines = self.cookies(asking.authority, asking.proto).set_session(&token, keep, held);
        lines.map_err(|error| Denial::new(Code::Internal, error.to_string()))
    }

    /// For a browser that holds a token that is used up, because the answer with the next one was lost: a new one, by the
    /// renewal token that it holds as well. Whoever has a copy of the request gets nothing done by that.
    async fn instead(self: &Arc<Self>, held: &OurCookies<'_>, asking: &Asking<'_>) -> Vec<HeaderValue> {
        let Some(said) = self.renewal(held).filter(|_| asking.renews) else { return Vec::new() };
        match self.renew_for(said, held, asking).await {
            Renewed::Issued { issued, .. } => {
                issued.cookies(&self.cookies(asking.authority, asking.proto), held).unwrap_or_default()
            }
            Renewed::Back(_) | Renewed::Refused(_) | Renewed::Ended(_) | Renewed::Over(_) | Renewed::CannotTell(_) => {
                Vec::new()
            }
        }
    }
}

/// Whether the caller was told by the very token in the cookie.
fn is_held(verified: &Verified, held: &OurCookies<'_>) -> bool {
    matches!(held.session(), SessionCookie::Value(token) if *token == *verified.token())
}

/// By its `jti`, which an issuer gives once. Without one by what was signed; the signature itself is left out, because
/// some have more than one spelling. A hash, for strangers choose how long a `jti` is.
fn name(verified: &Verified) -> String {
    let token = verified.token();
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    let (kind, text) = match verified.credential().jti.filter(|jti| !jti.is_empty()) {
        Some(jti) => ("jti", jti),
        None => ("token", signed),
    };
    let source = verified.principal.source.as_str();
    // The length in front: no two pairs of texts are one text.
    let whole = format!("{kind} {} {source} {text}", source.len());
    format!("used:{}", URL_SAFE_NO_PAD.encode(Sha256::digest(whole.as_bytes())))
}

#[cfg(test)]
#[path = "once_tests.rs"]
mod tests;
