//! Server-sent events to a page that waits for news of its session: what to say is decided elsewhere, when to look and
//! when to stop is decided here.

use super::kill::Stay;
use super::proxy::Proxy;
use crate::domain::denial::Code;
use crate::pipeline::session::{Left, News, Watch};
use crate::ports::Stream;
use bytes::Bytes;
use pingora::proxy::Session;
use pingora::Result;
use std::pin::pin;
use std::time::Duration;

/// After so much silence something is said: proxies in between give up silent answers, and only by writing we learn of
/// clients that vanished.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// How far the last second before a look is cut up, so that whole seconds of the clock are good enough.
const TICK: Duration = Duration::from_millis(50);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// A page that loses us comes back, wherever it then ends up: not before others had time to leave, too.
const WELCOME: &[u8] = b"retry: 3000\n\n";
const STILL_THERE: &[u8] = b":\n\n";

/// Sends events until the session ends, the client leaves, or we do. The head has been sent.
pub(super) async fn send(proxy: &Proxy, session: &mut Session, mut watch: Watch) -> Result<()> {
    session.set_read_timeout(None);
    session.set_write_timeout(Some(WRITE_TIMEOUT));
    let mut shutdown = proxy.shutdown.clone();
    // Counted from here on, and told of revocations.
    let mut over = pin!(Stay::new(Stream::Sse, Some(watch.holder()), &proxy.registry).over());
    session.write_response_body(Some(Bytes::from_static(WELCOME)), false).await?;
    while !*shutdown.borrow_and_update() {
        let until = watch.next_look().since((proxy.clock)()).clamp(TICK, HEARTBEAT);
        let news = tokio::select! {
            denial = &mut over => Some(News::Ended(denial)),
            _ = shutdown.changed() => break,
            // Nobody sends anything behind such a request: whatever comes is the end of the connection.
            _ = session.as_downstream_mut().read_body_or_idle(true) => {
                session.set_keepalive(None);
                return Ok(());
            }
            () = tokio::time::sleep(until) => {
                let news = watch.look((proxy.clock)()).await;
                if let Some(News::Ended(denial)) = &news {
                    proxy.events.stream_cut(denial.code.name());
                }
                news
            }
        };
        let text = match &news {
            Some(news) => match text(news) {
                Some(text) => text,
                None => break,
            },
            None if until == HEARTBEAT => Bytes::from_static(STILL_THERE),
            None => continue,
        };
        session.write_response_body(Some(text), false).await?;
        if matches!(news, Some(News::Ended(_))) {
            break;
        }
    }
    session.write_response_body(None, true).await
}

/// `None`: only the token counts no longer. The session may go on, so the stream just ends, and the page comes back with
/// the token that it holds by then.
fn text(news: &News) -> Option<Bytes> {
    let left = |name: &str, left: &Left| {
        let (expires, idle) = (left.at_most.as_secs(), left.idle.as_secs());
        format!("event: {name}\ndata: {{\"expires_in\":{expires},\"idle_in\":{idle}}}\n\n")
    };
    let text = match news {
        News::Expiring(about) => left("session_expiring", about),
        News::Extended(about) => left("session_extended", about),
        News::Ended(denial) if denial.code == Code::TokenRevoked => return None,
        News::Ended(denial) => format!("event: session_ended\ndata: {{\"code\":\"{}\"}}\n\n", denial.code.name()),
    };
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::denial::Denial;

    #[test]
    fn every_event_is_one_name_and_one_line_of_json() {
        let left = Left { at_most: Duration::from_secs(400), idle: Duration::from_millis(299_500) };
        let ended = News::Ended(Denial::new(Code::SessionExpired, "not for the page\nto see"));
        for (news, name, data) in [
            (News::Expiring(left), "session_expiring", "{\"expires_in\":400,\"idle_in\":299}"),
            (News::Extended(left), "session_extended", "{\"expires_in\":400,\"idle_in\":299}"),
            (ended, "session_ended", "{\"code\":\"session_expired\"}"),
        ] {
            assert_eq!(text(&news).unwrap(), format!("event: {name}\ndata: {data}\n\n"));
            assert!(serde_json::from_str::<serde_json::Value>(data).is_ok());
        }
    }

    #[test]
    fn a_token_that_was_revoked_alone_is_no_end_of_the_session_to_tell_a_page_of() {
        assert_eq!(text(&News::Ended(Denial::new(Code::TokenRevoked, "its key leaked"))), None);
        assert!(text(&News::Ended(Denial::new(Code::SessionTerminated, "revoked"))).is_some());
    }
}
