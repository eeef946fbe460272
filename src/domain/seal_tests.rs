use super::*;
use proptest::prelude::*;

fn secret(fill: u8) -> Secret {
    Secret::new(vec![fill; 32])
}

fn seals(fills: &[u8]) -> Seals {
    Seals::new(&fills.iter().map(|fill| secret(*fill)).collect::<Vec<_>>()).unwrap()
}

fn opened(seals: &Seals, purpose: Purpose, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    seals.open(purpose, aad, sealed).map(|plain| plain.expose().to_vec())
}

const NONCE: [u8; 12] = [9; 12];
const ALL: [Purpose; 11] = [
    Purpose::KeyRing,
    Purpose::Session,
    Purpose::Attempt,
    Purpose::ProviderTokens,
    Purpose::Handle,
    Purpose::Renewal,
    Purpose::Snapshot,
    Purpose::Revocation,
    Purpose::Csrf,
    Purpose::Device,
    Purpose::AccessToken,
];

#[test]
fn opens_only_for_the_purpose_and_the_place_it_was_sealed_for() {
    let seals = seals(&[1]);
    let sealed = seals.seal(Purpose::Session, b"alice", NONCE, b"hello").unwrap();
    assert_eq!(opened(&seals, Purpose::Session, b"alice", &sealed), Some(b"hello".to_vec()));
    assert_eq!(opened(&seals, Purpose::Session, b"bob", &sealed), None);
    for purpose in ALL.into_iter().filter(|purpose| *purpose != Purpose::Session) {
        assert_eq!(opened(&seals, purpose, b"alice", &sealed), None, "{purpose:?}");
    }
}

#[test]
fn the_first_secret_seals_and_all_of_them_open() {
    let (old, both, new) = (seals(&[1]), seals(&[2, 1]), seals(&[2]));
    let before = old.seal(Purpose::KeyRing, b"", NONCE, b"ring").unwrap();
    let after = both.seal(Purpose::KeyRing, b"", NONCE, b"ring").unwrap();
    assert!(both.open(Purpose::KeyRing, b"", &before).is_some());
    assert!(new.open(Purpose::KeyRing, b"", &after).is_some());
    assert!(new.open(Purpose::KeyRing, b"", &before).is_none());
    assert!(old.open(Purpose::KeyRing, b"", &after).is_none());
    assert!(both.is_current(&after) && !both.is_current(&before) && !both.is_current(b""));
}

#[test]
fn what_belongs_to_one_record_opens_for_no_other() {
    let seals = seals(&[1]);
    let mine = seals.of_record(Purpose::ProviderTokens, b"session-1").unwrap();
    let other = seals.of_record(Purpose::ProviderTokens, b"session-2").unwrap();
    let sealed = mine.seal(b"3", NONCE, b"token").unwrap();
    assert_eq!(mine.open(b"3", &sealed).unwrap().expose(), b"token");
    assert!(mine.open(b"4", &sealed).is_none(), "an older generation put back");
    assert!(other.open(b"3", &sealed).is_none());
    assert!(seals.open(Purpose::ProviderTokens, b"3", &sealed).is_none());
}

#[test]
fn keys_for_macs_differ_by_purpose_and_by_secret() {
    let seals = seals(&[1, 2]);
    let mut keys: Vec<Vec<u8>> =
        ALL.iter().flat_map(|purpose| seals.mac_keys(*purpose)).map(|key| key.expose().to_vec()).collect();
    assert_eq!(keys.len(), 2 * ALL.len());
    assert!(keys.iter().all(|key| key.len() == 32));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 2 * ALL.len());
}

/// Sealed things outlive releases: a change of labels or format would lock everybody out.
#[test]
fn the_format_stands_still() {
    let sealed = seals(&[7]).seal(Purpose::Session, b"aad", [3; 12], b"text").unwrap();
    let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "010bc7c37f0303030303030303030303035cfc44cc4dad1e6fc18c2868464392003f0915d5");
}

#[test]
fn a_secret_of_fewer_than_32_bytes_is_no_secret() {
    let short = base64::engine::general_purpose::STANDARD.encode([1; 31]);
    assert_eq!(parse_secret(&short).unwrap_err(), BadSecret::TooShort);
    assert_eq!(parse_secret("").unwrap_err(), BadSecret::TooShort);
    assert_eq!(parse_secret("correct horse battery staple correct").unwrap_err(), BadSecret::NotBase64);
    assert_eq!(Seals::new(&[secret(1), Secret::new(vec![1; 31])]).unwrap_err(), BadSecret::TooShort);
    assert_eq!(Seals::new(&[]).unwrap_err(), BadSecret::Missing);
}

#[test]
fn either_alphabet_of_base64_will_do_padded_or_not() {
    let bytes: Vec<u8> = (0..33).map(|at| 255 - at).chain([0xFB, 0xFF]).collect();
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    for text in [STANDARD.encode(&bytes), STANDARD_NO_PAD.encode(&bytes), URL_SAFE.encode(&bytes)] {
        assert_eq!(parse_secret(&text).unwrap().expose(), bytes, "{text}");
    }
    assert_eq!(parse_secret(&format!("{}\n", URL_SAFE_NO_PAD.encode(&bytes))).unwrap().expose(), bytes);
}

#[test]
fn debug_output_never_shows_a_key() {
    let seals = seals(&[1, 2]);
    assert_eq!(format!("{seals:?}"), "Seals { secrets: 2, .. }");
    assert_eq!(format!("{:?}", seals.of_record(Purpose::Session, b"x").unwrap()), "RecordSeals(..)");
}

proptest! {
    #[test]
    fn what_is_sealed_opens_and_one_changed_bit_does_not(
        text in prop::collection::vec(any::<u8>(), 0..200),
        nonce in any::<[u8; 12]>(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let seals = seals(&[1]);
        let mut sealed = seals.seal(Purpose::Attempt, b"aad", nonce, &text).unwrap();
        prop_assert_eq!(opened(&seals, Purpose::Attempt, b"aad", &sealed), Some(text));
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert_eq!(opened(&seals, Purpose::Attempt, b"aad", &sealed), None);
    }

    #[test]
    fn nothing_a_stranger_sends_opens_or_panics(sealed in prop::collection::vec(any::<u8>(), 0..80)) {
        let seals = seals(&[1]);
        prop_assert!(seals.open(Purpose::Attempt, b"", &sealed).is_none());
        let mut ours = seals.seal(Purpose::Attempt, b"", NONCE, b"").unwrap();
        ours.truncate(sealed.len());
        prop_assert_eq!(seals.open(Purpose::Attempt, b"", &ours).is_some(), ours.len() == HEAD + 16);
    }
}

#[test]
fn what_was_taken_apart_and_joined_again_is_the_same() {
    let sealed = seals(&[1]).seal(Purpose::Session, b"", NONCE, b"hello").unwrap();
    let parts = Parts::of(&sealed).unwrap();
    assert_eq!((parts.nonce, parts.body.len(), Some(parts.id)), (NONCE, 5 + 16, seals(&[1]).current()));
    assert_eq!(parts.joined(), sealed);
    assert!(Parts::of(&sealed[..HEAD - 1]).is_none() && Parts::of(b"").is_none());
}
