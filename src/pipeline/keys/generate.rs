//! Where chance comes in: new keys, and the nonces that seal them.

use crate::domain::seal::{CannotSeal, Purpose, Seals};
use crate::domain::secret::Secret;
use crate::domain::signing::{Algorithm, FreshKey};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::{fill, SystemRandom};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, ECDSA_P256_SHA256_FIXED_SIGNING};
use parking_lot::Mutex;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

/// No key could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library made no key")]
pub(super) struct NoKeyMade;

/// A new key. Finding the primes of an RSA key takes up to seconds, and happens on a thread of its own.
pub(super) async fn fresh_key(algorithm: Algorithm) -> Result<FreshKey, NoKeyMade> {
    match algorithm {
        Algorithm::Es256 | Algorithm::EdDsa => make(algorithm),
        Algorithm::Rs256 => aside(move || make(algorithm)).await.unwrap_or(Err(NoKeyMade)),
    }
}

/// Sealed for the store, with a nonce never used before.
pub(super) fn sealed(seals: &Seals, place: &str, document: &Secret) -> Result<Vec<u8>, CannotSeal> {
    let mut nonce = [0; 12];
    fill(&mut nonce).map_err(|_| CannotSeal)?;
    seals.seal(Purpose::KeyRing, place.as_bytes(), nonce, document.expose())
}

fn make(algorithm: Algorithm) -> Result<FreshKey, NoKeyMade> {
    let pkcs8 = pkcs8(algorithm).map_err(|_| NoKeyMade)?;
    FreshKey::from_pkcs8(algorithm, pkcs8).map_err(|_| NoKeyMade)
}

fn pkcs8(algorithm: Algorithm) -> Result<Secret, Unspecified> {
    let random = SystemRandom::new();
    let secret = |bytes: &[u8]| Secret::new(bytes.to_vec());
    Ok(match algorithm {
        Algorithm::Es256 => secret(EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?.as_ref()),
        Algorithm::EdDsa => secret(Ed25519KeyPair::generate_pkcs8(&random)?.as_ref()),
        Algorithm::Rs256 => {
            let der: Pkcs8V1Der<'_> = KeyPair::generate(KeySize::Rsa2048)?.as_der()?;
            secret(der.as_ref())
        }
    })
}

/// What `work` comes to, done on a thread of its own; `None` when there is no thread to be had or it ended early.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let desk = Arc::new(Mutex::new(Desk { result: None, over: false, waiting: None }));
    let theirs = Worker(Arc::clone(&desk));
    let spawned = std::thread::Builder::new().name("key".to_owned()).spawn(move || {
        let result = work();
        theirs.0.lock().result = Some(result);
    });
    spawned.ok()?;
    poll_fn(|context| {
        let mut desk = desk.lock();
        if desk.over {
            return Poll::Ready(desk.result.take());
        }
        desk.waiting = Some(context.waker().clone());
        Poll::Pending
    })
    .await
}

/// Between the two threads.
struct Desk<T> {
    result: Option<T>,
    over: bool,
    waiting: Option<Waker>,
}

/// Wakes whoever waits also when the work panicked.
struct Worker<T>(Arc<Mutex<Desk<T>>>);

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        let mut desk = self.0.lock();
        desk.over = true;
        if let Some(waker) = desk.waiting.take() {
            waker.wake();
        }
    }
}
