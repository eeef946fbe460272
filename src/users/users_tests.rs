use super::*;
use crate::domain::secret::Secret;
use crate::ports::store::StoreError;
use crate::ports::users::{Receipt, Uncounted};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use parking_lot::Mutex;
use std::future::Future;
use std::task::{Context, Waker};
use std::time::Duration;

/// A file with these users, whose hashes cost nothing.
fn roster(list: &[(&str, &str)]) -> Roster {
    let params = Params::new(8, 1, 1, None).unwrap();
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let user = |(name, password): &(&str, &str)| {
        let hash = argon.hash_password_with_salt(password.as_bytes(), b"somesalt").unwrap();
        format!("[[user]]\nname = \"{name}\"\npassword = \"{hash}\"\n")
    };
    Roster::parse(&list.iter().map(user).collect::<String>()).unwrap()
}

fn users(failures: Arc<dyn FailureCounter>) -> Users {
    Users::new(roster(&[("alice", "hunter2"), ("bob", "correct horse")]), 1, failures)
}

async fn sign_in(users: &Users, name: &str, password: &str) -> Result<String, Refused> {
    let password = Secret::new(password.as_bytes().to_vec());
    let attempt = SignIn { name, password: &password, from: None, device: None };
    users.verify(&attempt).await.map(|user| user.name.clone())
}

/// Remembers what it was told; answers as it is set.
#[derive(Debug, Default)]
struct Ledger {
    told: Mutex<Vec<String>>,
    answer: Option<Result<Charge, StoreError>>,
}

#[async_trait]
impl FailureCounter for Ledger {
    async fn charge(&self, attempt: &SignIn<'_>) -> Result<Charge, StoreError> {
        self.told.lock().push(format!("charge {}", attempt.name));
        self.answer.clone().unwrap_or_else(|| Ok(Charge::Taken(Receipt::default())))
    }

    async fn settle(&self, _: Receipt, outcome: Outcome) {
        self.told.lock().push(format!("{outcome:?}"));
    }

    async fn wait(&self, _: &SignIn<'_>) -> Result<Option<(Duration, u32)>, StoreError> {
        Ok(None)
    }
}

#[tokio::test]
async fn whoever_knows_the_password_is_the_user() {
    let users = users(Arc::new(Uncounted));
    assert_eq!(sign_in(&users, "alice", "hunter2").await.as_deref(), Ok("alice"));
    assert_eq!(sign_in(&users, "bob", "correct horse").await.as_deref(), Ok("bob"));
}

#[tokio::test]
async fn a_wrong_name_and_a_wrong_password_are_one_answer() {
    let users = users(Arc::new(Uncounted));
    for (name, password) in [
        ("alice", "correct horse"),
        ("alice", ""),
        ("Alice", "hunter2"),
        ("nobody", "hunter2"),
        ("", ""),
        ("alice\0", "hunter2"),
    ] {
        assert_eq!(sign_in(&users, name, password).await, Err(Refused::Wrong), "{name} {password}");
    }
}

#[tokio::test]
async fn an_attempt_is_charged_first_and_given_back_when_it_was_no_failure() {
    let ledger = Arc::new(Ledger::default());
    let users = users(ledger.clone());
    let _ = sign_in(&users, "alice", "wrong").await;
    let _ = sign_in(&users, "nobody", "wrong").await;
    let _ = sign_in(&users, "alice", "hunter2").await;
    let told = ledger.told.lock().join(", ");
    assert_eq!(told, "charge alice, Wrong, charge nobody, Wrong, charge alice, SignedIn");
}

#[tokio::test]
async fn whoever_is_blocked_is_not_let_in_with_the_right_password_either() {
    let (again_in, free) = (Duration::from_secs(60), 9);
    let ledger = Arc::new(Ledger { answer: Some(Ok(Charge::Blocked { again_in, free })), ..Ledger::default() });
    assert_eq!(sign_in(&users(ledger.clone()), "alice", "hunter2").await, Err(Refused::Blocked { again_in, free }));
    assert_eq!(ledger.told.lock().join(", "), "charge alice");
}

