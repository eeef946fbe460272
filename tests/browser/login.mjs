// The provider's own sign-in page.

export function loginPage({ failed, hint }) {
  return `<!doctype html>
<html lang="en">
<meta name="viewport" content="width=device-width">
<title>Provider</title>
<h1>Sign in at the provider</h1>
${failed ? '<p role="alert">Wrong username or password.</p>' : ''}
<form method="post">
<p><label>Username <input name="username" value="${escaped(hint ?? '')}" autofocus></label>
<p><label>Password <input name="password" type="password"></label>
<p><button>Sign in</button> <button name="cancel" value="yes">Cancel</button>
</form>
`;
}

export async function readForm(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return new URLSearchParams(Buffer.concat(parts).toString());
}

function escaped(text) {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
