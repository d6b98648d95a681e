/** A real browser with a virtual authenticator, real processes, `tsh` in a terminal without either. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Secret, TOTP } from "otpauth";
import type { Page } from "playwright-core";
import { type BackgroundProcess, needs, TestBrowser } from "../../src/testkit/mod.ts";
import { LoopbackCluster, PASSWORD } from "./loopback-cluster.ts";

const BEA = "bea@example.com";
const CARL = "carl@example.com";
const WAIT_MS = 20_000;

describe("second factors in a browser", needs("chromium"), () => {
  let cluster: LoopbackCluster;
  let browser: TestBrowser;
  let page: Page;

  before(async () => {
    cluster = await LoopbackCluster.start();
    browser = await TestBrowser.start(readFileSync(join(cluster.directory, "data/webproxy_cert.pem"), "utf8"));
    cluster.file(
      "cap.yaml",
      "kind: cluster_auth_preference\nversion: v2\nmetadata: {name: cluster-auth-preference}\n" +
        "spec: {type: local, second_factors: [otp, webauthn], webauthn: {rp_id: localhost}}\n",
    );
    await cluster.ok("tctl", ["create", "-f", "cap.yaml"]);
    page = await browser.open(`https://${cluster.proxy}/web`);
    await browser.addAuthenticator(page);
  });
  after(async () => {
    await browser?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  async function invite(user: string): Promise<string> {
    const said = await cluster.ok("tctl", ["users", "add", "--roles=access", user]);
    return /https:\S+\/web\/invite\/\S+/.exec(said)?.[0] ?? "";
  }

  async function typePassword(confirm = PASSWORD): Promise<void> {
    await page.fill("[name=password]", PASSWORD);
    await page.fill("[name=confirm]", confirm);
  }

  /** What `tsh` wants to have confirmed, done; `tsh` goes on by itself. */
  async function confirm(tsh: BackgroundProcess): Promise<void> {
    const url = (await tsh.waitFor(/https:\S+\/web\/mfa\/\S+/, WAIT_MS))[0];
    await browser.open(url);
    await page.click("[data-passkey]");
    await page.getByText("You can close this page").waitFor();
  }

  test("an invite is taken with a passkey; two different passwords make none", async () => {
    await page.goto(await invite(BEA));
    await typePassword("something else");
    await page.click("[data-passkey]");
    assert.match((await page.textContent("#problem")) ?? "", /passwords differ/);
    await typePassword();
    await page.click("[data-passkey]");
    await page.getByText("The password is set").waitFor();
  });

  test("nothing that the page did not bring runs on it", async () => {
    await page.goto(await invite("nobody"));
    const ran = await page.evaluate(`
      const script = document.createElement("script");
      script.textContent = "globalThis.inlineRan = true";
      document.body.append(script);
      globalThis.inlineRan === true;
    `);
    assert.equal(ran, false);
  });

  test("tsh login: a password in the terminal, the passkey on the page", async () => {
    const args = ["login", `--proxy=${cluster.proxy}`, `--user=${BEA}`, "--browser=none", "--mfa-mode=browser"];
    const tsh = cluster.spawn("tsh", args, { input: `${PASSWORD}\n` });
    await confirm(tsh);
    await tsh.waitFor(/Logged in as:\s+bea@example\.com/, WAIT_MS);
  });

  test("tsh login --auth=passwordless: the passkey says who it is", async () => {
    const args = ["login", `--proxy=${cluster.proxy}`, "--user=x", "--auth=passwordless", "--browser=none"];
    const tsh = cluster.spawn("tsh", args, { input: "" });
    await confirm(tsh);
    await tsh.waitFor(/Logged in as:\s+bea@example\.com/, WAIT_MS);
  });

  test("tsh mfa: a passkey lets an authenticator app in, which lets a second passkey in", async () => {
    const add = ["mfa", "add", "--type=TOTP", "--name=phone", "--mfa-mode=browser"];
    const tsh = cluster.spawn("tsh", add);
    await confirm(tsh);
    const secret = (await tsh.waitFor(/Secret key:\s+([A-Z2-7]{32})/, WAIT_MS))[1]!;
    tsh.write(`${code(secret)}\n`);
    await tsh.waitFor(/MFA device "phone" added\./, WAIT_MS);
    const listed = await cluster.ok("tsh", ["mfa", "ls"]);
    assert.match(listed, /^Name +Type +Added at +Last used\n-+ -+ -+ -+\npasskey +WEBAUTHN .*\nphone +TOTP /);

    await browser.addAuthenticator(page, "usb");
    const key = cluster.spawn("tsh", ["mfa", "add", "--type=WEBAUTHN", "--name=key", "--mfa-mode=browser"]);
    await confirm(key);
    await page.goto((await key.waitFor(/https:\S+\/web\/mfa\/add\/\S+/, WAIT_MS))[0]);
    await page.click("[data-passkey]");
    await page.getByText("The passkey is added").waitFor();
    await key.waitFor(/MFA device "key" added\./, WAIT_MS);
    const rm = cluster.spawn("tsh", ["mfa", "rm", "phone", "--mfa-mode=browser"]);
    await confirm(rm);
    await rm.waitFor(/MFA device "phone" removed\./, WAIT_MS);
    assert.match(await cluster.ok("tsh", ["mfa", "ls"]), /\npasskey .*\nkey +WEBAUTHN .*\n$/);
  });

  test("an invite is taken with an authenticator app, whose secret is shown as QR code and text", async () => {
    await page.goto(await invite(CARL));
    assert.equal(await page.locator(".qr svg path").count(), 1);
    const secret = (await page.textContent("#secret")) ?? "";
    await typePassword();
    await page.fill("[name=otp]", "000000");
    await page.getByRole("button", { name: "Set password", exact: true }).click();
    await page.getByText("the one-time password is not right").waitFor();
    await typePassword();
    await page.fill("[name=otp]", code(secret));
    await page.getByRole("button", { name: "Set password", exact: true }).click();
    await page.getByText("The password is set").waitFor();

    const wrong = await cluster.run("tsh", ["login", `--proxy=${cluster.proxy}`, `--user=${CARL}`, "--mfa-mode=otp"], {
      input: `${PASSWORD}\n${code(secret)}\n`,
    });
    assert.match(wrong.stderr, /ERROR: the one-time password is not right, or was used before/);
  });
});

function code(secret: string): string {
  return new TOTP({ secret: Secret.fromBase32(secret) }).generate();
}
