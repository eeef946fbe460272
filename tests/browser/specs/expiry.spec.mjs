// Twenty tabs of one browser, a slow line, and the moment at which everything runs out.
import { expect, needsDoorward, received, signInAtProvider, test } from '../helpers.mjs';

needsDoorward();

const TABS = 20;
const TTL = 20;
// Past one expiry of the gate's and of the provider's tokens, and short of the second renewal, at 80 % of their lives.
const WATCHED = 1.5 * TTL;

test('twenty tabs on a slow line live through an expiry with one renewal at the provider', async ({ house, page, context }) => {
  test.setTimeout(180_000);
  const { origin, provider } = await house({
    provider: { ACCESS_TTL: `${TTL}`, ID_TTL: `${TTL}` },
    tokens: { access_ttl: `"${TTL}s"` },
  });
  await page.goto(`${origin}/app`);
  await signInAtProvider(page, 'alice');
  await received(page);
  const signedIn = Date.now();

  const tabs = [page, ...(await Promise.all(Array.from({ length: TABS - 1 }, () => context.newPage())))];
  await Promise.all(tabs.map((tab, at) => tab.goto(`${origin}/tab/${at}`)));
  await Promise.all(tabs.map((tab) => throttle(context, tab)));

  const left = WATCHED * 1000 - (Date.now() - signedIn);
  expect(left, 'the tabs were open before the expiry').toBeGreaterThan((WATCHED - 0.8 * TTL) * 1000);
  const seen = await Promise.all(tabs.map((tab) => tab.evaluate(ask, left)));

  const answers = seen.flat();
  expect(answers.length).toBeGreaterThan(TABS * 2);
  expect(answers.filter((answer) => answer.status !== 200 || answer.who !== 'alice')).toEqual([]);
  for (const tab of tabs) expect(new URL(tab.url()).origin).toBe(origin);
  const { token, token_failed } = await provider.counters();
  expect(token_failed).toEqual({});
  expect(token).toEqual({ authorization_code: 1, refresh_token: 1 });
});

test('every tab that comes back after the expiry goes on at once', async ({ house, page, context }) => {
  test.setTimeout(120_000);
  const { origin } = await house({ tokens: { access_ttl: '"10s"' } });
  await page.goto(`${origin}/app`);
  await signInAtProvider(page, 'alice');
  await received(page);
  const tabs = [page, ...(await Promise.all(Array.from({ length: TABS - 1 }, () => context.newPage())))];
  await Promise.all(tabs.slice(1).map((tab, at) => tab.goto(`${origin}/tab/${at}`)));
  // asleep until the token has ended: there is nothing to ask that would not renew it
  await page.waitForTimeout(11_000);
  const responses = await Promise.all(tabs.map((tab) => tab.reload()));
  expect(responses.map((response) => response.status())).toEqual(tabs.map(() => 200));
  for (const tab of tabs) expect((await received(tab)).headers['x-auth-subject']).toBe('alice');
});

/** About what a phone has in a train. */
async function throttle(context, tab) {
  const session = await context.newCDPSession(tab);
  await session.send('Network.enable');
  const kilobytes = 1024;
  await session.send('Network.emulateNetworkConditions', {
    offline: false,
    latency: 400,
    downloadThroughput: 50 * kilobytes,
    uploadThroughput: 20 * kilobytes,
  });
}

/** In the tab: asks one thing after another, like an application that polls. */
async function ask(span) {
  const answers = [];
  const until = performance.now() + span;
  while (performance.now() < until) {
    const response = await fetch('/api/state', { headers: { accept: 'application/json' }, redirect: 'follow' });
    const body = await response.json().catch(() => ({}));
    answers.push({ status: response.status, who: body.headers?.['x-auth-subject'] });
    await new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 400));
  }
  return answers;
}
