//! Every way in: HTTP/1.1 and HTTP/2, plain and TLS on one port, unix sockets, and balancers that speak for others.

use super::support::backend::{text, Backend};
use super::support::client::Client;
use super::support::gate::{Gate, Setup};
use super::support::played::Scene;
use super::support::tls::{self, Authority};
use super::support::{h2, PATIENCE};
use http::Request;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

const PUBLIC: &str = "[[route]]\npath = \"/**\"\naccess = \"public\"\n\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";
/// The end of every answer.
const END: &str = "ok";

/// With certificate and key at `tls.crt` and `tls.key`.
fn with_tls(authority: &Authority) -> Setup {
    let pair = authority.issue("app.test");
    let setup = Gate::setup().file("tls.crt", pair.cert).file("tls.key", pair.key);
    setup.server("[server.tls]\ncert = \"tls.crt\"\nkey = \"tls.key\"")
}

#[test]
fn one_port_speaks_every_protocol() {
    let (backend, authority) = (Backend::answering(text("", "ok")), Authority::new());
    let gate = with_tls(&authority).start(&[&backend.upstream("app"), PUBLIC].concat());
    assert_eq!(gate.get("/plain", "").status, 200);
    let request = || Request::get("http://app.test/frames").body(()).unwrap();
    assert_eq!(h2::request(gate.http, request(), None, None).unwrap().status, 200);
    let mut secure = tls::connect(gate.http, &authority, "app.test", "http/1.1");
    assert!(tls::ask(&mut secure, &GET.replace("/ ", "/secure "), END).starts_with("HTTP/1.1 200"));
    let seen = backend.take();
    let protos: Vec<_> = seen.iter().map(|seen| (seen.target(), seen.header("x-forwarded-proto").unwrap())).collect();
    let expected = [("/plain", "http"), ("/frames", "http"), ("/secure", "https")];
    assert_eq!(protos, expected.map(|(path, proto)| (path.to_owned(), proto.to_owned())));
}

#[test]
fn http2_is_chosen_by_who_offers_it() {
    let (backend, authority) = (Backend::answering(text("", "ok")), Authority::new());
    let gate = with_tls(&authority).start(&[&backend.upstream("app"), PUBLIC].concat());
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let trusted = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([trusted]).no_proxy().timeout(PATIENCE);
    let client = client.resolve("app.test", gate.http).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("https://app.test:{}/", gate.http.port());
    let answer = runtime.block_on(async { client.get(url).send().await }).unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
    assert_eq!(backend.last().header("x-forwarded-proto").as_deref(), Some("https"));
}

#[test]
fn a_unix_socket_is_a_way_in() {
    let backend = Backend::answering(text("", "ok"));
    let setup = Gate::setup();
    let path = setup.path("gate.sock");
    let gate = setup.listen(&[&format!("unix:{}", path.display())]).start(&[&backend.upstream("app"), PUBLIC].concat());
    let stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut client = Scene::on(stream);
    for _ in 0..2 {
        client.say(GET);
        assert!(client.until(END).starts_with("HTTP/1.1 200"));
    }
    assert_eq!(backend.last().header("x-forwarded-for"), None, "there is no address to tell");
    drop(gate);
}

/// Loopback is a balancer that speaks the PROXY protocol.
fn balanced(backend: &Backend) -> Gate {
    let setup = Gate::setup().server("trusted_proxies = [\"127.0.0.0/8\"]\nproxy_protocol = true");
    setup.start(&[&backend.upstream("app"), PUBLIC].concat())
}

#[test]
fn a_balancer_s_word_on_who_the_client_is_counts() {
    let backend = Backend::answering(text("", "ok"));
    let gate = balanced(&backend);
    let line = b"PROXY TCP4 192.0.2.7 127.0.0.1 5000 80\r\n".to_vec();
    let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x13\x88\0\x50";
    for (header, client) in [(line, "192.0.2.7"), (binary.to_vec(), "2001:db8::7")] {
        let mut connection = Client::connect(gate.http);
        connection.send([header.as_slice(), GET.as_bytes()].concat());
        assert_eq!(connection.receive().unwrap().status, 200);
        connection.send(GET);
        assert_eq!(connection.receive().unwrap().status, 200, "it holds for the whole connection");
        let seen = backend.last();
        assert_eq!(seen.header("x-forwarded-for").as_deref(), Some(client));
        assert_eq!(gate.access(&seen.header("x-request-id").unwrap())["client_ip"], client);
    }
}

