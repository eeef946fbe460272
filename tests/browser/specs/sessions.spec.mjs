// One's own sessions: seeing them, ending them, and having too many.
import { expect, needsDoorward, received, signInLocally, test } from '../helpers.mjs';

needsDoorward();

const LOCAL = { provider: false, local: true };

async function signIn(browser, origin, name = 'alice') {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${origin}/app`);
  await signInLocally(page, name);
  return page;
}

// Not from within the page: our own pages connect to nobody.
const me = async (page) => (await page.request.get(new URL('/.auth/me', page.url()).href)).status();

test('one sees where one is signed in, and nobody else’s sessions', async ({ house, browser }) => {
  const { origin } = await house(LOCAL);
  const [here] = [await signIn(browser, origin), await signIn(browser, origin), await signIn(browser, origin, 'bob')];
  await received(here);
  await here.goto(`${origin}/.auth/sessions`);
  await expect(here.locator('.sessions > li')).toHaveCount(2);
  await expect(here.getByText('This one')).toHaveCount(1);
  await expect(here.locator('.sessions > li').first()).toContainText('Chrom');
});

test('programs get the same as JSON, without a credential in it', async ({ house, browser }) => {
  const { origin } = await house(LOCAL);
  const page = await signIn(browser, origin);
  await received(page);
  const { sessions } = await page.evaluate(async () =>
    (await fetch('/.auth/sessions', { headers: { accept: 'application/json' } })).json(),
  );
  expect(sessions).toHaveLength(1);
  expect(Object.keys(sessions[0]).sort()).toEqual(['created', 'current', 'device', 'expires', 'id', 'ip', 'last_seen']);
  expect(sessions[0].current).toBe(true);
});

test('another session ends at a button, and this one goes on', async ({ house, browser }) => {
  const { origin } = await house(LOCAL);
  const [here, there] = [await signIn(browser, origin), await signIn(browser, origin)];
  await received(here);
  await received(there);
  await here.goto(`${origin}/.auth/sessions`);
  await here.getByRole('button', { name: /^End the session/ }).click();
  await expect(here.locator('.sessions > li')).toHaveCount(1);
  await expect.poll(() => me(there)).toBe(401);
  expect(await me(here)).toBe(200);
});

test('all others end at one button', async ({ house, browser }) => {
  const { origin } = await house(LOCAL);
  const here = await signIn(browser, origin);
  const others = [await signIn(browser, origin), await signIn(browser, origin)];
  await received(here);
  await here.goto(`${origin}/.auth/sessions`);
  await here.getByRole('button', { name: 'End all others' }).click();
  await expect(here.locator('.sessions > li')).toHaveCount(1);
  for (const other of others) await expect.poll(() => me(other)).toBe(401);
});

test('nobody ends a session of somebody else', async ({ house, browser }) => {
  const { origin } = await house(LOCAL);
  const [alice, bob] = [await signIn(browser, origin), await signIn(browser, origin, 'bob')];
  await received(alice);
  await received(bob);
  const id = await alice.evaluate(async () =>
    (await (await fetch('/.auth/sessions', { headers: { accept: 'application/json' } })).json()).sessions[0].id,
  );
  const status = await bob.evaluate(async (id) => (await fetch(`/.auth/sessions/${id}`, { method: 'DELETE' })).status, id);
  expect([403, 404]).toContain(status);
  expect(await me(alice)).toBe(200);
});

test('the oldest session makes room for a new one', async ({ house, browser }) => {
  const { origin } = await house({ ...LOCAL, session: { max_per_user: 2 } });
  const [first, second] = [await signIn(browser, origin), await signIn(browser, origin)];
  await received(second);
  const third = await signIn(browser, origin);
  await received(third);
  await expect.poll(() => me(first)).toBe(401);
  expect([await me(second), await me(third)]).toEqual([200, 200]);
});

test('with `reject` one chooses which session makes room', async ({ house, browser }) => {
  const { origin } = await house({ ...LOCAL, session: { max_per_user: 1, on_limit: '"reject"' } });
  const first = await signIn(browser, origin);
  await received(first);
  const second = await signIn(browser, origin);
  await second.getByRole('heading', { name: /too many devices/ }).waitFor();
  expect(await me(first), 'nothing ended yet').toBe(200);
  await second.getByRole('radio').first().check();
  await second.getByRole('button').click();
  await second.waitForURL(`${origin}/app`);
  await received(second);
  await expect.poll(() => me(first)).toBe(401);
});
