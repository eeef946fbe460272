use super::*;
use crate::domain::revocation::{Reason, Target};
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Waker};

/// Counts open streams.
#[derive(Debug, Default)]
struct Counted(AtomicUsize);

impl EdgeEvents for Counted {
    fn connection_opened(&self) {}
    fn connection_closed(&self) {}
    fn head_failed(&self) {}
    fn request_began(&self) {}
    fn request_ended(&self) {}
    fn stream_opened(&self, _: Stream) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn stream_closed(&self, _: Stream) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
    fn stream_cut(&self, _: &'static str) {}
    fn upstream_ejected(&self, _: &str) {}
}

fn registry() -> Arc<Registry> {
    Registry::new(Arc::new(Counted::default()), || UnixTime(0))
}

fn session(name: &str) -> Target {
    Target::Session(name.to_owned())
}

fn record(target: &Target) -> Record {
    Record::new(target, Reason::SignedOut, 1, UnixTime(9))
}

fn rang(entry: &Entry<'_>) -> bool {
    let bell = std::pin::pin!(entry.bell.notified());
    bell.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn a_revocation_rings_at_those_who_bear_its_name_and_at_nobody_else() {
    let registry = registry();
    let hers = registry.enter(vec![session("a").id(), Target::Jti("t".to_owned()).id()]);
    let his = registry.enter(vec![session("b").id()]);
    registry.revoked(&[record(&session("a")), record(&session("unknown"))]);
    assert!(rang(&hers) && !rang(&his));
    registry.revoked(&[record(&Target::Jti("t".to_owned()))]);
    assert!(rang(&hers) && !rang(&his));
}

#[test]
fn what_rings_before_anybody_listens_is_heard() {
    let registry = registry();
    let entry = registry.enter(vec![session("a").id()]);
    registry.revoked(&[record(&session("a")), record(&session("a"))]);
    assert!(rang(&entry) && !rang(&entry), "once, however often it rang");
}

#[test]
fn a_date_before_which_nothing_counts_and_a_key_that_leaked_concern_everybody() {
    let registry = registry();
    let all: Vec<Entry<'_>> = ["a", "b", "c"].map(|name| registry.enter(vec![session(name).id()])).into();
    registry.revoked(&[record(&Target::IssuedBefore { source: None, time: UnixTime(5) })]);
    assert!(all.iter().all(rang));
    registry.revoked(&[record(&Target::SigningKey("kid".to_owned()))]);
    assert!(all.iter().all(rang));
}

#[test]
fn nothing_is_left_of_those_who_have_gone() {
    let registry = registry();
    for round in 0..3 {
        let entries: Vec<Entry<'_>> =
            (0..1000).map(|n| registry.enter(vec![session(&n.to_string()).id(), session("shared").id()])).collect();
        let held = |registry: &Registry| registry.shards.iter().map(|shard| shard.lock().len()).sum::<usize>();
        assert_eq!(held(&registry), 1001, "round {round}");
        drop(entries);
        assert_eq!(held(&registry), 0, "round {round}");
    }
}

#[test]
fn a_request_of_which_nothing_was_said_is_never_cut() {
    let leash = Leash::default();
    let mut cut = std::pin::pin!(leash.cut());
    assert!(cut.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    leash.hold(Stay::new(Stream::Sse, None, &registry()));
    assert!(cut.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "nobody in particular");
    assert!(leash.why().is_none());
}

#[test]
fn a_request_that_is_over_is_no_longer_held_while_its_connection_goes_on() {
    let counted = Arc::new(Counted::default());
    let registry = Registry::new(Arc::clone(&counted) as _, || UnixTime(0));
    let leash = Leash::default();
    let mut cut = std::pin::pin!(leash.cut());
    let mut open_after = |told: &dyn Fn()| {
        told();
        assert!(cut.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        counted.0.load(Ordering::Relaxed)
    };
    let hold = || leash.hold(Stay::new(Stream::Sse, None, &registry));
    assert_eq!(open_after(&hold), 1);
    assert_eq!(open_after(&|| leash.loosen()), 0);
    assert_eq!(open_after(&hold), 1, "the next request");
    let gone_at_once = || {
        hold();
        leash.loosen();
    };
    assert_eq!(open_after(&gone_at_once), 0);
}
