// Too fast: the page of a limit, for people who clicked a little often.
import { expect, needsDoorward, received, signInLocally, test } from '../helpers.mjs';
import { faults } from '../readable.mjs';

needsDoorward();

const LIMITED = `
[[limit]]
name  = "visitors"
key   = ["ip"]
rate  = "20/min"
burst = 2

[[route]]
path   = "/catalogue"
access = "public"
limits = ["visitors"]

[[limit]]
name  = "people"
key   = ["user"]
rate  = "20/min"
burst = 2

[[route]]
path   = "/reports"
access = "authenticated"
limits = ["people"]
`;

const HOUSE = { provider: false, local: true, more: LIMITED };

/** Asks until it was too often, and says how long to wait. */
async function ask(page, url) {
  for (let clicks = 0; clicks < 10; clicks += 1) {
    const response = await page.goto(url);
    if (response.status() === 429) return response;
    expect(response.status()).toBe(200);
  }
  throw new Error('ten clicks were not too many');
}

test('whoever clicks too often gets a page to read, and waits as long as it says', async ({ house, page }) => {
  const { origin } = await house(HOUSE);
  const response = await ask(page, `${origin}/catalogue`);
  const headers = response.headers();
  expect(headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
  expect(headers['content-security-policy']).toMatch(/^default-src 'none';/);
  expect(headers['content-security-policy']).not.toContain('script-src');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(/Too many requests/);
  await expect(page.getByText('rate_limited')).toBeVisible();
  expect(await page.evaluate(() => document.scripts.length), 'nothing to run').toBe(0);
  expect(await faults(page)).toEqual([]);

  const seconds = Number(headers['retry-after']);
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThanOrEqual(3);
  await page.waitForTimeout(seconds * 1000);
  expect((await page.reload()).status()).toBe(200);
});

test('a limit signs nobody out and stands in nobody else’s way', async ({ house, page, browser }) => {
  const { origin } = await house(HOUSE);
  await page.goto(`${origin}/app`);
  await signInLocally(page, 'alice');
  await received(page);
  await ask(page, `${origin}/reports`);
  await page.goto(`${origin}/app`);
  expect((await received(page)).headers['x-auth-subject']).toBe('alice');

  const bob = await (await browser.newContext()).newPage();
  await bob.goto(`${origin}/reports`);
  await signInLocally(bob, 'bob');
  await bob.waitForURL(`${origin}/reports`);
  await received(bob);
});

test('signing in too often is a page as well', async ({ house, page }) => {
  const { origin } = await house({ ...HOUSE, more: '\n[[limit]]\nname  = "ip"\nrate  = "10/min"\nburst = 2\n' });
  await ask(page, `${origin}/.auth/login`);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(/Too many requests/);
  expect(await page.evaluate(() => document.scripts.length)).toBe(0);
  expect(await faults(page)).toEqual([]);
});
