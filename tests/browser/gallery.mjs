// Serves the rendered pages with the headers that come with them, and keeps what their forms send.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readForm } from './login.mjs';

const folder = () => process.env.DOORWARD_PAGES;

export function pages() {
  return JSON.parse(readFileSync(join(folder(), 'pages.json'), 'utf8'));
}

export function names() {
  return Object.keys(pages()).filter((path) => !path.includes('/assets/'));
}

/** `{ origin, port, sent, answer, stop }`; `answer` may be replaced: where a form's answer leads. */
export async function open() {
  const served = pages();
  const gallery = { sent: [], answer: () => '/signed-out' };
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, 'http://gallery').pathname;
    if (request.method === 'POST') {
      const fields = Object.fromEntries(await readForm(request));
      gallery.sent.push({ path: request.url, fields, headers: request.headers });
      return response.writeHead(303, { location: gallery.answer() }).end();
    }
    const page = served[path];
    if (!page) return response.writeHead(404, { 'content-type': 'text/html' }).end('<!doctype html><title>Elsewhere</title>');
    // the example does not know this port
    const csp = page.headers['content-security-policy']?.replace('http://login.example', `http://login.test:${gallery.port}`);
    const headers = csp ? { ...page.headers, 'content-security-policy': csp } : page.headers;
    return response.writeHead(200, headers).end(readFileSync(join(folder(), page.file)));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  gallery.port = server.address().port;
  gallery.origin = `http://127.0.0.1:${gallery.port}`;
  gallery.stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return gallery;
}
