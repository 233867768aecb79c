/**
 * The Proxy's pages in a real browser, with a real cluster behind them: how they look to axe in light and dark, wide and at
 * 320 px, what a keyboard does, and that all of it works without a script. `npm run test:pages`.
 * Tests: src/proxy/web/page-files.ts, src/proxy/web/pages.ts, src/proxy/web/signup-pages.ts, src/proxy/web/signup.ts
 */
import { afterAll, beforeAll, expect } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { startTestProxy } from '../proxy/test-proxy.js';
import { faultsOf, hasBrowser, startBrowser, visit, withBrowser } from '../support/browser.js';
import { startTestCluster, type TestCluster } from '../support/cluster.js';
import { type Person, personOf } from '../support/sign-up.js';

const PASSWORD = 'four words of my own';

let cluster: TestCluster;
let browser: Browser;
beforeAll(async () => {
  if (!hasBrowser) return;
  cluster = await startTestCluster({ secondFactor: 'otp', agent: false });
  browser = await startBrowser();
});
afterAll(async () => {
  await browser?.close();
  await cluster?.stop();
});

/** A new link, as `tctl` prints it. */
async function linkFor(user: string, command: 'add' | 'reset' = 'add'): Promise<string> {
  const roles = command === 'add' ? ['--roles=access'] : [];
  return JSON.parse(await cluster.tctlOk('users', command, user, ...roles, '--format=json')).spec.url;
}

const address = (path: string) => `https://${cluster.proxyAddr}${path}`;
const heading = (page: Page) => page.locator('h1').innerText();
const withoutScript = { javaScriptEnabled: false };

/** The person of the form that is open. */
async function personAt(page: Page, user: string): Promise<Person> {
  return personOf(user, PASSWORD, (await page.locator('#secret').textContent())!);
}

/** What has the focus: its name as a screen reader says it, and what it says of it. */
async function focused(page: Page): Promise<{ name: string; description: string; invalid: boolean }> {
  const client = await page.context().newCDPSession(page);
  const { result } = await client.send('Runtime.evaluate', { expression: 'document.activeElement' });
  const { nodes } = await client.send('Accessibility.getPartialAXTree', {
    objectId: result.objectId!,
    fetchRelatives: false,
  });
  await client.detach();
  const [node] = nodes;
  const invalid = node!.properties?.find(({ name }) => name === 'invalid')?.value.value;
  return {
    name: String(node!.name?.value ?? ''),
    description: String(node!.description?.value ?? ''),
    invalid: invalid === 'true',
  };
}

withBrowser('pages that ask for nothing: axe finds nothing, they fit, and no other server is asked', async () => {
  for (const [path, title] of [
    ['/web', 'Sign in from your terminal'],
    ['/web/msg/info/login_success', 'You are signed in'],
    ['/web/msg/error/login', 'You are not signed in'],
    ['/web/invite/0123456789abcdef0123456789abcdef', 'This link no longer works'],
  ]) {
    const { page, complaints, close } = await visit(browser, address(path!));
    expect(await heading(page)).toBe(title);
    expect(await faultsOf(page, title!)).toEqual([]);
    expect(complaints).toEqual([]);
    await close();
  }
});

withBrowser('each step of a sign-up: axe finds nothing, it fits, and nothing is refused by the policy', async () => {
  const link = await linkFor('alice');
  const { page, complaints, close } = await visit(browser, link);
  expect(await heading(page)).toBe('Set up your account');
  expect(await faultsOf(page, 'welcome')).toEqual([]);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByLabel('New password', { exact: true }).fill('short');
  expect(await faultsOf(page, 'form')).toEqual([]);
  await page.getByRole('button', { name: 'Create the account' }).click();
  await page.locator('#password-error').waitFor();
  expect(await faultsOf(page, 'form with mistakes')).toEqual([]);
  const person = await personAt(page, 'alice');
  await page.getByLabel('New password', { exact: true }).fill(PASSWORD);
  await page.getByLabel('The same password again', { exact: true }).fill(PASSWORD);
  await page.getByLabel('Code from the app', { exact: true }).fill(person.code());
  await page.getByRole('button', { name: 'Create the account' }).click();
  await page.getByText('Your account is ready').waitFor();
  expect(await faultsOf(page, 'done')).toEqual([]);
  expect(complaints).toEqual([]);
  await page.reload();
  expect(await heading(page)).toBe('This link no longer works');
  await close();
  expect(cluster.log()).toContain('Proxy Service is listening');
  for (const secret of [link.split('/').at(-1), person.totpSecret, PASSWORD])
    expect(cluster.log()).not.toContain(secret);
});

