// Signing out: here, at the provider, and from there.
import { expect, needsDoorward, received, signInAtProvider, signInLocally, test } from '../helpers.mjs';

needsDoorward();

async function signedIn(house, page, options) {
  const built = await house(options);
  await page.goto(`${built.origin}/app`);
  await signInAtProvider(page, 'alice');
  await received(page);
  return built;
}

test('one button ends the session here and at the provider', async ({ house, page, context }) => {
  const { origin, provider } = await signedIn(house, page);
  await page.goto(`${origin}/.auth/logout`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  // the way leads past the provider, which asks for itself
  await page.waitForURL(`${provider.issuer}/**`);
  const ours = async () => (await context.cookies(origin)).filter((cookie) => cookie.name.includes('doorward'));
  expect(await ours(), 'we are done before the provider is asked').toEqual([]);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL(`${origin}/**`);
  await page.goto(`${origin}/app`);
  await expect(page.getByRole('heading', { name: 'Sign in at the provider' })).toBeVisible();
  expect((await provider.counters()).logout).toBe(1);
});

test('looking at the sign-out page signs nobody out', async ({ house, page }) => {
  const { origin } = await signedIn(house, page);
  await page.goto(`${origin}/.auth/logout`);
  await page.goto(`${origin}/app`);
  expect((await received(page)).headers['x-auth-subject']).toBe('alice');
});

test('another site cannot sign anybody out', async ({ house, page, context }) => {
  const { origin } = await signedIn(house, page);
  const headers = { 'sec-fetch-site': 'cross-site', origin: 'http://evil.example' };
  const response = await context.request.post(`${origin}/.auth/logout`, { headers, maxRedirects: 0 });
  expect(response.status()).toBe(403);
  await page.goto(`${origin}/app`);
  expect((await received(page)).headers['x-auth-subject']).toBe('alice');
});

test('a program signs out without a page', async ({ house, page }) => {
  const { origin } = await signedIn(house, page);
  const status = await page.evaluate(async () => (await fetch('/.auth/logout', { method: 'POST' })).status);
  expect(status).toBe(204);
  expect(await page.evaluate(async () => (await fetch('/.auth/me')).status)).toBe(401);
  expect(origin).toBe(new URL(page.url()).origin);
});

for (const by of ['sid', 'sub']) {
  test(`the provider ends the session by ${by}, in every browser that has it`, async ({ house, page }) => {
    const { provider } = await signedIn(house, page);
    const { told } = await provider.control(`/backchannel-logout?sub=alice&by=${by}`);
    expect(told).toEqual(['told']);
    const me = () => page.evaluate(async () => (await fetch('/.auth/me')).status);
    await expect.poll(me).toBe(401);
  });
}

test('a cookie copied before signing out is worth nothing after it', async ({ house, page, context, browser }) => {
  const { origin } = await signedIn(house, page);
  const stolen = await context.storageState();
  await page.evaluate(async () => fetch('/.auth/logout', { method: 'POST' }));
  const thief = await browser.newContext({ storageState: { cookies: stolen.cookies, origins: [] } });
  const response = await thief.request.get(`${origin}/.auth/me`, { maxRedirects: 0 });
  expect(response.status()).toBe(401);
  await thief.close();
});

for (const mode of ['"opaque"', '"jwt"']) {
  test(`signed out in one tab, the next page of another is sign-in, once (${mode})`, async ({ house, page, context }) => {
    const { origin } = await house({ provider: false, local: true, session: { mode } });
    await page.goto(`${origin}/one`);
    await signInLocally(page, 'alice');
    await received(page);
    const other = await context.newPage();
    await other.goto(`${origin}/two?x=1`);
    await received(other);

    await page.goto(`${origin}/.auth/logout`);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'You are signed out' }).waitFor();

    const seen = [];
    other.on('request', (request) => request.isNavigationRequest() && seen.push(new URL(request.url()).pathname));
    await other.reload();
    await expect(other.getByLabel('Username')).toBeVisible();
    expect(seen).toEqual(['/two', '/.auth/login']);
    await signInLocally(other, 'alice');
    await other.waitForURL(`${origin}/two?x=1`);
    await received(other);
    expect(seen).toEqual(['/two', '/.auth/login', '/.auth/login', '/two']);
    await page.goto(`${origin}/one`);
    expect((await received(page)).headers['x-auth-subject']).toBe('alice');
  });
}
