// Before the tests: the pages as the library renders them now. DOORWARD_PAGES names a folder where somebody did that.
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export default function render() {
  if (process.env.DOORWARD_PAGES) return;
  const folder = mkdtempSync(join(tmpdir(), 'doorward-pages-'));
  const root = new URL('../..', import.meta.url).pathname;
  const args = ['run', '--quiet', '--locked', '--example', 'pages', '--', folder];
  execFileSync('cargo', args, { cwd: root, stdio: 'inherit' });
  process.env.DOORWARD_PAGES = folder;
}
