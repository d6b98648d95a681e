/**
 * Passkeys on the proxy's pages. The form says what is to be done (`data-ceremony`: create or get) and with which
 * options (`data-options`); the browser's answer goes into its field `passkey`, and the form is sent.
 */
const form = document.querySelector("form[data-ceremony]");
const button = form?.querySelector("button[data-passkey]");
const problem = document.querySelector("#problem");

function tell(message) {
  problem.textContent = message;
  problem.hidden = false;
}

/** Creating a passkey that the server then refuses would leave a useless one behind: look first. */
function formIsComplete() {
  if (!form.reportValidity()) return false;
  const { password, confirm } = form.elements;
  if (!password || password.value === confirm.value) return true;
  tell("The two passwords differ.");
  return false;
}

async function ceremony() {
  const options = JSON.parse(form.dataset.options);
  if (form.dataset.ceremony === "create") {
    return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) });
  }
  return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
}

button?.addEventListener("click", async () => {
  if (!formIsComplete()) return;
  if (!globalThis.PublicKeyCredential?.parseCreationOptionsFromJSON) {
    tell("This browser cannot use passkeys on this page: take a newer one.");
    return;
  }
  button.disabled = true;
  try {
    const credential = await ceremony();
    form.elements.passkey.value = JSON.stringify(credential.toJSON());
    form.submit();
  } catch (error) {
    button.disabled = false;
    tell(`The passkey was not used: ${error.message}`);
  }
});
