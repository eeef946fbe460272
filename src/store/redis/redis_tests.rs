use super::server::{connected, eventually, in_a_hurry, plan, poll, Cluster, Server, PATIENCE};
use super::*;
use crate::domain::family::{Presentation, Rotation, Rules, Transport, Verdict};
use crate::domain::revocation::Position;
use crate::domain::secret::Secret;
use crate::domain::session::{FamilyId, HandleHash, Lifetimes, OnLimit, ProviderSid, SessionId};
use crate::ports::revocation::RevocationLog;
use crate::ports::store::*;
use crate::store::revocation::redis::RedisLog;
use std::time::Duration;
use tokio::time::timeout;

const HOUR: Duration = Duration::from_secs(3_600);
const TERMS: Lifetimes = Lifetimes { idle: HOUR, absolute: HOUR };
const RULES: Rules = Rules { grace: Duration::ZERO, idle: HOUR, rotation: Rotation::Always, max_grace_streak: 3 };

fn session(number: u8) -> NewSession {
    NewSession {
        user: UserHash::from_bytes([number; 16]),
        id: SessionId::from_bytes([number; 16]),
        handle: Some(HandleHash::from_bytes([number; 32])),
        family: Some(NewFamily { id: FamilyId::from_bytes([number; 16]), lifetimes: TERMS }),
        lifetimes: TERMS,
        body: vec![number],
        provider_sid: Some(ProviderSid::from_bytes([number; 16])),
    }
}

async fn create(store: &Redis, new: &NewSession) -> Result<Created, StoreError> {
    store.create(new, &Limit { cap: 5, on_limit: OnLimit::EvictOldest, revoked: &[] }).await
}

async fn renew(store: &Redis, new: &NewSession, generation: u32) -> Result<Option<Verdict>, StoreError> {
    let shown = Presentation { generation, same_device: true, bounced: false, transport: Transport::Body };
    let ruling = store.present(new.user, new.family.unwrap().id, &shown, &RULES).await;
    ruling.map(|ruling| ruling.map(|ruling| ruling.verdict))
}

/// The words of a failure. There is one: nobody waits for ever.
async fn complaint(store: &Redis) -> String {
    timeout(PATIENCE, create(store, &session(9))).await.expect("a deadline").unwrap_err().0
}