#[tokio::test]
async fn a_counter_that_cannot_tell_is_neither_yes_nor_no() {
    let ledger = Ledger { answer: Some(Err(StoreError("away".to_owned()))), ..Ledger::default() };
    let refused = sign_in(&users(Arc::new(ledger)), "alice", "hunter2").await.unwrap_err();
    assert!(matches!(refused, Refused::CannotTell(_)), "{refused:?}");
}

#[tokio::test]
async fn a_full_house_turns_people_away_and_holds_nothing_against_them() {
    let ledger = Arc::new(Ledger::default());
    let users = Users { turnstile: Turnstile::new(1, 0), ..users(ledger.clone()) };
    let turn = users.turnstile.enter().await;
    assert_eq!(sign_in(&users, "alice", "hunter2").await, Err(Refused::Busy));
    assert_eq!(ledger.told.lock().join(", "), "charge alice, Uncompared");
    drop(turn);
    assert_eq!(sign_in(&users, "alice", "hunter2").await.as_deref(), Ok("alice"));
}

/// Sign-ins begun and abandoned would otherwise run as many comparisons as somebody can open connections.
#[test]
fn a_client_that_hangs_up_makes_no_room_before_its_comparison_is_over() {
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let users = Users { turnstile: Turnstile::new(1, 0), ..users(Arc::new(Uncounted)) };
    let (release, held) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        // the only thread for comparisons is busy, so the one begun below cannot end before it is released
        let busy = tokio::task::spawn_blocking(move || held.recv().is_ok());
        {
            let mut abandoned = Box::pin(sign_in(&users, "alice", "hunter2"));
            let polled = abandoned.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
        }
        assert_eq!(sign_in(&users, "alice", "hunter2").await, Err(Refused::Busy));
        release.send(()).unwrap();
        assert!(busy.await.unwrap());
        // one thread, one after the other: when this has run, the comparison has
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        assert_eq!(sign_in(&users, "alice", "hunter2").await.as_deref(), Ok("alice"));
    });
}

#[tokio::test]
async fn many_at_once_all_get_their_answer() {
    let users = Arc::new(users(Arc::new(Uncounted)));
    let mut all = tokio::task::JoinSet::new();
    for at in 0..=QUEUE {
        let users = Arc::clone(&users);
        all.spawn(async move { sign_in(&users, "alice", if at % 2 == 0 { "hunter2" } else { "wrong" }).await.is_ok() });
    }
    let signed_in = all.join_all().await.into_iter().filter(|in_| *in_).count();
    assert_eq!(signed_in, QUEUE / 2 + 1);
}

#[tokio::test]
async fn an_overlong_name_or_password_costs_nothing_and_is_wrong() {
    let ledger = Arc::new(Ledger::default());
    let users = users(ledger.clone());
    assert_eq!(sign_in(&users, &"x".repeat(129), "hunter2").await, Err(Refused::Wrong));
    assert_eq!(sign_in(&users, "alice", &"x".repeat(1025)).await, Err(Refused::Wrong));
    assert!(ledger.told.lock().is_empty());
}

#[tokio::test]
async fn a_new_file_counts_from_the_next_sign_in() {
    let users = users(Arc::new(Uncounted));
    users.replace(roster(&[("alice", "changed"), ("carol", "new")]));
    assert_eq!(sign_in(&users, "alice", "hunter2").await, Err(Refused::Wrong));
    assert_eq!(sign_in(&users, "alice", "changed").await.as_deref(), Ok("alice"));
    assert!(users.find("carol").is_some() && users.find("bob").is_none());
}

#[test]
fn debug_output_shows_no_hash() {
    let shown = format!("{:?}", users(Arc::new(Uncounted)));
    assert!(shown.contains("alice") && !shown.contains("argon2id") && !shown.contains("somesalt"), "{shown}");
}
