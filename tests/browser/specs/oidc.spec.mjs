// Signing in through an OpenID provider, as a person does it.
import { expect, heldAnswer, needsDoorward, received, signInAtProvider, test } from '../helpers.mjs';

needsDoorward();

test('a person who asks for a page signs in and gets that page', async ({ house, page }) => {
  const { origin, provider } = await house();
  await page.goto(`${origin}/reports?year=2026&sort=a%20b`);
  expect(new URL(page.url()).origin).toBe(provider.issuer);
  await signInAtProvider(page, 'alice');
  await page.waitForURL(`${origin}/reports?year=2026&sort=a%20b`);
  const { headers } = await received(page);
  expect(headers).toMatchObject({
    'x-auth-subject': 'alice',
    'x-auth-email': 'alice@example.com',
    'x-auth-name': 'Alice Example',
    'x-auth-roles': 'admin,user',
    'x-auth-method': 'session',
    'x-auth-provider': 'oidc',
  });
  expect(headers.cookie ?? '', 'our cookies stay here').not.toContain('doorward');
  expect(headers.authorization).toBeUndefined();
});

test('no script can read a token', async ({ house, page, context }) => {
  const { origin } = await house();
  await page.goto(`${origin}/app`);
  await signInAtProvider(page, 'alice');
  await received(page);
  const ours = (await context.cookies(origin)).filter((cookie) => cookie.name.includes('doorward'));
  expect(ours.length).toBeGreaterThan(0);
  for (const cookie of ours) expect(cookie, cookie.name).toMatchObject({ httpOnly: true, path: '/', sameSite: 'Lax' });
  expect(await page.evaluate(() => document.cookie)).not.toContain('doorward');
  const me = await page.evaluate(async () => (await fetch('/.auth/me')).json());
  expect(me).toMatchObject({ sub: 'alice', provider: 'oidc', roles: ['admin', 'user'] });
  expect(JSON.stringify(me), '/me never shows a token').not.toMatch(/eyJ|dwr1\./);
});

test('attempts leave nothing behind once somebody is signed in', async ({ house, page, context }) => {
  const { origin } = await house();
  await page.goto(`${origin}/app`);
  await signInAtProvider(page, 'alice');
  await received(page);
  const attempts = (await context.cookies(origin)).filter((cookie) => cookie.name.includes('doorward-l-'));
  expect(attempts).toEqual([]);
});

test('several tabs sign in at once, and each arrives where it wanted to go', async ({ house, context }) => {
  const { origin } = await house();
  const tabs = await Promise.all([1, 2, 3].map(() => context.newPage()));
  for (const [at, tab] of tabs.entries()) await tab.goto(`${origin}/tab/${at}`);
  // the first form signs in at the provider, whose session then lets the others through
  for (const [at, tab] of tabs.entries()) {
    if (at === 0) await signInAtProvider(tab, 'alice');
    else await tab.goto(`${origin}/tab/${at}`);
    await tab.waitForURL(`${origin}/tab/${at}`);
    expect((await received(tab)).headers['x-auth-subject']).toBe('alice');
  }
});

test('forms that were open all along finish in any order', async ({ house, browser }) => {
  const { origin } = await house();
  const context = await browser.newContext();
  const tabs = await Promise.all([1, 2, 3].map(() => context.newPage()));
  for (const [at, tab] of tabs.entries()) await tab.goto(`${origin}/tab/${at}`);
  for (const at of [2, 0, 1]) {
    await signInAtProvider(tabs[at], 'alice');
    await tabs[at].waitForURL(`${origin}/tab/${at}`);
    expect((await received(tabs[at])).headers['x-auth-subject']).toBe('alice');
  }
  await context.close();
});

test('an answer for another browser signs nobody in', async ({ house, page, browser }) => {
  const { origin } = await house();
  const stranger = await browser.newContext();
  const answer = await heldAnswer(stranger.request, `${origin}/app`, 'bob');
  const response = await page.goto(answer);
  expect(response.status()).toBe(400);
  await expect(page.getByText('bad_state')).toBeVisible();
  expect((await page.request.get(`${origin}/.auth/me`)).status()).toBe(401);
  await stranger.close();
});

test('whoever changes their mind at the provider gets a page and no loop', async ({ house, page }) => {
  const { origin } = await house();
  await page.goto(`${origin}/app`);
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.waitForURL(`${origin}/.auth/**`);
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  await expect(page.getByText('Request', { exact: true })).toBeVisible();
});

test('a program gets 401 and no redirect', async ({ house, request }) => {
  const { origin } = await house();
  const response = await request.get(`${origin}/api`, { headers: { accept: 'application/json' }, maxRedirects: 0 });
  expect(response.status()).toBe(401);
  expect((await response.json()).code).toBe('unauthenticated');
});

test('a provider that is away is a page with a way to try again, and others go on', async ({ house, page }) => {
  const { origin, provider } = await house({ local: true });
  await provider.control('/down?how=reset');
  const response = await page.goto(`${origin}/.auth/login?provider=oidc&return_to=%2Fapp`);
  expect(response.status()).toBe(503);
  await expect(page.getByText('oidc does not answer')).toBeVisible();
  await page.getByRole('link', { name: 'Continue with local' }).click();
  await expect(page.getByLabel('Username')).toBeVisible();
  await page.goBack();
  await provider.control('/down?how=off');
  // a provider that was away is asked again every few seconds, not by everybody who clicks
  await expect(async () => {
    await page.getByRole('link', { name: 'Try again' }).click();
    await expect(page.getByRole('heading', { name: 'Sign in at the provider' })).toBeVisible({ timeout: 1000 });
  }).toPass();
  await signInAtProvider(page, 'alice');
  await page.waitForURL(`${origin}/app`);
});

test('whoever is signed in stays so while the provider is away', async ({ house, page }) => {
  const { origin, provider } = await house();
  await page.goto(`${origin}/app`);
  await signInAtProvider(page, 'alice');
  await received(page);
  await provider.control('/down?how=reset');
  await page.goto(`${origin}/other`);
  expect((await received(page)).headers['x-auth-subject']).toBe('alice');
});

test('with several providers one chooses, and the wish survives it', async ({ house, page }) => {
  const { origin } = await house({ local: true });
  await page.goto(`${origin}/app?x=1`);
  await page.getByRole('link', { name: 'Continue with oidc' }).click();
  await signInAtProvider(page, 'bob');
  await page.waitForURL(`${origin}/app?x=1`);
  const forbidden = await page.goto(`${origin}/admin/users`);
  expect(forbidden.status()).toBe(403);
  await expect(page.getByText('forbidden')).toBeVisible();
});

test('signing in leads nowhere else', async ({ house, page }) => {
  const { origin } = await house();
  for (const place of ['https://evil.example/', '//evil.example/', '/\\evil.example', '/.auth/logout']) {
    const response = await page.goto(`${origin}/.auth/login?return_to=${encodeURIComponent(place)}`);
    expect(response.status(), place).toBe(400);
    await expect(page.getByText('bad_return_to')).toBeVisible();
  }
});
