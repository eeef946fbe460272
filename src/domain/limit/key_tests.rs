use super::*;

fn text(parts: &[&[&[u8]]]) -> Vec<u8> {
    let mut key = KeyText::of(7);
    parts.iter().for_each(|pieces| key.part(pieces));
    key.as_bytes().to_vec()
}

fn net(ip: &str, prefixes: Prefixes) -> Vec<u8> {
    let mut key = KeyText::of(7);
    key.ip(ip.parse().ok(), prefixes);
    key.as_bytes().to_vec()
}

#[test]
fn no_two_keys_read_alike() {
    let long = [b'a'; 300];
    let keys = [
        text(&[&[b"a"], &[b"bc"]]),
        text(&[&[b"ab"], &[b"c"]]),
        text(&[&[b"a", b"bc"]]),
        text(&[&[b"ab", b"c"]]),
        text(&[&[b"abc"]]),
        text(&[&[], &[b"abc"]]),
        text(&[&[b"abc"], &[]]),
        text(&[&[&long]]),
        text(&[&[&long[..299], b"a"]]),
        text(&[&[&long[..299]]]),
    ];
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[at + 1..].contains(key), "{at}");
    }
}

#[test]
fn however_long_a_part_is_its_key_is_short() {
    let endless = vec![b'x'; 100_000];
    let full = |part: &[u8]| text(&[&[part][..]; MOST_PARTS]);
    assert!(full(&endless).len() <= ROOM);
    assert_ne!(full(&endless), full(&endless[1..]), "and still itself");
}

#[test]
fn an_absent_part_is_one_shared_value() {
    assert_eq!(net("nobody", Prefixes::default()), text(&[&[]]));
}

#[test]
fn addresses_of_one_network_are_one_client() {
    let usual = Prefixes::default();
    assert_eq!(net("2001:db8::1", usual), net("2001:db8::ffff:ffff:ffff:ffff", usual));
    assert_ne!(net("2001:db8::1", usual), net("2001:db8:0:1::1", usual));
    assert_ne!(net("192.0.2.1", usual), net("192.0.2.2", usual));
    assert_eq!(net("192.0.2.1", usual), net("::ffff:192.0.2.1", usual), "a mapped address is the one it stands for");
    let wide = Prefixes { ipv4: 24, ipv6: 48 };
    assert_eq!(net("192.0.2.1", wide), net("192.0.2.254", wide));
    assert_eq!(net("2001:db8::1", wide), net("2001:db8:0:1::1", wide));
    assert_eq!(net("192.0.2.1", Prefixes { ipv4: 0, ipv6: 0 }), net("198.51.100.7", Prefixes { ipv4: 0, ipv6: 0 }));
}

#[test]
fn a_store_tells_limits_apart_by_name_and_learns_nobodys() {
    let key = text(&[&[b"idp", b"alice"]]);
    assert_ne!(BucketId::of("a", &key), BucketId::of("b", &key));
    assert!(!BucketId::of("a", &key).to_string().contains("alice"));
    let mut elsewhere = KeyText::of(8);
    elsewhere.part(&[b"idp", b"alice"]);
    assert_eq!(BucketId::of("a", &key), BucketId::of("a", elsewhere.as_bytes()), "the same on every replica");
}