/// No answer comes, and so many questions together take less than a few of them would by waiting for one.
async fn nobody_waits(store: &Redis) {
    let asked = async {
        for _ in 0..1_000 {
            assert!(store.ping().await.is_err());
        }
    };
    timeout(PATIENCE, asked).await.expect("nobody waits for a server that is known to be away");
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_told_again() {
    let server = Server::start(&[]);
    let store = server.connect().await;
    create(&store, &session(1)).await.unwrap();
    for generation in 0..3 {
        server.cli(&["script", "flush"]);
        assert_eq!(renew(&store, &session(1), generation).await, Ok(Some(Verdict::Rotated(generation + 1))));
    }
}

#[tokio::test]
async fn a_killed_server_is_an_error_at_once_and_found_again_when_it_is_back() {
    let mut server = Server::start(&[]);
    let store = server.connect_in_a_hurry().await;
    create(&store, &session(1)).await.unwrap();
    server.kill();
    complaint(&store).await;
    eventually(|| async { store.link.trouble().0 == "nobody listens there" }).await;
    nobody_waits(&store).await;
    server.restart();
    eventually(|| async { store.ping().await.is_ok() }).await;
    assert_eq!(store.load(session(1).user, session(1).id).await, Ok(None), "it kept nothing, and says so");
    assert!(matches!(create(&store, &session(1)).await, Ok(Created::Done(_))));
}

#[tokio::test]
async fn a_frozen_server_is_an_error_within_the_deadline_and_found_again_when_it_thaws() {
    let server = Server::start(&[]);
    let store = server.connect_in_a_hurry().await;
    server.signal("STOP");
    for _ in 0..5 {
        complaint(&store).await;
        assert!(!store.answers());
    }
    assert!(store.link.is_lost(), "after some silence the connection is given up");
    nobody_waits(&store).await;
    server.signal("CONT");
    eventually(|| async { store.ping().await.is_ok() }).await;
}

#[tokio::test]
async fn a_server_that_does_not_keep_up_is_asked_no_more_than_it_can_be() {
    let server = Server::start(&[]);
    let store = server.connect().await;
    server.signal("STOP");
    let mut waiting = Vec::new();
    for _ in 0..5_000 {
        let mut request = Box::pin(store.ping());
        match timeout(Duration::ZERO, request.as_mut()).await {
            Err(_) => waiting.push(request),
            Ok(answer) => assert!(answer.unwrap_err().0.contains("under way already")),
        }
    }
    assert_eq!(waiting.len(), 4_032);
    server.signal("CONT");
    for request in waiting {
        assert_eq!(request.await, Ok(()), "whoever was not turned away is answered");
    }
}

#[tokio::test]
async fn however_many_requests_wait_there_is_room_for_the_log_of_revocations() {
    let server = Server::start(&[]);
    let store = server.connect_in_a_hurry().await;
    let log = RedisLog::new(&store);
    server.signal("STOP");
    let mut waiting: Vec<_> = (0..4_032).map(|_| Box::pin(store.ping())).collect();
    for request in &mut waiting {
        assert!(timeout(Duration::ZERO, request.as_mut()).await.is_err(), "it waits");
    }
    let turned_away = store.ping().await.unwrap_err().0;
    assert!(turned_away.contains("under way already"), "{turned_away}");
    let asked = timeout(Duration::ZERO, log.pull(Position::ZERO, 1)).await;
    assert!(asked.is_err(), "asked, and not turned away: {asked:?}");
    server.signal("CONT");
}

#[tokio::test]
async fn a_server_that_became_a_replica_is_away_until_it_is_a_primary_again() {
    let server = Server::start(&[]);
    let store = server.connect_in_a_hurry().await;
    server.cli(&["replicaof", "127.0.0.1", "1"]);
    complaint(&store).await;
    let dialled = store.link.dialled();
    eventually(|| async { store.link.dialled() > dialled + 2 }).await;
    assert!(store.link.is_lost(), "it is not taken for one that is back");
    assert_eq!(store.ping().await.unwrap_err().0, "the server is a replica and takes no writes");
    server.cli(&["replicaof", "no", "one"]);
    eventually(|| async { create(&store, &session(1)).await.is_ok() }).await;
}

#[tokio::test]
async fn a_server_that_starts_late_is_found() {
    let mut server = Server::start(&[]);
    server.kill();
    let store = Redis::connect(server.plan()).await.unwrap();
    assert_eq!(store.ping().await, Err(StoreError("nobody listens there".to_owned())));
    server.restart();
    eventually(|| async { store.ping().await.is_ok() }).await;
}

#[tokio::test]
async fn a_connection_that_was_closed_is_replaced_before_anybody_asks() {
    let server = Server::start(&[]);
    let store = server.connect().await;
    store.ping().await.unwrap();
    server.cli(&["client", "kill", "type", "normal"]);
    eventually(|| async { store.link.dialled() > 1 && !store.link.is_lost() }).await;
    assert_eq!(store.ping().await, Ok(()));
}

#[tokio::test]
async fn refusals_are_reported_in_words_and_without_the_password() {
    let server = Server::start(&[
        "--requirepass",
        "hunter2",
        "--user",
        "weak",
        "on",
        ">hunter2",
        "~dw:*",
        "+ping",
        "+hello",
        "+client",
    ]);
    let with = |username: Option<&str>, password: Option<&str>| RedisPlan {
        username: username.map(str::to_owned),
        password: password.map(|secret| Secret::new(secret.as_bytes().to_vec())),
        ..server.plan()
    };
    for (username, password, words) in [
        (None, None, "the server wants a password"),
        (None, Some("hunter3"), "the user name or password is wrong"),
        (Some("nobody"), Some("hunter2"), "the user name or password is wrong"),
        (Some("weak"), Some("hunter2"), "its access list does not let our user run this command on these keys"),
    ] {
        let plan = with(username, password);
        assert!(!format!("{plan:?}").contains("hunter"));
        let store = Redis::connect(plan).await.unwrap();
        assert_eq!(complaint(&store).await, words);
        assert!(!format!("{store:?}").contains("hunter"));
    }
    let store = Redis::connect(with(None, Some("hunter2"))).await.unwrap();
    assert!(matches!(create(&store, &session(1)).await, Ok(Created::Done(_))));
}

#[tokio::test]
async fn a_server_that_cannot_write_says_why() {
    let server = Server::start(&[]);
    let store = server.connect().await;
    server.cli(&["config", "set", "maxmemory", "1"]);
    assert_eq!(complaint(&store).await, "the server is out of memory");
    assert!(store.answers(), "which is an answer");
    server.cli(&["config", "set", "maxmemory", "0"]);
    server.cli(&["config", "set", "min-replicas-to-write", "1"]);
    assert_eq!(complaint(&store).await, "the server refuses writes because it has too few replicas");
    server.cli(&["config", "set", "min-replicas-to-write", "0"]);
    let primary = Server::start(&[]);
    server.cli(&["replicaof", "127.0.0.1", &primary.port.to_string()]);
    assert_eq!(complaint(&store).await, "the server is a replica and takes no writes");
    server.cli(&["replicaof", "no", "one"]);
    eventually(|| async { create(&store, &session(1)).await.is_ok() }).await;
}

#[tokio::test]
async fn an_ordinary_renewal_costs_two_commands() {
    let server = Server::start(&[]);
    let store = server.connect().await;
    let new = session(1);
    create(&store, &new).await.unwrap();
    for warm in 0..2 {
        renew(&store, &new, warm).await.unwrap();
        store.load(new.user, new.id).await.unwrap();
    }
    server.cli(&["config", "resetstat"]);
    renew(&store, &new, 2).await.unwrap();
    store.load(new.user, new.id).await.unwrap();
    let statistics = server.cli(&["info", "commandstats"]);
    let calls = |name: &str| {
        let line = statistics.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:")));
        line.and_then(|line| line.split(['=', ',']).nth(1)).map_or(0, |calls| calls.parse::<u32>().unwrap())
    };
    assert_eq!((calls("evalsha"), calls("eval"), calls("script|load")), (2, 0, 0), "{statistics}");
}

/// A cluster's client asks again when an answer does not come.
#[tokio::test]
async fn a_question_that_is_repeated_on_the_way_is_one_use_of_a_token() {
    let server = Server::start(&[]);
    let store = server.connect().await;
    let new = session(1);
    create(&store, &new).await.unwrap();
    let shown = Presentation { generation: 0, same_device: true, bounced: false, transport: Transport::Body };
    let family = new.family.unwrap().id;
    for (question, verdict) in [(1, "ROTATED"), (2, "REUSE")] {
        let call = store.presented(new.user, family, &shown, &RULES);
        for _ in 0..3 {
            assert_eq!(store.link.run(&call).await.unwrap().text().unwrap(), verdict, "question {question}");
        }
    }
    assert_eq!(renew(&store, &new, 1).await, Ok(Some(Verdict::Revoked)));
}

#[tokio::test]
async fn tls_is_verified() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let files = [cert.to_str().unwrap(), key.to_str().unwrap()];
    let server = Server::start_tls(files[0], files[1]);
    let address = |host: &str| RedisKind::Single(Address { host: host.to_owned(), port: server.tls_port() });
    let trusting = Some(RedisTls { ca: Some(made.cert.pem().into_bytes()) });
    let good = RedisPlan { tls: trusting.clone(), ..plan(address("localhost")) };
    assert_eq!(connected(good).await.ping().await, Ok(()));
    let other_name = RedisPlan { tls: trusting, ..plan(address("127.0.0.1")) };
    let unknown = RedisPlan { tls: Some(RedisTls::default()), ..plan(address("localhost")) };
    for wrong in [other_name, unknown] {
        let store = Redis::connect(wrong).await.unwrap();
        eventually(|| async { store.ping().await.unwrap_err().0.starts_with("its certificate is not") }).await;
    }
}

