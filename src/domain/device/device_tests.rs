use super::*;
use http::HeaderValue;
use proptest::prelude::*;
use std::time::Duration;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36";
const AGENT: (&str, &str) = ("user-agent", FIREFOX);
const SCREEN: (&str, &str) = ("x-screen-resolution", "1920x1080");
const ZONE: (&str, &str) = ("x-timezone", "Europe/Berlin");
const LANGUAGE: (&str, &str) = ("accept-language", "de-DE,de;q=0.9,en;q=0.8");
const ALL: [(&str, &str); 4] = [AGENT, SCREEN, ZONE, LANGUAGE];

fn device(fields: &[(&'static str, &str)]) -> Device {
    let fields =
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
    Device::from_headers(&fields.collect())
}

fn key() -> Secret {
    Secret::new(vec![7; 32])
}

fn score(remembered: &[(&'static str, &str)], seen: &[(&'static str, &str)]) -> u16 {
    let (remembered, seen) = (device(remembered).prints(&key()), device(seen).prints(&key()));
    seen.similarity(&remembered, &Weights::default()).0
}

fn levels(score: u16) -> [bool; 4] {
    [Level::Off, Level::Relaxed, Level::Normal, Level::Strict]
        .map(|level| Terms { level, ..Terms::default() }.verdict(PerMille(score)).valid)
}

#[test]
fn the_same_device_is_the_same() {
    assert_eq!(score(&ALL, &ALL), 1000);
    assert_eq!(score(&[AGENT], &[AGENT]), 1000);
    assert_eq!(score(&[], &[]), 1000);
}

#[test]
fn with_everything_told_a_new_language_is_forgiven_and_a_new_screen_is_not() {
    let with = |changed: (&'static str, &'static str)| {
        let mut fields = ALL;
        *fields.iter_mut().find(|(name, _)| *name == changed.0).unwrap() = changed;
        score(&ALL, &fields)
    };
    assert_eq!(with(("accept-language", "fr")), 900);
    assert_eq!(with(("x-timezone", "Asia/Tokyo")), 800);
    assert_eq!(with(("x-screen-resolution", "1280x720")), 700);
    assert_eq!(with(("user-agent", CHROME)), 600);
    assert_eq!(levels(900), [true, true, true, false]);
    assert_eq!(levels(800), [true, true, false, false]);
    assert_eq!(levels(700), [true, true, false, false]);
    assert_eq!(levels(600), [true, false, false, false], "another browser is another device at every level");
}

#[test]
fn a_plain_navigation_is_recognised_by_what_it_tells() {
    // it sends no screen and no time zone, which were told at sign-in
    assert_eq!(score(&ALL, &[AGENT, LANGUAGE]), 1000);
    assert_eq!(score(&[AGENT, LANGUAGE], &ALL), 1000);
}

#[test]
fn with_agent_and_language_alone_a_new_language_is_enough_for_a_mismatch() {
    let seen = score(&[AGENT, LANGUAGE], &[AGENT, ("accept-language", "fr")]);
    assert_eq!(seen, 800, "400 of 500");
    assert_eq!(levels(seen), [true, true, false, false]);
    let seen = score(&[AGENT, LANGUAGE], &[("user-agent", CHROME), LANGUAGE]);
    assert_eq!(seen, 200, "100 of 500");
    assert_eq!(levels(seen), [true, false, false, false]);
}

#[test]
fn whoever_hides_the_agent_is_another_device_whatever_else_they_tell() {
    assert_eq!(score(&ALL, &[LANGUAGE]), 200, "100 of 500: the language of a whole country");
    assert_eq!(score(&ALL, &[SCREEN, ZONE, LANGUAGE]), 600);
    assert_eq!(score(&[AGENT, LANGUAGE], &[LANGUAGE]), 200);
    assert_eq!(levels(600), [true, false, false, false]);
    assert_eq!(score(&[LANGUAGE], &[AGENT, LANGUAGE]), 1000, "there is none to compare with");
}

#[test]
fn whoever_tells_nothing_is_not_recognised() {
    assert_eq!(score(&ALL, &[]), 0);
    assert_eq!(score(&[AGENT], &[SCREEN]), 0, "nothing in common to compare");
}

#[test]
fn a_browser_update_another_list_of_languages_and_a_turned_phone_change_nothing() {
    let newer = FIREFOX.replace("140", "141");
    assert_eq!(score(&[AGENT], &[("user-agent", &newer)]), 1000);
    assert_eq!(score(&[LANGUAGE], &[("accept-language", "de-de")]), 1000);
    assert_eq!(score(&[("x-screen-resolution", "412x915")], &[("x-screen-resolution", "915 X 412")]), 1000);
    assert_eq!(score(&[ZONE], &[("x-timezone", " europe/berlin ")]), 1000);
}

#[test]
fn a_screen_that_is_no_pair_of_numbers_still_differs_from_others() {
    assert_eq!(score(&[("x-screen-resolution", "huge")], &[("x-screen-resolution", "huge")]), 1000);
    assert_eq!(score(&[("x-screen-resolution", "huge")], &[SCREEN]), 0);
    assert_eq!(score(&[("x-screen-resolution", "1x2x3")], &[("x-screen-resolution", "2x1x3")]), 0);
}

#[test]
fn a_body_may_tell_what_no_header_did() {
    let told = device(&[AGENT, LANGUAGE]).or_told(Some("1080x1920"), Some("Europe/Berlin"));
    assert_eq!(told, device(&ALL));
    assert_eq!(device(&ALL).or_told(Some("1x1"), Some("UTC")), device(&ALL), "a header stands");
}

#[test]
fn one_spelling_in_two_components_has_two_hashes() {
    let text = device(&[("x-timezone", "de"), ("accept-language", "de")]).prints(&key()).to_text();
    let (zone, language) = text.split_once('.').unwrap();
    assert_ne!(zone[1..], language[1..]);
}

#[test]
fn hashes_under_another_key_are_other_hashes() {
    let other = Secret::new(vec![8; 32]);
    assert_ne!(device(&ALL).prints(&key()), device(&ALL).prints(&other));
}

#[test]
fn a_new_secret_of_the_store_is_no_new_device() {
    let (old, new) = (Secret::new(vec![1; 32]), Secret::new(vec![2; 32]));
    let remembered = device(&ALL).prints(&old);
    let terms = Terms::default();
    assert!(terms.judge(&remembered, &device(&ALL), [&new, &old]).valid);
    assert!(!terms.judge(&remembered, &device(&ALL), [&new]).valid);
    assert!(!terms.judge(&remembered, &device(&ALL), []).valid, "without a key nobody can tell");
}

#[test]
fn the_verdict_says_how_it_came_about() {
    let verdict = |level, score| Terms { level, ..Terms::default() }.verdict(PerMille(score)).to_json().to_string();
    assert_eq!(
        verdict(Level::Normal, 900),
        r#"{"risk_level":"medium","similarity_score":0.9,"threshold_used":0.85,"valid":true}"#
    );
    assert_eq!(
        verdict(Level::Normal, 849),
        r#"{"risk_level":"high","similarity_score":0.849,"threshold_used":0.85,"valid":false}"#
    );
    assert_eq!(
        verdict(Level::Strict, 950),
        r#"{"risk_level":"low","similarity_score":0.95,"threshold_used":0.95,"valid":true}"#
    );
    assert_eq!(
        verdict(Level::Off, 0),
        r#"{"risk_level":"medium","similarity_score":0.0,"threshold_used":0.0,"valid":true}"#
    );
}

#[test]
fn renewals_live_by_risk() {
    let ttl = RiskTtl::default();
    let day = Duration::from_secs(86_400);
    assert_eq!([Risk::Low, Risk::Medium, Risk::High].map(|risk| ttl.of(risk)), [30 * day, 7 * day, Duration::ZERO]);
}

#[test]
fn devices_that_are_not_judged_have_no_say_in_how_long_a_renewal_lives() {
    let life = |level, on_mismatch, score| {
        let terms = Terms { level, on_mismatch, ..Terms::default() };
        terms.renewal_life(&terms.verdict(PerMille(score)))
    };
    let day = Duration::from_secs(86_400);
    assert_eq!(life(Level::Normal, OnMismatch::StepUp, 1000), Some(30 * day));
    assert_eq!(life(Level::Normal, OnMismatch::Deny, 900), Some(7 * day));
    assert_eq!(life(Level::Normal, OnMismatch::Logout, 800), Some(Duration::ZERO));
    assert_eq!(life(Level::Normal, OnMismatch::Log, 0), None);
    assert_eq!(life(Level::Off, OnMismatch::StepUp, 0), None);
}

#[test]
fn the_fingerprint_is_one_value_for_the_whole_device() {
    let fingerprint = device(&ALL).prints(&key()).fingerprint();
    assert!(fingerprint.len() == 64 && fingerprint.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
    assert_eq!(fingerprint, device(&ALL).prints(&key()).fingerprint());
    assert_ne!(fingerprint, device(&[AGENT, LANGUAGE]).prints(&key()).fingerprint());
}

#[test]
fn component_hashes_are_read_in_one_spelling_only() {
    let text = device(&ALL).prints(&key()).to_text();
    assert_eq!(text.len(), 51);
    assert_eq!(Prints::from_text(&text), Ok(device(&ALL).prints(&key())));
    assert_eq!(Prints::from_text(""), Ok(Prints::default()));
    let [agent, screen, ..] = text.split('.').collect::<Vec<_>>()[..] else { panic!("{text}") };
    for wrong in [
        format!("{screen}.{agent}"),
        format!("{agent}.{agent}"),
        format!("{agent}."),
        format!(".{agent}"),
        format!("{agent}=.{screen}"),
        format!("x{}", &agent[1..]),
        agent[..11].to_owned(),
        // eleven characters hold 66 bits; the last two must be zero
        "uAAAAAAAAAAB".to_owned(),
        "u".to_owned(),
        ".".to_owned(),
        "uéééééé".to_owned(),
    ] {
        assert_eq!(Prints::from_text(&wrong), Err(Unreadable), "{wrong}");
    }
}

#[test]
fn people_read_a_name_they_know() {
    assert_eq!(device(&ALL).label(), "Firefox on Linux");
    assert_eq!(device(&[]).label(), "Unknown device");
}

#[test]
fn a_hostile_request_costs_little() {
    let huge = "9".repeat(100_000);
    let hostile = device(&[
        ("user-agent", &huge),
        ("x-screen-resolution", &huge),
        ("x-timezone", &huge),
        ("accept-language", &huge),
    ]);
    assert_eq!(hostile.timezone.as_deref().map(<[u8]>::len), Some(64));
    assert_eq!(hostile.prints(&key()).to_text().len(), 51);
}

fn some_prints() -> impl Strategy<Value = [Option<u8>; 4]> {
    proptest::array::uniform4(proptest::option::of(0_u8..3))
}

/// Devices of which each component has one of three values, or none.
fn made(values: [Option<u8>; 4]) -> Device {
    let [agent, screen, zone, language] = values.map(|value| value.map(|value| value.to_string()));
    let fields =
        [("user-agent", agent), ("x-screen-resolution", screen), ("x-timezone", zone), ("accept-language", language)];
    let fields: Vec<_> = fields.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    device(&fields)
}

fn weights() -> impl Strategy<Value = Weights> {
    proptest::array::uniform4(1_u16..1000).prop_map(|[agent, screen, zone, language]| Weights {
        user_agent: PerMille(agent),
        screen_resolution: PerMille(screen),
        timezone: PerMille(zone),
        accept_language: PerMille(language),
    })
}

proptest! {
    #[test]
    fn with_agents_told_similarity_goes_both_ways(mut one in some_prints(), mut other in some_prints(), weights in weights()) {
        (one[0], other[0]) = (one[0].or(Some(0)), other[0].or(Some(0)));
        let (one, other) = (made(one).prints(&key()), made(other).prints(&key()));
        let score = one.similarity(&other, &weights);
        prop_assert_eq!(score, other.similarity(&one, &weights));
        prop_assert!(score <= PerMille::ALL);
    }

    #[test]
    fn a_device_is_always_itself(values in some_prints(), weights in weights()) {
        let prints = made(values).prints(&key());
        prop_assert_eq!(prints.similarity(&prints, &weights), PerMille::ALL);
    }

    #[test]
    fn what_is_no_longer_told_never_lowers_what_agreed(values in some_prints(), kept in any::<[bool; 4]>(), weights in weights()) {
        let mut fewer = values;
        for (value, kept) in fewer.iter_mut().zip(kept) {
            *value = value.filter(|_| kept);
        }
        fewer[0] = values[0];
        prop_assume!(fewer.iter().any(Option::is_some));
        let score = made(fewer).prints(&key()).similarity(&made(values).prints(&key()), &weights);
        prop_assert_eq!(score, PerMille::ALL);
    }

    #[test]
    fn leaving_out_what_differs_never_lowers(one in some_prints(), other in some_prints(), at in 1_usize..4, weights in weights()) {
        prop_assume!(one[at] != other[at]);
        let mut fewer = other;
        fewer[at] = None;
        prop_assume!(fewer.iter().zip(one).any(|(fewer, one)| fewer.is_some() && one.is_some()));
        let one = made(one).prints(&key());
        let before = made(other).prints(&key()).similarity(&one, &weights);
        prop_assert!(made(fewer).prints(&key()).similarity(&one, &weights) >= before);
    }

    #[test]
    fn hashes_survive_the_token(values in some_prints()) {
        let prints = made(values).prints(&key());
        prop_assert_eq!(Prints::from_text(&prints.to_text()), Ok(prints));
    }

    #[test]
    fn no_text_of_a_stranger_is_misread(text in "[ustlx]?[A-Za-z0-9_-]{0,12}(\\.[ustlx]?[A-Za-z0-9_-]{10,12}){0,4}") {
        if let Ok(prints) = Prints::from_text(&text) {
            prop_assert_eq!(prints.to_text(), text);
        }
    }
}
