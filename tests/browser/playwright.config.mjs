// Debian's Chromium, not a bundled one: scripts/deps.sh browser installs it.
import { defineConfig } from '@playwright/test';

export default defineConfig({
  testDir: 'specs',
  outputDir: '../../target/browser',
  globalSetup: './render.mjs',
  timeout: 60_000,
  // each worker drives a browser of its own, and there may be two cores
  workers: Number(process.env.WORKERS ?? 2),
  fullyParallel: true,
  forbidOnly: Boolean(process.env.CI),
  reporter: [['list']],
  use: {
    browserName: 'chromium',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      // Chromium has no sandbox for root, as whom containers run
      args: [...(process.getuid() === 0 ? ['--no-sandbox'] : []), '--host-resolver-rules=MAP *.test 127.0.0.1'],
    },
    trace: 'retain-on-failure',
  },
});
