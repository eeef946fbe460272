//! `doorward routes`: who may go where, at a glance.

use crate::config::settings::Settings;
use crate::domain::policy::route::Route;
use crate::domain::policy::rule::{Access, Rule};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// Lists every route with its rule, and marks the public ones.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(long, env = "DOORWARD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Prints the table to stdout.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let Some(path) = &args.config else {
        return super::check::no_file("routes");
    };
    match crate::config::load(path) {
        Err(mistakes) => {
            let _ = writeln!(io::stderr(), "{mistakes}");
            2
        }
        Ok(loaded) => u8::from(io::stdout().write_all(table(&loaded.settings).as_bytes()).is_err()),
    }
}

const HEAD: [&str; 7] = ["", "METHODS", "ROUTE", "ACCESS", "CREDENTIALS", "LIMITS", "UPSTREAM"];

/// One line a route, in the order of the file; `!` marks what anybody may reach.
fn table(settings: &Settings) -> String {
    let routes = settings.routes.routes();
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(routes.iter().map(|route| line(route, settings)));
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in &lines {
        let padded: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", padded.join("  ").trim_end());
    }
    let public = routes.iter().filter(|route| route.rule.access == Access::Public).count();
    let _ = writeln!(text, "\n{}, {public} of them public (!)", super::check::counted(routes.len(), "route"));
    text
}

fn line(route: &Route, settings: &Settings) -> [String; 7] {
    let public = route.rule.access == Access::Public;
    let methods = route.methods.as_ref().map_or_else(
        || "common".to_owned(),
        |listed| listed.iter().map(http::Method::as_str).collect::<Vec<_>>().join(","),
    );
    let upstream = settings.upstreams.get(route.upstream).map(|upstream| upstream.name.clone());
    [
        if public { "!" } else { "" }.to_owned(),
        methods,
        format!("{}{}", route.host, route.path.as_str()),
        access(&route.rule) + if route.sensitive { ", sensitive" } else { "" },
        credentials(&route.rule),
        limits(route, settings),
        upstream.unwrap_or_default(),
    ]
}

/// What bounds a route: its bodies, its limits in the order they are asked, what is under way.
fn limits(route: &Route, settings: &Settings) -> String {
    let mut text = format!("body {}", size(route.forwarding.max_body));
    for charge in route.limits.before.iter().chain(&route.limits.after) {
        let Some(limit) = settings.limits.get(charge.limit) else { continue };
        let _ = write!(text, ", {} {}", limit.name, limit.rate);
        if charge.cost > 1 {
            let _ = write!(text, " (costs {})", charge.cost);
        }
    }
    if route.limits.max_in_flight > 0 {
        let _ = write!(text, ", {} at once", route.limits.max_in_flight);
    }
    if route.limits.max_in_flight_per_user > 0 {
        let _ = write!(text, ", {} at once of one user", route.limits.max_in_flight_per_user);
    }
    text
}

/// What counts on a route.
pub(super) fn credentials(rule: &Rule) -> String {
    let kinds = [("session", rule.accepts_session), ("bearer", rule.accepts_bearer), ("api_key", rule.accepts_api_key)];
    let counts: Vec<&str> = kinds.into_iter().filter_map(|(kind, counts)| counts.then_some(kind)).collect();
    if rule.access == Access::Public || counts.is_empty() {
        return "-".to_owned();
    }
    counts.join(", ")
}

/// A rule in one line, as much of it as there is.
pub(super) fn access(rule: &Rule) -> String {
    let mut text = match rule.access {
        Access::Public => "public",
        Access::Optional => "optional",
        Access::Authenticated => "authenticated",
    }
    .to_owned();
    let from: Vec<String> = rule.from.iter().map(|source| source.as_str().to_owned()).collect();
    for (list, word, joined) in
        [(&from, "from", " or "), (&rule.roles, "role", " or "), (&rule.scopes, "scope", " and ")]
    {
        if !list.is_empty() {
            let _ = write!(text, ", {word} {}", list.join(joined));
        }
    }
    if let Some(when) = &rule.when {
        let _ = write!(text, ", when {}", one_line(when.text()));
    }
    text
}

/// An expression may run over several lines in the file; a table has one for it.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Bytes as they would be written in the file: in the largest unit that leaves nothing over.
fn size(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.into_iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes}B"), |(name, unit)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{from_text, Secrets, World};

    #[test]
    fn the_table_tells_who_may_go_where() {
        let file = r#"
            [[upstream]]
            name = "app"
            url = "http://127.0.0.1:3000"
            [[issuer]]
            name = "id"
            issuer = "http://localhost"
            secret = "0123456789abcdef0123456789abcdef"
            audience = ["app"]
            algorithms = ["HS256"]
            [[route]]
            path = "/"
            access = "public"
            [[route]]
            host = "a.example"
            path = "/admin/**"
            methods = ["GET", "POST"]
            roles = ["x", "y"]
            from = ["id"]
            max_body = "1536KiB"
            when = '''
                claims.n >
                2'''
        "#;
        let world = World { env: &|_| None, secrets: Secrets::Literal };
        let loaded = from_text(file, std::path::Path::new("/nowhere"), &world).unwrap();
        let expected = "
   METHODS   ROUTE               ACCESS                                                  CREDENTIALS  LIMITS        UPSTREAM
!  common    /                   public                                                  -            body 10MiB    app
   GET,POST  a.example/admin/**  authenticated, from id, role x or y, when claims.n > 2  bearer       body 1536KiB  app

2 routes, 1 of them public (!)
";
        assert_eq!(table(&loaded.settings), expected.trim_start_matches('\n'));
    }

    #[test]
    fn limits_stand_in_the_order_they_are_asked() {
        let file = r#"
            [[upstream]]
            name = "app"
            url = "http://127.0.0.1:3000"
            [[limit]]
            name = "user"
            rate = "100/min"
            [[limit]]
            name = "address"
            key = ["ip"]
            rate = "5/s"
            [[route]]
            path = "/"
            access = "optional"
            limits = ["user", "address"]
            cost = 3
            max_in_flight = 7
        "#;
        let world = World { env: &|_| None, secrets: Secrets::Literal };
        let settings = from_text(file, std::path::Path::new("/nowhere"), &world).unwrap().settings;
        let expected = "body 10MiB, address 5/s (costs 3), user 100/min (costs 3), 7 at once";
        assert_eq!(limits(&settings.routes.routes()[0], &settings), expected);
    }

    #[test]
    fn sessions_are_named_where_they_count() {
        let file = r#"
            [[upstream]]
            name = "app"
            url = "http://127.0.0.1:3000"
            [[provider]]
            name = "people"
            kind = "oidc"
            issuer = "https://id.example.com"
            client_id = "gate"
            [[route]]
            path = "/open"
            access = "public"
            [[route]]
            path = "/both"
            access = "authenticated"
            [[route]]
            path = "/browsers"
            access = "optional"
            accept = ["session"]
        "#;
        let world = World { env: &|_| None, secrets: Secrets::Indirect };
        let loaded = from_text(file, std::path::Path::new("/nowhere"), &world).unwrap();
        let counts: Vec<String> =
            loaded.settings.routes.routes().iter().map(|route| credentials(&route.rule)).collect();
        assert_eq!(counts, ["-", "session, bearer", "session"]);
    }
}
