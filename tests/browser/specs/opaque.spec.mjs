// Sessions whose cookie says nothing, and cookies that no other site may bring along.
import { expect, needsDoorward, received, signInAtProvider, signInLocally, test } from '../helpers.mjs';

needsDoorward();

const OPAQUE = { session: { mode: '"opaque"' } };

test('the cookie is a handle, and the backend is told the same as ever', async ({ house, page, context }) => {
  const { origin } = await house(OPAQUE);
  await page.goto(`${origin}/app`);
  await signInAtProvider(page, 'alice');
  await page.waitForURL(`${origin}/app`);
  const { headers } = await received(page);
  expect(headers).toMatchObject({
    'x-auth-subject': 'alice',
    'x-auth-email': 'alice@example.com',
    'x-auth-name': 'Alice Example',
    'x-auth-roles': 'admin,user',
    'x-auth-method': 'session',
    'x-auth-provider': 'oidc',
  });
  const ours = (await context.cookies(origin)).filter(({ name }) => /doorward(-r\d)?$/.test(name));
  expect(ours.map(({ name }) => name)).toEqual(['doorward']);
  expect(ours[0].value).toMatch(/^v1\.[\w-]{22}\.[\w-]{43}\.[\w-]{22}$/);
  expect(ours[0].value).not.toContain(headers['x-auth-session']);
});

test('a refresh extends the session and shows no token', async ({ house, page }) => {
  const { origin } = await house({ ...OPAQUE, provider: false, local: true });
  await page.goto(`${origin}/app`);
  await signInLocally(page, 'bob');
  await page.waitForURL(`${origin}/app`);
  const refreshed = await page.evaluate(async () => {
    const response = await fetch('/.auth/refresh', { method: 'POST', headers: { accept: 'application/json' } });
    return { status: response.status, body: await response.json() };
  });
  expect(refreshed).toMatchObject({ status: 200, body: { expires_in: 1800, id: { sub: 'bob', provider: 'local' } } });
  expect(Object.keys(refreshed.body).sort()).toEqual(['expires_in', 'id']);
});

test('whoever signs out is nobody at once, in every tab', async ({ house, page, context }) => {
  const { origin } = await house({ ...OPAQUE, provider: false, local: true });
  await page.goto(`${origin}/app`);
  await signInLocally(page, 'alice');
  await page.waitForURL(`${origin}/app`);
  const copied = await context.cookies(origin);
  await page.goto(`${origin}/.auth/logout`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
  await context.addCookies(copied);
  const response = await page.request.get(`${origin}/app`, { maxRedirects: 0 });
  expect(response.status()).toBe(401);
});

for (const mode of ['"opaque"', '"jwt"']) {
  test(`with strict cookies a sign-in at a provider arrives at the first try (${mode})`, async ({ house, page, context }) => {
    const { origin, provider } = await house({ session: { mode, cookie: '{ same_site = "strict" }' } });
    await page.goto(`${origin}/reports?year=2026&sort=a%20b`);
    await signInAtProvider(page, 'alice');
    await page.waitForURL(`${origin}/reports?year=2026&sort=a%20b`);
    expect((await received(page)).headers['x-auth-subject']).toBe('alice');
    const ours = (await context.cookies(origin)).filter(({ name }) => name === 'doorward');
    expect(ours).toMatchObject([{ sameSite: 'Strict' }]);
    expect((await provider.counters()).token.authorization_code).toBe(1);
  });
}
