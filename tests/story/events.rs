//! Pages that wait for news of their session hear of its end before it comes, and when it came.

use super::support::backend::Backend;
use super::support::browser::{json, Browser, SCRIPT};
use super::support::client::Client;
use super::support::gate::Gate;
use super::support::{eventually, h2, people};
use http::Request;

const SHORT: &str = "[session]\nidle_timeout = \"8s\"\nwarn_before = \"4s\"\n[tokens]\naccess_ttl = \"8s\"\n";
const OPEN: &str = "doorward_streams_open{kind=\"sse\"}";

/// A page that waits.
struct Page(Client);

impl Page {
    fn open(gate: &Gate, browser: &Browser) -> Self {
        let mut client = Client::connect(gate.http);
        client.send(browser.bytes("GET", "/.auth/events", "Accept: text/event-stream\r\n", ""));
        let head = client.receive_head().unwrap();
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
        assert_eq!(head.header("cache-control"), Some("no-store"));
        Self(client)
    }

    /// The next event, beginning with its name; `None` at the end.
    fn event(&mut self) -> Option<String> {
        loop {
            let text = String::from_utf8(self.0.chunk()?).unwrap();
            if let Some(event) = text.strip_prefix("event: ") {
                return Some(event.to_owned());
            }
        }
    }
}

fn becomes(gate: &Gate, series: &str, value: f64) {
    eventually(series, || (gate.metric(series) - value).abs() < 0.5);
}

#[test]
fn every_tab_hears_of_a_sign_out_at_once() {
    for mode in ["jwt", "opaque"] {
        let gate = people::house(&Backend::echo(), &format!("[session]\nmode = {mode:?}\n"));
        let (mut alice, bob) = (Browser::signed_in(&gate, "alice"), Browser::signed_in(&gate, "bob"));
        let (mut one, mut two) = (Page::open(&gate, &alice), Page::open(&gate, &alice));
        let bystander = Page::open(&gate, &bob);
        becomes(&gate, OPEN, 3.0);
        assert_eq!(alice.post("/.auth/logout").status, 204);
        for page in [&mut one, &mut two] {
            assert_eq!(page.event().as_deref(), Some("session_ended\ndata: {\"code\":\"session_terminated\"}\n\n"));
            assert_eq!(page.event(), None, "there is nothing more to say");
        }
        becomes(&gate, OPEN, 1.0);
        drop(bystander);
        becomes(&gate, OPEN, 0.0);
        assert_eq!(alice.get("/.auth/events").status, 401);
    }
}

#[test]
fn a_page_is_warned_before_the_end_and_its_waiting_puts_nothing_off() {
    let gate = people::house(&Backend::echo(), SHORT);
    let browser = Browser::signed_in(&gate, "alice");
    let mut page = Page::open(&gate, &browser);
    let warning = page.event().unwrap();
    let data = warning.strip_prefix("session_expiring\ndata: ").unwrap_or_else(|| panic!("{warning}"));
    let left: serde_json::Value = serde_json::from_str(data.trim()).unwrap();
    assert!(left["idle_in"].as_u64().unwrap() <= 4 && left["expires_in"].as_u64().unwrap() > 3600, "{left}");
    assert_eq!(page.event().as_deref(), Some("session_ended\ndata: {\"code\":\"session_expired\"}\n\n"));
    assert_eq!(page.event(), None);
    becomes(&gate, "doorward_streams_cut_total{reason=\"session_expired\"}", 1.0);
}

#[test]
fn events_come_over_http2_as_well() {
    let gate = people::house(&Backend::echo(), SHORT);
    let browser = Browser::signed_in(&gate, "alice");
    let cookies: Vec<String> = browser.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut request = Request::get("http://localhost/.auth/events").header("cookie", cookies.join("; "));
    for line in browser.device.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let text = h2::request(gate.http, request.body(()).unwrap(), None, None).unwrap().text();
    let (warning, end) = (text.find("event: session_expiring\n"), text.find("event: session_ended\n"));
    assert!(warning.is_some() && warning < end, "{text}");
}

#[test]
fn strangers_wait_for_nothing_and_nobody_for_too_much() {
    let gate = people::house(&Backend::echo(), "");
    assert_eq!(Browser::new(&gate).get("/.auth/events").verdict(), "401 unauthenticated");
    let mut browser = Browser::signed_in(&gate, "alice");
    let pages: Vec<Page> = (0..16).map(|_| Page::open(&gate, &browser)).collect();
    assert_eq!(browser.get("/.auth/events").verdict(), "409 try_again");
    assert_eq!(browser.ask("HEAD", "/.auth/events", SCRIPT, "").status, 405);
    drop(pages);
    becomes(&gate, OPEN, 0.0);
    drop(Page::open(&gate, &browser));
    assert_eq!(json(&browser.get("/.auth/me"))["sub"], "alice");
}

#[test]
fn a_gate_that_leaves_lets_its_pages_go() {
    let gate = people::house(&Backend::echo(), "");
    let mut page = Page::open(&gate, &Browser::signed_in(&gate, "alice"));
    becomes(&gate, OPEN, 1.0);
    gate.terminate();
    assert_eq!(page.event(), None, "to come back elsewhere");
    assert_eq!(gate.exit_code(), Some(0));
}