withBrowser(
  'by keyboard alone: each stop has a name, a mistake has the focus and its words, and then tsh signs in',
  async () => {
    const { page, complaints, close } = await visit(browser, await linkFor('bob'));
    const key = async (...names: string[]) => {
      for (const name of names) await page.keyboard.press(name);
    };
    const stops = async (count: number) => {
      const names: string[] = [];
      for (let at = 0; at < count; at++) {
        await key('Tab');
        names.push((await focused(page)).name);
      }
      return names;
    };
    expect(await stops(1)).toEqual(['Continue']);
    await Promise.all([
      page.waitForURL(/invite/),
      page.getByLabel('New password', { exact: true }).waitFor(),
      key('Enter'),
    ]);
    expect(await stops(8)).toEqual([
      'New password',
      'Show the new password',
      'The same password again',
      'Show the password again',
      'Add the account to the app',
      'Copy the secret',
      'Code from the app',
      'Create the account',
    ]);
    await key('Enter');
    await page.locator('#password-error').waitFor();
    expect(await page.title()).toMatch(/^Error: /);
    expect(await focused(page)).toEqual({
      name: 'New password',
      description: 'Error: Choose a password and type it here. At least 12 characters',
      invalid: true,
    });

    await page.keyboard.type('four words');
    await key('Enter');
    await page.getByText('too short').waitFor();
    expect(await focused(page)).toMatchObject({ name: 'New password', invalid: true });
    await key('End');
    await page.keyboard.type(' of my own');
    await key('Tab', 'Tab');
    await page.keyboard.type('four words of mine');
    await key('Enter');
    await page.locator('#again-error').waitFor();
    expect(await focused(page)).toMatchObject({
      name: 'The same password again',
      description: expect.stringContaining('The two passwords are not the same'),
    });
    await key('Control+a');
    await page.keyboard.type(PASSWORD);
    await key('Tab', 'Tab', 'Tab', 'Tab');

    const person = await personAt(page, 'bob');
    const wrong = String((Number(person.code()) + 1) % 1_000_000).padStart(6, '0');
    await page.keyboard.type(wrong);
    await key('Enter');
    await page.getByText('This code does not fit').waitFor();
    expect(await focused(page)).toMatchObject({ name: 'Code from the app', invalid: true });
    // What was typed is still there, and the secret is the one that the app has.
    expect(await page.getByLabel('New password', { exact: true }).inputValue()).toBe(PASSWORD);
    expect((await personAt(page, 'bob')).totpSecret).toBe(person.totpSecret);
    await key('Control+a');
    const code = person.code();
    await page.keyboard.type(`${code.slice(0, 3)} ${code.slice(3)}`);
    await key('Enter');
    await page.getByText('Your account is ready').waitFor();
    expect(await focused(page)).toMatchObject({ name: 'Your account is ready' });
    expect(await page.locator('#login').textContent()).toBe(`tsh login --proxy=${new URL(page.url()).host} --user=bob`);
    expect(complaints).toEqual([]);
    await close();

    // The code of now is used, and the next one is taken already.
    const answers = [PASSWORD, person.code(1)];
    const login = await cluster.typeLogin('bob', answers, `--proxy=${cluster.proxyAddr}`, '--user=bob');
    expect([login.status, login.stderr]).toEqual([0, expect.not.stringContaining('ERROR')]);
  },
);

