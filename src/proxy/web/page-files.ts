/** What the pages load: a style, a script that they work without, and a mark. Each is whole in itself and asks for nothing. */

/** A drum, as diagrams draw a database. It is in the pages too, where the style colours it. */
export const PAGE_ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="24" height="24" fill="none" stroke="#0b7a75" stroke-width="2" aria-hidden="true"><ellipse cx="12" cy="5.5" rx="8" ry="3"/><path d="M4 5.5v13c0 1.7 3.6 3 8 3s8-1.3 8-3v-13M4 12c0 1.7 3.6 3 8 3s8-1.3 8-3"/></svg>`;

/** Lengths are parts of one step, `--step`. */
export const PAGE_STYLE = `:root {
  color-scheme: light dark;
  --step: .5rem;
  --ground: #f3f6f6; --sheet: #fff; --text: #172322; --quiet: #52605f; --line: #d5dedd; --edge: #75827f;
  --accent: #0b6f6a; --accent-strong: #07524e; --on-accent: #fff; --tint: #eaf4f3; --wrong: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0f1615; --sheet: #182221; --text: #e4eceb; --quiet: #a5b3b1; --line: #2d3a38; --edge: #80908d;
    --accent: #5bd0c5; --accent-strong: #8be3da; --on-accent: #06211f; --tint: #1f302e; --wrong: #ffb4ab;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; padding: calc(5 * var(--step)) calc(2 * var(--step)) calc(8 * var(--step));
  background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; overflow-wrap: break-word;
}
header, main { max-width: 34rem; margin: 0 auto; }
header {
  display: flex; align-items: center; gap: var(--step); margin-bottom: calc(2 * var(--step));
  color: var(--quiet); font-size: .9375rem; font-weight: 600;
}
header svg { flex: none; stroke: var(--accent); }
header span { min-width: 0; }
main {
  padding: calc(4 * var(--step)); border: 1px solid var(--line); border-radius: 12px; background: var(--sheet);
}
h1 { margin: 0 0 calc(2 * var(--step)); font-size: 1.625rem; line-height: 1.25; letter-spacing: -.01em; text-wrap: balance; }
h1:focus { outline: none; }
h2 { margin: calc(4 * var(--step)) 0 var(--step); font-size: 1.0625rem; line-height: 1.4; }
p, ul, ol { margin: 0 0 calc(2 * var(--step)); }
main > :last-child, form > :last-child { margin-bottom: 0; }
ul { padding-left: 1.25rem; }
ul + form { margin-top: calc(3 * var(--step)); }
li + li { margin-top: calc(.5 * var(--step)); }
.lead { color: var(--quiet); }
.lead strong { color: var(--text); }
a { color: var(--accent); text-underline-offset: .2em; }
a:hover { color: var(--accent-strong); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }

.steps { padding: 0; list-style: none; counter-reset: step; }
.steps li { counter-increment: step; margin: 0; padding-left: calc(5 * var(--step)); position: relative; }
.steps li::before {
  content: counter(step); content: counter(step) / ""; position: absolute; left: 0; top: 0; width: 1.75rem; height: 1.75rem; border-radius: 50%;
  background: var(--tint); color: var(--accent); font-size: .875rem; font-weight: 700; line-height: 1.75rem; text-align: center;
}
.steps li + li { margin-top: calc(3 * var(--step)); }
.steps h2 { margin: 0 0 var(--step); line-height: 1.75rem; }