#[tokio::test]
async fn every_key_of_a_user_ends_by_itself() {
    let server = Server::start(&[]);
    let store = server.connect().await;
    let new = session(1);
    create(&store, &new).await.unwrap();
    store.rewrite(new.user, new.id, 1, b"b").await.unwrap();
    let touch = Touch { user: new.user, id: new.id, last_seen: crate::domain::session::Millis(1), idle: HOUR };
    store.touch(&[touch]).await.unwrap();
    renew(&store, &new, 0).await.unwrap();
    renew(&store, &new, 0).await.unwrap();
    store.first("jti", crate::domain::session::Millis(0)).await.unwrap();
    store.acquire("refresh", &Nonce([1; 16]), HOUR).await.unwrap();
    let keys = server.cli(&["keys", "*"]);
    let tag = format!("{{{}}}", new.user);
    let mut kinds: Vec<&str> = keys.lines().map(|key| &key[..5]).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["dw:f:", "dw:h:", "dw:l:", "dw:o:", "dw:s:", "dw:u:", "dw:x:"], "{keys}");
    for key in keys.lines() {
        let left: i64 = server.cli(&["pttl", key]).trim().parse().unwrap();
        assert!((1..=3_600_000).contains(&left), "{key}: {left}");
        assert_eq!("fhsu".contains(&key[3..4]), key.contains(&tag), "{key}");
    }
}