#[test]
fn what_a_balanced_client_says_of_itself_does_not() {
    let backend = Backend::answering(text("", "ok"));
    let gate = balanced(&backend);
    let mut client = Client::connect(gate.http);
    let forged = GET.replace("\r\n\r\n", "\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n");
    client.send(format!("PROXY TCP4 192.0.2.7 127.0.0.1 5000 80\r\n{forged}"));
    assert_eq!(client.receive().unwrap().status, 200);
    assert_eq!(backend.last().header("x-forwarded-for").as_deref(), Some("192.0.2.7"));
}

#[test]
fn a_balancer_that_does_not_say_who_it_speaks_for_is_not_served() {
    let backend = Backend::answering(text("", "ok"));
    let gate = balanced(&backend);
    for beginning in [GET, "PROXY TCP4 nonsense\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PROXY"] {
        let mut client = Scene::of(TcpStream::connect(gate.http).unwrap());
        client.say([beginning, GET].concat());
        assert!(client.is_left(), "{beginning:?}");
    }
    assert!(backend.seen().is_empty());
}

#[test]
fn a_stranger_s_proxy_header_is_no_header_of_ours() {
    let backend = Backend::answering(text("", "ok"));
    let setup = Gate::setup().server("trusted_proxies = [\"192.0.2.0/24\"]\nproxy_protocol = true");
    let gate = setup.start(&[&backend.upstream("app"), PUBLIC].concat());
    let mut client = Client::connect(gate.http);
    client.send(format!("PROXY TCP4 192.0.2.7 127.0.0.1 5000 80\r\n{GET}"));
    let told = client.receive().map(|answer| answer.status);
    assert!(matches!(told, None | Some(400)), "{told:?}");
    assert!(backend.seen().is_empty());
    assert_eq!(gate.get("/", "").status, 200);
    assert_eq!(backend.last().header("x-forwarded-for").as_deref(), Some("127.0.0.1"));
}

/// Connects anew until a connection shows the certificate of `pair`.
fn is_shown(gate: &Gate, authority: &Authority, pair: &tls::Pair) -> bool {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let mut stream = tls::connect(gate.http, authority, "app.test", "http/1.1");
        tls::ask(&mut stream, GET, END);
        if stream.conn.peer_certificates().unwrap()[0] == pair.der() {
            return true;
        }
    }
    false
}

#[test]
fn a_new_certificate_is_for_new_connections_and_the_old_ones_live_on() {
    let (backend, authority) = (Backend::answering(text("", "ok")), Authority::new());
    let gate = with_tls(&authority).start(&[&backend.upstream("app"), PUBLIC].concat());
    let mut old = tls::connect(gate.http, &authority, "app.test", "http/1.1");
    assert!(tls::ask(&mut old, GET, END).starts_with("HTTP/1.1 200"));
    let pair = authority.issue("app.test");
    std::fs::write(gate.directory().join("tls.crt"), &pair.cert).unwrap();
    std::fs::write(gate.directory().join("tls.key"), &pair.key).unwrap();
    assert!(is_shown(&gate, &authority, &pair));
    tls::ask(&mut old, GET, END);
    assert_ne!(old.conn.peer_certificates().unwrap()[0], pair.der());
}

/// What the kubelet does with a mounted secret: a new directory, and one symlink that is swapped for another.
#[test]
fn a_certificate_from_a_kubernetes_secret_is_followed() {
    let (backend, authority) = (Backend::answering(text("", "ok")), Authority::new());
    let setup = Gate::setup().server("[server.tls]\ncert = \"tls.crt\"\nkey = \"tls.key\"");
    let mount = setup.path("");
    mounted(&mount, "first", &authority.issue("app.test"));
    for name in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(name), mount.join(name)).unwrap();
    }
    let gate = setup.start(&[&backend.upstream("app"), PUBLIC].concat());
    let pair = authority.issue("app.test");
    mounted(&mount, "second", &pair);
    assert!(is_shown(&gate, &authority, &pair));
}

fn mounted(mount: &Path, version: &str, pair: &tls::Pair) {
    std::fs::create_dir(mount.join(version)).unwrap();
    std::fs::write(mount.join(version).join("tls.crt"), &pair.cert).unwrap();
    std::fs::write(mount.join(version).join("tls.key"), &pair.key).unwrap();
    symlink(version, mount.join("..data_tmp")).unwrap();
    std::fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
}
