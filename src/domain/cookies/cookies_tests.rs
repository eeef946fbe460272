use super::*;
use crate::domain::denial::Code;
use http::header::COOKIE;
use http::HeaderMap;
use proptest::prelude::*;

const DAY: Duration = Duration::from_secs(86_400);

fn plan(public_url: &str, domain: Option<&str>, same_site: SameSite) -> CookiePlan {
    CookiePlan::new(&Origin::parse(public_url).unwrap(), domain, same_site)
}

fn host() -> CookiePlan {
    plan("https://app.test", None, SameSite::Lax)
}

fn request(fields: &[&str]) -> HeaderMap {
    fields.iter().map(|field| (COOKIE, HeaderValue::from_str(field).unwrap())).collect()
}

/// What a browser sends back after it received these lines.
fn browser(lines: &[HeaderValue]) -> HeaderMap {
    let pairs = lines.iter().filter(|line| !line.to_str().unwrap().contains("; Max-Age=0;"));
    let pairs: Vec<&str> = pairs.map(|line| line.to_str().unwrap().split("; ").next().unwrap()).collect();
    request(&[&pairs.join("; ")])
}

fn attempt(number: u8) -> AttemptId {
    AttemptId::new([number, 0, 0, 0])
}

#[test]
fn a_name_promises_what_the_configuration_can_keep() {
    for (plan, expected) in [
        (host(), "__Host-doorward=v; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure"),
        (
            plan("https://app.test", Some("test"), SameSite::Strict),
            "__Secure-doorward=v; Path=/; Max-Age=86400; HttpOnly; SameSite=Strict; Secure; Domain=test",
        ),
        (
            plan("http://localhost:8080", None, SameSite::Lax),
            "doorward=v; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax",
        ),
        (
            plan("https://app.test", Some(""), SameSite::None),
            "__Host-doorward=v; Path=/; Max-Age=86400; HttpOnly; SameSite=None; Secure",
        ),
    ] {
        assert_eq!(plan.set(Name::Session, "v", DAY).unwrap(), expected);
    }
}

#[test]
fn every_cookie_has_the_name_it_is_known_by() {
    let id = AttemptId::new([0xFB, 0xFF, 0, 1]);
    for (name, expected) in [
        (Name::Session, "__Host-doorward"),
        (Name::Renewal(Parity::of(0)), "__Host-doorward-r0"),
        (Name::Renewal(Parity::of(7)), "__Host-doorward-r1"),
        (Name::SessionPiece(3), "__Host-doorward.3"),
        (Name::Attempt(id), "__Host-doorward-l--_8AAQ"),
    ] {
        let line = host().set(name, "v", DAY).unwrap();
        assert!(line.to_str().unwrap().starts_with(&format!("{expected}=v;")), "{line:?}");
        assert!(is_ours(expected.as_bytes()), "{expected}");
    }
}

#[test]
fn every_name_we_could_set_is_kept_from_backends_and_no_other() {
    for prefix in ["", "__Host-", "__Secure-"] {
        for name in ["doorward", "doorward.0", "doorward-r0", "doorward-r1", "doorward-d", "doorward-l-abcdef"] {
            assert!(is_ours(format!("{prefix}{name}").as_bytes()), "{prefix}{name}");
        }
    }
    for name in ["", "doorwardian", "door", "doorward-r2", "xdoorward", "__Host-door", "__Host-session", "Doorward"] {
        assert!(!is_ours(name.as_bytes()), "{name}");
    }
}

#[test]
fn a_strict_cookie_would_not_survive_the_way_back_from_the_provider() {
    let strict = plan("https://app.test", None, SameSite::Strict);
    let line = strict.set(Name::Attempt(attempt(1)), "v", DAY).unwrap();
    assert!(line.to_str().unwrap().contains("SameSite=Lax"), "{line:?}");
}

#[test]
fn none_without_secure_is_a_cookie_no_browser_takes() {
    let line = plan("http://intranet", None, SameSite::None).set(Name::Session, "v", DAY).unwrap();
    assert!(line.to_str().unwrap().contains("SameSite=Lax"), "{line:?}");
}

#[test]
fn clearing_names_the_same_place_as_setting() {
    for plan in [host(), plan("https://app.test", Some("test"), SameSite::Strict)] {
        let set = plan.set(Name::Session, "", DAY).unwrap();
        let cleared = plan.clear(Name::Session);
        assert_eq!(set.to_str().unwrap().replace("Max-Age=86400", "Max-Age=0"), cleared.to_str().unwrap());
    }
}

#[test]
fn no_cookie_is_asked_to_outlive_what_browsers_allow() {
    let line = host().set(Name::Session, "v", DAY * 10_000).unwrap();
    assert!(line.to_str().unwrap().contains("Max-Age=34560000;"), "{line:?}");
}

