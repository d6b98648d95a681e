import type { Command } from "commander";
import { createLogger } from "../../base/mod.ts";
import type { ClientEnvironment } from "../../config/mod.ts";
import type { RpcClient } from "../../rpc/mod.ts";
import { showSlowCalls } from "../cli/progress.ts";
import { type CredentialFlags, connectAdmin } from "./credential.ts";

/** What every `tctl` command works with: the global flags and the connection they lead to. */
export class Tctl {
  readonly #program: Command;
  readonly #env: ClientEnvironment;

  constructor(program: Command, env: ClientEnvironment) {
    this.#program = program;
    this.#env = env;
  }

  get editor(): string {
    return this.#env.editor;
  }

  /** Runs one command against Auth, and ends the connection afterwards. */
  async run(command: (rpc: RpcClient) => Promise<void>): Promise<void> {
    const flags = this.#program.opts<CredentialFlags & { debug?: boolean }>();
    const log = createLogger({ level: flags.debug ? "debug" : "warn", format: "text" });
    await using rpc = await connectAdmin(flags, this.#env, log);
    showSlowCalls(rpc, "the Auth Service");
    await command(rpc);
  }
}
