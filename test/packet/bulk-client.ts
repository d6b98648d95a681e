/** The kernel's end of a bulk transfer: `bulk-client.ts ADDRESS PORT OCTETS`. A `BulkResult` as JSON on stdout. */
import { createConnection } from "node:net";
import { bulkSocket } from "./bulk-side.ts";

const [host, port, octets] = process.argv.slice(2);
const socket = createConnection({ host: host!, port: Number(port), allowHalfOpen: true });
process.stdout.write(JSON.stringify(await bulkSocket(socket, Number(octets))));
