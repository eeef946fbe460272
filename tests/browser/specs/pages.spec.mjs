// The pages as files, without a gate: can everybody read and use them?
import { expect, test as base } from '@playwright/test';
import * as gallery from '../gallery.mjs';
import { overflow, violations } from '../readable.mjs';

const test = base.extend({
  rooms: async ({}, use) => {
    const rooms = await gallery.open();
    await use(rooms);
    await rooms.stop();
  },
  // whatever the browser complains about: errors, blocked loads, violations of the Content-Security-Policy
  complaints: async ({ page }, use) => {
    const complaints = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    await use(complaints);
  },
});

for (const scheme of ['light', 'dark']) {
  test(`every page passes axe and loads without a complaint (${scheme})`, async ({ page, rooms, complaints }) => {
    test.setTimeout(180_000);
    await page.emulateMedia({ colorScheme: scheme });
    for (const name of gallery.names()) {
      await page.goto(rooms.origin + name);
      expect(await violations(page), name).toEqual([]);
    }
    expect(complaints).toEqual([]);
  });
}

test('no page is wider than a small phone, also with large text', async ({ page, rooms }) => {
  for (const [width, size] of [[320, '100%'], [360, '200%']]) {
    for (const name of gallery.names()) {
      await page.goto(rooms.origin + name);
      expect(await overflow(page, width, size), `${name} at ${width} px and ${size}`).toBe(0);
    }
  }
});

test('everything one presses is large enough for a thumb', async ({ page, rooms }) => {
  await page.setViewportSize({ width: 360, height: 640 });
  for (const name of gallery.names()) {
    await page.goto(rooms.origin + name);
    for (const button of await page.locator('.button, input:not([type=hidden], [type=radio])').all()) {
      const { height } = await button.boundingBox();
      expect(height, name).toBeGreaterThanOrEqual(44);
    }
  }
});

test('signing in needs nothing but the keyboard', async ({ page, rooms, complaints }) => {
  await page.goto(`${rooms.origin}/sign-in`);
  await page.keyboard.type('alice');
  await page.keyboard.press('Tab');
  await page.keyboard.type('secret & <b>');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/signed-out');
  expect(rooms.sent).toHaveLength(1);
  expect(rooms.sent[0].path).toBe('/.auth/login?provider=local');
  expect(rooms.sent[0].fields).toEqual({
    csrf: 'example',
    return_to: '/app',
    username: 'alice',
    password: 'secret & <b>',
  });
  expect(complaints).toEqual([]);
});

test('what has the focus is plain to see', async ({ page, rooms }) => {
  for (const name of ['/sign-in-wrong', '/sessions', '/too-many-sessions', '/chooser', '/acme-sign-in']) {
    await page.goto(rooms.origin + name);
    const stops = await page.locator('a, button, input:not([type=hidden])').count();
    for (let stop = 0; stop < stops; stop += 1) {
      await page.keyboard.press('Tab');
      const seen = await page.evaluate(() => {
        const focused = document.activeElement;
        if (focused === document.body) return null;
        const { outlineStyle, outlineWidth } = getComputedStyle(focused);
        return { outlineStyle, wide: parseFloat(outlineWidth) >= 2 };
      });
      if (seen) expect(seen, `${name}, stop ${stop}`).toEqual({ outlineStyle: 'solid', wide: true });
    }
  }
});

test('choosing which session ends needs nothing but the keyboard', async ({ page, rooms }) => {
  await page.goto(`${rooms.origin}/too-many-sessions`);
  await page.getByRole('button').press('Enter');
  expect(rooms.sent, 'nothing is sent before something is chosen').toEqual([]);
  await page.getByRole('radio', { name: 'Firefox on Linux' }).focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/signed-out');
  expect(rooms.sent[0].fields).toEqual({ csrf: 'example', session: 'b81f03cc52' });
});

test('a button says which session it ends', async ({ page, rooms }) => {
  await page.goto(`${rooms.origin}/sessions`);
  await page.getByRole('button', { name: 'End the session on Safari on iPhone' }).click();
  await page.waitForURL('**/signed-out');
  expect(rooms.sent[0].path).toBe('/.auth/sessions/b81f03cc52/revoke');
});

test('a mistake is said to people who cannot see it', async ({ page, rooms }) => {
  await page.goto(`${rooms.origin}/sign-in-wrong`);
  await expect(page.getByRole('alert')).toHaveText(/not right/);
  await expect(page.getByLabel('Password')).toBeFocused();
  await expect(page.getByLabel('Password')).toHaveAccessibleDescription(/not right/);
});

test('forms work without JavaScript', async ({ browser, rooms }) => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(`${rooms.origin}/sign-in`);
  await page.getByLabel('Username').fill('bob');
  await page.getByLabel('Password').fill('x');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/signed-out');
  expect(rooms.sent[0].fields.username).toBe('bob');
  await context.close();
});

// On plain http to anything but this machine a browser sends no Sec-Fetch-Site: the Origin is all there is.
test('a form tells its origin where Sec-Fetch-Site is missing', async ({ page, rooms }) => {
  const origin = `http://plain.test:${rooms.port}`;
  for (const name of ['/sign-in', '/sign-out', '/sessions', '/too-many-sessions']) {
    await page.goto(origin + name);
    if (name === '/sign-in') await page.getByLabel('Username').fill('alice');
    if (name === '/sign-in') await page.getByLabel('Password').fill('x');
    if (name === '/too-many-sessions') await page.getByRole('radio').first().check();
    await page.getByRole('button').last().click();
    await page.waitForURL('**/signed-out');
    const { headers } = rooms.sent.at(-1);
    expect(headers['sec-fetch-site'], name).toBeUndefined();
    expect(headers.origin, name).toBe(origin);
  }
});

test('no address of ours is told to anybody else', async ({ page, rooms }) => {
  await page.goto(`${rooms.origin}/sign-in`);
  rooms.answer = () => `http://login.test:${rooms.port}/app`;
  await page.getByLabel('Username').fill('alice');
  await page.getByLabel('Password').fill('x');
  const [request] = await Promise.all([
    page.waitForRequest((request) => request.url().includes('login.test')),
    page.getByRole('button').click(),
  ]);
  expect((await request.allHeaders()).referer).toBeUndefined();
});

test('after a form the browser goes to a listed origin, and to no other', async ({ page, rooms, complaints }) => {
  const press = async () => {
    await page.goto(`${rooms.origin}/sign-out`);
    await page.getByRole('button').click();
  };
  rooms.answer = () => `http://login.test:${rooms.port}/`;
  await press();
  await page.waitForURL('http://login.test:*/');

  rooms.answer = () => `http://evil.test:${rooms.port}/`;
  await press();
  await expect.poll(() => complaints.join()).toContain('form-action');
  expect(page.url()).toBe(`${rooms.origin}/sign-out`);
});
