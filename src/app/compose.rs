//! Composing what a configuration runs with: adapters for its settings, and a gate made of them. What outlives a
//! configuration is kept here from one to the next.

use super::counting::Counting;
use super::prepared::Prepared;
use super::sign_in::SignIn;
use crate::admin::api::{Api, Tools};
use crate::config::settings::{Settings, StoreKind};
use crate::edge::kill::Registry;
use crate::edge::lifecycle::Drain;
use crate::edge::snapshot::{Limits, Snapshot};
use crate::edge::tls::TlsFront;
use crate::edge::upstream::Pool;
use crate::observe::access::AccessLog;
use crate::observe::audit::AuditLog;
use crate::observe::journal::Observers;
use crate::observe::metrics::Metrics;
use crate::observe::sessions::SessionWatch;
use crate::outbound::keyring::Keyring;
use crate::pipeline::api_keys::ApiKeys;
use crate::pipeline::limits::Guard;
use crate::pipeline::own::Endpoints;
use crate::pipeline::session::House;
use crate::pipeline::{Desk, Gate, Plan};
use crate::ports::EdgeEvents;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Makes snapshots of settings, and keeps what outlives them.
#[derive(Debug)]
pub(super) struct Composer {
    pub(super) metrics: Arc<Metrics>,
    pub(super) access: AccessLog,
    pub(super) audit: AuditLog,
    pub(super) keyrings: Mutex<Vec<Arc<Keyring>>>,
    pub(super) api: Arc<Api>,
    /// Opened by the first configuration in which somebody signs in, or an operator may revoke.
    pub(super) sign_in: OnceCell<SignIn>,
    /// What revocations cut.
    pub(super) registry: Arc<Registry>,
    pub(super) counting: Counting,
}

impl Composer {
    /// All of it or nothing: what can fail comes first, and nothing that runs is touched.
    pub(super) async fn compose(&self, settings: &Settings, before: Option<&Snapshot>) -> Result<Snapshot, String> {
        let server = &settings.server;
        let tls = server.tls.as_ref().map(|tls| TlsFront::load(&tls.cert, &tls.key)).transpose()?;
        let events: Arc<dyn EdgeEvents> = Arc::<Metrics>::clone(&self.metrics);
        let pools = settings.upstreams.iter().map(|upstream| match before.and_then(|before| before.pool(upstream)) {
            Some(kept) => Ok(kept),
            None => Pool::new(upstream.clone(), Arc::clone(&events)),
        });
        let upstreams = pools.collect::<Result<Vec<_>, _>>()?;
        let routes = settings.routes.routes().iter().map(crate::domain::policy::Route::label).collect();
        let names = settings.upstreams.iter().map(|upstream| upstream.name.clone()).collect();
        let logs = (self.access.clone(), self.audit.clone());
        // Before anything is opened: what is open stays, also for a configuration that does not come into force.
        let prepared = self.keeps_state(settings).then(|| Prepared::of(settings)).transpose()?;
        // The last that can fail, and nothing stays open if it does.
        let opened = match prepared {
            Some(prepared) => Some((self.opened(settings).await?, prepared)),
            None => None,
        };
        let limits = self.guard(settings, opened.as_ref().map(|(opened, _)| *opened));
        let signing_in = opened.map(|(opened, prepared)| signing_in(settings, opened, prepared, limits.as_ref()));
        Ok(Snapshot {
            gate: gate(settings, self.desks(settings), signing_in, limits).counting(self.usage(settings)),
            upstreams,
            journal: Arc::new(Observers::new(Arc::clone(&self.metrics), logs, routes, names)),
            events,
            limits: Limits {
                max_header: server.max_header,
                header_timeout: server.header_timeout,
                idle_timeout: server.idle_timeout,
            },
            tls,
            proxy_protocol: server.proxy_protocol,
            drain: Drain { pre_stop: server.drain_pre_stop, max: server.drain_max },
        })
    }

    /// What is shared with other replicas or outlives a configuration. Once opened it stays: whoever is blocked is not let
    /// in again because the file lost its operators.
    async fn opened(&self, settings: &Settings) -> Result<&SignIn, String> {
        let events = SessionWatch { metrics: Arc::clone(&self.metrics), audit: self.audit.clone() };
        let open = || async {
            let opened = SignIn::open(settings, Arc::new(events), &self.metrics).await?;
            opened.revocations.watch(Arc::<Registry>::clone(&self.registry));
            Ok::<_, String>(opened)
        };
        self.sign_in.get_or_try_init(open).await
    }

    fn keeps_state(&self, settings: &Settings) -> bool {
        self.sign_in.initialized() || needs_state(settings)
    }

