import { COMPLETE } from "./cli/arguments.ts";
import { newProgram, runProgram } from "./cli/program.ts";
import { addCommands } from "./tsh/commands.ts";

// The command of `tsh vnet exec -- COMMAND` is not for us to parse, its options least of all.
const dashes = process.argv[2] === COMPLETE ? -1 : process.argv.indexOf("--");
const ours = dashes < 0 ? process.argv : process.argv.slice(0, dashes);
const command = dashes < 0 ? [] : process.argv.slice(dashes + 1);

const program = newProgram("tsh", "Log in to a cluster and reach its applications.");
program
  .option("--proxy <address>", "the proxy of the cluster, HOST or HOST:PORT (TELEPORT_PROXY)")
  .option("--user <name>", "your user name in the cluster (TELEPORT_USER)")
  .option("-i, --identity <file>", "an identity file in place of a login, with --proxy (TELEPORT_IDENTITY_FILE)")
  .option("--mfa-mode <mode>", "second factor: auto, otp, or browser for passkeys (TELEPORT_MFA_MODE)")
  .option("--insecure", "do not check the proxy's web certificate: not safe (TELEPORT_INSECURE)");
const tsh = async () => {
  const config = import("../config/mod.ts");
  const { Tsh } = await import("./tsh/session.ts");
  return new Tsh(program, (await config).readClientEnvironment(process.env));
};
addCommands(program, tsh, command);
await runProgram(program, ours);
