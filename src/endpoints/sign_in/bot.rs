//! Programs that sign in: whoever is configured to know is asked before anything is compared, and before anybody is sent
//! to a provider.

use super::super::reply::page;
use super::super::{Asked, Own, Way};
use crate::domain::denial::{Code, Denial};
use crate::domain::session::UserHash;
use crate::pipeline::own::Reply;
use crate::ports::bot::{BotCheck, Captcha, Judged, Visitor};
use crate::ports::SessionEvent;
use crate::web::{self, Challenge, Hidden};
use http::header::USER_AGENT;
use http::StatusCode;

/// What comes of asking.
pub(super) enum Passage<'o> {
    /// On.
    Free,
    /// Once this is solved.
    Solve(&'o Captcha),
}

impl Own {
    /// `account` is known where a password was typed.
    ///
    /// # Errors
    /// 403: it is a program, or may be one and there is nothing to solve.
    pub(super) async fn passage(
        &self,
        asked: &Asked<'_>,
        way: &Way,
        account: Option<&str>,
    ) -> Result<Passage<'_>, Denial> {
        let Some(bot) = &self.bot else { return Ok(Passage::Free) };
        let agent = asked.request.headers.get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        let visitor = Visitor {
            ip: asked.request.client.ip,
            user_agent: agent.as_deref().unwrap_or_default(),
            account: account.map(|name| UserHash::of(&way.name, name)),
            provider: way.name.as_str(),
            route: &asked.request.path,
        };
        let judged = bot.judge(&visitor).await;
        self.house.ground.events.bot_judged(judged.name());
        match (judged, bot.captcha()) {
            (Judged::Allow | Judged::Unknown, _) => Ok(Passage::Free),
            (Judged::Challenge, Some(captcha)) if self.has_solved(asked, &**bot, captcha).await => Ok(Passage::Free),
            (Judged::Challenge, Some(captcha)) => Ok(Passage::Solve(captcha)),
            (Judged::Challenge, None) | (Judged::Block, _) => {
                let (provider, client) = (way.name.as_str(), asked.request.client.ip);
                let (name, detail) = ("sign_in_refused", judged.name());
                let told = SessionEvent { name, session: None, provider, subject: "", client, detail };
                self.house.ground.events.noted(&told);
                Err(Denial::new(Code::SignInRefused, "the webhook takes this for a program"))
            }
        }
    }

    async fn has_solved(&self, asked: &Asked<'_>, bot: &dyn BotCheck, captcha: &Captcha) -> bool {
        let Some(solution) = asked.form(&captcha.field).filter(|solution| !solution.is_empty()) else { return false };
        let solved = bot.is_solved(&solution, asked.request.client.ip).await;
        self.house.ground.events.bot_judged(if solved { "solved" } else { "unsolved" });
        solved
    }

    /// The page to solve it on; its form ends at the provider, where `onward` is.
    pub(super) fn challenge(
        &self,
        asked: &Asked<'_>,
        way: &Way,
        return_to: Option<&str>,
        (captcha, onward): (&Captcha, &str),
    ) -> Result<Reply, Denial> {
        let csrf = self.form_mark(asked)?;
        let form = Challenge {
            site: &self.site,
            provider: way.name.as_str(),
            csrf: Hidden(&csrf),
            return_to,
            captcha: shown(captcha),
        };
        let mut reply = page(self, StatusCode::OK, &form, &[]);
        reply.headers = self.site.headers_with_script(&[onward], (&captcha.script_url, &captcha.origins));
        Ok(reply)
    }
}

pub(super) fn shown(captcha: &Captcha) -> web::Captcha<'_> {
    let Captcha { script_url, site_key, class, .. } = captcha;
    web::Captcha { script_url, site_key, class }
}
