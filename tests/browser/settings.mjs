// The configuration of a gate under test, and its local users.
import { accounts } from './accounts.mjs';

/** `tokens`, `session` and `pages` are tables as text values: { access_ttl: '"10s"' }. */
export function settings({ port, adminPort, origin, backend, provider, local, tokens = {}, session = {}, pages = {} }) {
  return `
[server]
listen     = ["127.0.0.1:${port}"]
public_url = "${origin}"
drain      = { pre_stop = "0s", max = "2s" }

[admin]
listen = "127.0.0.1:${adminPort}"

[store]
url    = "${process.env.DOORWARD_STORE ?? 'memory:'}"
secret = "env:DOORWARD_SECRET"
${table('tokens', tokens)}${table('session', session)}${table('pages', pages)}${provider ? oidc(provider) : ''}${local ? LOCAL : ''}
[[upstream]]
name = "app"
url  = "${backend}"

[[route]]
path   = "/public/**"
access = "public"

[[route]]
path  = "/admin/**"
roles = ["admin"]

[[route]]
path   = "/**"
access = "authenticated"
`;
}

const LOCAL = `
[[provider]]
name  = "local"
kind  = "local"
users = "users.toml"
`;

function oidc({ issuer, client_id }) {
  return `
[[provider]]
name          = "oidc"
kind          = "oidc"
issuer        = "${issuer}"
client_id     = "${client_id}"
client_secret = "env:OIDC_SECRET"
scopes        = ["openid", "profile", "email", "offline_access"]
`;
}

function table(name, entries) {
  const lines = Object.entries(entries).map(([key, value]) => `${key} = ${value}\n`);
  return lines.length > 0 ? `\n[${name}]\n${lines.join('')}` : '';
}

export function usersFile() {
  const users = Object.entries(accounts).map(
    ([name, { hash, email, roles }]) => `[[user]]
name     = "${name}"
password = "${hash}"
email    = "${email}"
roles    = ${JSON.stringify(roles)}
`,
  );
  return users.join('\n');
}
