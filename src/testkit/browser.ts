import { createHash, X509Certificate } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { programPath } from "./needs.ts";

/**
 * Debian's Chromium without a window, with one passkey authenticator of the
 * browser's own (CDP domain WebAuthn). `trustedPem` is the one certificate
 * that it takes besides the system's; its pages work as on a good one.
 */
export class TestBrowser implements AsyncDisposable {
  readonly #context: BrowserContext;
  readonly #directory: string;

  private constructor(context: BrowserContext, directory: string) {
    this.#context = context;
    this.#directory = directory;
  }

  static async start(trustedPem: string): Promise<TestBrowser> {
    const directory = await mkdtemp(join(tmpdir(), "browser-"));
    const spki = new X509Certificate(trustedPem).publicKey.export({ type: "spki", format: "der" });
    const pin = createHash("sha256").update(spki).digest("base64");
    const context = await chromium.launchPersistentContext(directory, {
      executablePath: programPath("chromium") ?? "chromium",
      // Without its sandbox root may start it; with any error of the certificate it would have no passkeys.
      args: ["--no-sandbox", `--ignore-certificate-errors-spki-list=${pin}`],
    });
    return new TestBrowser(context, directory);
  }

  /** A page on which passkeys are made and used without a hand. */
  async open(url: string): Promise<Page> {
    const page = this.#context.pages()[0] ?? (await this.#context.newPage());
    page.setDefaultTimeout(PAGE_TIMEOUT_MS);
    await page.goto(url);
    return page;
  }

  /** It verifies its user and always says yes. Lives with the page that `open` gives. */
  async addAuthenticator(page: Page, transport: "internal" | "usb" = "internal"): Promise<void> {
    const session = await this.#context.newCDPSession(page);
    await session.send("WebAuthn.enable");
    await session.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        protocol: "ctap2",
        transport,
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

const PAGE_TIMEOUT_MS = 15_000;