#[test]
fn a_value_that_could_not_be_read_back_is_not_set() {
    for value in ["a;b", "a b", "a,b", "\"a\"", "a\\b", "a\r\nSet-Cookie: b", "é"] {
        assert_eq!(host().set(Name::Session, value, DAY), Err(Unfit::BadByte), "{value:?}");
    }
}

#[test]
fn one_cookie_is_never_larger_than_a_browser_keeps() {
    let overhead = host().set(Name::Session, "", DAY).unwrap().len();
    let fits = "x".repeat(4096 - overhead);
    assert_eq!(host().set(Name::Session, &fits, DAY).unwrap().len(), 4096);
    assert_eq!(host().set(Name::Session, &format!("{fits}x"), DAY), Err(Unfit::TooLarge));
}

#[test]
fn a_session_too_large_for_one_cookie_is_cut_and_one_for_five_is_refused() {
    let value = "x".repeat(9000);
    let lines = host().set_session(&value, DAY, &OurCookies::default()).unwrap();
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line.len() <= 4096));
    let headers = browser(&lines);
    assert_eq!(host().read(&headers).unwrap().session().value(), Some(value.as_str()));
    assert_eq!(host().set_session(&"x".repeat(17_000), DAY, &OurCookies::default()).unwrap_err(), Unfit::TooLarge);
}

#[test]
fn a_shorter_session_takes_the_pieces_of_the_longer_one_away() {
    let long = host().set_session(&"x".repeat(9000), DAY, &OurCookies::default()).unwrap();
    let headers = browser(&long);
    let held = host().read(&headers).unwrap();
    let lines = host().set_session("short", DAY, &held).unwrap();
    let lines: Vec<&str> =
        lines.iter().map(|line| line.to_str().unwrap().split("; HttpOnly").next().unwrap()).collect();
    assert_eq!(
        lines,
        [
            "__Host-doorward=short; Path=/; Max-Age=86400",
            "__Host-doorward.0=; Path=/; Max-Age=0",
            "__Host-doorward.1=; Path=/; Max-Age=0",
            "__Host-doorward.2=; Path=/; Max-Age=0",
        ]
    );
}

#[test]
fn pieces_of_two_sessions_are_none_rather_than_a_wrong_one() {
    let pieces = |value: &str| host().set_session(&value.repeat(9000), DAY, &OurCookies::default()).unwrap();
    let (one, other) = (pieces("x"), pieces("y"));
    for lines in [
        vec![one[0].clone(), other[1].clone(), one[2].clone()],
        vec![one[0].clone(), one[1].clone()],
        vec![one[1].clone(), one[2].clone()],
        [vec![HeaderValue::from_static("__Host-doorward=z")], one.clone()].concat(),
    ] {
        let headers = browser(&lines);
        assert_eq!(host().read(&headers).unwrap().session(), SessionCookie::Torn);
    }
}

#[test]
fn a_piece_left_over_from_a_longer_session_does_no_harm() {
    let two = host().set_session(&"x".repeat(5000), DAY, &OurCookies::default()).unwrap();
    let three = host().set_session(&"y".repeat(9000), DAY, &OurCookies::default()).unwrap();
    let headers = browser(&[two, vec![three[2].clone()]].concat());
    assert_eq!(host().read(&headers).unwrap().session().value(), Some("x".repeat(5000).as_str()));
}

#[test]
fn a_count_that_lies_is_torn() {
    for first in ["9~abcdef~x", "0~abcdef~x", "~~", "1~x", "x", "18446744073709551616~a~b"] {
        let headers = request(&[&format!("__Host-doorward.0={first}")]);
        assert_eq!(host().read(&headers).unwrap().session(), SessionCookie::Torn, "{first}");
    }
}

#[test]
fn cookies_are_read_over_all_fields_of_a_request() {
    let headers = request(&["a=1; __Host-doorward=s", "__Host-doorward-r1=r;b=2", " __Host-doorward-l-abcdef=l"]);
    let found = host().read(&headers).unwrap();
    assert_eq!(found.session().value(), Some("s"));
    assert_eq!((found.renewal(Parity::Even), found.renewal(Parity::Odd)), (None, Some("r")));
    assert_eq!(found.attempt(AttemptId::parse(b"abcdef").unwrap()), Some("l"));
    assert!(found.holds_session());
}

#[test]
fn a_cookie_that_stands_there_twice_is_refused_even_when_both_agree() {
    for fields in [
        &["__Host-doorward=a; __Host-doorward=b"][..],
        &["__Host-doorward=a", "__Host-doorward=a"],
        &["__Host-doorward-r0=a; x=1; __Host-doorward-r0=b"],
        &["__Host-doorward.1=a; __Host-doorward.1=b"],
        &["__Host-doorward-l-abcdef=a; __Host-doorward-l-abcdef=b"],
    ] {
        let headers = request(fields);
        assert_eq!(host().read(&headers).unwrap_err().code, Code::ConflictingCredentials, "{fields:?}");
    }
}

