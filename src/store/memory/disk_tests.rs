use super::*;
use crate::domain::session::{Lifetimes, Millis, OnLimit, SessionId, UserHash};
use crate::ports::store::{Limit, NewSession, Sessions, Vault};
use crate::store::memory::Bounds;
use crate::store::Clock;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const FILE: &str = "sessions.sealed";
const DRAFT: &str = "sessions.draft";
const USER: UserHash = UserHash::from_bytes([1; 16]);
const ID: SessionId = SessionId::from_bytes([2; 16]);

fn seals(bytes: &[u8]) -> Arc<Seals> {
    let secrets: Vec<Secret> = bytes.iter().map(|byte| Secret::new(vec![*byte; 32])).collect();
    Arc::new(Seals::new(&secrets).unwrap())
}

fn empty() -> Memory {
    Memory::new(Clock::new(|| Millis(1_000_000)), Bounds::default())
}

async fn inhabited() -> Memory {
    let memory = empty();
    let hour = Duration::from_secs(3_600);
    let lifetimes = Lifetimes { idle: hour, absolute: hour };
    let body = b"what a session says".to_vec();
    let new = NewSession { user: USER, id: ID, handle: None, family: None, lifetimes, body, provider_sid: None };
    memory.create(&new, &Limit { cap: 5, on_limit: OnLimit::Reject, revoked: &[] }).await.unwrap();
    memory.replace("keys", 0, b"the ring").await.unwrap();
    memory
}

#[tokio::test]
async fn a_restart_finds_sessions_and_keys_again() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("state");
    let old = inhabited().await;
    let (disk, found) = Disk::open(&place, seals(&[1]), &empty()).unwrap();
    assert_eq!(found, Found::Nothing);
    assert!(disk.keep(&old).unwrap());
    let new = empty();
    let (_, found) = Disk::open(&place, seals(&[2, 1]), &new).unwrap();
    assert_eq!(found, Found::Restored, "also with the secret that follows");
    assert_eq!(new.load(USER, ID).await, old.load(USER, ID).await);
    assert_eq!(new.read("keys").await.unwrap().unwrap().bytes, b"the ring");
}

#[tokio::test]
async fn only_its_owner_may_read_the_file_and_nobody_understands_it() {
    let home = tempfile::tempdir().unwrap();
    let (disk, _) = Disk::open(&home.path().join("state"), seals(&[1]), &empty()).unwrap();
    disk.keep(&inhabited().await).unwrap();
    let path = home.path().join("state").join(FILE);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let bytes = fs::read(&path).unwrap();
    assert!(!bytes.windows(8).any(|window| window == b"the ring"));
    let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [FILE], "no draft is left behind");
}

#[tokio::test]
async fn what_did_not_change_is_not_written_again() {
    let home = tempfile::tempdir().unwrap();
    let (disk, _) = Disk::open(home.path(), seals(&[1]), &empty()).unwrap();
    let memory = inhabited().await;
    assert!(disk.keep(&memory).unwrap());
    memory.load(USER, ID).await.unwrap();
    assert!(!disk.keep(&memory).unwrap());
    memory.end(USER, ID).await.unwrap();
    assert!(disk.keep(&memory).unwrap());
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_told_of_in_words_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let (disk, _) = Disk::open(home.path(), seals(&[1]), &empty()).unwrap();
    disk.keep(&inhabited().await).unwrap();
    let path = home.path().join(FILE);
    let good = fs::read(&path).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (bytes, secret) in [(good.clone(), 9), (flipped, 1), (good[..40].to_vec(), 1), (b"something else".to_vec(), 1)]
    {
        fs::write(&path, &bytes).unwrap();
        let memory = empty();
        let error = Disk::open(home.path(), seals(&[secret]), &memory).unwrap_err().to_string();
        assert!(error.contains("another store.secret") && error.contains(FILE), "{error}");
        assert_eq!((fs::read(&path).unwrap(), memory.sessions()), (bytes, 0));
    }
}

#[tokio::test]
async fn a_draft_left_by_a_crash_is_in_nobodys_way() {
    let home = tempfile::tempdir().unwrap();
    let (disk, _) = Disk::open(home.path(), seals(&[1]), &empty()).unwrap();
    let elsewhere = home.path().join("elsewhere");
    fs::write(&elsewhere, b"not ours").unwrap();
    std::os::unix::fs::symlink(&elsewhere, home.path().join(DRAFT)).unwrap();
    assert!(disk.keep(&inhabited().await).unwrap());
    assert_eq!(fs::read(&elsewhere).unwrap(), b"not ours", "a link leads nowhere");
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_fails_and_is_tried_again() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("state");
    let (disk, _) = Disk::open(&place, seals(&[1]), &empty()).unwrap();
    fs::remove_dir(&place).unwrap();
    let memory = inhabited().await;
    assert!(disk.keep(&memory).is_err());
    fs::create_dir(&place).unwrap();
    assert!(disk.keep(&memory).unwrap());
}
