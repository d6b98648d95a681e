import { type ByteStream, formatIp, type SpliceTotals } from "../base/mod.ts";
import type { Endpoint } from "../net/stack/mod.ts";
import type { Target } from "./zones.ts";

/** A spliced connection. */
export interface Connection {
  readonly local: ByteStream;
  readonly remote: ByteStream;
  readonly totals: SpliceTotals;
  readonly target: Target;
  readonly port: number;
  /** The client's end. */
  readonly from: Endpoint;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/** What one app's name was used for since the start. Octets of application data. */
export interface AppTraffic {
  readonly host: string;
  readonly app: string;
  readonly cluster: string;
  readonly open: number;
  readonly total: number;
  readonly refused: number;
  readonly toApp: number;
  readonly fromApp: number;
}

export interface OpenConnection {
  readonly host: string;
  readonly app: string;
  readonly cluster: string;
  readonly port: number;
  /** `address:port` of the client. */
  readonly from: string;
  readonly since: number;
  readonly toApp: number;
  readonly fromApp: number;
}

type Sums = { -readonly [K in keyof AppTraffic]: AppTraffic[K] };

/** Counts connections and octets by name. Its size is bounded by the table of assignments. */
export class Traffic {
  readonly open = new Set<Connection>();
  readonly #byHost = new Map<string, Sums>();
  #unassigned = 0;

  begin(connection: Connection): void {
    this.open.add(connection);
    const sums = this.#of(connection.target);
    sums.total++;
    sums.open++;
  }

  /** Once for each connection. */
  end(connection: Connection): void {
    if (!this.open.delete(connection)) return;
    const sums = this.#of(connection.target);
    sums.open--;
    sums.toApp += connection.totals.aToB;
    sums.fromApp += connection.totals.bToA;
  }

  /** `target` is unknown where the address belongs to no app. */
  refuse(target: Target | undefined): void {
    if (target) this.#of(target).refused++;
    else this.#unassigned++;
  }

  /** Octets of open connections are counted as they are now. */
  apps(): AppTraffic[] {
    const rows = new Map([...this.#byHost].map(([host, sums]) => [host, { ...sums }]));
    for (const { target, totals } of this.open) {
      const row = rows.get(target.host)!; // `begin` made it
      row.toApp += totals.aToB;
      row.fromApp += totals.bToA;
    }
    return [...rows.values()];
  }

  connections(): OpenConnection[] {
    return [...this.open].map(({ target, port, from, since, totals }) => ({
      ...namesOf(target),
      port,
      from:
        from.address.length === 4
          ? `${formatIp(from.address)}:${from.port}`
          : `[${formatIp(from.address)}]:${from.port}`,
      since,
      toApp: totals.aToB,
      fromApp: totals.bToA,
    }));
  }

  sums(): { open: number; total: number; refused: number; toApps: number; fromApps: number } {
    const start = { open: this.open.size, total: 0, refused: this.#unassigned, toApps: 0, fromApps: 0 };
    return this.apps().reduce(
      (sum, row) => ({
        open: sum.open,
        total: sum.total + row.total,
        refused: sum.refused + row.refused,
        toApps: sum.toApps + row.toApp,
        fromApps: sum.fromApps + row.fromApp,
      }),
      start,
    );
  }

  #of(target: Target): Sums {
    let sums = this.#byHost.get(target.host);
    if (!sums) {
      sums = { ...namesOf(target), open: 0, total: 0, refused: 0, toApp: 0, fromApp: 0 };
      this.#byHost.set(target.host, sums);
    }
    return sums;
  }
}

function namesOf({ host, app, cluster }: Target): { host: string; app: string; cluster: string } {
  return { host, app: app.name, cluster: cluster.cluster };
}
