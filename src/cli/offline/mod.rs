//! The gate without a network, for questions about requests that nobody sent.
//!
//! Every answer comes from [`Gate::admit`]. Claims that nobody signed are signed here, with a key that lives as long as
//! the command and counts in no other gate. So they take the way of every token, and `doorward run` has no second way
//! in that it would have to keep shut.

mod question;
mod shelf;

pub(super) use question::Question;

use crate::app;
use crate::config::settings::{IssuerSettings, KeyOrigin, Settings};
use crate::domain::credential::{presented, Presented};
use crate::domain::denial::{Code, Denial};
use crate::domain::headers::forwarded::Peer;
use crate::domain::policy::rule::Access;
use crate::domain::policy::Route;
use crate::domain::principal::Principal;
use crate::domain::secret::Secret;
use crate::domain::time::UnixTime;
use crate::domain::token::claims::{self, lookup};
use crate::domain::token::issuer::Issuer;
use crate::domain::token::jose::{Kind, Unverified};
use crate::pipeline::{answer, Answer, Arrival, Gate, Permit};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use http::header::AUTHORIZATION;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Map, Value};
use shelf::{believing_desk, desk};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Where the requests come from, so that rules about addresses have something to look at.
const CALLER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// How long claims live that do not say it themselves.
const LIFE: Duration = Duration::from_secs(300);
/// Who claims speak for that do not say it themselves.
const SOMEBODY: &str = "somebody";

/// The gate of one configuration, at one moment.
pub(super) struct Offline<'s> {
    settings: &'s Settings,
    /// Checks signatures with the keys that can be had here.
    gate: Gate,
    /// Takes what `stand_in` signed, as if its issuer had done it.
    believing: Gate,
    stand_in: Secret,
    runtime: Runtime,
    now: UnixTime,
}

/// A caller somebody vouches for.
pub(super) struct Claimed {
    /// As they would stand in a token.
    pub claims: Map<String, Value>,
    /// The name of the issuer, where the claims do not tell.
    pub from: Option<String>,
}

/// What the gate says.
pub(super) struct Finding<'o> {
    pub gate: &'o Gate,
    pub verdict: Result<Permit, Answer>,
    pub route: Option<&'o Route>,
    /// Whoever the credential speaks for, when it was accepted.
    pub caller: Option<Principal>,
    /// The issuer whose keys cannot be had here, though its signature should have been checked.
    pub unchecked: Option<&'o str>,
    pub question: Question,
}

impl<'s> Offline<'s> {
    /// # Errors
    /// In words: a key file that was there a moment ago.
    pub(super) fn new(settings: &'s Settings, now: UnixTime) -> Result<Self, String> {
        let stand_in = Secret::new(uuid::Uuid::new_v4().simple().to_string().into_bytes());
        let desks = settings.issuers.iter().map(desk).collect::<Result<_, String>>()?;
        let believing = settings.issuers.iter().map(|issuer| believing_desk(issuer, &stand_in)).collect();
        Ok(Self {
            settings,
            gate: app::gate(settings, desks, None, None),
            believing: app::gate(settings, believing, None, None),
            stand_in,
            runtime: Builder::new_current_thread().build().map_err(|error| error.to_string())?,
            now,
        })
    }

