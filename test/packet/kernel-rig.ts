import { execFileSync } from "node:child_process";
import { Counters, concat, isMalformed, parseIp, systemClock, systemRandom } from "../../src/base/mod.ts";
import { Stack, type StackOptions } from "../../src/net/stack/mod.ts";
import { TUN_ROUTE } from "../../src/oscfg/mod.ts";
import { openTun } from "../../src/tun/mod.ts";
import { Impairment, type Profile } from "./impairment.ts";

export interface KernelRigOptions {
  mtu?: number;
  /** Of the device, both ways. True unless given. */
  offload?: boolean;
  /** Chooses the addresses, so that several rigs may live in one namespace. */
  subnet?: number;
  /** The kernel's side as VNet sets it up (`TUN_ROUTE`); else with the machine's own congestion control. */
  routes?: "as-vnet";
  profile?: Profile;
  seed?: number;
  maxConnections?: number;
  /** Sees every frame from the kernel; borrowed. */
  tap?: (frame: Uint8Array) => void;
  handlers: StackOptions["handlers"];
}

export interface KernelRig {
  readonly stack: Stack;
  readonly counters: Counters;
  readonly impairment: Impairment | undefined;
  /** Its name in this namespace. */
  readonly device: string;
  /** The kernel's addresses. */
  readonly near4: string;
  readonly near6: string;
  /** The stack's addresses. */
  readonly far4: string;
  readonly far6: string;
  close(): void;
}

/** The kernel's TCP, a real TUN, perhaps a bad network, and the stack. For a network namespace of its own. */
export function kernelRig(o: KernelRigOptions): KernelRig {
  const mtu = o.mtu ?? 1500;
  const subnet = o.subnet ?? 0;
  const offload = o.offload ?? true;
  const tun = openTun({ mtu, offload: { checksum: offload, tso: offload, bigTcp: offload } });
  const [near4, far4] = [`10.90.${subnet}.1`, `10.90.${subnet}.2`] as const;
  const [near6, far6] = [`fd90:${subnet}::1`, `fd90:${subnet}::2`] as const;
  const ours = (far: string) => `route replace ${far} dev ${tun.name} ${TUN_ROUTE.join(" ")}`;
  const routes = o.routes === "as-vnet" ? [ours(far4), ours(`${far6} metric 256`)] : [];
  execFileSync("ip", ["-batch", "-"], {
    input: `
      link set ${tun.name} mtu ${mtu} txqueuelen 5000 addrgenmode none
      link set ${tun.name} up
      address add ${near4} peer ${far4} dev ${tun.name}
      address add ${near6} peer ${far6} dev ${tun.name} nodad
      ${routes.join("\n")}
    `,
  });
  const near = addresses(near4, near6);
  const far = addresses(far4, far6);
  const counters = new Counters();
  const stack: Stack = new Stack({
    clock: systemClock,
    random: systemRandom,
    counters,
    mtu,
    offload: tun.offload,
    ...(o.maxConnections === undefined ? {} : { maxConnections: o.maxConnections }),
    turnEnd: (run) => void setImmediate(run),
    emit: (frame) => {
      if (impairment === undefined) tun.write(frame);
      else impairment.fromStack(frame);
    },
    emitGathered: (pieces) => {
      if (impairment === undefined) return tun.writeGathered(pieces);
      impairment.fromStack(concat(...pieces));
      return true;
    },
    isLocal: (address) => far.some((known) => known.equals(address)),
    mayTalk: (address) => near.some((known) => known.equals(address)),
    handlers: o.handlers,
  });
  const impairment =
    o.profile === undefined
      ? undefined
      : new Impairment({
          profile: o.profile,
          seed: o.seed ?? 1,
          toStack: (frame) => stack.input(frame),
          drained: () => stack.drained(),
          toKernel: (frame) => tun.write(frame),
        });
  tun.start({
    receive: (frame) => {
      o.tap?.(frame.bytes);
      if (impairment === undefined) stack.input(frame);
      else impairment.fromKernel(frame);
    },
    drained: () => stack.drained(),
    failed: (error) => {
      throw error;
    },
  });
  return {
    stack,
    counters,
    impairment,
    device: tun.name,
    near4,
    near6,
    far4,
    far6,
    close() {
      impairment?.close();
      stack.close();
      tun.close();
    },
  };
}

function addresses(...texts: string[]): Buffer[] {
  return texts.map((text) => {
    const parsed = parseIp(text);
    if (isMalformed(parsed)) throw new Error(text);
    return Buffer.from(parsed);
  });
}
