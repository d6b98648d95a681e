import { ICMP_HEADER_LEN, IP4_HEADER_LEN, IP6_HEADER_LEN, type IpPacket, icmp4, icmp6 } from "../wire/mod.ts";
import { addressLenOf, type Tuple } from "./flow-table.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { ICMP_ERROR_LEN, ICMP_ERRORS_PER_SECOND } from "./limits.ts";
import { RateLimit } from "./rate-limit.ts";

/** Destination unreachable, what ICMPv6 says instead of "protocol", and time exceeded. Rate-limited. */
export class IcmpErrors {
  readonly #writer: FrameWriter;
  readonly #limit = new RateLimit(ICMP_ERRORS_PER_SECOND);

  constructor(writer: FrameWriter) {
    this.#writer = writer;
  }

  /** Tells the sender of the packet why nothing will come of it. False: over the limit. */
  send(reason: "address" | "port" | "protocol" | "reassembly", buf: Uint8Array, ip: IpPacket, now: number): boolean {
    if (!this.#limit.allow(now)) return false;
    const room = ICMP_ERROR_LEN[ip.version] - ICMP_HEADER_LEN - (ip.version === 4 ? IP4_HEADER_LEN : IP6_HEADER_LEN);
    const quoted = buf.subarray(ip.at, Math.min(ip.end, ip.at + room));
    const tuple = addressesOf(buf, ip);
    if (reason === "reassembly") {
      const { timeExceeded, codeReassembly } = ip.version === 4 ? icmp4 : icmp6;
      this.#writer.icmp(tuple, timeExceeded, codeReassembly, 0, quoted);
    } else if (ip.version === 4) {
      const code = { address: icmp4.codeHost, port: icmp4.codePort, protocol: icmp4.codeProtocol }[reason];
      this.#writer.icmp(tuple, icmp4.unreachable, code, 0, quoted);
    } else if (reason === "protocol") {
      this.#writer.icmp(tuple, icmp6.parameterProblem, icmp6.codeNextHeader, ip.protocolOffset, quoted);
    } else {
      const code = reason === "port" ? icmp6.codePort : icmp6.codeAddress;
      this.#writer.icmp(tuple, icmp6.unreachable, code, 0, quoted);
    }
    return true;
  }
}

/** A tuple with the packet's addresses and no ports, for ICMP. */
export function addressesOf(buf: Uint8Array, ip: IpPacket): Tuple {
  const tuple = new Uint8Array(2 * ip.addressLen + 4);
  tuple.set(buf.subarray(ip.addressesAt, ip.addressesAt + 2 * addressLenOf(tuple)));
  return tuple;
}
