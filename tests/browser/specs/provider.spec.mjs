// The provider is a tool of the other tests: what they rely on holds.
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { expect, test as base } from '@playwright/test';
import { readForm } from '../login.mjs';
import { heldAnswer, signInAtProvider, startProvider } from '../helpers.mjs';

/** A client by hand: one that signs alice in and then talks to the token endpoint. */
const test = base.extend({
  client: async ({ page }, use) => {
    const client = await openClient();
    const provider = await startProvider({
      REDIRECT_URIS: `${client.origin}/callback`,
      POST_LOGOUT_REDIRECT_URIS: `${client.origin}/bye`,
      BACKCHANNEL_LOGOUT_URI: `${client.origin}/backchannel`,
    });
    client.provider = provider;
    client.signIn = async (name) => {
      const verifier = randomBytes(32).toString('base64url');
      const redirect = `${client.origin}/callback`;
      await page.goto(`${provider.issuer}/auth?${question(provider, redirect, verifier)}`);
      await signInAtProvider(page, name);
      await page.waitForURL(`${redirect}?**`);
      const code = new URL(page.url()).searchParams.get('code');
      return tokens(provider, { grant_type: 'authorization_code', code, redirect_uri: redirect, code_verifier: verifier });
    };
    client.refresh = (token) => tokens(provider, { grant_type: 'refresh_token', refresh_token: token });
    await use(client);
    await provider.stop();
    await client.stop();
  },
});

async function openClient() {
  const client = { logoutTokens: [] };
  const server = createServer(async (request, response) => {
    if (request.method === 'POST') client.logoutTokens.push(claims((await readForm(request)).get('logout_token')));
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Client</title>');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  client.origin = `http://localhost:${server.address().port}`;
  client.stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return client;
}

function question({ client_id }, redirect_uri, verifier) {
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  return new URLSearchParams({
    client_id,
    redirect_uri,
    response_type: 'code',
    scope: 'openid profile email offline_access',
    state: 'state',
    nonce: 'nonce',
    code_challenge: challenge,
    code_challenge_method: 'S256',
  });
}

async function tokens({ issuer, client_id, client_secret }, body) {
  const basic = Buffer.from(`${client_id}:${client_secret}`).toString('base64');
  const headers = { authorization: `Basic ${basic}` };
  const response = await fetch(`${issuer}/token`, { method: 'POST', headers, body: new URLSearchParams(body) });
  return { status: response.status, ...(await response.json()) };
}

const part = (token, at) => JSON.parse(Buffer.from(token.split('.')[at], 'base64url'));
const claims = (token) => part(token, 1);
const kid = (token) => part(token, 0).kid;

test('the ID token says who, with roles and a session', async ({ client }) => {
  const { status, id_token, access_token } = await client.signIn('alice');
  expect(status).toBe(200);
  expect(claims(id_token)).toMatchObject({ sub: 'alice', roles: ['admin', 'user'], email_verified: true, nonce: 'nonce' });
  expect(claims(id_token).sid).toBeTruthy();
  const headers = { authorization: `Bearer ${access_token}` };
  expect(await (await fetch(`${client.provider.issuer}/me`, { headers })).json()).toMatchObject({ sub: 'alice' });
});

test('a refresh token works once, and a second use ends its family', async ({ client }) => {
  const first = await client.signIn('alice');
  const second = await client.refresh(first.refresh_token);
  expect(second.status).toBe(200);
  expect(second.refresh_token).not.toBe(first.refresh_token);
  expect((await client.refresh(first.refresh_token)).error).toBe('invalid_grant');
  expect((await client.refresh(second.refresh_token)).error).toBe('invalid_grant');
  const { token, token_failed } = await client.provider.counters();
  expect(token).toEqual({ authorization_code: 1, refresh_token: 1 });
  expect(token_failed).toEqual({ refresh_token: 2 });
});

test('forms that were open at once finish in any order', async ({ client, context }) => {
  const { provider, origin } = client;
  const tabs = await Promise.all([1, 2].map(() => context.newPage()));
  for (const tab of tabs) await tab.goto(`${provider.issuer}/auth?${question(provider, `${origin}/callback`, 'x'.repeat(43))}`);
  for (const tab of tabs.reverse()) {
    await signInAtProvider(tab, 'alice');
    await tab.waitForURL(`${origin}/callback?**`);
    expect(new URL(tab.url()).searchParams.get('code')).toBeTruthy();
  }
});

test('an answer can be held back before a browser follows it', async ({ client, context }) => {
  const { provider, origin } = client;
  const start = `${provider.issuer}/auth?${question(provider, `${origin}/callback`, 'x'.repeat(43))}`;
  const answer = new URL(await heldAnswer(context.request, start, 'bob'));
  expect([answer.origin, answer.searchParams.get('state')]).toEqual([origin, 'state']);
  expect(answer.searchParams.get('code')).toBeTruthy();
});

test('whoever cancels goes back with an error', async ({ client, page }) => {
  const { provider, origin } = client;
  await page.goto(`${provider.issuer}/auth?${question(provider, `${origin}/callback`, 'x'.repeat(43))}`);
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.waitForURL(`${origin}/callback?error=access_denied**`);
});

test('new keys sign, and everything else goes on', async ({ client }) => {
  const first = await client.signIn('bob');
  await client.provider.control('/rotate-keys');
  const second = await client.refresh(first.refresh_token);
  expect(second.status).toBe(200);
  expect(kid(second.id_token)).not.toBe(kid(first.id_token));
  const { keys } = await (await fetch(`${client.provider.issuer}/jwks`)).json();
  expect(keys.map((key) => key.kid)).toEqual([kid(second.id_token)]);
});

test('it is slow, down and well again when told to', async ({ client }) => {
  const { provider } = client;
  const jwks = () => fetch(`${provider.issuer}/jwks`).then((response) => response.status, () => 'broken');
  await provider.control('/slow?seconds=0.3');
  const began = performance.now();
  await client.refresh('unknown');
  expect(performance.now() - began).toBeGreaterThanOrEqual(299);
  await provider.control('/down?how=error');
  expect(await jwks()).toBe(503);
  await provider.control('/down?how=reset');
  expect(await jwks()).toBe('broken');
  await provider.control('/reset');
  expect(await jwks()).toBe(200);
});

test('grants end behind the client’s back', async ({ client }) => {
  const { refresh_token } = await client.signIn('alice');
  await client.provider.control('/end-grants?sub=alice');
  expect((await client.refresh(refresh_token)).error).toBe('invalid_grant');
});

test('signing out there tells the client', async ({ client, page }) => {
  const { id_token } = await client.signIn('alice');
  const query = new URLSearchParams({ id_token_hint: id_token, post_logout_redirect_uri: `${client.origin}/bye` });
  await page.goto(`${client.provider.issuer}/session/end?${query}`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL(`${client.origin}/bye`);
  expect(client.logoutTokens).toHaveLength(1);
  expect(client.logoutTokens[0]).toMatchObject({ sub: 'alice', sid: claims(id_token).sid });
});

test('logout tokens are sent on demand, by session and by user', async ({ client }) => {
  const { id_token } = await client.signIn('alice');
  await client.provider.control('/backchannel-logout?sub=alice');
  await client.provider.control('/backchannel-logout?sub=alice&by=sub');
  expect(client.logoutTokens.map((token) => token.sid)).toEqual([claims(id_token).sid, undefined]);
});
