import { connect, type Socket } from "node:net";
import { type Clock, type Counters, type IpAddress, splice } from "../base/mod.ts";
import type { TcpAttempt, UdpDatagram } from "../net/stack/mod.ts";
import { socketStream } from "../tunnel/mod.ts";
import { destinationOf } from "./destination.ts";
import { MAX_OUTSIDE_CONNECTIONS, MAX_OUTSIDE_DIALS } from "./limits.ts";
import { UdpFlows } from "./udp-flows.ts";

export interface OutsideOptions {
  readonly clock: Clock;
  readonly counters: Counters;
  /** The address that stands for the host's own loopback; without it nothing leads there. */
  readonly hostLoopback?: IpAddress;
  /** Replaces the system's in tests. */
  readonly dial?: (host: string, port: number) => Socket;
}

/** Everything that is not VNet's, reached by the host's own sockets. */
export class Outside {
  readonly #options: OutsideOptions;
  readonly #flows: UdpFlows;
  readonly #dials = new Set<Socket>();
  #open = 0;

  constructor(options: OutsideOptions) {
    this.#options = options;
    this.#flows = new UdpFlows(options);
  }

  /** Connections and UDP flows at this moment. */
  get open(): { tcp: number; udp: number } {
    return { tcp: this.#open, udp: this.#flows.size };
  }

  /** Dials first: the client sees the target's own refusal, or that no way leads there. */
  tcp(attempt: TcpAttempt): void {
    const { address, port } = attempt.local;
    const host = destinationOf(address, this.#options.hostLoopback);
    if (host === undefined) {
      this.#turnAway(attempt, "forbidden");
    } else if (this.#dials.size >= MAX_OUTSIDE_DIALS || this.#open >= MAX_OUTSIDE_CONNECTIONS) {
      this.#turnAway(attempt, "full");
    } else {
      this.#dial(attempt, host, port);
    }
  }

  /** `false`: nobody may be asked there. */
  udp(datagram: UdpDatagram): boolean {
    const host = destinationOf(datagram.local.address, this.#options.hostLoopback);
    if (host === undefined) {
      this.#options.counters.count("outside.udp-forbidden");
      datagram.unreachable("prohibited");
    } else {
      this.#flows.send(host, datagram);
    }
    return true;
  }

  /** Ends dials and flows. Connections end with the stack that holds their other end. */
  close(): void {
    for (const socket of this.#dials) socket.destroy();
    this.#dials.clear();
    this.#flows.close();
  }

  #dial(attempt: TcpAttempt, host: string, port: number): void {
    const { counters } = this.#options;
    const socket = (this.#options.dial ?? dialSocket)(host, port);
    this.#dials.add(socket);
    const giveUp = () => void socket.destroy();
    const done = () => {
      this.#dials.delete(socket);
      attempt.aborted.removeEventListener("abort", giveUp);
      socket.off("error", onError);
      socket.off("close", done);
    };
    const onError = (error: NodeJS.ErrnoException) => {
      done();
      const refused = error.code === "ECONNREFUSED" || error.code === "ECONNRESET";
      counters.count(refused ? "outside.refused" : "outside.unreachable");
      if (refused) attempt.refuse();
      else attempt.unreachable("address");
    };
    socket.on("error", onError);
    socket.on("close", done);
    socket.once("connect", () => {
      done();
      counters.count("outside.connected");
      this.#open++;
      splice(attempt.accept(), socketStream(socket), () => void this.#open--);
    });
    attempt.aborted.addEventListener("abort", giveUp);
  }

  #turnAway(attempt: TcpAttempt, why: "forbidden" | "full"): void {
    this.#options.counters.count(`outside.tcp-${why}`);
    attempt.unreachable("prohibited");
  }
}

function dialSocket(host: string, port: number): Socket {
  return connect({ host, port, noDelay: true, allowHalfOpen: true });
}

/** Nothing beyond VNet, said at once rather than by silence. */
export function isolation(counters: Counters): Pick<Outside, "tcp" | "udp" | "close"> {
  return {
    tcp(attempt) {
      counters.count("outside.isolated");
      attempt.unreachable("prohibited");
    },
    udp(datagram) {
      counters.count("outside.isolated");
      datagram.unreachable("prohibited");
      return true;
    },
    close() {},
  };
}
