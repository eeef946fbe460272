//! Local users as those who sign them in see them, and what counts failed attempts.

use super::store::StoreError;
use crate::domain::failures::{DeviceId, TallyKey};
use crate::domain::secret::Secret;
use crate::domain::users::User;
use async_trait::async_trait;
use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Whoever knows the password of a name is that user.
///
/// # When the answer is wrong
/// - A user for a wrong password is somebody else's account.
/// - [`Refused::Wrong`] where the password could not be compared sends an honest person to reset it, and counts against
///   them: that is what [`Refused::Busy`] and [`Refused::CannotTell`] are for.
/// - An answer that comes sooner for names nobody has tells a stranger which names are worth guessing at.
#[async_trait]
pub trait LocalUsers: Send + Sync + Debug {
    /// Compares one password. Slow on purpose.
    async fn verify(&self, attempt: &SignIn<'_>) -> Result<Arc<User>, Refused>;

    /// Whether [`Self::verify`] would compare nothing, as far as that can be told: nothing is charged, and whoever may go
    /// on is asked again there.
    async fn blocked(&self, attempt: &SignIn<'_>) -> Option<Refused>;

    /// A digest of what the password of that name is compared with: another one with every new password.
    fn credential(&self, name: &str) -> Option<[u8; 32]>;

    /// The user of that name as of now, for the renewal of a session; `None` when there is none any more.
    fn find(&self, name: &str) -> Option<Arc<User>>;
}

/// What somebody typed, and where they are.
#[derive(Clone, Copy, Debug)]
pub struct SignIn<'a> {
    pub name: &'a str,
    pub password: &'a Secret,
    /// `None` on a unix socket.
    pub from: Option<IpAddr>,
    /// The device, when this account was signed in on it before.
    pub device: Option<DeviceId>,
}

/// Why nobody is signed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No such name, or not its password: a caller learns no more.
    #[error("the name or the password is wrong")]
    Wrong,
    #[error("too many failures; blocked for {} s", .again_in.as_secs())]
    Blocked { again_in: Duration, free: u32 },
    /// As many passwords are being compared, and wait for it, as may at once.
    #[error("too many sign-ins at once")]
    Busy,
    /// In words, for our log.
    #[error("the password could not be compared: {0}")]
    CannotTell(String),
}

/// Counts failures by account and address. Every attempt is charged before its password is compared, and settled when it
/// was no failure: a thousand attempts at once cannot all slip through while the first is being compared.
///
/// # When the answer is wrong
/// [`Charge::Taken`] without having counted lets a stranger guess on; [`Charge::Blocked`] for too long locks an honest
/// person out. So never by the account alone, which anybody can name.
#[async_trait]
pub trait FailureCounter: Send + Sync + Debug {
    /// Charges one attempt.
    async fn charge(&self, attempt: &SignIn<'_>) -> Result<Charge, StoreError>;

    /// Says how a charged attempt has ended. A charge that cannot be taken back ends with its time.
    async fn settle(&self, receipt: Receipt, outcome: Outcome);

    /// How long this attempt would have to wait, and after more than how many failures. Charges nothing.
    async fn wait(&self, attempt: &SignIn<'_>) -> Result<Option<(Duration, u32)>, StoreError>;
}

/// Counters of failures as operators see them: of an account at an address, or, without an account, of an address.
#[async_trait]
pub trait FailureDesk: Send + Sync + Debug {
    async fn stands(&self, account: Option<&str>, from: Option<IpAddr>) -> Result<Counted, StoreError>;

    /// Forgets them; `false`: there were none.
    async fn reset(&self, account: Option<&str>, from: Option<IpAddr>) -> Result<bool, StoreError>;
}

/// How a counter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    pub failures: u32,
    pub free: u32,
    pub again_in: Option<Duration>,
}

/// Whether an attempt may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Charge {
    Taken(Receipt),
    /// After more than `free` failures.
    Blocked {
        again_in: Duration,
        free: u32,
    },
}

/// What an attempt was charged to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The account at its address, or on its device.
    pub account: Option<Slip>,
    /// None on a known device whose address is blocked.
    pub address: Option<Slip>,
}

/// One charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slip {
    pub key: TallyKey,
    pub serial: u32,
    pub kept: Kept,
}

/// Who has written a charge down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    InStore,
    /// This replica, while the store was away.
    Here,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a wrong name or password: it stays charged.
    Wrong,
    /// With the right password: nothing is held against the account here any more.
    SignedIn,
    /// Nothing was compared.
    Uncompared,
}

/// Counts nothing, so nobody is ever blocked: what guessing costs is the comparison itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uncounted;

#[async_trait]
impl FailureCounter for Uncounted {
    async fn charge(&self, _: &SignIn<'_>) -> Result<Charge, StoreError> {
        Ok(Charge::Taken(Receipt::default()))
    }

    async fn settle(&self, _: Receipt, _: Outcome) {}

    async fn wait(&self, _: &SignIn<'_>) -> Result<Option<(Duration, u32)>, StoreError> {
        Ok(None)
    }
}
