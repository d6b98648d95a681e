/**
 * `npm run proof -- idle [COUNT [SECONDS]]`: 50,000 connections from seven
 * addresses, each used once, then idle for 30 s: at most 2 KiB of heap each, less
 * than 2 % CPU of the process, and all usable afterwards. Prints Markdown.
 */
import { idleRun } from "../packet/idle-run.ts";
import { circumstances } from "./circumstances.ts";

const [count = 50_000, seconds = 30] = process.argv.slice(2).map(Number);
const result = await idleRun(count, seconds);
console.log("# Idle connections\n");
console.log(circumstances(undefined));
console.log(`- connections: ${result.connections}`);
console.log(`- heap after a forced collection, typed arrays included: ${Math.round(result.eachOctets)} octets each`);
console.log(`- CPU of the process over ${seconds} s: ${result.cpuPercent.toFixed(2)} %`);
console.log(`- frames sent meanwhile: ${result.framesWhileIdle}`);
console.log(`- usable afterwards: ${result.usable}`);
process.exitCode = result.eachOctets <= 2_048 && result.cpuPercent < 2 && result.usable === count ? 0 : 1;