    /// What the gate would say to `question`, asked by the caller it presents or by the one that is `claimed`.
    ///
    /// # Errors
    /// In words: claims of whom nobody can tell the issuer.
    pub(super) fn ask(&self, mut question: Question, claimed: Option<Claimed>) -> Result<Finding<'_>, String> {
        let (gate, unchecked) = match (claimed, self.cannot_check(&question)) {
            (Some(_), _) if question.headers.contains_key(AUTHORIZATION) => {
                return Err("claims stand for a credential; take the Authorization header out".to_owned());
            }
            (Some(claimed), _) => {
                let claims = Value::Object(self.completed(claimed)?).to_string();
                question.bear(&self.signed(Kind::Jwt, &URL_SAFE_NO_PAD.encode(claims))?)?;
                (&self.believing, None)
            }
            (None, Some((issuer, kind, payload))) => {
                question.bear(&self.signed(kind, &payload)?)?;
                (&self.believing, Some(issuer))
            }
            (None, None) => (&self.gate, None),
        };
        let verdict = self.admit(gate, &question);
        let at = verdict.as_ref().map_or_else(|answer| answer.route, |permit| Some(permit.route()));
        let route = at.and_then(|at| self.settings.routes.routes().get(at));
        let looks = route.filter(|route| route.rule.access != Access::Public);
        let caller = looks.and_then(|_| self.caller(&verdict, &question));
        let unchecked = unchecked.filter(|_| looks.is_some());
        Ok(Finding { gate, verdict, route, caller, unchecked, question })
    }

    fn admit(&self, gate: &Gate, question: &Question) -> Result<Permit, Answer> {
        let wire = question.wire();
        let peer = Peer { ip: Some(CALLER), trusted: gate.trusts(Some(CALLER)), tls: question.tls };
        let arrival = Arrival { head: question.head(&wire), peer, now: self.now };
        self.runtime.block_on(gate.admit(&arrival))
    }

    /// A token whose issuer is known and whose keys are elsewhere: issuer, kind and payload as it stands there. What
    /// can be refused without keys stays as it is, for the gate to refuse.
    fn cannot_check(&self, question: &Question) -> Option<(&'s str, Kind, String)> {
        if question.headers.get_all(AUTHORIZATION).iter().count() != 1 {
            return None;
        }
        let Ok(Presented::Bearer(token)) = presented(&question.headers) else { return None };
        let token = Unverified::parse(token).ok()?;
        let settings = self.by_iss(token.unverified_issuer()?)?;
        let elsewhere = matches!(settings.keys, KeyOrigin::Discovery(_) | KeyOrigin::JwksUrl(..));
        let refused_anyway = !settings.issuer.algorithms.contains(&token.unverified_algorithm());
        let (_, payload) = token.signing_input().split_once('.')?;
        let found = (settings.issuer.name.as_str(), token.unverified_kind(), payload.to_owned());
        (elsewhere && !refused_anyway).then_some(found)
    }

    /// Claims with all that a token needs and that nobody asking about a policy wants to write down.
    fn completed(&self, claimed: Claimed) -> Result<Map<String, Value>, String> {
        let issuer = self.issuer_of(&claimed)?;
        let mut claims = claimed.claims;
        // an `iss` that nobody configured is the gate's to refuse
        let Some(issuer) = issuer else { return Ok(claims) };
        let ends = self.now.plus(LIFE.min(issuer.max_token_life));
        claims.entry("iss").or_insert_with(|| issuer.issuer.clone().into());
        claims.entry("aud").or_insert_with(|| issuer.audience.first().cloned().into());
        claims.entry("exp").or_insert_with(|| ends.0.into());
        let mapped = issuer.claims.iter().find(|(name, _)| name == "sub");
        let subject = mapped.map_or("sub", |(_, path)| path);
        if lookup(&claims, subject).is_none() {
            claims.insert(subject.to_owned(), SOMEBODY.into());
        }
        Ok(claims)
    }

    fn issuer_of(&self, claimed: &Claimed) -> Result<Option<&'s Issuer>, String> {
        let issuers = &self.settings.issuers;
        let iss = claimed.claims.get("iss").and_then(Value::as_str);
        match (&claimed.from, iss) {
            (Some(name), iss) => {
                let named = issuers.iter().find(|settings| settings.issuer.name.as_str() == name.as_str());
                let named = named.ok_or_else(|| format!("no issuer is called {name:?}"))?;
                if iss.is_some_and(|iss| iss != named.issuer.issuer) {
                    return Err(format!("the claims name another issuer than {name:?}"));
                }
                Ok(Some(&named.issuer))
            }
            (None, Some(iss)) => Ok(self.by_iss(iss).map(|settings| &*settings.issuer)),
            (None, None) => match issuers.as_slice() {
                [only] => Ok(Some(&only.issuer)),
                [] => Err("nobody could have made these claims: there is no [[issuer]]".to_owned()),
                _ => Err("whose claims are these? Several issuers are configured: name one, or write `iss`".to_owned()),
            },
        }
    }

    fn by_iss(&self, iss: &str) -> Option<&'s IssuerSettings> {
        self.settings.issuers.iter().find(|settings| settings.issuer.issuer == iss)
    }

    fn signed(&self, kind: Kind, payload: &str) -> Result<String, String> {
        let kind = match kind {
            Kind::Jwt => "JWT",
            Kind::AccessToken => "at+jwt",
        };
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","typ":"{kind}"}}"#));
        let input = format!("{header}.{payload}");
        let key = EncodingKey::from_secret(self.stand_in.expose());
        let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key, Algorithm::HS256);
        Ok(format!("{input}.{}", signature.map_err(|error| error.to_string())?))
    }

    /// A refusal keeps no caller; but where credentials are looked at, only somebody known is forbidden anything.
    fn caller(&self, verdict: &Result<Permit, Answer>, question: &Question) -> Option<Principal> {
        let answer = match verdict {
            Ok(permit) => return permit.caller().principal().cloned(),
            Err(answer) => answer,
        };
        answer.denial().filter(|denial| denial.code == Code::Forbidden)?;
        let Ok(Presented::Bearer(token)) = presented(&question.headers) else { return None };
        let token = Unverified::parse(token).ok()?;
        let terms = &self.by_iss(token.unverified_issuer()?)?.issuer;
        claims::principal(token.unverified_claims(), token.unverified_kind(), terms, self.now).ok()
    }
}

impl Finding<'_> {
    /// `allow`, `preflight` (answered by the gate itself), or the code of the refusal.
    pub(super) fn name(&self) -> &'static str {
        match &self.verdict {
            Ok(_) => "allow",
            Err(answer) => match &answer.kind {
                answer::Kind::Refusal(denial) => denial.code.name(),
                answer::Kind::Preflight => "preflight",
                answer::Kind::Redirect(..) => "redirect",
                answer::Kind::Own(_) | answer::Kind::Served(_) => "own",
            },
        }
    }

    pub(super) fn denial(&self) -> Option<&Denial> {
        self.verdict.as_ref().err().and_then(Answer::denial)
    }
}

#[cfg(test)]
#[path = "offline_tests.rs"]
mod tests;
