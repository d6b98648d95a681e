/** Markup that `html` has already escaped. */
export interface Markup {
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

export const NOTHING = html``;

/** One complete document. No script stands in it: the content policy would not run it. */
export function document(title: string, body: Markup): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<link rel="stylesheet" href="/web/assets/site.css">
</head>
<body>
<h1>${title}</h1>
${body}
</body>
</html>
`.markup;
}

/** Where scripts and answers say what did not work. */
export function problemLine(problem: string | undefined): Markup {
  if (problem === undefined) return html`<p id="problem" class="problem" role="alert" hidden></p>`;
  return html`<p id="problem" class="problem" role="alert">${problem}</p>`;
}

/** A form for one passkey: what the script does with it is in `assets/passkey.js`. */
export function passkeyForm(ceremony: "create" | "get", options: object, content: Markup): Markup {
  return html`<form method="post" autocomplete="off" data-ceremony="${ceremony}" data-options="${JSON.stringify(options)}">
<input type="hidden" name="passkey">
${content}
</form>
<noscript><p>Passkeys need JavaScript, which this browser does not run here.</p></noscript>
<script type="module" src="/web/assets/passkey.js"></script>`;
}