    /// Gives operators what they change.
    pub(super) fn equip(&self) {
        if let Some(sign_in) = self.sign_in.get() {
            let (ground, revocations) = (Arc::clone(&sign_in.ground), Arc::clone(&sign_in.revocations));
            self.api.equip(Tools { ground, revocations, api_keys: Arc::clone(&sign_in.api_keys) });
        }
    }

    /// An issuer whose terms for keys did not change keeps its keys over a reload.
    fn desks(&self, settings: &Settings) -> Vec<Desk> {
        let mut keyrings = self.keyrings.lock();
        let kept: Vec<Arc<Keyring>> = settings
            .issuers
            .iter()
            .map(|issuer| {
                let known = keyrings.iter().find(|keyring| keyring.serves(issuer));
                known.map_or_else(|| Keyring::spawn(issuer), Arc::clone)
            })
            .collect();
        keyrings.clone_from(&kept);
        let terms = settings.issuers.iter().map(|settings| Arc::clone(&settings.issuer));
        terms.zip(kept).map(|(terms, keys)| Desk { terms, keys }).collect()
    }

    /// After the last request.
    pub(super) async fn close(&self, last: &Snapshot) {
        if let (Some(sign_in), Some(house)) = (self.sign_in.get(), last.gate.house()) {
            sign_in.close(house.terms.lifetimes.idle).await;
        }
    }

    pub(super) fn observe_keyrings(&self) {
        for keyring in self.keyrings.lock().iter() {
            let name = [keyring.name()];
            self.metrics.provider_up.with(&name).set(if keyring.up() { 1.0 } else { 0.0 });
            let counted = self.metrics.keys_fetches.with(&name);
            counted.add(keyring.fetches().saturating_sub(counted.value()));
        }
        for (name, up) in self.sign_in.get().map(SignIn::providers_up).unwrap_or_default() {
            self.metrics.provider_up.with(&[name.as_str()]).set(if up { 1.0 } else { 0.0 });
        }
    }
}

/// Where somebody signs in, operators revoke tokens of others, tokens count once, or somebody else may have revoked: other
/// replicas on the store they share, an earlier process on its disk.
fn needs_state(settings: &Settings) -> bool {
    let alone = matches!(settings.store.kind, StoreKind::Memory) && settings.store.state_dir.is_none();
    let people = !settings.providers.is_empty() || !settings.admin.operators.is_empty();
    people || !alone || settings.routes.routes().iter().any(|route| route.sensitive)
}

/// What a gate needs where people sign in.
#[derive(Debug)]
pub(crate) struct SigningIn {
    house: Arc<House>,
    /// `None`: nobody signs in.
    endpoints: Option<Arc<dyn Endpoints>>,
    api_keys: Arc<ApiKeys>,
}

/// Sessions, and the endpoints to get them where somebody signs in.
fn signing_in(settings: &Settings, opened: &SignIn, prepared: Prepared, limits: Option<&Arc<Guard>>) -> SigningIn {
    let (house, own) = opened.compose(settings, prepared, limits);
    let endpoints = (!settings.providers.is_empty()).then(|| Arc::new(own) as _);
    SigningIn { house, endpoints, api_keys: Arc::clone(&opened.api_keys) }
}

/// The gate of these settings with these keys. Whoever wants to know what the gate would say asks one made here.
pub(crate) fn gate(
    settings: &Settings,
    issuers: Vec<Desk>,
    signing_in: Option<SigningIn>,
    limits: Option<Arc<Guard>>,
) -> Gate {
    let (house, endpoints, api_keys) = match signing_in {
        Some(SigningIn { house, endpoints, api_keys }) => (Some(house), endpoints, Some(api_keys)),
        None => (None, None, None),
    };
    Gate::new(Plan {
        routes: settings.routes.clone(),
        issuers,
        identity: Arc::clone(&settings.identity),
        trusted: settings.server.trusted.clone(),
        prefix: settings.server.prefix.clone(),
        endpoints,
        house,
        limits,
        api_keys,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{from_text, Secrets, World};
    use std::path::Path;

    fn needs(text: &str) -> bool {
        let base = "[[upstream]]\nname = \"app\"\nurl = \"http://127.0.0.1:3000\"\n\n";
        let world = World { env: &|_| None, secrets: Secrets::Literal };
        let loaded = from_text(&format!("{base}{text}"), Path::new("/nowhere"), &world);
        needs_state(&loaded.unwrap_or_else(|mistakes| panic!("{mistakes}")).settings)
    }

    #[test]
    fn what_an_earlier_process_kept_on_disk_counts_whoever_may_add_to_it_now() {
        assert!(!needs(""));
        assert!(needs(
            "[store]\nstate_dir = \"/nowhere/state\"\nsecret = \"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"\n"
        ));
    }
}
