//! What `[brute_force]` and `[bot]` may say.

use super::*;
use crate::domain::failures::Schedule;

#[test]
fn nine_failures_are_free_when_nothing_is_said() {
    let (block, block_max) = (Duration::from_secs(60), Duration::from_secs(3600));
    assert_eq!(good("").brute_force, Schedule { free: 9, block, block_max, fades: None });
    let told = good("[brute_force]\nfree = 3\nblock = \"10s\"\nblock_max = \"10s\"\n").brute_force;
    let block = Duration::from_secs(10);
    assert_eq!(told, Schedule { free: 3, block, block_max: block, fades: None });
}

#[test]
fn a_protection_that_is_none_is_a_mistake() {
    for (keys, place) in [
        ("free = 0", "brute_force.free (line 2)"),
        ("free = 1001", "brute_force.free (line 2)"),
        ("free = -1", "brute_force.free (line 2)"),
        ("block = \"0s\"", "brute_force.block (line 2)"),
        ("block = \"2h\"", "brute_force.block (line 2)"),
        ("block_max = \"59s\"", "brute_force.block_max (line 2)"),
        ("block_max = \"25h\"", "brute_force.block_max (line 2)"),
    ] {
        let found = wrong(&format!("[brute_force]\n{keys}\n"));
        assert!(found.len() == 1 && found[0].starts_with(place), "{keys}: {found:#?}");
    }
}

const CAPTCHA_LINE: &str = "captcha = { site_key = \"k\", secret = \"env:SECRET\", \
    verify_url = \"https://c.example/v\", script_url = \"https://c.example/api.js\" }\n";

#[test]
fn nobody_is_asked_unless_a_webhook_is_named() {
    assert!(good("").bot.is_none());
    let asked = good("[bot]\nwebhook = \"http://127.0.0.1:9/judge\"\n").bot.unwrap();
    assert!(asked.captcha.is_none());
}

#[test]
fn a_captcha_may_load_from_origins_that_cannot_write_the_policy() {
    let told = |origins: &str| {
        let captcha = CAPTCHA_LINE.replace("site_key", &format!("origins = {origins}, site_key"));
        format!("[bot]\nwebhook = \"https://bots.example/judge\"\n{captcha}")
    };
    for origin in ["https://*", "https://*.com", "*", "http://a.example", "https://a.example/x", "https://a.example;x"]
    {
        let found = wrong(&told(&format!("[{origin:?}]")));
        assert!(found.iter().any(|it| it.starts_with("bot.captcha.origins[0]")), "{origin}: {found:#?}");
    }
    // only what is asked for is missing here
    let found = wrong(&told("[\"https://*.hcaptcha.com\", \"https://hcaptcha.com:8443\", \"ftp://x\"]"));
    assert!(found.iter().all(|it| !it.starts_with("bot.captcha.origins[0]")), "{found:#?}");
    assert!(found.iter().all(|it| !it.starts_with("bot.captcha.origins[1]")), "{found:#?}");
    assert!(found.iter().any(|it| it.starts_with("bot.captcha.origins[2]")), "{found:#?}");
}

#[test]
fn a_webhook_in_clear_text_or_half_a_captcha_is_a_mistake() {
    let webhook = "webhook = \"https://bots.example/judge\"\n";
    for (keys, place) in [
        ("webhook = \"http://bots.example/judge\"\n".to_owned(), "bot.webhook (line 2)"),
        ("webhook = \"bots\"\n".to_owned(), "bot.webhook (line 2)"),
        (
            webhook.to_owned() + &CAPTCHA_LINE.replace("https://c.example/v", "http://c.example/v"),
            "bot.captcha.verify_url",
        ),
        (webhook.to_owned() + &CAPTCHA_LINE.replace("/api.js", "/api.js;x"), "bot.captcha.script_url"),
        (webhook.to_owned() + &CAPTCHA_LINE.replace("site_key = \"k\"", "site_key = \"\""), "bot.captcha.site_key"),
    ] {
        let found = wrong(&format!("[bot]\n{keys}"));
        assert!(found.iter().any(|mistake| mistake.starts_with(place)), "{keys}: {found:#?}");
    }
}
