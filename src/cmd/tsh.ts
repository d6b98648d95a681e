import { readClientEnvironment } from "../config/mod.ts";
import { newProgram, runProgram } from "./cli/program.ts";
import { addAppCommands } from "./tsh/apps.ts";
import { addLoginCommands } from "./tsh/login.ts";
import { Tsh } from "./tsh/session.ts";
import { addVnetCommands } from "./tsh/vnet.ts";

const env = readClientEnvironment(process.env);
const program = newProgram("tsh", "Log in to a cluster and reach its applications.", env.debug);
program
  .option("--proxy <address>", "the proxy of the cluster, HOST or HOST:PORT (TELEPORT_PROXY)", env.proxy)
  .option("--user <name>", "your user name in the cluster (TELEPORT_USER)", env.user)
  .option("--insecure", "do not check the proxy's web certificate: not safe (TELEPORT_INSECURE)", env.insecure);
const tsh = new Tsh(program, env);
addLoginCommands(program, tsh);
addAppCommands(program, tsh);
addVnetCommands(program, tsh);
await runProgram(program);
