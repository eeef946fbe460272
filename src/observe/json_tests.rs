use super::*;
use serde_json::Value;

const NOON: WallTime = WallTime { seconds: 1_785_585_600, millis: 7 };

fn line(write: impl FnOnce(&mut JsonLine<'_>)) -> String {
    let mut out = Vec::new();
    let mut line = JsonLine::open(&mut out, &mut Stamp::default(), NOON);
    write(&mut line);
    line.close();
    String::from_utf8(out).unwrap()
}

fn written(value: &[u8]) -> String {
    let line = line(|line| line.text(key!("v"), value));
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    let json: Value = serde_json::from_str(&line).unwrap();
    json["v"].as_str().unwrap().to_owned()
}

#[test]
fn the_time_is_rfc_3339_with_milliseconds() {
    assert_eq!(line(|_| {}), "{\"time\":\"2026-08-01T12:00:00.007Z\"}\n");
}

#[test]
fn the_date_follows_when_the_second_changes() {
    let mut stamp = Stamp::default();
    assert_eq!(stamp.date(NOON.seconds), "2026-08-01T12:00:00.");
    assert_eq!(stamp.date(NOON.seconds + 86_400), "2026-08-02T12:00:00.");
    assert_eq!(stamp.date(NOON.seconds), "2026-08-01T12:00:00.");
}

#[test]
fn a_time_no_calendar_holds_is_still_a_line() {
    assert_eq!(Stamp::default().date(u64::MAX), "1970-01-01T00:00:00.");
}

#[test]
fn every_text_reads_back_as_it_was() {
    for text in ["", "/plain", "a\"b\\c", "line\r\nbreak", "\0\u{1b}[31m\u{7f}", "Grüße 日本", "\u{85}\u{2028}\u{202e}"]
    {
        assert_eq!(written(text.as_bytes()), text);
    }
}

#[test]
fn nothing_a_terminal_would_obey_is_written_raw() {
    let line = line(|line| line.text(key!("v"), "\u{1b}[2J\u{7f}\u{9b}2J\u{202e}\u{2028}\r".as_bytes()));
    assert!(line.trim_end_matches('\n').chars().all(|c| !is_obeyed(c)), "{line:?}");
    assert!(line.contains(r"\u001b[2J\u007f\u009b2J\u202e\u2028\u000d"), "{line}");
}

#[test]
fn bytes_that_are_no_text_become_replacement_characters() {
    assert_eq!(written(b"a\xff\xfeb\xc3"), "a\u{fffd}\u{fffd}b\u{fffd}");
}

#[test]
fn a_long_value_is_cut_and_marked() {
    let cut = written("é".repeat(LONGEST).as_bytes());
    assert_eq!(cut, format!("{}…", "é".repeat(LONGEST / 2)));
    assert_eq!(written(&[b'a'; LONGEST]), "a".repeat(LONGEST));
}

#[test]
fn numbers_are_written_whole() {
    for number in [0, 9, 10, 12_345, u64::MAX] {
        assert!(line(|line| line.number(key!("n"), number)).ends_with(&format!(",\"n\":{number}}}\n")));
    }
}

#[test]
fn durations_have_three_decimals() {
    let line = line(|line| {
        line.millis(key!("ms"), Duration::from_nanos(1_234_567_890));
        line.micros(key!("us"), Duration::from_nanos(2_007));
        line.millis(key!("zero"), Duration::ZERO);
    });
    assert!(line.ends_with(",\"ms\":1234.567,\"us\":2.007,\"zero\":0.000}\n"), "{line}");
}

#[test]
fn addresses_are_written_in_their_usual_form() {
    for (address, text) in
        [("192.0.2.10", "192.0.2.10"), ("::ffff:10.0.0.255", "10.0.0.255"), ("2001:db8::1", "2001:db8::1")]
    {
        let line = line(|line| line.ip(key!("ip"), address.parse().unwrap()));
        assert!(line.ends_with(&format!(",\"ip\":\"{text}\"}}\n")), "{line}");
    }
}