#[tokio::test]
async fn a_plan_that_cannot_work_is_refused_at_once() {
    let address = Address { host: "127.0.0.1".to_owned(), port: 1 };
    let single = || plan(RedisKind::Single(address.clone()));
    let cluster = plan(RedisKind::Cluster(vec![address.clone()]));
    for wrong in [
        RedisPlan { prefix: "{dw}:".to_owned(), ..single() },
        RedisPlan { timeout: Duration::ZERO, ..single() },
        RedisPlan { password: Some(Secret::new(vec![0xff])), ..single() },
        RedisPlan { tls: Some(RedisTls { ca: Some(b"-----BEGIN CERTIFICATE-----\n?".to_vec()) }), ..single() },
        RedisPlan { db: 1, ..cluster },
        plan(RedisKind::Cluster(Vec::new())),
    ] {
        assert!(Redis::connect(wrong).await.is_err());
    }
}

#[tokio::test]
async fn sentinels_lead_to_the_new_primary() {
    let mut primary = Server::start(&[]);
    let replica = Server::start(&["--replicaof", &format!("127.0.0.1 {}", primary.port)]);
    poll(|| replica.cli(&["info", "replication"]).contains("master_link_status:up"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sentinel.conf");
    let monitored = format!(
        "sentinel monitor main 127.0.0.1 {} 1\nsentinel down-after-milliseconds main 2000\n\
         sentinel failover-timeout main 2000\n",
        primary.port
    );
    std::fs::write(&file, monitored).unwrap();
    let sentinel = Server::start(&[file.to_str().unwrap(), "--sentinel"]);
    poll(|| sentinel.cli(&["sentinel", "replicas", "main"]).contains(&replica.port.to_string()));
    let kind = RedisKind::Sentinel {
        sentinels: vec![Address { host: "127.0.0.1".to_owned(), port: 1 }, sentinel.address()],
        master: "main".to_owned(),
        username: None,
        password: None,
    };
    let store = connected(in_a_hurry(plan(kind))).await;
    create(&store, &session(1)).await.unwrap();
    poll(|| replica.cli(&["exists", &format!("dw:u:{{{}}}", session(1).user)]).starts_with('1'));
    primary.kill();
    complaint(&store).await;
    eventually(|| async { create(&store, &session(2)).await.is_ok() }).await;
    assert!(store.load(session(1).user, session(1).id).await.unwrap().is_some(), "the replica knew it");
}

#[tokio::test]
async fn a_cluster_that_loses_a_primary_goes_on_after_its_failover() {
    let mut cluster = Cluster::start();
    let store = connected(in_a_hurry(cluster.plan())).await;
    for number in 1..=8 {
        create(&store, &session(number)).await.unwrap();
    }
    let primary = cluster.nodes.iter().position(|node| node.cli(&["role"]).starts_with("master")).unwrap();
    cluster.nodes[primary].kill();
    for number in 1..=8 {
        eventually(|| async { renew(&store, &session(number), 0).await.is_ok() }).await;
    }
}
