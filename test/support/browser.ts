/**
 * A real browser for the Proxy's pages: the Chromium or Chrome of this machine, without a window. What must hold for every
 * page that it opens is asked here.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const program = NAMES.find((name) => spawnSync(name, ['--version']).status === 0);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const MISSING = `this machine has none of ${NAMES.join(', ')}`;

export const hasBrowser = program !== undefined;
if (!hasBrowser && process.env.BROWSER_TESTS === 'required') throw new Error(MISSING);
// Jest names no test of a file in which all are skipped.
if (!hasBrowser) process.stderr.write(`skipped, the pages in a browser: ${MISSING}\n`);

/** A test that needs a browser; where there is none it is skipped, unless BROWSER_TESTS=required. */
export const withBrowser = hasBrowser ? test : test.skip;

export async function startBrowser(): Promise<Browser> {
  const path = spawnSync('sh', ['-c', 'command -v "$0"', program!], { encoding: 'utf8' }).stdout.trim();
  // Chromium's own sandbox does not work for root.
  return await chromium.launch({ executablePath: path, chromiumSandbox: process.getuid?.() !== 0 });
}

/** A page on a machine of its own, so to say: no cookies, no history. The certificate of a test cluster is taken. */
export interface Visit {
  page: Page;
  /** What the browser complained of: policy, scripts; and addresses of other servers that it asked. */
  complaints: string[];
  close(): Promise<void>;
}

export async function visit(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const complaints: string[] = [];
  const { origin } = new URL(url);
  page.on('console', (message) => {
    // A refusal is a page too, and the console counts each.
    if (message.type() === 'error' && !/the server responded with a status of 4\d\d/.test(message.text())) {
      complaints.push(message.text());
    }
  });
  page.on('pageerror', (error) => void complaints.push(String(error)));
  context.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) complaints.push(`asked ${request.url()}`);
  });
  await page.goto(url);
  return { page, complaints, close: () => context.close() };
}

const PATIENCE_MS = 120_000;
const SIZES = { wide: { width: 1024, height: 768 }, narrow: { width: 320, height: 640 } };

/**
 * What is wrong with the page as it stands, in light and dark, wide and at 320 px: what axe finds (WCAG 2.2 A and AA, best
 * practices), and what does not fit. With SCREENSHOTS=FOLDER each look is kept there.
 */
export async function faultsOf(page: Page, name: string): Promise<string[]> {
  const faults: string[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(viewport);
      const look = `${name}, ${colorScheme}, ${size}`;
      const folder = process.env.SCREENSHOTS;
      if (folder) await page.screenshot({ path: join(folder, `${look}.png`), fullPage: true });
      const width = await page.evaluate('document.documentElement.scrollWidth');
      if (width !== viewport.width) faults.push(`${look}: ${width} px wide`);
      // By the debugger's door, which the policy of the page does not close.
      const { violations } = (await page.evaluate(`${axe}; axe.run(document)`)) as {
        violations: { id: string; help: string; nodes: { html: string }[] }[];
      };
      for (const { id, help, nodes } of violations) {
        faults.push(`${look}: ${id}: ${help}: ${nodes.map((node) => node.html).join(' ')}`);
      }
    }
  }
  return faults;
}
