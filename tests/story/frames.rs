//! The odd requests of HTTP/2: what a peer that writes its own frames can say, and what comes of it.
//! `tests/golden/frames.txt` is the table.

use super::parser::{received, Table, PROBE};
use super::support::frames::{Frames, Outcome};
use super::support::golden::{table, unescaped};

#[test]
fn every_odd_frame_is_answered_as_written_down() {
    let stage = Table::set();
    table("frames.txt", |row| outcome(&stage, row));
}

/// Sends the row, then an honest request on the same connection.
fn outcome(stage: &Table, row: &str) -> String {
    stage.backend.take();
    let (fields, data) = parsed(row);
    let mut frames = Frames::connect(stage.gate.http);
    frames.request(1, &fields, &data);
    let mut told = match frames.outcome(1) {
        Outcome::Answer(status, _) => status,
        Outcome::Reset(code) => format!("RST_STREAM {code}"),
        Outcome::GoAway(code) => format!("GOAWAY {code}"),
        Outcome::Closed => "closed".to_owned(),
    };
    let (honest, _) = parsed(&format!(":method=GET :scheme=http :authority=app.test :path={PROBE}"));
    frames.request(3, &honest, &[]);
    told.push_str(match frames.outcome(3) {
        Outcome::Answer(status, _) if status == "200" => ", keeps",
        Outcome::Answer(..) | Outcome::Reset(_) => ", keeps but answers otherwise",
        Outcome::GoAway(_) | Outcome::Closed => ", closes",
    });
    format!("{told}; {}", received(&stage.backend.take()))
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// `name=value` for a field, `DATA(bytes)` for a frame.
fn parsed(row: &str) -> (Fields, Vec<Vec<u8>>) {
    let (mut fields, mut data) = (Vec::new(), Vec::new());
    for part in row.split(' ') {
        if let Some(bytes) = part.strip_prefix("DATA(").and_then(|rest| rest.strip_suffix(')')) {
            data.push(unescaped(bytes));
        } else {
            let (name, value) = part.split_once('=').unwrap_or_else(|| panic!("{part:?} in {row}"));
            fields.push((unescaped(name), unescaped(value)));
        }
    }
    (fields, data)
}
