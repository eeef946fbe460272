// A real OpenID provider on a free loopback port, for tests: alice and bob, one client, refresh tokens that work once.
//
//   node provider.mjs
//
// prints one line of JSON: { issuer, control, client_id, client_secret, pid }. Settings come from the environment:
//
//   PORT, CONTROL_PORT            0 (the default) takes a free one
//   REDIRECT_URIS                 of the client, separated by spaces
//   POST_LOGOUT_REDIRECT_URIS     likewise
//   BACKCHANNEL_LOGOUT_URI        where logout tokens go
//   ACCESS_TTL, ID_TTL, REFRESH_TTL, SESSION_TTL   seconds
//   ALGORITHM                     of ID tokens: RS256 (default) or ES256
//   OFFLINE=strict                a refresh token only for prompt=consent with offline_access, as the standard says;
//                                 otherwise whoever may have one gets one, as most providers do it
//   CLIENT_AUTH                   client_secret_basic (default) or client_secret_post
//
// A second port steers it, see control() below.

import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { accounts, claimsOf } from './accounts.mjs';
import { loginPage, readForm } from './login.mjs';
import { Memory } from './memory.mjs';

// stdout is for the one line
console.info = console.warn = console.log = (...words) => console.error(...words);
const { Provider } = await import('oidc-provider');

const env = process.env;
const seconds = (name, otherwise) => Number(env[name] ?? otherwise);
const list = (name) => (env[name] ?? '').split(/\s+/).filter(Boolean);
const algorithm = env.ALGORITHM ?? 'RS256';
const client = { id: 'doorward', secret: `test-${randomUUID()}` };
const memory = new Memory();
const cookieKey = randomUUID();
let keys = [newKey()];
let counters = fresh();
let trouble = { slow: 0, down: null };
let issuer;
let provider;
let answer;

function fresh() {
  return { token: {}, token_failed: {}, authorization: 0, userinfo: 0, revocation: 0, jwks: 0, discovery: 0, logout: 0 };
}

function newKey() {
  const kinds = { RS256: ['rsa', { modulusLength: 2048 }], ES256: ['ec', { namedCurve: 'P-256' }] };
  const { privateKey } = generateKeyPairSync(...kinds[algorithm]);
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: algorithm, kid: randomUUID() };
}

function configuration() {
  return {
    adapter: (kind) => memory.adapter(kind),
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        token_endpoint_auth_method: env.CLIENT_AUTH ?? 'client_secret_basic',
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: list('REDIRECT_URIS'),
        post_logout_redirect_uris: list('POST_LOGOUT_REDIRECT_URIS'),
        id_token_signed_response_alg: algorithm,
        ...(env.BACKCHANNEL_LOGOUT_URI && {
          backchannel_logout_uri: env.BACKCHANNEL_LOGOUT_URI,
          backchannel_logout_session_required: true,
        }),
      },
    ],
    jwks: { keys },
    cookies: { keys: [cookieKey] },
    claims: { openid: ['sub', 'roles'], profile: ['name'], email: ['email', 'email_verified'] },
    // roles, name and email stand in the ID token too, as with most providers
    conformIdTokenClaims: false,
    findAccount: async (_, sub) => accounts[sub] && { accountId: sub, claims: async () => claimsOf(sub) },
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      revocation: { enabled: true, allowedPolicy: async () => true },
      rpInitiatedLogout: { enabled: true, logoutSource: askToSignOut },
    },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    rotateRefreshToken: true,
    ...(env.OFFLINE !== 'strict' && {
      issueRefreshToken: async (_, asking) => asking.grantTypeAllowed('refresh_token'),
      expiresWithSession: async () => false,
    }),
    ttl: {
      AccessToken: seconds('ACCESS_TTL', 900),
      IdToken: seconds('ID_TTL', 900),
      RefreshToken: seconds('REFRESH_TTL', 86400),
      Session: seconds('SESSION_TTL', 86400),
      Interaction: 3600,
      Grant: 86400,
    },
    // the client lives on this machine, which a provider in the open must not call
    fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
  };
}

/** The provider's question whether to sign out, which the standard asks for; one button. */
async function askToSignOut(ctx, form) {
  const confirmed = form.replace('</form>', '<button name="logout" value="yes" autofocus>Sign out</button></form>');
  ctx.body = `<!doctype html><html lang="en"><title>Sign out</title><h1>Sign out of the provider?</h1>${confirmed}`;
}

function build() {
  provider = new Provider(issuer, configuration());
  const count = (ctx, counted) => {
    const grant = ctx.oidc.params?.grant_type ?? 'unknown';
    counted[grant] = (counted[grant] ?? 0) + 1;
  };
  provider.on('grant.success', (ctx) => count(ctx, counters.token));
  provider.on('grant.error', (ctx) => count(ctx, counters.token_failed));
  provider.on('server_error', (_, error) => console.error(error));
  provider.on('backchannel.error', (_, error) => console.error('back-channel logout failed:', error.message));
  answer = provider.callback();
}

