//! Devices that are known: where somebody has signed in with a password, they may be wrong on their own account, however
//! often strangers guess at it from the same address.
//!
//! The cookie opens nothing. It is sealed under a key of its account, so it says nothing to anybody and helps with no
//! other account; and it changes with every sign-in, so whoever copied one counts by themselves from then on. A new
//! password makes every device unknown: somebody else may have signed in with the old one.

use super::super::reply::with_cookies;
use super::super::{Asked, Delivery, Own, Way};
use crate::domain::cookies::Name;
use crate::domain::denial::{Code, Denial};
use crate::domain::failures::{DeviceId, KNOWN_FOR};
use crate::domain::principal::SourceName;
use crate::domain::seal::{Purpose, RecordSeals};
use crate::domain::session::UserHash;
use crate::pipeline::own::Reply;
use crate::pipeline::session::random;
use crate::ports::users::LocalUsers;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;

impl Own {
    /// The device, if the account of this name was signed in on it.
    pub(super) fn known_device(
        &self,
        asked: &Asked<'_>,
        (way, users): (&Way, &dyn LocalUsers),
        name: &str,
    ) -> Option<DeviceId> {
        let sealed = URL_SAFE_NO_PAD.decode(asked.held.known_device()?).ok()?;
        let plain = self.device_seals(&way.name, name).ok()?.open(&users.credential(name)?, &sealed)?;
        DeviceId::from_bytes(plain.expose(), asked.request.now)
    }

    /// The answer to a right password, with what makes the device known.
    pub(super) fn with_known_device(
        &self,
        asked: &Asked<'_>,
        (way, users, name): (&Way, &dyn LocalUsers, &str),
        reply: Reply,
    ) -> Result<Reply, Denial> {
        // where both tokens go into the body, nobody keeps cookies
        let Some(credential) = users.credential(name).filter(|_| self.delivery != Delivery::Body) else {
            return Ok(reply);
        };
        let device = DeviceId { random: random(), since: asked.request.now };
        let unfit = |error: String| Denial::new(Code::Internal, error);
        let seals = self.device_seals(&way.name, name)?;
        let sealed = seals.seal(&credential, random(), &device.to_bytes()).map_err(|error| unfit(error.to_string()))?;
        let cookie = asked.plan.set(Name::KnownDevice, &URL_SAFE_NO_PAD.encode(sealed), KNOWN_FOR);
        Ok(with_cookies(reply, [cookie.map_err(|error| unfit(error.to_string()))?]))
    }

    fn device_seals(&self, provider: &SourceName, name: &str) -> Result<RecordSeals, Denial> {
        let account = UserHash::of(provider, name);
        let seals = self.house.ground.seals.of_record(Purpose::KnownDevice, account.as_bytes());
        seals.map_err(|error| Denial::new(Code::Internal, error.to_string()))
    }
}
