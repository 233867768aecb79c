/** What the sign-up page does in the browser. The token is the last part of the page's own address. */
export const SIGNUP_SCRIPT = `
(async () => {
  'use strict';
  const byId = (id) => document.getElementById(id);
  const say = (text) => { byId('alert').textContent = text; };
  const call = async (method, path, body) => {
    const response = await fetch(path, {
      method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
    });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error((answer.error && answer.error.message) || 'The server answered ' + response.status + '.');
    return answer;
  };
  const base64 = (text) => btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(''));
  const token = location.pathname.split('/').pop();
  let setup;
  try {
    setup = await call('POST', location.pathname, {});
  } catch (error) {
    say(error.message + '. Ask your administrator for a new link.');
    return;
  }
  if (setup.usage === 'password') byId('title').textContent = 'Set a new password';
  byId('user').textContent = setup.user;
  if (setup.qr) {
    byId('qr').src = setup.qr;
    byId('secret').textContent = setup.secret;
    byId('code').required = true;
    byId('second').hidden = false;
  }
  byId('form').hidden = false;
  byId('password').focus();
  byId('form').addEventListener('submit', async (event) => {
    event.preventDefault();
    if (byId('password').value !== byId('again').value) {
      say('The two passwords are not the same.');
      byId('again').focus();
      return;
    }
    byId('submit').disabled = true;
    say('');
    try {
      await call('PUT', '/v1/webapi/users/password/token', {
        token, password: base64(byId('password').value), second_factor_token: byId('code').value,
      });
      byId('form').hidden = true;
      byId('title').textContent = 'Done';
      byId('command').textContent = 'tsh login --proxy=' + location.host + ' --user=' + setup.user;
      byId('done').hidden = false;
    } catch (error) {
      say(error.message);
      byId('submit').disabled = false;
    }
  });
})();
`;