async function serve(request, response) {
  const path = new URL(request.url, issuer).pathname;
  if (trouble.down === 'reset') return request.socket.destroy();
  if (trouble.down === 'error') return response.writeHead(503).end('down for a test');
  count(path);
  if (path === '/token' && trouble.slow > 0) await sleep(trouble.slow * 1000);
  if (path.startsWith('/interaction/')) return interact(request, response);
  return answer(request, response);
}

function count(path) {
  const counted = {
    '/auth': 'authorization',
    '/me': 'userinfo',
    '/token/revocation': 'revocation',
    '/jwks': 'jwks',
    '/.well-known/openid-configuration': 'discovery',
    '/session/end': 'logout',
  }[path];
  if (counted) counters[counted] += 1;
}

/** Signing in: a form, and consent to whatever is asked. */
async function interact(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  let sub = session?.accountId;
  if (prompt.name === 'login') {
    const form = request.method === 'POST' ? await readForm(request) : undefined;
    if (form?.get('cancel')) {
      return provider.interactionFinished(request, response, { error: 'access_denied' });
    }
    if (!form || accounts[form.get('username')]?.password !== form.get('password')) {
      const page = loginPage({ failed: Boolean(form), hint: params.login_hint });
      return response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page);
    }
    sub = form.get('username');
  }
  const grant = (grantId && (await provider.Grant.find(grantId))) || new provider.Grant({ accountId: sub, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const result = { login: { accountId: sub, amr: ['pwd'] }, consent: { grantId: await grant.save() } };
  return provider.interactionFinished(request, response, result);
}

/**
 * GET  /counters                  what was asked for since the last reset; token calls by grant
 * POST /reset                     counters to zero, every trouble over
 * POST /slow?seconds=5            the token endpoint thinks that long before it looks at the request
 * POST /down?how=reset|error|off  connections break, or every answer is 503, or it is well again
 * POST /rotate-keys?keep=true     new signing key; without `keep` the old one is gone
 * POST /end-grants?sub=alice      her refresh tokens are invalid_grant
 * POST /backchannel-logout?sub=   sends a logout token for each of the user's sessions (&by=sub: one without a sid)
 */
async function control(request, response) {
  const url = new URL(request.url, 'http://control');
  const say = (status, body) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  const asked = (name) => url.searchParams.get(name);
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /counters':
      return say(200, counters);
    case 'POST /reset':
      counters = fresh();
      trouble = { slow: 0, down: null };
      return say(200, counters);
    case 'POST /slow':
      trouble.slow = Number(asked('seconds') ?? 5);
      return say(200, trouble);
    case 'POST /down':
      trouble.down = asked('how') === 'off' ? null : (asked('how') ?? 'reset');
      if (trouble.down === 'reset') server.closeAllConnections();
      return say(200, trouble);
    case 'POST /rotate-keys':
      keys = [newKey(), ...(asked('keep') === 'true' ? keys : [])];
      build();
      return say(200, { kids: keys.map((key) => key.kid) });
    case 'POST /end-grants':
      memory.endGrantsOf(asked('sub'));
      return say(200, {});
    case 'POST /backchannel-logout':
      return say(200, await tellClient(asked('sub'), asked('by')));
    default:
      return say(404, { error: 'unknown' });
  }
}

async function tellClient(sub, by) {
  const known = await provider.Client.find(client.id);
  const sids = by === 'sub' ? [undefined] : memory.sessionsOf(sub, client.id).map((session) => session.sid);
  const told = sids.map((sid) => known.backchannelLogout(sub, sid).then(() => 'told', (error) => error.message));
  return { told: await Promise.all(told) };
}

async function listen(handler, port) {
  const failed = (response) => (error) => {
    console.error(error);
    if (!response.headersSent) response.writeHead(error.status ?? 500);
    response.end();
  };
  const started = createServer((request, response) => void Promise.resolve(handler(request, response)).catch(failed(response)));
  await new Promise((resolve, reject) => started.once('error', reject).listen(port, '127.0.0.1', resolve));
  return [started, `http://127.0.0.1:${started.address().port}`];
}

const [server, origin] = await listen(serve, seconds('PORT', 0));
issuer = origin;
build();
const [controlServer, controlOrigin] = await listen(control, seconds('CONTROL_PORT', 0));
const facts = { issuer, control: controlOrigin, client_id: client.id, client_secret: client.secret, pid: process.pid };
process.stdout.write(`${JSON.stringify(facts)}\n`);

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    for (const open of [server, controlServer]) {
      open.close();
      open.closeAllConnections();
    }
  });
}
