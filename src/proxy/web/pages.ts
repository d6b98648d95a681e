import { document, html } from "./markup.ts";

export function homePage(cluster: string, proxy: string): string {
  return document(
    cluster,
    html`<p>This is the proxy of the cluster <b>${cluster}</b>. Log in from a terminal:</p>
<pre>tsh login --proxy=${proxy}</pre>
<p>and reach its TCP apps by their own names:</p>
<pre>tsh vnet</pre>`,
  );
}

/** For a host name that belongs to an app, or to nothing. */
export function appPage(host: string, app: { name: string; protocol: "tcp" | "http" } | undefined): string {
  if (app === undefined) {
    return document(
      "No such app",
      html`<p>No app of this cluster has the public address <b>${host}</b>, or it is not connected.</p>
<p>The apps that you may reach: <code>tsh apps ls</code></p>`,
    );
  }
  if (app.protocol === "tcp") {
    return document(
      app.name,
      html`<p><b>${app.name}</b> is a TCP app: a browser cannot open it here.</p>
<p>Start <code>tsh vnet</code> and connect to <b>${host}</b> with the app's own client.</p>`,
    );
  }
  return document(
    app.name,
    html`<p><b>${app.name}</b> is a web app. This proxy does not serve web apps yet: signing in with a browser and
rewriting requests are missing.</p>
<p>Until then give the app a <code>tcp://</code> URI and reach it through <code>tsh vnet</code>.</p>`,
  );
}

export function errorPage(title: string, message: string): string {
  return document(title, html`<p>${message}</p>`);
}