#[test]
fn a_cookie_planted_under_a_weaker_name_is_not_ours_to_read() {
    let headers = request(&["doorward=planted; __Secure-doorward=planted; __host-doorward=planted; doorward=again"]);
    assert_eq!(host().read(&headers).unwrap().session(), SessionCookie::Absent);
    assert!(!host().read(&headers).unwrap().holds_session());
    let headers = request(&["__Host-doorward=x; doorward=mine"]);
    let bare = plan("http://localhost:8080", None, SameSite::Lax);
    assert_eq!(bare.read(&headers).unwrap().session().value(), Some("mine"));
}

#[test]
fn a_sixth_attempt_takes_the_place_of_the_oldest() {
    let held = |count: u8| {
        let pairs = (0..count).map(|at| format!("__Host-doorward-l-{}=v", attempt(at).as_str()));
        request(&[&pairs.collect::<Vec<_>>().join("; ")])
    };
    let surplus = |count: u8| {
        let headers = held(count);
        host().read(&headers).unwrap().surplus_attempts().collect::<Vec<_>>()
    };
    assert_eq!(surplus(4), []);
    assert_eq!(surplus(5), [Name::Attempt(attempt(0))]);
    assert_eq!(surplus(7), [Name::Attempt(attempt(0)), Name::Attempt(attempt(1)), Name::Attempt(attempt(2))]);
}

#[test]
fn a_flood_of_attempts_is_not_collected() {
    let pairs: Vec<String> = (0..=255).map(|at| format!("__Host-doorward-l-{}=v", attempt(at).as_str())).collect();
    let headers = request(&[&pairs.join("; ")]);
    let found = host().read(&headers).unwrap();
    assert!(found.surplus_attempts().count() <= 32);
    assert_eq!(found.attempt(attempt(255)), None);
}

#[test]
fn signing_out_forgets_what_the_browser_held_and_nothing_else() {
    let headers = request(&["__Host-doorward=s; __Host-doorward-r1=r; __Host-doorward-l-abcdef=l; theirs=1"]);
    let lines = host().clear_session(&host().read(&headers).unwrap());
    let names: Vec<&str> = lines.iter().map(|line| line.to_str().unwrap().split('=').next().unwrap()).collect();
    assert_eq!(names, ["__Host-doorward", "__Host-doorward-r1"]);
}

#[test]
fn debug_output_shows_names_and_no_value() {
    let headers = request(&["__Host-doorward=hunter2; __Host-doorward-r0=hunter2; __Host-doorward-l-abcdef=hunter2"]);
    let found = host().read(&headers).unwrap();
    let shown = format!("{found:?} {:?}", found.session());
    assert!(!shown.contains("hunter2") && shown.contains("doorward-r0"), "{shown}");
}

proptest! {
    #[test]
    fn what_set_writes_read_reads(
        session in "[!#-+.-:<-\\[\\]-~]{0,64}",
        repeat in 1_usize..200,
        renewal in "[A-Za-z0-9._-]{1,200}",
        generation in any::<u64>(),
        random in any::<[u8; 4]>(),
        wide in any::<bool>(),
    ) {
        let plan = plan("https://app.test", wide.then_some("app.test"), SameSite::Lax);
        let (session, parity, id) = (session.repeat(repeat), Parity::of(generation), AttemptId::new(random));
        let mut lines = plan.set_session(&session, DAY, &OurCookies::default()).unwrap();
        lines.push(plan.set(Name::Renewal(parity), &renewal, DAY).unwrap());
        lines.push(plan.set(Name::Attempt(id), &renewal, DAY).unwrap());
        let headers = browser(&lines);
        let found = plan.read(&headers).unwrap();
        let cookie = found.session();
        prop_assert_eq!(cookie.value(), Some(session.as_str()));
        prop_assert_eq!(found.renewal(parity), Some(renewal.as_str()));
        prop_assert_eq!(found.attempt(id), Some(renewal.as_str()));
        for line in &lines {
            let name = line.as_bytes().split(|byte| *byte == b'=').next().unwrap();
            prop_assert!(is_ours(name) && line.len() <= 4096);
        }
    }

    #[test]
    fn whatever_a_stranger_sends_is_read_or_refused(field in "([a-z_-]{0,3}(__Host-doorward(\\.[0-9]|-r[0-9]|-l-[a-z]{5,7})?)=?[ -~]{0,8};? ?){0,6}") {
        let headers = request(&[&field]);
        match host().read(&headers) {
            Ok(found) => prop_assert!(found.surplus_attempts().count() < 6),
            Err(denial) => prop_assert_eq!(denial.code, Code::ConflictingCredentials),
        }
    }
}

proptest! {
    #[test]
    fn pairs_are_what_stands_between_semicolons(field in "[;= a]{0,12}") {
        let field = field.as_bytes();
        let split: Vec<&[u8]> = field.split(|byte| *byte == b';').collect();
        prop_assert_eq!(pairs(field).collect::<Vec<_>>(), split);
    }
}