withBrowser('without a script: the same questions, the same words, and the secret as text', async () => {
  const { page, close } = await visit(browser, await linkFor('carol'), withoutScript);
  expect(await page.content()).not.toMatch(/otpauth:|<svg[^>]*shape-rendering/);
  await page.getByRole('button', { name: 'Continue' }).click();
  const person = await personAt(page, 'carol');
  expect(await page.getByRole('button').allInnerTexts()).toEqual(['Create the account']);
  expect(await page.getByRole('link', { name: 'Add the account to the app' }).getAttribute('href')).toMatch(
    new RegExp(`^otpauth://totp/.*secret=${person.totpSecret}$`),
  );
  // One click takes all of it.
  await page.locator('#secret').click();
  expect(await page.evaluate('String(getSelection())')).toBe(person.totpSecret);

  const send = async (password: string, again: string, code: string) => {
    await page.getByLabel('New password', { exact: true }).fill(password);
    await page.getByLabel('The same password again', { exact: true }).fill(again);
    await page.getByLabel('Code from the app', { exact: true }).fill(code);
    const loaded = page.waitForEvent('load');
    await page.getByRole('button', { name: 'Create the account' }).click();
    await loaded;
  };
  await send(PASSWORD, 'four words of mine', '12');
  await page.locator('#again:focus').waitFor(); // comes with the first picture of the page
  expect(await focused(page)).toMatchObject({ name: 'The same password again', invalid: true });
  expect(await page.locator('#code-error').innerText()).toMatch(/6 digits/);
  expect(await page.locator('.note').innerText()).toMatch(/type your password again/);
  expect(await page.content()).not.toContain(PASSWORD);
  expect((await personAt(page, 'carol')).totpSecret).toBe(person.totpSecret);
  await send(PASSWORD, PASSWORD, person.code());
  expect(await heading(page)).toBe('Your account is ready');
  await close();

  const reset = await visit(browser, await linkFor('carol', 'reset'), withoutScript);
  expect(await heading(reset.page)).toBe('Set a new password');
  expect(await reset.page.locator('main').innerText()).toMatch(/old password and the old codes no longer work/);
  await reset.close();
});

withBrowser('with a script: rules while typing, the password shown, the secret copied', async () => {
  const { page, complaints, close } = await visit(browser, await linkFor('dora'), {
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  await page.getByRole('button', { name: 'Continue' }).click();
  const [length, same] = [page.locator('[data-rule=length]'), page.locator('[data-rule=same]')];
  const isMet = () => Promise.all([length, same].map((one) => one.getAttribute('class')));
  await page.getByLabel('New password', { exact: true }).pressSequentially('four words');
  expect(await length.textContent()).toBe('At least 12 characters, 2 more');
  expect(await isMet()).toEqual([null, null]);
  await page.getByLabel('New password', { exact: true }).pressSequentially(' of my own');
  expect(await page.locator('#said').textContent()).toBe('At least 12 characters: yes.');
  await page.getByLabel('The same password again', { exact: true }).pressSequentially(PASSWORD);
  expect(await isMet()).toEqual(['met', 'met']);
  await page.getByLabel('New password', { exact: true }).fill('ü'.repeat(65));
  expect(await length.textContent()).toBe('At most 128 characters');
  await page.getByRole('button', { name: 'Show the new password' }).click();
  expect(await page.getByLabel('New password', { exact: true }).getAttribute('type')).toBe('text');
  await page.getByRole('button', { name: 'Copy the secret' }).click();
  await page.getByText('Copied.', { exact: true }).waitFor({ state: 'attached' });
  expect(await page.evaluate('navigator.clipboard.readText()')).toBe((await page.locator('#secret').textContent())!);
  // The link is replaced while the form is open.
  await linkFor('dora', 'reset');
  await page.getByLabel('New password', { exact: true }).fill(PASSWORD);
  await page.getByLabel('Code from the app', { exact: true }).fill('123456');
  await page.getByRole('button', { name: 'Create the account' }).click();
  await page.getByRole('heading', { name: 'This link no longer works' }).waitFor();
  expect(await focused(page)).toMatchObject({ name: 'This link no longer works' });
  expect(complaints).toEqual([]);
  await close();
});

withBrowser('a server that is busy or gone leaves the form as it is, and says so', async () => {
  const busy = await startTestProxy({ rateLimits: { normal: { perMinute: 1, burst: 2 } } });
  const { page, close } = await visit(browser, `https://localhost:${busy.port}/web/invite/invite-token`);
  try {
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByLabel('New password', { exact: true }).fill('short');
    const send = () => page.getByRole('button', { name: 'Create the account' }).click();
    await send();
    await page.locator('#password-error').waitFor();
    await send();
    await page.getByText('Too many requests came from your network').waitFor();
    expect(await page.getByLabel('New password', { exact: true }).inputValue()).toBe('short');
    expect(await faultsOf(page, 'busy')).toEqual([]);
    await busy.close();
    await send();
    await page.getByText('The server did not answer').waitFor();
    expect(await page.getByLabel('New password', { exact: true }).inputValue()).toBe('short');
  } finally {
    await close();
    await busy.close();
  }
});
