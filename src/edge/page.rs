//! The page a person sees instead of what they asked for: no script, nothing from elsewhere.

use crate::domain::denial::Code;
use bytes::Bytes;

/// Sent with every page.
pub(super) const HEADERS: [(&str, &str); 4] = [
    ("Content-Type", "text/html; charset=utf-8"),
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
];

/// The page of one refusal. Every part is ours, so there is nothing to escape.
pub(super) fn refusal(code: Code, request_id: &str) -> Bytes {
    let (status, title, name) = (code.status(), code.title(), code.name());
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 min(1.5rem,5vw);\
         color:#1a1a1a;background:#fff}}h1{{font-size:1.5rem;line-height:1.25}}h1,code{{overflow-wrap:anywhere}}\
         p{{color:#595959}}code{{font-size:.875rem}}\
         @media(prefers-color-scheme:dark){{body{{color:#eee;background:#161616}}p{{color:#b3b3b3}}}}</style>\n\
         </head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{status} <code>{name}</code></p>\n\
         <p>If you ask for help, mention this: <code>{request_id}</code></p>\n</main>\n</body>\n</html>\n"
    )
    .into()
}
