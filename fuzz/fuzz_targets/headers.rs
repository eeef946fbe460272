//! Whatever a client sends as headers and a token says about a user: no panic; nothing forged reaches the backend; and
//! what is told about the user decodes to what the token said.
#![no_main]

use doorward::domain::headers::forwarded::{client, Peer};
use doorward::domain::headers::rewrite::{erase_from_response, erase_from_trailers};
use doorward::domain::headers::trace::{request_id_is_sound, Traceparent};
use doorward::domain::headers::{rewrite, IdentityHeaders, Managed, Onward};
use doorward::domain::policy::route::{EncodedSlash, Forwarding};
use doorward::domain::principal::{AuthMethod, Principal, SourceName};
use doorward::domain::time::UnixTime;
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr};

fuzz_target!(|input: &[u8]| {
    let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let headers = read(&lines);
    told_and_forwarded(&headers, &principal(&lines));
    let managed = Managed::new(IdentityHeaders::default().names());
    let (mut trailers, mut response) = (headers.clone(), headers.clone());
    erase_from_trailers(&mut trailers, &managed);
    erase_from_response(&mut response, &managed);
    assert!(trailers.keys().chain(response.keys()).all(|name| !managed.covers(name.as_str())));
    assert!(response.get_all(SET_COOKIE).iter().all(|value| !value.as_bytes().starts_with(b"__Host-doorward")));
    for value in headers.values() {
        let child = Traceparent::parse(value.as_bytes()).map(|parent| parent.child(1));
        assert!(child.is_none_or(|child| Traceparent::parse(child.as_bytes()).is_some()));
        assert!(!request_id_is_sound(value.as_bytes()) || value.to_str().is_ok());
    }
});

/// Rewrites the head for `principal` and looks at what the backend would.
fn told_and_forwarded(headers: &HeaderMap, principal: &Principal) {
    let told = IdentityHeaders::default();
    let (managed, identity) = (Managed::new(told.names()), told.values(principal));
    let peer = Peer { ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), trusted: true, tls: false };
    let client = client(headers, &peer, |ip| ip.is_loopback(), "a.example");
    let ours = HeaderValue::from_static("ours");
    let mut head = headers.clone();
    let onward = Onward {
        managed: &managed,
        identity: &identity,
        forward_authorization: false,
        forwarding: &forwarding(),
        client: &client,
        host: &ours,
        request_id: &ours,
        traceparent: &ours,
        keep_tracestate: false,
        upgrade: headers.len() % 2 == 1,
    };
    rewrite(&mut head, &onward);
    let forwarding = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"];
    for (name, value) in &head {
        let ours = identity.iter().any(|(told, said)| told == name && said == value);
        assert!(ours || forwarding.contains(&name.as_str()) || !managed.covers(name.as_str()), "{name} was forged");
    }
    assert!(!head.contains_key(AUTHORIZATION) && !head.contains_key("proxy"));
    assert!(head.get_all(COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';')).all(|pair| {
        !pair.trim_ascii().starts_with(b"__Host-doorward") && !pair.trim_ascii().starts_with(b"doorward=")
    }));
    let chain = client.forwarded_for.as_ref().and_then(|chain| chain.to_str().ok()).unwrap_or_default();
    assert!(chain.split(", ").all(|hop| hop.parse::<IpAddr>().is_ok()), "{chain}");
    if let Some((_, roles)) = identity.iter().find(|(name, _)| name == "x-auth-roles") {
        let decoded: Vec<String> = roles.to_str().expect("ASCII").split(',').map(decode).collect();
        assert_eq!(decoded, principal.roles);
    }
}

/// A user of whom the token says each line, as a role and as a claim.
fn principal(lines: &[&[u8]]) -> Principal {
    let roles: Vec<String> = lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let claim = |line: &&[u8]| serde_json::from_slice(line).ok();
    let names = ["name", "email", "sid", "scope", "method"].map(str::to_owned);
    Principal {
        source: SourceName::new("fuzz"),
        subject: roles.concat(),
        method: AuthMethod::Bearer,
        scopes: roles.clone(),
        roles,
        claims: names.into_iter().zip(lines.iter().filter_map(claim)).collect(),
        email_trusted: lines.len() % 2 == 0,
        expires: UnixTime(0),
    }
}

fn forwarding() -> Forwarding {
    Forwarding {
        encoded_slash: EncodedSlash::Reject,
        strip_prefix: String::new(),
        set_headers: Vec::new(),
        remove_headers: Vec::new(),
        websocket: true,
        max_body: 0,
    }
}

/// `name: value` lines; others are left out.
fn read(lines: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { continue };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(&line[..at]), HeaderValue::from_bytes(line[at + 1..].trim_ascii()))
        {
            headers.append(name, value);
        }
    }
    headers
}

fn decode(item: &str) -> String {
    let mut pieces = item.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).expect("two hex digits"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("UTF-8")
}
