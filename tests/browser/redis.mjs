// A Redis of the test's own, which can be taken away and brought back with what it knew.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { end, freePort } from './helpers.mjs';

const START_DEADLINE = 10_000;

/** `{ url, start, stop, remove }`; it runs already. */
export async function openRedis() {
  const folder = mkdtempSync(join(tmpdir(), 'doorward-redis-'));
  const port = await freePort();
  let child;
  const start = async () => {
    // every write is on disk before it is answered, so that a restart loses none
    const words = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--appendonly', 'yes', '--appendfsync', 'always'];
    const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
    child = spawn('redis-server', words, { stdio: 'ignore', env: { ...process.env, PATH } });
    await untilAnswering(child, port);
  };
  const stop = () => end(child);
  const remove = async () => {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  };
  await start();
  return { url: `redis://127.0.0.1:${port}/0`, start, stop, remove };
}

async function untilAnswering(child, port) {
  const deadline = Date.now() + START_DEADLINE;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
    if (await answers(port)) return;
    await sleep(20);
  }
  throw new Error(`redis-server did not answer in ${START_DEADLINE} ms`);
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    const done = (answer) => {
      socket.destroy();
      resolve(answer);
    };
    // one that still reads its file answers -LOADING
    socket.once('data', (said) => done(String(said).startsWith('+PONG')));
    socket.once('error', () => done(false));
  });
}
