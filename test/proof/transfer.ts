/**
 * `npm run proof -- transfer [OCTETS]`: 1 GiB each way through VNet between
 * hosts, hashes compared by both ends, beside the same transfer over the bare
 * network from the agent's host.
 */
import { bulkCommand, startServices } from "../e2e/services.ts";

const octets = Number(process.argv[2] ?? 1024 ** 3);
await using services = await startServices((text) => process.stdout.write(text));
const { alice, hosts } = services.cluster;
for (const direction of ["send", "fetch"] as const) {
  const command = bulkCommand(direction, octets);
  const vnet = await alice.type(command, { timeoutMs: 600_000 });
  const bare = await hosts.agent.execOk(["sh", "-c", command.replace("bulk.company.test", "10.77.0.40")]);
  const seconds = (line: string) => (JSON.parse(line) as { seconds: number }).seconds;
  const mib = (line: string) => Math.round(octets / 2 ** 20 / seconds(line));
  console.log(`${direction}: ${mib(vnet)} MiB/s through VNet, ${mib(bare)} MiB/s over the bare network`);
}
