import { writeFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import { fileFault } from "../../base/mod.ts";
import { identityFileText } from "../../client/mod.ts";
import { createCsr, generateKeyPair } from "../../pki/mod.ts";
import type { RpcClient } from "../../rpc/mod.ts";
import { parseDuration } from "../cli/arguments.ts";
import { print, say, UsageError } from "../cli/program.ts";
import type { Tctl } from "./tctl.ts";

interface SignOptions {
  user: string;
  out: string;
  format: "file" | "tls";
  ttl?: number;
  overwrite: boolean;
}

export function addSignCommand(auth: Command, tctl: Tctl): void {
  auth
    .command("sign")
    .description("make a certificate for a machine that cannot log in, such as a CI job; on the Auth host only")
    .requiredOption("--user <name>", "whose rights it gives")
    .requiredOption("-o, --out <file>", "the file, or what its files' names begin with")
    .addOption(
      new Option("--format <format>", "file: for tsh -i and tctl -i; tls: .key, .crt and .cas")
        .choices(["file", "tls"])
        .default("file"),
    )
    .option("--ttl <duration>", "how long it is valid (12h by default)", parseDuration)
    .option("--overwrite", "replace files that exist", false)
    .action((o: SignOptions) => tctl.run((rpc) => sign(rpc, o)));
}

async function sign(rpc: RpcClient, { user, out, format, ttl, overwrite }: SignOptions): Promise<void> {
  const keys = await generateKeyPair(); // The private key never leaves this process but into the file.
  const answer = await rpc.call("user.sign", {
    user,
    csr: await createCsr(keys),
    ...(ttl !== undefined && { ttl_seconds: ttl }),
  });
  const { cert, host_cas: hostCas } = answer;
  const files: [name: string, text: string][] =
    format === "file"
      ? [[out, identityFileText({ keyPem: keys.keyPem, certPem: cert, hostCas })]]
      : [
          [`${out}.key`, keys.keyPem],
          [`${out}.crt`, cert],
          [`${out}.cas`, hostCas.join("")],
        ];
  for (const [name, text] of files) await writePrivate(name, text, overwrite);
  print(`The credentials of user "${user}" have been written to ${files.map(([name]) => name).join(", ")}\n`);
  const proxy = answer.proxies[0] ?? "PROXY:443";
  if (format === "file") say(`Valid until ${answer.expires}; for example: tsh -i ${out} --proxy=${proxy} apps ls\n`);
}

export async function writePrivate(file: string, text: string, overwrite: boolean): Promise<void> {
  try {
    await writeFile(file, text, { mode: 0o600, flag: overwrite ? "w" : "wx" });
  } catch (cause) {
    const exists = (cause as NodeJS.ErrnoException).code === "EEXIST";
    const why = exists
      ? `${file} exists: say --overwrite, or write another file`
      : `cannot write ${file}: ${fileFault(cause, "write")}`;
    throw new UsageError(why, { cause });
  }
}
