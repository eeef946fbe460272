//! The program's own messages, to stderr.
//!
//! What libraries say below `warn` is never shown, whatever the filter asks for: their debug output prints request
//! headers, and with them everybody's credentials.

use std::fmt;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{filter_fn, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How messages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// Why messages cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("{filter:?} is no log filter; write a level, or \"warn,doorward::edge=debug\"")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("log messages are already shown by somebody else")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
}

/// Shows the messages of this program and of its libraries from now on. An empty filter means `info`.
///
/// # Errors
/// When the filter cannot be read, or messages are shown already.
pub fn init(filter: &str, format: Format) -> Result<(), LogError> {
    let targets = parse(filter)?;
    match format {
        Format::Text => text(targets, std::io::stderr).try_init()?,
        Format::Json => json(targets, std::io::stderr).try_init()?,
    }
    Ok(())
}

fn parse(filter: &str) -> Result<Targets, LogError> {
    let filter = filter.trim();
    if filter.is_empty() {
        return Ok(Targets::new().with_default(LevelFilter::INFO));
    }
    filter.parse().map_err(|source| LogError::Filter { filter: filter.to_owned(), source })
}

fn text<W>(targets: Targets, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
    tracing_subscriber::registry().with(layer).with(targets).with(filter_fn(is_harmless))
}

fn json<W>(targets: Targets, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(writer);
    tracing_subscriber::registry().with(layer).with(targets).with(filter_fn(is_harmless))
}

/// Libraries that see credentials on the wire. A prefix covers what belongs to it: `pingora_core`, `hyper_util`.
const TALKATIVE: [&str; 7] = ["pingora", "h2", "hyper", "rustls", "reqwest", "tungstenite", "tokio_tungstenite"];

/// What it reports is what clients do: half a head, a reset, a frame too many. Anybody could fill a disk with it; the
/// access log, the audit log and the metrics tell the same in bounded lines.
const REPORTS_STRANGERS: &str = "pingora_proxy";

fn is_harmless(metadata: &Metadata<'_>) -> bool {
    if metadata.target().starts_with(REPORTS_STRANGERS) {
        return false;
    }
    *metadata.level() <= Level::WARN || !TALKATIVE.iter().any(|name| metadata.target().starts_with(name))
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::io;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Screen {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().clone()).unwrap()
        }
    }

    impl io::Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn shown(filter: &str, say: impl FnOnce()) -> String {
        let screen = Screen::default();
        let writer = screen.clone();
        let subscriber = text(parse(filter).unwrap(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, say);
        screen.text()
    }

    #[test]
    fn pingora_cannot_be_made_to_print_headers() {
        for filter in ["trace", "pingora=trace", "pingora_proxy=trace,pingora_core::protocols=debug", "h2=debug"] {
            let text = shown(filter, || {
                tracing::trace!(target: "pingora_proxy", "authorization: hunter2");
                tracing::debug!(target: "pingora_core::protocols::http", "authorization: hunter2");
                tracing::info!(target: "pingora_proxy::proxy_h1", "authorization: hunter2");
                tracing::debug!(target: "h2::codec::framed_read", "authorization: hunter2");
                tracing::trace!(target: "hyper_util::client", "authorization: hunter2");
                tracing::trace!(target: "rustls::conn", "authorization: hunter2");
            });
            assert_eq!(text, "", "{filter}");
        }
    }

    /// Pingora writes to the `log` crate, which has its own way here. The only test that takes the global subscriber.
    #[test]
    fn what_comes_through_the_log_crate_is_capped_too() {
        use tracing::log::{log_enabled, Level};
        init("error,pingora=trace,doorward=debug", Format::Text).unwrap();
        assert!(!log_enabled!(target: "pingora_proxy", Level::Trace));
        assert!(!log_enabled!(target: "pingora_core::protocols", Level::Info));
        assert!(log_enabled!(target: "pingora_core::server", Level::Warn));
        assert!(log_enabled!(target: "doorward::bridge", Level::Debug));
        assert!(matches!(init("", Format::Text), Err(LogError::Taken(_))));
    }

    #[test]
    fn warnings_of_libraries_are_shown() {
        let text = shown("", || tracing::warn!(target: "pingora_core::server", "listener lost"));
        assert!(text.contains("listener lost"), "{text}");
    }

    #[test]
    fn a_library_can_be_silenced_further() {
        let text = shown("info,pingora=off", || tracing::error!(target: "pingora_proxy", "failed"));
        assert_eq!(text, "");
    }

    #[test]
    fn without_a_filter_information_is_shown_and_detail_is_not() {
        let text = shown("", || {
            tracing::info!(target: "doorward", "ready");
            tracing::debug!(target: "doorward", "detail");
        });
        assert!(text.contains("ready") && !text.contains("detail"), "{text}");
    }

    #[test]
    fn our_own_modules_may_be_asked_for_detail() {
        let text = shown("warn,doorward::edge=debug", || {
            tracing::debug!(target: "doorward::edge::listen", "detail");
            tracing::debug!(target: "doorward::config", "noise");
        });
        assert!(text.contains("detail") && !text.contains("noise"), "{text}");
    }

    #[test]
    fn a_message_in_json_is_one_object() {
        let screen = Screen::default();
        let writer = screen.clone();
        let subscriber = json(parse("").unwrap(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, || tracing::info!(generation = 3, "re\nloaded"));
        let message: serde_json::Value = serde_json::from_str(&screen.text()).unwrap();
        assert_eq!(message["message"], "re\nloaded");
        assert_eq!(message["generation"], 3);
    }

    #[test]
    fn a_filter_nobody_understands_is_named() {
        let error = parse("doorward=loud").unwrap_err();
        assert!(error.to_string().contains("doorward=loud"), "{error}");
    }
}
