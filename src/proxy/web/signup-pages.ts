/**
 * What a person sees behind an invite or reset link: first whose it is and what is needed, then one form, then the command
 * to sign in with. What is wrong stands beside its field, which has the focus.
 */
import { PASSWORD_BYTES } from '../../resources/password-rule.js';
import type { WebAnswer } from './answer.js';
import { type Html, html } from './html.js';
import { command, loginCommand, page } from './pages.js';

/** What Auth says of the link. */
export interface InviteLink {
  user: string;
  /** `invite` or `password`. */
  usage: string;
  /** `off`, `optional`, `otp`. */
  secondFactor: string;
}

/** A picture of the address, and the address. */
export interface Enrolment {
  otpauthUrl: string;
  qr: Html;
}

export type Field = 'password' | 'again' | 'code';
/** What is wrong, by field. */
export type Mistakes = Partial<Record<Field, string>>;

const FIELDS: readonly Field[] = ['password', 'again', 'code'];

const headingOf = ({ usage }: InviteLink) => (usage === 'password' ? 'Set a new password' : 'Set up your account');

/** What a link shows at first: nothing secret, since programs fetch links out of messages. */
export function welcomePage(link: InviteLink, clusterName: string): WebAnswer {
  const isReset = link.usage === 'password';
  return page({
    heading: headingOf(link),
    clusterName,
    content: html`<p class="lead">This link is for <strong>${link.user}</strong>, and works once.${
      isReset && ' The old password and the old codes no longer work.'
    }</p>
<h2>You need</h2>
<ul>
<li>a new password, ${PASSWORD_BYTES.least} characters or longer</li>
<li>an authenticator app on your phone or computer, which shows a new code every 30 seconds${
      link.secondFactor === 'optional' && ' (you can do without)'
    }</li>
</ul>
<form method="post"><button>Continue</button></form>`,
  });
}

/** @param mistakes  of what was sent before; a password is never sent back */
export function formPage(
  link: InviteLink,
  clusterName: string,
  enrolment: Enrolment | undefined,
  mistakes: Mistakes = {},
): WebAnswer {
  const first = FIELDS.find((field) => mistakes[field] !== undefined);
  const around = (name: Field) => ({ name, mistake: mistakes[name], hasFocus: first === name });
  return page({
    heading: headingOf(link),
    clusterName,
    ...(first === undefined ? {} : { status: 400, prefix: 'Error: ' as const }),
    content: html`<p class="lead">Your user name is <strong>${link.user}</strong>.</p>
<form method="post" novalidate data-setup>
<input type="text" value="${link.user}" autocomplete="username" hidden>
${
  first !== undefined &&
  mistakes.password === undefined &&
  html`<p class="note" data-without-script>Please type your password again: this page does not keep it.</p>`
}
${field({
  ...around('password'),
  label: 'New password',
  shown: 'the new password',
  hint: html`<span data-rule="length" data-least="${PASSWORD_BYTES.least}" data-most="${PASSWORD_BYTES.most}">At least ${PASSWORD_BYTES.least} characters</span>`,
  attributes: html`type="password" autocomplete="new-password" required`,
})}
${field({
  ...around('again'),
  label: 'The same password again',
  shown: 'the password again',
  hint: html`<span data-rule="same">Both passwords are the same</span>`,
  attributes: html`type="password" autocomplete="new-password" required`,
})}
${enrolment && codeSection(enrolment, link.secondFactor === 'optional', around('code'))}
<p class="error" data-form-error role="alert"></p>
<button>${link.usage === 'password' ? 'Save the new password' : 'Create the account'}</button>
</form>`,
  });
}

interface FieldParts {
  name: Field;
  label: string;
  /** What a button beside it can show. */
  shown?: string;
  hint: Html;
  attributes: Html;
  mistake: string | undefined;
  hasFocus: boolean;
}

function field({ name, label, shown, hint, attributes, mistake, hasFocus }: FieldParts): Html {
  const described = mistake === undefined ? `${name}-hint` : `${name}-error ${name}-hint`;
  return html`<div class="field">
<label for="${name}">${label}</label>
<p class="hint" id="${name}-hint">${hint}</p>
${mistake !== undefined && html`<p class="error" id="${name}-error"><span class="unseen">Error: </span>${mistake}</p>`}
<div class="typed"><input id="${name}" name="${name}" ${attributes} aria-describedby="${described}"${
    mistake !== undefined && html` aria-invalid="true"`
  }${hasFocus && html` autofocus`}>${
    shown !== undefined &&
    html`<button type="button" class="quiet" data-show="${name}" hidden>Show<span class="unseen"> ${shown}</span></button>`
  }</div>
</div>`;
}

function codeSection(
  { otpauthUrl, qr }: Enrolment,
  isOptional: boolean,
  around: Pick<FieldParts, 'name' | 'mistake' | 'hasFocus'>,
): Html {
  const secret = new URL(otpauthUrl).searchParams.get('secret') ?? '';
  const groups = (secret.match(/.{1,4}/g) ?? []).map((group) => html`<span>${group}</span>`);
  return html`<section aria-labelledby="codes">
<h2 id="codes">Authenticator app${isOptional && ' (optional)'}</h2>
${isOptional && html`<p>You can do without: leave the code empty.</p>`}
<p>Scan this picture with your authenticator app.</p>
<div class="qr" role="img" aria-label="QR code with the secret for your authenticator app; the secret stands below as text">${qr}</div>
<p>Is the app on this device? <a href="${otpauthUrl}">Add the account to the app</a>.</p>
<p>Or type this secret into the app:</p>
<div class="copied"><code id="secret" class="secret">${groups}</code>
<button type="button" class="quiet" data-copy="secret" hidden>Copy<span class="unseen"> the secret</span></button></div>
<input type="hidden" name="otpauth" value="${otpauthUrl}">
${field({
  ...around,
  label: isOptional ? 'Code from the app (optional)' : 'Code from the app',
  hint: html`The 6 digits that the app shows now`,
  attributes: html`class="code" type="text" inputmode="numeric" autocomplete="one-time-code" spellcheck="false" maxlength="12"${
    !isOptional && html` required`
  }`,
})}
</section>`;
}

/** @param host  what the browser called us */
export function donePage(link: InviteLink, clusterName: string, host: string): WebAnswer {
  return page({
    heading: link.usage === 'password' ? 'Your new password is set' : 'Your account is ready',
    clusterName,
    content: html`<p class="lead">Sign in on your computer:</p>
${command('login', loginCommand(host, link.user))}
${
  link.secondFactor !== 'off' &&
  html`<p><code>tsh</code> asks for your password and for a code${
    link.secondFactor === 'optional' ? ', if you added an app' : ' from the app'
  }. A code counts once, so wait for the next one.</p>`
}
<p>Then see your databases:</p>
${command('list', 'tsh db ls')}
<p>You can close this page.</p>`,
  });
}

/** @param host  what the browser called us */
export function deadLinkPage(clusterName: string, host: string): WebAnswer {
  return page({
    heading: 'This link no longer works',
    clusterName,
    status: 404,
    prefix: 'Error: ',
    content: html`<p class="lead">A link works once and for a limited time. This one was used, was replaced by a newer one, or its time is over.</p>
<h2>You set your password with it</h2>
<p>Then all is well. Sign in from your terminal, with your user name where NAME stands:</p>
${command('login', loginCommand(host, 'NAME'))}
<h2>You did not</h2>
<p>Ask an administrator of ${clusterName} for a new link. They run this command and send you what it prints:</p>
${command('reset', 'tctl users reset NAME')}`,
  });
}
