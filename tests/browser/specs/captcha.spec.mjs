// Taken for a program: the page with somebody else's script, which is the only one that may run there.
import { createServer } from 'node:http';
import { accounts } from '../accounts.mjs';
import { expect, needsDoorward, received, signInAtProvider, signInLocally, test as base } from '../helpers.mjs';
import { readForm } from '../login.mjs';
import { faults } from '../readable.mjs';

needsDoorward();

const SOLVED = 'solved';

/** Judges, serves the script of the CAPTCHA and checks solutions; `stranger` is where nothing may be fetched from. */
const test = base.extend({
  judge: async ({}, use) => {
    const judge = { verdict: 'challenge', solution: SOLVED, checked: [] };
    const stranger = { asked: [] };
    const closing = [];
    judge.origin = await listen(closing, async (request, response) => {
      const json = { 'content-type': 'application/json', 'access-control-allow-origin': '*' };
      switch (request.url) {
        case '/judge':
          return response.writeHead(200, json).end(JSON.stringify({ verdict: judge.verdict }));
        case '/check': {
          const form = Object.fromEntries(await readForm(request));
          judge.checked.push(form);
          return response.writeHead(200, json).end(JSON.stringify({ success: form.response === SOLVED }));
        }
        case '/api.js':
          return response.writeHead(200, { 'content-type': 'text/javascript' }).end(script(judge, stranger.origin));
        default:
          return response.writeHead(200, { ...json, 'content-type': 'text/html' }).end('<!doctype html><html lang="en"><title>Box</title><main><h1>Box</h1></main>');
      }
    });
    stranger.origin = await listen(closing, (request, response) => {
      stranger.asked.push(request.url);
      response.writeHead(200, { 'content-type': 'text/javascript', 'access-control-allow-origin': '*' });
      response.end('globalThis.owned.push("foreign")');
    });
    await use({ ...judge, stranger, says: (verdict) => (judge.verdict = verdict), solves: (it) => (judge.solution = it) });
    for (const close of closing) await close();
  },
});

async function listen(closing, answer) {
  const server = createServer(answer);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/** What a CAPTCHA does, and then what it must not be able to do. */
function script({ solution }, stranger) {
  return `
globalThis.owned = [];
globalThis.refused = [];
document.addEventListener('securitypolicyviolation', (event) => refused.push(event.effectiveDirective));
const box = document.querySelector('.box');
const field = Object.assign(document.createElement('input'), { type: 'hidden', name: 'solution', value: '${solution}' });
const own = document.currentScript.src.replace('api.js', '');
box.append(field, Object.assign(document.createElement('iframe'), { src: own + 'frame', title: 'Box' }));
fetch(own + 'state').then(() => box.setAttribute('data-ready', ''));
const tempt = () => {
  document.body.append(Object.assign(document.createElement('script'), { textContent: 'owned.push("inline")' }));
  document.body.append(Object.assign(document.createElement('script'), { src: '${stranger}/evil.js' }));
  document.body.append(Object.assign(document.createElement('iframe'), { src: '${stranger}/frame', title: 'Evil' }));
  document.body.append(Object.assign(document.createElement('img'), { src: '${stranger}/pixel', alt: '' }));
  fetch('${stranger}/taken').catch(() => {});
  try { eval('owned.push("eval")'); } catch {}
};
// in a turn of its own: what a test evaluates may use eval
globalThis.tempt = () => setTimeout(tempt);`;
}

function bot(judge) {
  return `
[bot]
webhook = "${judge.origin}/judge"

[bot.captcha]
site_key   = "public"
secret     = "env:CAPTCHA_SECRET"
verify_url = "${judge.origin}/check"
script_url = "${judge.origin}/api.js"
field      = "solution"
class      = "box"
`;
}

const local = (judge) => ({ provider: false, local: true, more: bot(judge) });

test('the script of the CAPTCHA runs, and nothing else does', async ({ house, page, judge }) => {
  const { origin } = await house(local(judge));
  await page.goto(`${origin}/app`);
  expect(await page.evaluate(() => document.scripts.length), 'none before somebody is challenged').toBe(0);
  await signInLocally(page, 'alice');
  await expect(page.getByText('show that you are a person')).toBeVisible();
  await expect(page.locator('.box[data-ready]')).toBeAttached();
  await expect(page.locator('.box iframe').contentFrame().getByRole('heading')).toHaveText('Box');
  await page.evaluate(() => globalThis.tempt());
  const refused = () => page.evaluate(() => globalThis.refused.toSorted());
  await expect.poll(refused).toEqual(['connect-src', 'frame-src', 'img-src', 'script-src', 'script-src-elem', 'script-src-elem']);
  expect(await page.evaluate(() => globalThis.owned)).toEqual([]);
  expect(judge.stranger.asked).toEqual([]);
});

test('whoever solves it gets in, and whoever does not does not', async ({ house, page, judge }) => {
  const { origin } = await house(local(judge));
  judge.solves('guessed');
  await page.goto(`${origin}/app?x=1`);
  await signInLocally(page, 'alice');
  await expect(page.locator('.box[data-ready]')).toBeAttached();
  await expect(page.getByLabel('Username')).toHaveValue('alice');
  judge.solves(SOLVED);
  await page.getByLabel('Password').fill(accounts.alice.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect.poll(() => judge.checked.map(({ response }) => response)).toEqual(['guessed']);
  await expect(page.locator('.box[data-ready]')).toBeAttached();
  await page.getByLabel('Password').fill(accounts.alice.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL(`${origin}/app?x=1`);
  await received(page);
  expect(judge.checked.at(-1)).toMatchObject({ secret: 'captcha-secret', response: SOLVED });
});

test('before the way to a provider it is a page of its own, whose form may end there', async ({ house, page, judge }) => {
  const { origin } = await house({ more: bot(judge) });
  await page.goto(`${origin}/reports?year=2026`);
  await expect(page.locator('.box[data-ready]')).toBeAttached();
  expect(await faults(page)).toEqual([]);
  await page.getByRole('button', { name: 'Continue' }).click();
  await signInAtProvider(page, 'bob');
  await page.waitForURL(`${origin}/reports?year=2026`);
  await received(page);
});

test('everybody can read the form with a CAPTCHA, and the page of a refusal', async ({ house, page, judge }) => {
  const { origin } = await house(local(judge));
  await page.goto(`${origin}/app`);
  await signInLocally(page, 'alice');
  await expect(page.locator('.box[data-ready]')).toBeAttached();
  expect(await faults(page)).toEqual([]);

  judge.says('block');
  await page.getByLabel('Password').fill(accounts.alice.password);
  const [response] = await Promise.all([
    page.waitForResponse((response) => response.request().method() === 'POST'),
    page.getByRole('button', { name: 'Sign in' }).click(),
  ]);
  expect(response.status()).toBe(403);
  await expect(page.getByText('sign_in_refused')).toBeVisible();
  expect(response.headers()['content-security-policy']).not.toContain('script-src');
  expect(await page.evaluate(() => document.scripts.length)).toBe(0);
  expect(await faults(page)).toEqual([]);
});
