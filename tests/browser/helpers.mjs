// What a test of a whole gate needs: a provider, a backend, a built doorward in front of it, and people with browsers.
//
// DOORWARD_BIN names the binary, from the root of the repository. Processes are started here and stopped here, each by its own handle.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test as base } from '@playwright/test';
import { accounts } from './accounts.mjs';
import { settings, usersFile } from './settings.mjs';

const START_DEADLINE = 20_000;
const STOP_DEADLINE = 10_000;
const ROOT = new URL('../..', import.meta.url).pathname;
const PROVIDER = new URL('provider.mjs', import.meta.url).pathname;

/** `house(options)` builds a gate with everything around it; what it built goes when the test ends. */
export const test = base.extend({
  house: async ({}, use, testInfo) => {
    const built = [];
    await use(async (options) => {
      const house = await buildHouse(options ?? {});
      built.push(house);
      return house;
    });
    for (const house of built.reverse()) {
      if (testInfo.status !== testInfo.expectedStatus) await testInfo.attach('doorward', { body: house.gate.log() });
      await house.close();
    }
  },
});

export { expect };

/** Call it in a describe block: the tests in it need the binary. */
export function needsDoorward() {
  test.skip(!process.env.DOORWARD_BIN, 'DOORWARD_BIN does not name a built doorward');
}

/**
 * `{ origin, admin, provider, backend, gate, close }`.
 *
 * The gate is at `localhost` and the provider at `127.0.0.1`: two sites, as in life, whose cookies do not meet.
 * Options: `provider` (environment of provider.mjs, or false for none), `local` (true: users alice and bob), and what
 * settings.mjs takes.
 */
export async function buildHouse({ provider: wanted = {}, local = false, ...tables }) {
  const closing = [];
  const kept = (thing) => {
    closing.unshift(thing.stop);
    return thing;
  };
  try {
    const [port, adminPort] = [await freePort(), await freePort()];
    const origin = `http://localhost:${port}`;
    const backend = kept(await startBackend());
    const provider = wanted && kept(await startProvider({ ...aroundGate(origin), ...wanted }));
    const toml = settings({ port, adminPort, origin, backend: backend.origin, provider, local, ...tables });
    const gate = kept(await startDoorward({ toml, port, adminPort, provider }));
    const close = async () => {
      for (const stop of closing) await stop();
    };
    return { origin, admin: `http://127.0.0.1:${adminPort}`, provider, backend, gate, close };
  } catch (error) {
    for (const stop of closing) await stop();
    throw error;
  }
}

function aroundGate(origin) {
  return {
    REDIRECT_URIS: `${origin}/.auth/callback/oidc`,
    POST_LOGOUT_REDIRECT_URIS: ['', '/', '/.auth/logout', '/.auth/login'].map((path) => origin + path).join(' '),
    BACKCHANNEL_LOGOUT_URI: `${origin.replace('localhost', '127.0.0.1')}/.auth/backchannel-logout/oidc`,
  };
}

/** Starts doorward with this file and waits until it is ready. */
export async function startDoorward({ toml, port, adminPort, provider }) {
  const folder = mkdtempSync(join(tmpdir(), 'doorward-browser-'));
  writeFileSync(join(folder, 'doorward.toml'), toml);
  writeFileSync(join(folder, 'users.toml'), usersFile());
  const env = {
    ...process.env,
    DOORWARD_SECRET: randomBytes(32).toString('base64'),
    DOORWARD_ADMIN_TOKEN: randomBytes(32).toString('base64'),
    OIDC_SECRET: provider ? provider.client_secret : 'nobody',
    CAPTCHA_SECRET: 'captcha-secret',
  };
  const child = spawn(resolve(ROOT, process.env.DOORWARD_BIN), ['run', '--config', join(folder, 'doorward.toml')], { env, cwd: folder });
  const log = collect(child);
  const stop = async () => {
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await untilReady(child, `http://127.0.0.1:${adminPort}/readyz`, log);
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: child.pid, port, log, stop };
}

