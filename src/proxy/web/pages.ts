/**
 * The few pages for people: sign up, reset a password, and a word to those who come to `/web` with a browser. Complete in
 * themselves: no file from elsewhere, a policy that allows exactly the script and the style written here, text that a
 * screen reader can follow, and nothing of the address or an answer ever put into HTML unescaped.
 */
import { createHash } from 'node:crypto';
import type { WebAnswer } from './answer.js';
import { SIGNUP_SCRIPT } from './signup-script.js';

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 34rem; margin: 3rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input { font: inherit; padding: .5rem; width: 100%; box-sizing: border-box; }
button { font: inherit; margin: 1.5rem 0; padding: .6rem 1.5rem; }
img { width: 14rem; height: 14rem; background: #fff; }
code, pre { font: .95em/1.4 ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
pre { padding: .75rem; border: 1px solid currentcolor; border-radius: .25rem; }
[role=alert] { min-height: 1.5em; font-weight: 600; }
[hidden] { display: none; }
`;

/** The page of an invite or reset link. What it shows comes from a POST of its script. */
export function signupPage(): WebAnswer {
  return page(
    'Set up your account',
    `<h1 id="title">Set up your account</h1>
<noscript><p>This page needs JavaScript to set your password.</p></noscript>
<p role="alert" id="alert"></p>
<form id="form" hidden>
<p>User: <strong id="user"></strong></p>
<label for="password">New password</label>
<input id="password" type="password" autocomplete="new-password" minlength="12" maxlength="128" required aria-describedby="rule">
<p id="rule">At least 12 characters.</p>
<label for="again">The same password again</label>
<input id="again" type="password" autocomplete="new-password" required>
<fieldset id="second" hidden>
<legend>One-time codes</legend>
<p>Scan this picture with an authenticator app, then type the code that the app shows.</p>
<img id="qr" alt="QR code with the secret of your one-time codes; the same secret stands below as text">
<details><summary>I cannot scan it</summary><p>Type this secret into the app: <code id="secret"></code></p></details>
<label for="code">Code from the app</label>
<input id="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9]{6}" maxlength="6">
</fieldset>
<button id="submit">Save</button>
</form>
<section id="done" hidden>
<p>Your account is ready. On your computer, run:</p>
<pre id="command"></pre>
</section>`,
    SIGNUP_SCRIPT,
  );
}

/** `/web` and `/web/login`: there is no console, so say what to do. @param host  what the browser called us */
export function homePage(host: string, clusterName: string): WebAnswer {
  return page(
    'Database access',
    `<h1>Database access of ${escapeHtml(clusterName)}</h1>
<p>You sign in from your terminal:</p>
<pre>tsh login --proxy=${escapeHtml(host)} --user=NAME
tsh db ls
tsh db connect DATABASE</pre>
<p>No account yet? An administrator can invite you with <code>tctl users add NAME --roles=access</code>
and gives you a link to this server.</p>`,
  );
}

function page(title: string, content: string, script = ''): WebAnswer {
  const policy = [
    "default-src 'none'",
    `style-src '${hash(STYLE)}'`,
    ...(script === '' ? [] : [`script-src '${hash(script)}'`, "connect-src 'self'"]),
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  const body = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${content}
</main>
${script === '' ? '' : `<script>${script}</script>`}
</body>
</html>
`;
  return {
    status: 200,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy,
      'cache-control': 'no-store',
      // The link itself is a secret.
      'referrer-policy': 'no-referrer',
    },
    body,
  };
}

function hash(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

function escapeHtml(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => names[character]!);
}
