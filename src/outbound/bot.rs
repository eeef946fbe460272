//! `[bot]`: a webhook that judges who signs in, and whoever checks the CAPTCHA of those it challenges.

use super::client::{Call, Client, Content, FetchError};
use crate::config::settings::{BotSettings, Remote};
use crate::ports::bot::{BotCheck, Captcha, Judged, Visitor};
use async_trait::async_trait;
use http::StatusCode;
use parking_lot::Mutex;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use zeroize::Zeroizing;

/// Somebody waits for their sign-in meanwhile.
const WITHIN: Duration = Duration::from_secs(1);
/// A person waits for that longer than for the judgement: they have just solved it.
const SOLVED_WITHIN: Duration = Duration::from_secs(2);
/// Questions under way. Whoever floods the form must not make us flood whoever judges.
const AT_ONCE: usize = 64;
const SAID_EVERY: Duration = Duration::from_secs(60);
/// Characters of a user agent or of a solution; the largest CAPTCHA's has some two thousand.
const LONGEST_AGENT: usize = 512;
const LONGEST_SOLUTION: usize = 8 * 1024;

/// Asks somebody else.
#[derive(Debug)]
pub struct BotWebhook {
    settings: BotSettings,
    webhook: Url,
    verify_url: Option<Url>,
    captcha: Option<Captcha>,
    /// Made when it is first needed: that reads the certificates of the machine.
    client: OnceCell<Client>,
    under_way: Semaphore,
    /// When an operator was last told that nobody answers.
    said: Mutex<Option<Instant>>,
}

#[derive(Deserialize)]
struct Answer {
    verdict: Word,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Allow,
    Challenge,
    Block,
}

/// As reCAPTCHA, hCaptcha and Turnstile answer.
#[derive(Deserialize)]
struct Solved {
    success: bool,
}

impl BotWebhook {
    /// # Errors
    /// A URL that is none; the configuration has looked at them before.
    pub fn new(settings: BotSettings) -> Result<Self, String> {
        // Without the URL itself, whose query may hold a key.
        let parsed = |key: &str, url: &str| Url::parse(url).map_err(|error| format!("bot.{key}: {error}"));
        let webhook = parsed("webhook", &settings.webhook)?;
        let verify_url = settings.captcha.as_ref().map(|captcha| parsed("captcha.verify_url", &captcha.verify_url));
        let verify_url = verify_url.transpose()?;
        let captcha = settings.captcha.as_ref().map(|captcha| Captcha {
            site_key: captcha.site_key.clone(),
            script_url: captcha.script_url.clone(),
            origins: captcha.origins.clone(),
            field: captcha.field.clone(),
            class: captcha.class.clone(),
        });
        let under_way = Semaphore::new(AT_ONCE);
        Ok(Self { settings, webhook, verify_url, captcha, client: OnceCell::new(), under_way, said: Mutex::default() })
    }

    async fn client(&self) -> Result<&Client, FetchError> {
        let make = || async { Client::new(&self.settings.webhook, &Remote::default()).await };
        self.client.get_or_try_init(make).await
    }

    async fn ask(&self, visitor: &Visitor<'_>) -> Result<Judged, String> {
        let _turn = self.turn()?;
        let question = json!({
            "ip": visitor.ip.map(|ip| ip.to_string()),
            "user_agent": visitor.user_agent.chars().take(LONGEST_AGENT).collect::<String>(),
            "username_hash": visitor.account.map(|account| account.to_string()),
            "provider": visitor.provider,
            "route": visitor.route,
        });
        let client = self.client().await.map_err(|error| error.to_string())?;
        let content = Content::Json(question.to_string());
        let call = Call { url: &self.webhook, authorization: None, content, within: WITHIN };
        let reply = client.call(call).await.map_err(|error| error.to_string())?;
        if reply.status != StatusCode::OK {
            return Err(format!("status {}", reply.status));
        }
        let answer: Answer = serde_json::from_slice(&reply.body).map_err(|_| "an answer without a verdict")?;
        Ok(match answer.verdict {
            Word::Allow => Judged::Allow,
            Word::Challenge => Judged::Challenge,
            Word::Block => Judged::Block,
        })
    }

    async fn check(&self, solution: &str, ip: Option<IpAddr>) -> Result<bool, String> {
        let (Some(captcha), Some(url)) = (&self.settings.captcha, &self.verify_url) else { return Ok(false) };
        let _turn = self.turn()?;
        let content = Content::Form(form(captcha.secret.expose(), solution, ip)?);
        let call = Call { url, authorization: None, content, within: SOLVED_WITHIN };
        let client = self.client().await.map_err(|error| error.to_string())?;
        let reply = client.call(call).await.map_err(|error| error.to_string())?;
        let solved: Solved = serde_json::from_slice(&reply.body).map_err(|_| format!("status {}", reply.status))?;
        Ok(solved.success)
    }

    /// Nobody waits for one: a queue would only make everybody late.
    fn turn(&self) -> Result<SemaphorePermit<'_>, String> {
        self.under_way.try_acquire().map_err(|_| format!("{AT_ONCE} questions are under way"))
    }

    /// Once a minute: whoever makes it fail must not fill our log.
    fn say(&self, who: &str, why: &str) {
        let mut said = self.said.lock();
        if said.is_none_or(|before| before.elapsed() >= SAID_EVERY) {
            *said = Some(Instant::now());
            tracing::warn!("{who} does not answer: {why}");
        }
    }
}

fn form(secret: &[u8], solution: &str, ip: Option<IpAddr>) -> Result<Zeroizing<String>, String> {
    let secret = std::str::from_utf8(secret).map_err(|_| "the secret is no text")?;
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("secret", secret).append_pair("response", solution);
    if let Some(ip) = ip {
        form.append_pair("remoteip", &ip.to_string());
    }
    Ok(Zeroizing::new(form.finish()))
}

#[async_trait]
impl BotCheck for BotWebhook {
    async fn judge(&self, visitor: &Visitor<'_>) -> Judged {
        self.ask(visitor).await.unwrap_or_else(|why| {
            self.say("bot.webhook", &why);
            Judged::Unknown
        })
    }

    fn captcha(&self) -> Option<&Captcha> {
        self.captcha.as_ref()
    }

    async fn is_solved(&self, solution: &str, ip: Option<IpAddr>) -> bool {
        if solution.is_empty() || solution.len() > LONGEST_SOLUTION {
            return false;
        }
        self.check(solution, ip).await.unwrap_or_else(|why| {
            self.say("bot.captcha.verify_url", &why);
            false
        })
    }
}
