// The store goes away and comes back, and people notice as little as can be.
import { expect, needsDoorward, received, signInLocally, test as base } from '../helpers.mjs';
import { openRedis } from '../redis.mjs';

needsDoorward();

const test = base.extend({
  redis: async ({}, use) => {
    const redis = await openRedis();
    await use(redis);
    await redis.remove();
  },
});

const settings = (redis) => ({ provider: false, local: true, store: redis.url, tokens: { access_ttl: '"12s"' } });

/** The navigations of a tab from now on, redirects included. */
function navigations(page) {
  const seen = [];
  page.on('request', (request) => {
    if (request.isNavigationRequest()) seen.push(`${request.method()} ${new URL(request.url()).pathname}`);
  });
  return seen;
}

test('signing in without a store works for a while, and properly once it is back', async ({ house, page, redis }) => {
  const { origin } = await house(settings(redis));
  await redis.stop();
  await page.goto(`${origin}/app`);
  await signInLocally(page, 'alice');
  await page.waitForURL(`${origin}/app`);
  const { headers } = await received(page);
  expect(headers['x-auth-subject']).toBe('alice');
  expect(headers['x-doorward-degraded']).toContain('sign_in');
  await page.goto(`${origin}/other`);
  await received(page);

  await redis.start();
  // the token for minutes has no renewal: when it ends, one signs in once more, and that is the end of it
  const seen = navigations(page);
  await expect(async () => {
    seen.length = 0;
    await page.goto(`${origin}/app`);
    await expect(page.getByLabel('Username')).toBeVisible({ timeout: 500 });
  }).toPass({ timeout: 30_000 });
  expect(seen).toEqual(['GET /app', 'GET /.auth/login']);
  await signInLocally(page, 'alice');
  await page.waitForURL(`${origin}/app`);
  expect((await received(page)).headers['x-auth-subject']).toBe('alice');
  expect((await page.request.get(`${origin}/.auth/me`)).status()).toBe(200);
});

test('whoever is signed in reads on while the store is away, and is sent nowhere', async ({ house, page, redis }) => {
  const { origin } = await house(settings(redis));
  await page.goto(`${origin}/app`);
  await signInLocally(page, 'bob');
  await received(page);
  await redis.stop();
  const seen = navigations(page);
  await page.goto(`${origin}/while/away`);
  expect((await received(page)).headers['x-auth-subject']).toBe('bob');
  await redis.start();
  await page.goto(`${origin}/after`);
  expect((await received(page)).headers['x-auth-subject']).toBe('bob');
  expect(seen).toEqual(['GET /while/away', 'GET /after']);
  await expect.poll(async () => (await page.request.get(`${origin}/.auth/me`)).status()).toBe(200);
});

test('a token that ends while the store is away is a page that says so, and no sign-in', async ({ house, page, redis }) => {
  const { origin } = await house(settings(redis));
  await page.goto(`${origin}/app`);
  await signInLocally(page, 'bob');
  await received(page);
  await redis.stop();
  await expect.poll(async () => (await page.goto(`${origin}/later`)).status(), { timeout: 30_000 }).toBe(503);
  await expect(page.getByText('store_unavailable')).toBeVisible();
  expect(page.url()).toBe(`${origin}/later`);
  await redis.start();
  await expect.poll(async () => (await page.goto(`${origin}/later`)).status(), { timeout: 15_000 }).toBe(200);
  expect((await received(page)).headers['x-auth-subject']).toBe('bob');
});
