//! What Redis answers, read strictly: an answer that we do not understand is no answer.

use crate::domain::revocation::{Position, Sealed};
use crate::ports::revocation::{Appended, Batch, Confirmed, Entry, Epoch, Opened, Replicas};
use crate::ports::store::StoreError;
use ::redis::Value;
use std::time::Duration;

pub(super) fn strange() -> StoreError {
    StoreError("the store answered the revocation log with something else".to_owned())
}

pub(super) fn opened(value: &Value) -> Option<Opened> {
    let [epoch, last, age] = array(value)? else {
        return None;
    };
    // a clock set back makes the log look younger than it is, never older
    let age = text(age)?.parse::<i64>().ok()?.try_into().unwrap_or(0);
    Some(Opened { epoch: self::epoch(text(epoch)?)?, last: position(last)?, age: Duration::from_millis(age) })
}

pub(super) fn appended(value: &Value, records: &[Sealed]) -> Option<Appended> {
    let [epoch, before, places @ ..] = array(value)? else {
        return array(value)?.is_empty().then_some(Appended::NotOpen);
    };
    let mut previous = position(before)?;
    let mut entries = Vec::with_capacity(records.len());
    for (place, record) in places.iter().zip(records) {
        let position = position(place)?;
        entries.push(Entry { position, previous, sealed: Some(*record) });
        previous = position;
    }
    let whole = places.len() == records.len();
    let batch = Batch { epoch: self::epoch(text(epoch)?)?, entries };
    whole.then_some(Appended::At(batch))
}

pub(super) fn entries(value: &Value) -> Option<Vec<Entry>> {
    array(value)?.iter().map(entry).collect()
}

/// `[id, [p, previous, d, record]]`. An entry that somebody else put there is passed over, but has its place.
fn entry(value: &Value) -> Option<Entry> {
    let [id, fields] = array(value)? else {
        return None;
    };
    let fields = array(fields)?;
    let field = |name: &[u8]| {
        let mut pairs = fields.as_chunks::<2>().0.iter();
        pairs.find_map(|[key, value]| (bytes(key)? == name).then_some(value))
    };
    let previous = field(b"p").and_then(position).unwrap_or_default();
    let sealed = field(b"d").and_then(bytes).and_then(Sealed::from_bytes);
    Some(Entry { position: position(id)?, previous, sealed })
}

pub(super) fn confirmed(value: &Value, enforced: Position) -> Option<Confirmed> {
    let [epoch, last, now, acks] = array(value)? else {
        return None;
    };
    let epoch = match text(epoch)? {
        "" => None,
        known => Some(self::epoch(known)?),
    };
    let now_ms = text(now)?.parse().ok()?;
    Some(Confirmed { epoch, last: position(last)?, now_ms, replicas: replicas(acks, enforced)? })
}

pub(super) fn replicas(acks: &Value, enforced: Position) -> Option<Replicas> {
    let acks: Vec<Position> = array(acks)?.iter().map(position).collect::<Option<_>>()?;
    let enforcing = acks.iter().filter(|ack| **ack >= enforced).count();
    Some(Replicas { live: acks.len().try_into().ok()?, enforcing: enforcing.try_into().ok()? })
}

/// `epoch previous`, then ` id record` for each entry; a record may hold any byte and has one length.
pub(super) fn push(message: &[u8]) -> Option<Batch> {
    let (epoch, rest) = word(message)?;
    let (before, mut rest) = word(rest)?;
    let mut previous = before.parse().ok()?;
    let mut entries = Vec::new();
    loop {
        let (id, tail) = word(rest)?;
        let (record, tail) = tail.split_at_checked(Sealed::LENGTH)?;
        let position = id.parse().ok()?;
        entries.push(Entry { position, previous, sealed: Sealed::from_bytes(record) });
        previous = position;
        rest = match tail {
            [] => return Some(Batch { epoch: self::epoch(epoch)?, entries }),
            [b' ', more @ ..] => more,
            _ => return None,
        };
    }
}

/// Up to the next space, which is taken off; or to the end.
fn word(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|b| *b == b' ').unwrap_or(bytes.len());
    let (word, rest) = bytes.split_at_checked(end)?;
    Some((std::str::from_utf8(word).ok()?, rest.get(1..).unwrap_or_default()))
}

fn epoch(text: &str) -> Option<Epoch> {
    u128::from_str_radix(text, 16).ok().map(Epoch)
}

fn position(value: &Value) -> Option<Position> {
    text(value)?.parse().ok()
}

fn text(value: &Value) -> Option<&str> {
    std::str::from_utf8(bytes(value)?).ok()
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

fn array(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A record that holds every byte there is, spaces among them.
    fn record(start: u8) -> [u8; Sealed::LENGTH] {
        std::array::from_fn(|n| start.wrapping_add(u8::try_from(n).unwrap()))
    }

    fn message(records: &[(&str, [u8; Sealed::LENGTH])]) -> Vec<u8> {
        let mut message = b"0000000000000000000000000000002a 5-0".to_vec();
        for (id, record) in records {
            message.extend([b" ", id.as_bytes(), b" ", record].concat());
        }
        message
    }

    #[test]
    fn a_push_reads_as_it_was_written() {
        let batch = push(&message(&[("6-0", record(0)), ("6-1", record(200))])).unwrap();
        let entry = |position: &str, previous: &str, bytes: u8| Entry {
            position: position.parse().unwrap(),
            previous: previous.parse().unwrap(),
            sealed: Sealed::from_bytes(&record(bytes)),
        };
        assert_eq!(batch.epoch, Epoch(42));
        assert_eq!(batch.entries, [entry("6-0", "5-0", 0), entry("6-1", "6-0", 200)]);
    }

    #[test]
    fn a_push_that_was_cut_short_is_none() {
        let whole = message(&[("6-0", record(0)), ("6-1", record(200))]);
        let ends = [36 + 5 + Sealed::LENGTH, whole.len()];
        for end in 0..=whole.len() {
            assert_eq!(push(&whole[..end]).is_some(), ends.contains(&end), "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn no_push_of_a_stranger_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let tampered = [message(&[("6-0", record(0))]), bytes.clone()].concat();
            prop_assert!(push(&bytes).is_none());
            prop_assert!(push(&tampered).is_none_or(|batch| batch.entries.len() < 5));
        }
    }
}
