//! A browser, as far as a gate can tell: a jar of cookies, and the headers browsers send of their own accord.

use super::client::{self, Response};
use super::gate::Gate;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// What a script on a page of ours sends.
pub(crate) const SCRIPT: &str = "Accept: application/json\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n";
/// What a link or a form on a page of ours sends.
pub(crate) const PERSON: &str =
    "Accept: text/html,*/*;q=0.8\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\n";

/// A clone is a copied cookie jar in another hand.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    /// Which gate answers; they may take turns.
    pub(crate) at: SocketAddr,
    pub(crate) host: String,
    pub(crate) jar: BTreeMap<String, String>,
    /// Lines sent with every request, each ending in CRLF.
    pub(crate) device: String,
}

/// One `Set-Cookie`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetCookie {
    pub(crate) name: String,
    pub(crate) value: String,
    /// In lower case, without spaces around them.
    pub(crate) attributes: Vec<String>,
}

impl Browser {
    /// With an empty jar.
    pub(crate) fn new(gate: &Gate) -> Self {
        Self {
            at: gate.http,
            host: "localhost".to_owned(),
            jar: BTreeMap::new(),
            device: "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
                     Accept-Language: en-GB,en;q=0.5\r\n"
                .to_owned(),
        }
    }

    /// With a session of `name`, one of [`super::people`].
    pub(crate) fn signed_in(gate: &Gate, name: &str) -> Self {
        let mut browser = Self::new(gate);
        let answer = browser.sign_in(name);
        assert_eq!(answer.status, 303, "{}", answer.text());
        browser
    }

    /// One request with the cookies of the jar, which then holds what came back.
    pub(crate) fn ask(&mut self, method: &str, target: &str, headers: &str, body: &str) -> Response {
        let answer = client::raw(self.at, self.bytes(method, target, headers, body));
        self.keep(&answer);
        answer
    }

    /// [`Self::get`] of a gate that may die meanwhile.
    pub(crate) fn attempt(&mut self, target: &str) -> Option<Response> {
        let answer = client::attempt(self.at, self.bytes("GET", target, SCRIPT, ""))?;
        self.keep(&answer);
        Some(answer)
    }

    /// That request on the wire.
    pub(crate) fn bytes(&self, method: &str, target: &str, headers: &str, body: &str) -> String {
        let Self { host, device, .. } = self;
        let cookies = self.cookies();
        let length = if body.is_empty() && ["GET", "HEAD"].contains(&method) {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{device}{cookies}{length}{headers}\r\n{body}")
    }

    /// A script fetches.
    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.ask("GET", target, SCRIPT, "")
    }

    /// A person follows a link; redirects are not followed.
    pub(crate) fn visit(&mut self, target: &str) -> Response {
        self.ask("GET", target, PERSON, "")
    }

    /// A script posts nothing.
    pub(crate) fn post(&mut self, target: &str) -> Response {
        self.ask("POST", target, SCRIPT, "")
    }

    /// A person sends a form.
    pub(crate) fn submit(&mut self, target: &str, form: &[(&str, &str)]) -> Response {
        let headers = format!("Content-Type: application/x-www-form-urlencoded\r\n{PERSON}");
        self.ask("POST", target, &headers, &encoded(form))
    }

    /// Through the page of local users.
    pub(crate) fn sign_in(&mut self, name: &str) -> Response {
        self.sign_in_with(name, &super::people::password(name), "/app/")
    }

    pub(crate) fn sign_in_with(&mut self, name: &str, password: &str, return_to: &str) -> Response {
        let csrf = self.csrf();
        let form = [("csrf", csrf.as_str()), ("username", name), ("password", password), ("return_to", return_to)];
        self.submit("/.auth/login", &form)
    }

    /// What a sign-in page hides in its form.
    pub(crate) fn csrf(&mut self) -> String {
        let page = self.visit("/.auth/login?provider=local");
        assert_eq!(page.status, 200, "{}", page.text());
        hidden(&page.text(), "csrf")
    }

    /// Who the gate says this is: `alice`, or the refusal.
    pub(crate) fn who(&mut self) -> String {
        let me = self.get("/.auth/me");
        let said: Value = serde_json::from_slice(&me.body).unwrap_or_default();
        said["sub"].as_str().map_or_else(|| me.verdict(), str::to_owned)
    }

    /// The public name of the session.
    pub(crate) fn session(&mut self) -> String {
        json(&self.get("/.auth/me"))["session"].as_str().expect("a session").to_owned()
    }

    /// Whether it holds nothing of a session; that its device is known stays.
    pub(crate) fn has_forgotten(&self) -> bool {
        self.jar.keys().all(|name| name == "doorward-d")
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.jar.get(name).map(String::as_str)
    }

    /// Loses the access token, as a browser does when it is over.
    pub(crate) fn forget_access(&mut self) {
        assert!(self.jar.remove("doorward").is_some(), "there was none");
    }

    /// What the access token says.
    pub(crate) fn access(&self) -> Value {
        claims(self.cookie("doorward").expect("an access token"))
    }

    /// Lets time pass until the access token is due for renewal: `ttl` is all of its life.
    pub(crate) fn until_due(&self, ttl: Duration) {
        let issued = self.access()["iat"].as_u64().unwrap();
        // the gate counts whole seconds
        until((issued + (ttl.as_secs() * 4).div_ceil(5)) as f64);
    }

    pub(crate) fn keep(&mut self, answer: &Response) {
        for SetCookie { name, value, attributes } in set_cookies(answer) {
            if attributes.contains(&"max-age=0".to_owned()) {
                self.jar.remove(&name);
            } else {
                self.jar.insert(name, value);
            }
        }
    }

    /// The value of its `Cookie` line.
    pub(crate) fn pairs(&self) -> String {
        let pairs: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    fn cookies(&self) -> String {
        if self.jar.is_empty() {
            String::new()
        } else {
            format!("Cookie: {}\r\n", self.pairs())
        }
    }
}

/// Lets time pass until this moment, in seconds since 1970.
pub(crate) fn until(moment: f64) {
    let wall = doorward::observe::clock::wall();
    let now = wall.seconds as f64 + f64::from(wall.millis) / 1000.0;
    std::thread::sleep(Duration::from_secs_f64((moment - now).max(0.0)));
}

/// The claims of a token, believed.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    serde_json::from_slice(&payload.expect("a JWT")).unwrap()
}

pub(crate) fn json(answer: &Response) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{}: {}", answer.status, answer.text()))
}

pub(crate) fn set_cookies(answer: &Response) -> Vec<SetCookie> {
    let read = |line: &str| {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let attributes = parts.map(str::to_ascii_lowercase).collect();
        SetCookie { name: name.to_owned(), value: value.to_owned(), attributes }
    };
    answer.all("set-cookie").into_iter().map(read).collect()
}

/// The value of a hidden field of a page.
pub(crate) fn hidden(page: &str, name: &str) -> String {
    let field = page.split(&format!("name=\"{name}\" value=\"")).nth(1);
    field.and_then(|rest| rest.split('"').next()).unwrap_or_else(|| panic!("no {name} in {page}")).to_owned()
}

pub(crate) fn encoded(form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}
