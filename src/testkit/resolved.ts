/** A real systemd-resolved with its D-Bus and polkit-free root, on a host of the test's own, without systemd as pid 1. */
import { sleep } from "../base/mod.ts";
import type { Machine } from "./hosts.ts";
import { installLayer } from "./layers.ts";
import type { BackgroundProcess } from "./process.ts";

/** As systemd does it: `Restart=always` with `RestartSec=0`. */
const RESTART_MS = 50;

export interface ResolvedOptions {
  /** Its global DNS server. */
  readonly server: string;
  /** Whether glibc asks it by D-Bus (nss-resolve), or by its stub in resolv.conf only. */
  readonly nss: boolean;
}

/** Has systemd-resolved run on `machine` from now on, restarted whenever it ends. */
export class ResolvedHost implements AsyncDisposable {
  readonly #machine: Machine;
  #daemon: BackgroundProcess | undefined;
  #ended = false;

  private constructor(machine: Machine) {
    this.#machine = machine;
  }

  static async start(machine: Machine, options: ResolvedOptions): Promise<ResolvedHost> {
    await installLayer(machine, "resolved");
    await machine.execOk(["sh", "-ec", SETUP, options.server, options.nss ? "resolve [!UNAVAIL=return] dns" : "dns"]);
    const bus = machine.spawn("dbus-daemon", ["dbus-daemon", "--system", "--nofork", "--nopidfile", "--print-address"]);
    await bus.waitFor(/^unix:/m);
    const host = new ResolvedHost(machine);
    await host.#spawn();
    return host;
  }

  /** What it has logged since its last start. */
  get log(): string {
    return this.#daemon?.output ?? "";
  }

  get running(): boolean {
    return this.#daemon?.running ?? false;
  }

  kill(): void {
    this.#daemon?.signal("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    await this.#daemon?.stop();
  }

  async #spawn(): Promise<void> {
    const env = { SYSTEMD_LOG_LEVEL: "info", SYSTEMD_LOG_TARGET: "console" };
    this.#daemon = this.#machine.spawn("systemd-resolved", ["/lib/systemd/systemd-resolved"], { env });
    void this.#daemon.exited.then(async () => {
      if (this.#ended) return;
      await sleep(RESTART_MS);
      if (!this.#ended) await this.#spawn().catch(() => {}); // The host has ended.
    });
    const owner = ["org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", "s"];
    for (let tries = 0; tries < 200; tries++) {
      const asked = await this.#machine.exec(["busctl", "call", ...owner, "org.freedesktop.resolve1"]);
      if (asked.stdout === "b true\n") return;
      await sleep(20);
    }
    throw new Error(`systemd-resolved does not start:\n${this.log}`);
  }
}

const SETUP = `
for user in messagebus systemd-resolve; do id $user >/dev/null 2>&1 || useradd --system $user; done
mkdir -p /run/dbus /run/systemd/resolve /run/systemd/netif/links /etc/systemd/resolved.conf.d
chown systemd-resolve:systemd-resolve /run/systemd/resolve
dbus-uuidgen --ensure=/etc/machine-id
printf '[Resolve]\\nDNS=%s\\nFallbackDNS=\\nMulticastDNS=no\\nLLMNR=no\\nDNSSEC=no\\n' "$0" >/etc/systemd/resolved.conf.d/test.conf
ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
sed -i "s/^hosts:.*/hosts: files $1/" /etc/nsswitch.conf
`;