code, pre { font: .9375em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.copied { display: flex; gap: var(--step); align-items: stretch; margin-bottom: calc(2 * var(--step)); }
.copied pre, .copied code {
  flex: 1; min-width: 0; margin: 0; padding: calc(1.25 * var(--step)) calc(1.5 * var(--step)); border-radius: 8px;
  background: var(--tint); white-space: pre-wrap; overflow-wrap: anywhere; -webkit-user-select: all; user-select: all;
}
.secret { letter-spacing: .04em; }
.secret span { display: inline-block; margin-right: 1ch; }
.word { display: inline-block; max-width: 100%; }

.field { margin: 0 0 calc(3 * var(--step)); }
.copied ~ .field { margin-top: calc(3 * var(--step)); }
label { display: block; font-weight: 600; }
.hint { margin: 0 0 calc(.75 * var(--step)); color: var(--quiet); font-size: .9375rem; }
.error { margin: 0 0 calc(.75 * var(--step)); color: var(--wrong); font-weight: 600; }
.error:empty { display: none; }
[data-form-error] { margin-bottom: calc(2 * var(--step)); }
.note { padding: var(--step) calc(1.5 * var(--step)); border-left: 4px solid var(--accent); background: var(--tint); }
.typed { display: flex; gap: var(--step); }
input {
  flex: 1; min-width: 0; min-height: 2.75rem; padding: var(--step) calc(1.5 * var(--step));
  border: 1px solid var(--edge); border-radius: 8px; background: var(--sheet); color: inherit; font: inherit;
}
input:focus-visible { outline-offset: 0; border-radius: 8px; border-color: var(--accent); }
input[aria-invalid] { border: 2px solid var(--wrong); }
.code { flex: none; width: 11ch; letter-spacing: .12em; font-variant-numeric: tabular-nums; }
[data-rule]::before { content: "\\25CB"; content: "\\25CB" / ""; display: inline-block; width: 1.25em; }
[data-rule].met { color: var(--accent); }
[data-rule].met::before { content: "\\2713"; content: "\\2713" / ""; font-weight: 700; }

button {
  min-height: 2.75rem; padding: var(--step) calc(2.5 * var(--step)); border: 1px solid transparent; border-radius: 8px;
  background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600; cursor: pointer;
}
button:hover { background: var(--accent-strong); }
button:focus-visible { border-radius: 8px; }
button[aria-disabled] { opacity: .6; cursor: progress; }
.quiet {
  flex: none; min-width: 5rem; padding: var(--step) calc(1.5 * var(--step));
  border-color: var(--line); background: transparent; color: var(--accent); font-size: .9375rem;
}
.quiet:hover { background: var(--tint); color: var(--accent-strong); }
.qr {
  width: 13.5rem; max-width: 100%; margin: 0 0 calc(2 * var(--step)); border: 1px solid var(--line); border-radius: 8px;
  background: #fff; overflow: hidden; line-height: 0;
}
.qr svg { width: 100%; height: auto; }
.unseen {
  position: absolute; width: 1px; height: 1px; margin: -1px; padding: 0; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}

@media (max-width: 30rem) {
  body { padding: 0; background: var(--sheet); }
  header { padding: calc(2 * var(--step)) calc(2 * var(--step)) 0; }
  main { padding: var(--step) calc(2 * var(--step)) calc(6 * var(--step)); border: 0; border-radius: 0; }
  form > button { width: 100%; }
  .steps li { padding-left: 0; }
  .steps h2 { padding-left: calc(5 * var(--step)); }
  .copied { flex-wrap: wrap; }
  .copied pre { flex-basis: 100%; }
}
@media (forced-colors: active) {
  button, .copied pre, .copied code, .note { border: 1px solid; }
  header svg { stroke: CanvasText; }
}
`;

/**
 * What is more comfortable with a script: buttons to copy and to show a password, rules while it is typed, and a form that
 * keeps the passwords when the server finds a mistake. The server alone says what is wrong: its page takes the place of the
 * one that is there.
 */
export const PAGE_SCRIPT = `'use strict';
(() => {
  const ANSWER_MS = 30000;
  const byId = (id) => document.getElementById(id);
  const say = (text) => {
    byId('said').textContent = text;
  };

  const copies = (button) => {
    const label = button.innerHTML;
    button.addEventListener('click', async () => {
      const source = byId(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.firstChild.data = 'Copied';
        say('Copied.');
      } catch {
        getSelection().selectAllChildren(source);
        say('The text is selected. Copy it with your keyboard.');
      }
    });
    button.addEventListener('blur', () => {
      button.innerHTML = label;
    });
  };

  const shows = (button) => {
    button.addEventListener('click', () => {
      const input = byId(button.dataset.show);
      show(button, input, input.type === 'password');
    });
  };
  const show = (button, input, isShown) => {
    input.type = isShown ? 'text' : 'password';
    button.firstChild.data = isShown ? 'Hide' : 'Show';
  };

  /** Marks the rules that what is typed keeps, and says so once. */
  const watches = (form) => {
    const { password, again } = form.elements;
    const length = form.querySelector('[data-rule=length]');
    const same = form.querySelector('[data-rule=same]');
    const text = length.textContent;
    const mark = (rule, isMet) => {
      if (rule.classList.contains('met') === isMet) return;
      rule.classList.toggle('met', isMet);
      if (isMet) say(rule.textContent + ': yes.');
    };
    const look = () => {
      const size = new TextEncoder().encode(password.value).length;
      const { least, most } = length.dataset;
      const missing = size === 0 ? 0 : least - size;
      length.textContent = missing > 0 ? text + ', ' + missing + ' more' : size > most ? 'At most ' + most + ' characters' : text;
      mark(length, missing <= 0 && size > 0 && size <= most);
      mark(same, again.value !== '' && again.value === password.value);
    };
    form.addEventListener('input', look);
    look();
  };

  const sends = (form) => {
    const button = form.querySelector('button:not([type])');
    const error = form.querySelector('[data-form-error]');
    let isSending = false;
    const hold = (isHeld) => {
      isSending = isHeld;
      if (isHeld) button.setAttribute('aria-disabled', 'true');
      else button.removeAttribute('aria-disabled');
    };
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      if (isSending) return;
      hold(true);
      error.textContent = '';
      try {
        const response = await fetch(location.pathname, {
          method: 'POST',
          body: new URLSearchParams(new FormData(form)),
          cache: 'no-store',
          credentials: 'omit',
          redirect: 'error',
          signal: AbortSignal.timeout(ANSWER_MS),
        });
        const page = new DOMParser().parseFromString(await response.text(), 'text/html');
        const main = page.querySelector('main');
        if (!main || main.dataset.trouble !== undefined) throw main;
        replace(form, page, main);
      } catch (main) {
        hold(false);
        const said = main && main.querySelector ? main.querySelector('p').textContent : '';
        error.textContent = said || 'The server did not answer. Check your connection, and then try again.';
        error.scrollIntoView({ block: 'nearest' });
      }
    });
  };

  /** The server's page, with what was typed where it asks for it again, and the focus where it wants it. */
  const replace = (form, page, main) => {
    const kept = ['password', 'again'].map((name) => [name, form.elements[name].value, form.elements[name].type]);
    document.querySelector('main').replaceWith(main);
    document.title = page.title;
    for (const [name, value, type] of kept) {
      const input = byId(name);
      if (!input) continue;
      input.value = value;
      show(main.querySelector('[data-show=' + name + ']'), input, type === 'text');
    }
    for (const note of main.querySelectorAll('[data-without-script]')) note.remove();
    improve(main);
    const heading = main.querySelector('h1');
    heading.tabIndex = -1;
    const first = main.querySelector('[autofocus]') || heading;
    first.focus();
    if (first !== heading) first.closest('.field').scrollIntoView({ block: 'nearest' });
    else scrollTo(0, 0);
  };

  const improve = (root) => {
    for (const button of root.querySelectorAll('[data-copy], [data-show]')) {
      button.hidden = false;
      (button.dataset.copy ? copies : shows)(button);
    }
    for (const form of root.querySelectorAll('[data-setup]')) {
      watches(form);
      sends(form);
    }
  };
  improve(document);
})();
`;
