/**
 * The "internet's" DNS server in the hosts' switch, a process of its own:
 *
 *     node dns-server.ts ADDRESS NAME=IP…      (`*.zone=IP` matches below the zone)
 *
 * Answers A and AAAA for the names given, NXDOMAIN for others, with EDNS, and prints a
 * line `query NAME TYPE` for each, so that a test sees what was forwarded.
 */
import dgram from "node:dgram";
import { decode, encode, type OptAnswer, type Packet, type StringAnswer } from "dns-packet";

const AUTHORITATIVE = 0x0400;
const NXDOMAIN = 3;

const OPT: OptAnswer = {
  type: "OPT",
  name: ".",
  udpPayloadSize: 1232,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

const [address = "127.0.0.1", ...pairs] = process.argv.slice(2);
const records = pairs.map((pair) => {
  const [name = "", ip = ""] = pair.split("=");
  return { name: name.toLowerCase(), ip };
});

const socket = dgram.createSocket("udp4");
socket.on("message", (message, from) => {
  const answer = respond(message);
  if (answer !== undefined) socket.send(answer, from.port, from.address);
});
socket.bind(53, address, () => console.log("ready"));

function respond(message: Uint8Array): Uint8Array | undefined {
  const query = decode(Buffer.from(message));
  const question = query.questions?.[0];
  if (question === undefined) return undefined;
  console.log(`query ${question.name} ${question.type}`);
  const known = records.filter((record) => matches(record.name, question.name.toLowerCase()));
  const answers = known
    .filter(({ ip }) => question.type === (ip.includes(":") ? "AAAA" : "A"))
    .map(({ ip }): StringAnswer => ({ name: question.name, type: question.type as "A" | "AAAA", ttl: 10, data: ip }));
  const response: Packet = {
    id: query.id ?? 0,
    type: "response",
    flags: AUTHORITATIVE | ((query.flags ?? 0) & 0x0100) | (known.length > 0 ? 0 : NXDOMAIN),
    questions: [question],
    answers,
    // As all of today's servers do; without it systemd-resolved takes us for one that knows no EDNS.
    additionals: query.additionals?.some(({ type }) => type === "OPT") ? [OPT] : [],
  };
  return encode(response);
}

function matches(pattern: string, name: string): boolean {
  return pattern.startsWith("*.") ? name.endsWith(pattern.slice(1)) : name === pattern;
}
