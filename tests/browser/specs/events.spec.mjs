// A page that lies open, and what it hears of its session.
import { expect, needsDoorward, received, signInLocally, test } from '../helpers.mjs';

needsDoorward();

/** Warned four seconds before the end. */
const idle = (span) => ({
  provider: false,
  local: true,
  tokens: { access_ttl: `"${span}"` },
  session: { idle_timeout: `"${span}"`, warn_before: '"4s"' },
});

async function listening(house, page, options) {
  const { origin } = await house(options);
  await page.goto(`${origin}/app`);
  await signInLocally(page, 'alice');
  await received(page);
  await page.evaluate(async () => {
    globalThis.heard = [];
    globalThis.events = new EventSource('/.auth/events');
    for (const name of ['session_expiring', 'session_extended', 'session_ended']) {
      globalThis.events.addEventListener(name, (event) => globalThis.heard.push({ name, ...JSON.parse(event.data) }));
    }
    await new Promise((resolve, reject) => Object.assign(globalThis.events, { onopen: resolve, onerror: reject }));
  });
  return origin;
}

const heard = (page) => page.evaluate(() => globalThis.heard);
const names = async (page) => (await heard(page)).map(({ name }) => name);

test('a page hears the end coming, puts it off, and hears it come in another tab', async ({ house, page, context }) => {
  // a page that was warned is looked after every five seconds: by then the new end must be out of sight again
  const origin = await listening(house, page, idle('12s'));
  await expect.poll(() => names(page), { timeout: 20_000 }).toEqual(['session_expiring']);
  const [{ expires_in, idle_in }] = await heard(page);
  expect(idle_in).toBeLessThanOrEqual(4);
  expect(expires_in).toBeGreaterThan(idle_in);

  const refreshed = await page.evaluate(async () => (await fetch('/.auth/refresh', { method: 'POST' })).status);
  expect(refreshed).toBe(200);
  await expect.poll(() => names(page), { timeout: 10_000 }).toEqual(['session_expiring', 'session_extended']);

  const other = await context.newPage();
  await other.goto(`${origin}/.auth/logout`);
  await other.getByRole('button', { name: 'Sign out' }).click();
  await expect.poll(async () => (await heard(page)).at(-1)).toEqual({ name: 'session_ended', code: 'session_terminated' });
  // a browser comes back to a stream that ended; it must learn that there is nothing more to hear
  await expect.poll(() => page.evaluate(() => globalThis.events.readyState), { timeout: 15_000 }).toBe(2);
});

test('a page that nobody touches is at sign-in when its session has ended', async ({ house, page }) => {
  const origin = await listening(house, page, idle('6s'));
  await page.evaluate(() => {
    globalThis.events.addEventListener('session_ended', (event) => {
      globalThis.location.assign(`/.auth/login?return_to=${encodeURIComponent(`/after?${JSON.parse(event.data).code}`)}`);
    });
  });
  await page.waitForURL(`${origin}/.auth/login?**`, { timeout: 20_000 });
  await signInLocally(page, 'alice');
  await page.waitForURL(`${origin}/after?session_expired`);
  await received(page);
});
