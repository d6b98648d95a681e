/** The proxy's HTML pages: each a complete document, without script. */

/** Markup that `html` has already escaped. */
interface Markup {
  readonly markup: string;
}

/** A template whose values are escaped unless they are themselves `html`. */
export function html(parts: TemplateStringsArray, ...values: readonly (string | Markup)[]): Markup {
  let markup = parts[0] ?? "";
  values.forEach((value, i) => {
    markup += (typeof value === "string" ? escapeHtml(value) : value.markup) + (parts[i + 1] ?? "");
  });
  return { markup };
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}

const NOTHING = html``;

export function homePage(cluster: string, proxy: string): string {
  return page(
    cluster,
    html`<p>This is the proxy of the cluster <b>${cluster}</b>. Log in from a terminal:</p>
<pre>tsh login --proxy=${proxy}</pre>
<p>and reach its TCP apps by their own names:</p>
<pre>tsh vnet</pre>`,
  );
}

/** The form that sets a first password; `problem` says why the last try did not. */
export function invitePage(o: { user: string; expires: string; problem?: string }): string {
  const problem = o.problem === undefined ? NOTHING : html`<p class="problem" role="alert">${o.problem}</p>`;
  return page(
    "Set a password",
    html`<p>Choose a password for <b>${o.user}</b>. This invitation ends at ${o.expires}.</p>
${problem}
<form method="post" autocomplete="off">
<label>Password <input type="password" name="password" autocomplete="new-password" required autofocus></label>
<label>Once more <input type="password" name="confirm" autocomplete="new-password" required></label>
<button>Set password</button>
</form>`,
  );
}

export function inviteDonePage(user: string, proxy: string): string {
  return page(
    "The password is set",
    html`<p>You can log in now:</p>
<pre>tsh login --proxy=${proxy} --user=${user}</pre>`,
  );
}

/** For a host name that belongs to an app, or to nothing. */
export function appPage(host: string, app: { name: string; protocol: "tcp" | "http" } | undefined): string {
  if (app === undefined) {
    return page(
      "No such app",
      html`<p>No app of this cluster has the public address <b>${host}</b>, or it is not connected.</p>
<p>The apps that you may reach: <code>tsh apps ls</code></p>`,
    );
  }
  if (app.protocol === "tcp") {
    return page(
      app.name,
      html`<p><b>${app.name}</b> is a TCP app: a browser cannot open it here.</p>
<p>Start <code>tsh vnet</code> and connect to <b>${host}</b> with the app's own client.</p>`,
    );
  }
  return page(
    app.name,
    html`<p><b>${app.name}</b> is a web app. This proxy does not serve web apps yet: signing in with a browser and
rewriting requests are missing.</p>
<p>Until then give the app a <code>tcp://</code> URI and reach it through <code>tsh vnet</code>.</p>`,
  );
}

export function errorPage(title: string, message: string): string {
  return page(title, html`<p>${message}</p>`);
}

function page(title: string, body: Markup): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 3rem auto; padding: 0 1rem; color: #1c2330 }
label { display: block; margin: 1rem 0 } input { display: block; width: 100%; font: inherit; padding: .4rem }
button { font: inherit; padding: .4rem 1rem } pre { background: #f0f2f5; padding: .6rem } .problem { color: #a4161a }
</style>
</head>
<body>
<h1>${title}</h1>
${body}
</body>
</html>
`.markup;
}
