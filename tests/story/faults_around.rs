//! What is not the store breaks: the provider, the backend, the configuration. Sessions are none of their business.

use super::support::backend::{text, Backend};
use super::support::browser::Browser;
use super::support::gate::Gate;
use super::support::people::{self, LOCAL, ROUTES};
use super::support::played::Played;
use super::support::provider::Provider;
use super::support::{eventually, nowhere};
use std::time::Duration;

/// A gate with both kinds of provider.
fn house(provider: &Provider, upstream: &str) -> Gate {
    let (name, secret) = Provider::secret();
    let tables = [&provider.table("id"), LOCAL, upstream, ROUTES].concat();
    people::setup().variable(name, secret).start(&tables)
}

#[test]
fn a_provider_that_stopped_keeps_nobody_out_but_those_who_would_sign_in_there() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    let gate = house(&provider, &backend.upstream("app"));
    let (mut alice, mut late) = (Browser::new(&gate), Browser::new(&gate));
    assert_eq!(provider.sign_in(&mut alice, "alice").status, 303);
    let asked = late.visit("/.auth/login?provider=id").header("location").unwrap().to_owned();
    let back = provider.consent(&asked, "late");
    let back = back.strip_prefix("http://localhost").unwrap();

    provider.stopped(true);
    assert_eq!(alice.get("/app/x").status, 200);
    alice.forget_access();
    assert_eq!(alice.get("/app/x").status, 200, "and is renewed");
    for _ in 0..4 {
        let page = late.visit(back);
        assert_eq!((page.status, page.header("location")), (503, None));
        assert!(page.text().contains("local"), "the other way is offered");
    }
    assert_eq!(late.cookie("doorward"), None);
    eventually("the metric says so", || gate.metric("doorward_provider_up{provider=\"id\"}") == 0.0);
    assert_eq!(Browser::signed_in(&gate, "bob").who(), "bob");

    provider.stopped(false);
    eventually("what was begun is finished", || late.visit(back).status == 303);
    assert_eq!(late.who(), "late");
    eventually("the metric says so", || gate.metric("doorward_provider_up{provider=\"id\"}") == 1.0);
    assert_eq!(alice.who(), "alice");
}

#[test]
fn a_provider_that_is_slow_is_waited_for_and_holds_up_nobody_else() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    // as many sign-ins as the machine can do come from one address
    let flood = "[[limit]]\nname = \"ip\"\nshadow = true\n\n";
    let gate = house(&provider, &(flood.to_owned() + &backend.upstream("app")));
    let mut late = Browser::new(&gate);
    let asked = late.visit("/.auth/login?provider=id").header("location").unwrap().to_owned();
    let back = provider.consent(&asked, "late");
    let back = back.strip_prefix("http://localhost").unwrap().to_owned();
    provider.delays(Duration::from_secs(3));
    let waiting = std::thread::spawn(move || (late.visit(&back), late));
    let mut others = 0;
    while !waiting.is_finished() {
        assert_eq!(Browser::signed_in(&gate, "bob").get("/app/x").status, 200);
        others += 1;
    }
    let (answer, mut late) = waiting.join().unwrap();
    assert_eq!((answer.status, late.who().as_str()), (303, "late"), "{}", answer.text());
    assert!(others > 0, "they came and went meanwhile");
}

#[test]
fn a_provider_that_changed_its_keys_is_asked_for_them_once() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    let gate = house(&provider, &backend.upstream("app"));
    let mut alice = Browser::new(&gate);
    assert_eq!(provider.sign_in(&mut alice, "alice").status, 303);
    let before = provider.key_fetches();
    provider.rotates("rsa-b");
    for name in ["bob", "carol", "dave"] {
        let mut browser = Browser::new(&gate);
        assert_eq!(provider.sign_in(&mut browser, name).status, 303);
        assert_eq!(browser.who(), name);
    }
    assert_eq!(provider.key_fetches(), before + 1);
    assert_eq!(alice.who(), "alice", "whoever came with the old one stays");
}

#[test]
fn a_backend_that_is_down_is_no_reason_to_sign_in_again() {
    let provider = Provider::start();
    let played = Played::start();
    let nowhere = nowhere();
    let fine = Backend::answering(text("", "fine"));
    let gate = house(&provider, &format!("[[upstream]]\nname = \"app\"\nurl = \"http://{nowhere}\"\n\n"));
    let mut alice = Browser::signed_in(&gate, "alice");
    let (session, jar) = (alice.session(), alice.jar.clone());
    assert_eq!(alice.get("/app/x").verdict(), "503 upstream_unavailable");
    assert_eq!(alice.who(), "alice", "our own endpoints need no backend");

    let tables = |upstream: &str| [&provider.table("id"), LOCAL, upstream, ROUTES].concat();
    assert!(gate.reload(&tables(&played.upstream("app", "read_timeout = \"200ms\""))));
    assert_eq!(alice.get("/app/x").verdict(), "504 upstream_timeout");
    assert!(gate.reload(&tables(&fine.upstream("app"))));
    assert_eq!(alice.get("/app/x").status, 200);
    assert_eq!((alice.session(), alice.jar), (session, jar));
}

#[test]
fn a_configuration_that_is_broken_changes_nothing_for_whoever_is_signed_in() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    let gate = house(&provider, &backend.upstream("app"));
    let mut alice = Browser::signed_in(&gate, "alice");
    let good = [&provider.table("id"), LOCAL, &backend.upstream("app"), ROUTES].concat();
    let store = "[store]\nurl = \"redis://nowhere\"\nca = \"ca.pem\"\n\n";
    let broken = [
        "[[[".to_owned(),
        good.replace("authenticated", "authentikated"),
        good.replace("users.toml", "nobody.toml"),
        format!("{good}{store}"),
        good.replace("roles = [\"admin\"]", "roles = []\nwhen = \"1 +\""),
    ];
    for text in broken {
        let mark = gate.messages.mark();
        assert!(!gate.reload(&text), "{text}");
        let line = gate.messages.wait_from(mark, |line| line["message"].to_string().contains("not reloaded"));
        assert!(line["message"].to_string().contains("line "), "it says where: {line}");
        assert_eq!(gate.metric("doorward_config_last_reload_success"), 0.0);
        assert_eq!(alice.get("/app/x").status, 200);
        alice.forget_access();
        assert_eq!(alice.get("/app/x").status, 200, "and is renewed");
    }
    assert!(gate.reload(&good));
    assert_eq!((gate.metric("doorward_config_last_reload_success"), alice.who().as_str()), (1.0, "alice"));
    assert_eq!(Browser::signed_in(&gate, "bob").who(), "bob");
}
