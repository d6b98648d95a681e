import { renderSVG } from "uqr";
import type { Approval, Registration, UserLink } from "./contract.ts";
import { document, html, type Markup, NOTHING, passkeyForm, problemLine } from "./markup.ts";

/** The form that sets a password and a second factor; `problem` says why the last try did not. */
export function linkPage(link: UserLink, problem?: string): string {
  const { user, kind, expires, otp, webauthn } = link;
  const fields = html`<label>Password <input type="password" name="password" autocomplete="new-password" required autofocus></label>
<label>Once more <input type="password" name="confirm" autocomplete="new-password" required></label>
${webauthn === undefined ? NOTHING : passkeyChoice()}
${otp === undefined ? NOTHING : otpChoice(otp, { required: webauthn === undefined && !link.mfaOptional })}
${webauthn === undefined || otp !== undefined || link.mfaOptional ? html`<button>Set password</button>` : NOTHING}`;
  const form = webauthn
    ? passkeyForm("create", webauthn, fields)
    : html`<form method="post" autocomplete="off">${fields}</form>`;
  return document(
    kind === "invite" ? "Set a password" : "Set a new password",
    html`<p>Choose a password for <b>${user}</b>. This link ends at ${expires}.</p>
${problemLine(problem)}
${form}`,
  );
}

function passkeyChoice(): Markup {
  return html`<fieldset><legend>Second factor: a passkey</legend>
<p>On this device, on your phone, or on a security key.</p>
<button type="button" data-passkey>Set password and passkey</button>
</fieldset>`;
}

function otpChoice({ secret, uri }: { secret: string; uri: string }, o: { required: boolean }): Markup {
  // Made of digits and fixed markup by the library, nothing of ours is in it unescaped.
  const qr: Markup = { markup: renderSVG(uri, { border: 2 }) };
  return html`<fieldset><legend>Second factor: an authenticator app</legend>
<p>Scan this with the app, or type the secret into it:</p>
<div class="qr">${qr}</div>
<pre id="secret">${secret}</pre>
<label>The code that the app shows <input name="otp" inputmode="numeric" autocomplete="one-time-code"
 pattern="[0-9 ]*"${o.required ? html` required` : NOTHING}></label>
</fieldset>`;
}

export function linkDonePage(user: string, proxy: string): string {
  return document(
    "The password is set",
    html`<p>You can log in now:</p>
<pre>tsh login --proxy=${proxy} --user=${user}</pre>`,
  );
}

/** What a terminal asked for, and the button that confirms it. */
export function approvalPage(approval: Approval, problem?: string): string {
  const { user, remote, expires } = approval;
  const who = user === "" ? html`Somebody` : html`<b>${user}</b>`;
  return document(
    "Confirm with your passkey",
    html`<p>${who}, at a terminal at the address <b>${remote}</b>, wants to ${wish(approval)}.</p>
<p>Confirm only what you have started yourself just now. This request ends at ${expires}.</p>
${problemLine(problem)}
${passkeyForm("get", approval.webauthn, html`<button type="button" data-passkey autofocus>Confirm</button>`)}`,
  );
}

function wish({ scope, app }: Approval): Markup {
  switch (scope) {
    case "user_session":
      return html`open a session of the app <b>${app ?? ""}</b>`;
    case "manage_devices":
      return html`add or remove an MFA device`;
    default:
      return html`log in`;
  }
}

export function registrationPage({ user, name, expires, webauthn }: Registration, problem?: string): string {
  return document(
    "Add a passkey",
    html`<p>A passkey named <b>${name}</b> for <b>${user}</b>. This page ends at ${expires}.</p>
${problemLine(problem)}
${passkeyForm("create", webauthn, html`<button type="button" data-passkey autofocus>Add the passkey</button>`)}`,
  );
}

export function backToTerminalPage(title: string): string {
  return document(title, html`<p>You can close this page and go back to the terminal.</p>`);
}
