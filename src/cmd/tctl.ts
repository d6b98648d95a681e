import { KINDS } from "../api/mod.ts";
import { readClientEnvironment } from "../config/mod.ts";
import { newProgram, runProgram } from "./cli/program.ts";
import { addAppCommands } from "./tctl/apps.ts";
import { addAuditCommands } from "./tctl/audit.ts";
import { addExplainCommand } from "./tctl/explain.ts";
import { addLockCommand } from "./tctl/lock.ts";
import { addResourceCommands } from "./tctl/resources.ts";
import { addAuthCommands } from "./tctl/rotate.ts";
import { addStatusCommand } from "./tctl/status.ts";
import { Tctl } from "./tctl/tctl.ts";
import { addTokenCommands } from "./tctl/tokens.ts";
import { addUserCommands } from "./tctl/users.ts";

const env = readClientEnvironment(process.env);
const program = newProgram("tctl", "Administer a cluster.");
program
  .option("-c, --config <file>", "configuration file of the Auth Service on this host (TELEPORT_CONFIG_FILE)")
  .option("-i, --identity <file>", "identity file (TELEPORT_IDENTITY_FILE)")
  .option("--auth-server <address>", "Auth or proxy address for the identity file (TELEPORT_AUTH_SERVER)");
const tctl = new Tctl(program, env);
addStatusCommand(program, tctl);
addExplainCommand(program);
addResourceCommands(program, tctl);
addUserCommands(program, tctl);
addTokenCommands(program, tctl);
addLockCommand(program, tctl);
addAuthCommands(program, tctl);
addAuditCommands(program, tctl);
addAppCommands(program, tctl);
await runProgram(program, process.argv, { ref: KINDS, refs: KINDS, path: KINDS });
