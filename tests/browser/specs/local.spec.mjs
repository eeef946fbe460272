// Signing in as a local user, in a browser that runs no script at all.
import { expect, needsDoorward, received, signInLocally, test } from '../helpers.mjs';

needsDoorward();
test.use({ javaScriptEnabled: false });

const LOCAL = { provider: false, local: true };

test('a local user signs in without JavaScript', async ({ house, page }) => {
  const { origin } = await house(LOCAL);
  await page.goto(`${origin}/app?x=1`);
  await signInLocally(page, 'alice');
  await page.waitForURL(`${origin}/app?x=1`);
  const { headers } = await received(page);
  expect(headers).toMatchObject({ 'x-auth-subject': 'alice', 'x-auth-provider': 'local', 'x-auth-roles': 'admin,user' });
});

test('a wrong password and an unknown name look the same', async ({ house, page }) => {
  const { origin } = await house(LOCAL);
  const said = [];
  for (const [name, password] of [['alice', 'wrong'], ['nobody', 'wrong']]) {
    await page.goto(`${origin}/app`);
    const [response] = await Promise.all([
      page.waitForResponse((response) => response.request().method() === 'POST'),
      signInLocally(page, name, password),
    ]);
    expect(response.status()).toBe(401);
    await expect(page.getByLabel('Username')).toHaveValue(name);
    await expect(page.getByLabel('Password')).toHaveValue('');
    said.push(await page.getByRole('alert').textContent());
  }
  expect(said[0]).toBe(said[1]);
});

test('after a mistake the right password still leads to where one wanted to go', async ({ house, page }) => {
  const { origin } = await house(LOCAL);
  await page.goto(`${origin}/app`);
  await signInLocally(page, 'bob', 'wrong');
  await page.getByRole('alert').waitFor();
  await signInLocally(page, 'bob');
  await page.waitForURL(`${origin}/app`);
});

test('what is typed is never markup', async ({ house, page }) => {
  const { origin } = await house(LOCAL);
  const name = '"><h2>owned</h2>';
  await page.goto(`${origin}/app`);
  await signInLocally(page, name, 'x');
  await page.getByRole('alert').waitFor();
  await expect(page.getByLabel('Username')).toHaveValue(name);
  await expect(page.getByRole('heading', { name: 'owned' })).toHaveCount(0);
});

// A page elsewhere that signs its visitor in as somebody else, to see what they then do (login CSRF).
test('a form on another site signs nobody in', async ({ house, page, request }) => {
  const { origin } = await house(LOCAL);
  const form = { username: 'bob', password: 'bob-password', return_to: '/', csrf: 'guessed' };
  const headers = { origin: 'http://evil.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
  const response = await request.post(`${origin}/.auth/login?provider=local`, { form, headers, maxRedirects: 0 });
  expect(response.status()).toBe(403);
  await page.goto(`${origin}/app`);
  await expect(page.getByLabel('Username')).toBeVisible();
});

test('ten failures are the end of it for a while', async ({ house, page }) => {
  const { origin } = await house(LOCAL);
  const statuses = [];
  for (let attempt = 0; attempt < 11; attempt += 1) {
    await page.goto(`${origin}/app`);
    const [response] = await Promise.all([
      page.waitForResponse((response) => response.request().method() === 'POST'),
      signInLocally(page, 'alice', `wrong ${attempt}`),
    ]);
    statuses.push(response.status());
  }
  expect(statuses).toEqual([...Array(10).fill(401), 429]);
  await expect(page.getByRole('alert')).toContainText('1 minute');
});
