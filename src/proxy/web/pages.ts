/**
 * The frame of the pages for people, and those that ask for nothing: a word to whoever comes to `/web` with a browser, the
 * end of a single sign-on login, and what went wrong. Everything works without the script. Nothing comes from elsewhere, and
 * the policy allows no script, style or picture but the Proxy's own files.
 */
import { shellWord } from '../../shell-word.js';
import type { WebAnswer } from './answer.js';
import { Html, html } from './html.js';
import { PAGE_ICON, PAGE_SCRIPT, PAGE_STYLE } from './page-files.js';

const POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

export interface PageParts {
  heading: string;
  clusterName: string;
  content: Html;
  status?: number;
  /** Said first in the title, which a screen reader reads first. */
  prefix?: 'Error: ';
  /** Nothing that was typed has come to anything: the script leaves the form where it is, and shows the first paragraph. */
  isTrouble?: boolean;
}

export function page({ heading, clusterName, content, status = 200, prefix, isTrouble }: PageParts): WebAnswer {
  const body = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${prefix}${heading} &middot; ${clusterName}</title>
<link rel="icon" href="/web/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/web/pages.css">
<script src="/web/pages.js" defer></script>
</head>
<body>
<header>${new Html(PAGE_ICON)}<span>${clusterName}</span></header>
<main${isTrouble && html` data-trouble`}>
<h1>${heading}</h1>
${content}
</main>
<p id="said" class="unseen" role="status"></p>
</body>
</html>
`;
  return {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': POLICY,
      'cache-control': 'no-store',
      'cross-origin-opener-policy': 'same-origin',
      // The link itself is a secret.
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
    },
    body: body.text,
  };
}

/** A file of the pages. It has no version in its name, so it is asked for each time. */
function pageFile(type: string, body: string): WebAnswer {
  return { status: 200, headers: { 'content-type': type, 'cache-control': 'no-cache' }, body };
}

export const styleFile = () => pageFile('text/css; charset=utf-8', PAGE_STYLE);
export const scriptFile = () => pageFile('text/javascript; charset=utf-8', PAGE_SCRIPT);
export const iconFile = () => pageFile('image/svg+xml', PAGE_ICON);

/** A command to copy: with the button where there is a script, else with a click on the text and the usual keys. */
export function command(id: string, text: string): Html {
  // A line breaks between its words, and not inside `--proxy`.
  const words = text.split(' ').map((word, at) => html`${at > 0 && ' '}<span class="word">${word}</span>`);
  return html`<div class="copied"><pre id="${id}">${words}</pre>
<button type="button" class="quiet" data-copy="${id}" hidden>Copy<span class="unseen"> the command</span></button></div>`;
}

/** @param host  what the browser called us */
export function loginCommand(host: string, user: string): string {
  return `tsh login --proxy=${shellWord(host)} --user=${user === 'NAME' ? user : shellWord(user)}`;
}

/** `/web` and `/web/login`: there is no console, so say what to do. @param host  what the browser called us */
export function homePage(host: string, clusterName: string): WebAnswer {
  return page({
    heading: 'Sign in from your terminal',
    clusterName,
    content: html`<p class="lead">There is nothing to do in this browser. Your databases open with <code>tsh</code>.</p>
<ol class="steps">
<li><h2>Sign in</h2>${command('login', loginCommand(host, 'NAME'))}
<p class="hint">Put your user name where NAME stands.</p></li>
<li><h2>See your databases</h2>${command('list', 'tsh db ls')}</li>
<li><h2>Open one</h2>${command('open', 'tsh db connect DATABASE')}</li>
</ol>
<h2>No account yet?</h2>
<p>An administrator of ${clusterName} can invite you, and gives you a link to this server. They run:</p>
${command('invite', 'tctl users add NAME --roles=access')}
<h2>Lost your password or your phone?</h2>
<p>An administrator can give you a link for a new start:</p>
${command('reset', 'tctl users reset NAME')}`,
  });
}

/** Where a browser comes out at the end of a single sign-on login (`access/login/sso-callback.ts`). */
export function signedInPage(clusterName: string): WebAnswer {
  return page({
    heading: 'You are signed in',
    clusterName,
    content: html`<p class="lead">Go back to your terminal: <code>tsh</code> goes on there. You can close this page.</p>`,
  });
}

export function signInFailedPage(clusterName: string): WebAnswer {
  return page({
    heading: 'You are not signed in',
    clusterName,
    content: html`<p class="lead">Go back to your terminal: <code>tsh</code> says there what went wrong. You can close this page.</p>
<p>To try again, type the command once more there. If it goes wrong again, show an administrator what <code>tsh</code> says.</p>`,
  });
}

const TROUBLE: Record<number, [heading: string, what: string]> = {
  400: [
    'This request cannot be read',
    'The server cannot read what the browser sent. Open the link again and start afresh.',
  ],
  429: ['Please wait a minute', 'Too many requests came from your network. Wait a minute, and then try again.'],
  504: [
    'The cluster does not answer',
    'This server cannot reach the part of the cluster that knows you. Nothing was changed. Try again in a minute.',
  ],
};

/** For a person who asked for a page and cannot have it. @param status  what went wrong, as HTTP says it */
export function troublePage(status: number, clusterName: string): WebAnswer {
  const [heading, what] = TROUBLE[status] ?? [
    'Something went wrong',
    'This server made a mistake. Try again in a minute. If it stays so, an administrator finds the reason in its log.',
  ];
  return page({
    heading,
    clusterName,
    status,
    prefix: 'Error: ',
    isTrouble: true,
    content: html`<p class="lead">${what}</p>`,
  });
}
