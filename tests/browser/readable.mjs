// Can everybody read the page that is open? With axe, and on a small phone.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] };

/** What axe finds, one line each. */
export async function violations(page) {
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate((rules) => globalThis.axe.run(rules), RULES);
  const found = violations.map((v) => `${v.id}: ${v.nodes.map((node) => node.html).join(' ')}`);
  return passes.some((pass) => pass.id === 'color-contrast') ? found : [...found, 'contrast was not looked at'];
}

/** How much wider than the window the page is, in pixels. */
export async function overflow(page, width, size) {
  await page.setViewportSize({ width, height: 640 });
  await page.evaluate((size) => (document.documentElement.style.fontSize = size), size);
  return page.evaluate((width) => Math.max(0, document.documentElement.scrollWidth - width), width);
}

/** Everything that keeps people from reading the page: in the light, in the dark, and on a phone with large letters. */
export async function faults(page) {
  const found = [];
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    found.push(...(await violations(page)).map((violation) => `${colorScheme}: ${violation}`));
  }
  for (const [width, size] of [[360, '200%'], [320, '100%']]) {
    const pixels = await overflow(page, width, size);
    if (pixels > 0) found.push(`${pixels} px too wide at ${width} px and ${size}`);
  }
  return found;
}