/** Starts provider.mjs; `control(path)` steers it, `counters()` says what it was asked. */
export async function startProvider(env = {}) {
  const child = spawn(process.execPath, [PROVIDER], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const log = collect(child, child.stderr);
  const facts = await firstLine(child, log);
  const control = async (path, method = 'POST') => (await fetch(facts.control + path, { method })).json();
  const counters = () => control('/counters', 'GET');
  return { ...facts, control, counters, log, stop: () => end(child) };
}

/** A backend that answers with what it received, as a page for people and as JSON for programs. */
export async function startBackend() {
  const requests = [];
  const server = createServer((request, response) => {
    requests.push({ method: request.method, url: request.url, headers: request.headers });
    const received = JSON.stringify({ url: request.url, headers: request.headers });
    if (!request.headers.accept?.includes('text/html')) {
      return response.writeHead(200, { 'content-type': 'application/json' }).end(received);
    }
    const shown = received.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
    const page = `<!doctype html><html lang="en"><title>Backend</title><h1>Backend</h1><pre>${shown}</pre>`;
    return response.writeHead(200, { 'content-type': 'text/html' }).end(page);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { origin: `http://127.0.0.1:${server.address().port}`, requests, stop };
}

/** Fills in the provider's form. */
export async function signInAtProvider(page, name) {
  await page.getByRole('heading', { name: 'Sign in at the provider' }).waitFor();
  await page.getByLabel('Username').fill(name);
  await page.getByLabel('Password').fill(accounts[name].password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/**
 * Signs in from `start` by hand, and holds back what the provider answers: the address of the callback, not yet visited.
 * A browser would follow it at once.
 */
export async function heldAnswer(request, start, name) {
  const headers = { accept: 'text/html', 'sec-fetch-mode': 'navigate' };
  let url = start;
  for (let step = 0; step < 10; step += 1) {
    let { location } = (await request.get(url, { headers, maxRedirects: 0 })).headers();
    if (!location) {
      const form = { username: name, password: accounts[name].password };
      ({ location } = (await request.post(url, { form, headers, maxRedirects: 0 })).headers());
    }
    url = new URL(location, url).href;
    if (/^(\/\.auth)?\/callback\b/.test(new URL(url).pathname)) return url;
  }
  throw new Error(`no answer in ten steps, the last to ${url}`);
}

/** Fills in the gate's own form. */
export async function signInLocally(page, name, password = accounts[name].password) {
  await page.getByLabel('Username').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** What the backend received with the page that is open. */
export async function received(page) {
  await page.getByRole('heading', { name: 'Backend' }).waitFor();
  return JSON.parse(await page.locator('pre').textContent());
}

export async function freePort() {
  const socket = createSocket();
  await new Promise((resolve) => socket.listen(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

/** The last of what a process says, for whoever has to find out why a test failed. */
function collect(child, ...streams) {
  const said = [];
  for (const stream of streams.length > 0 ? streams : [child.stdout, child.stderr]) {
    stream.on('data', (part) => {
      said.push(String(part));
      if (said.length > 2000) said.shift();
    });
  }
  return () => said.join('');
}

async function untilReady(child, url, log) {
  const deadline = Date.now() + START_DEADLINE;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`doorward ended with ${child.exitCode}:\n${log()}`);
    const ready = await fetch(url).then((response) => response.ok, () => false);
    if (ready) return;
    await sleep(50);
  }
  throw new Error(`doorward was not ready in ${START_DEADLINE} ms:\n${log()}`);
}

function firstLine(child, log) {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (part) => {
      text += part;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(JSON.parse(text.slice(0, end)));
    });
    child.once('exit', (code) => reject(new Error(`the provider ended with ${code}:\n${log()}`)));
  });
}

/** SIGTERM, and SIGKILL for one that does not listen; of this process and no other. */
export async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const stubborn = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE);
  await gone;
  clearTimeout(stubborn);
}
