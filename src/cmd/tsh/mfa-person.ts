import { spawn } from "node:child_process";
import type { MfaPerson } from "../../client/mod.ts";
import { say, UsageError } from "../cli/program.ts";
import type { Prompt } from "../cli/prompt.ts";

/** `--mfa-mode`, with Teleport's words for the passkeys that a browser uses. */
const MODES: Readonly<Record<string, { otp: boolean; passkey: boolean }>> = {
  auto: { otp: true, passkey: true },
  otp: { otp: true, passkey: false },
  browser: { otp: false, passkey: true },
  platform: { otp: false, passkey: true },
  "cross-platform": { otp: false, passkey: true },
};

/** `browser`: whether the page is opened too, besides being printed. */
export function personAt(prompt: Pick<Prompt, "visible">, o: { mode: string; browser: boolean }): MfaPerson {
  const mode = Object.hasOwn(MODES, o.mode) ? MODES[o.mode] : undefined;
  if (mode === undefined) {
    throw new UsageError(`--mfa-mode=${o.mode} is not known: say ${Object.keys(MODES).join(", ")}`);
  }
  return {
    ...(mode.otp && { otp: (signal: AbortSignal) => prompt.visible("Enter your OTP token: ", signal) }),
    ...(mode.passkey && {
      open(url: string) {
        say(`Confirm with your passkey in a browser, on this page:\n\n  ${url}\n\n`);
        if (o.browser) openBrowser(url);
      },
    }),
  };
}

/** As the desktop does it; a failure is no matter, the address is printed. */
function openBrowser(url: string): void {
  const child = spawn("xdg-open", [url], { detached: true, stdio: "ignore" });
  child.on("error", () => {});
  child.unref();
}
