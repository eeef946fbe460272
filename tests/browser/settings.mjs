// The configuration of a gate under test, and its local users.
import { accounts } from './accounts.mjs';

/**
 * `tokens`, `session` and `pages` are tables as text values: { access_ttl: '"10s"' }. `store` is a URL, and `more` whatever
 * else stands in the file. Gates that share a store share nothing in it.
 */
export function settings(wanted) {
  const { port, adminPort, origin, backend, provider, local, tokens = {}, session = {}, pages = {}, more = '' } = wanted;
  const store = wanted.store ?? process.env.DOORWARD_STORE ?? 'memory:';
  return `
[server]
listen     = ["127.0.0.1:${port}"]
public_url = "${origin}"
drain      = { pre_stop = "0s", max = "2s" }

[admin]
listen = "127.0.0.1:${adminPort}"

[store]
url    = "${store}"
prefix = "dw-${port}:"
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
${more}`;
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
