import { readFile } from "node:fs/promises";
import { text as textOf } from "node:stream/consumers";
import type { Command } from "commander";
import {
  AlreadyExistsError,
  BadInputError,
  CREATABLE_KINDS,
  ipv4CidrOf,
  type Kind,
  type ListFilter,
  NotFoundError,
  parseDocuments,
  type Resource,
  RevisionMismatchError,
  renderJson,
  renderYaml,
} from "../../api/mod.ts";
import { ConfigFileError } from "../../config/mod.ts";
import type { RpcClient } from "../../rpc/mod.ts";
import { addFilters, type Format, formatOption } from "../cli/arguments.ts";
import { labelsText, printAs } from "../cli/format.ts";
import { listAll } from "../cli/list-all.ts";
import { print, say, UsageError } from "../cli/program.ts";
import { table } from "../cli/table.ts";
import { editText } from "./editor.ts";
import { parseNamedRef, parseRef, type ResourceRef, titleOf } from "./kinds.ts";
import type { Tctl } from "./tctl.ts";
import { masked } from "./tokens.ts";

export function addResourceCommands(program: Command, tctl: Tctl): void {
  program
    .command("create")
    .description("create resources from a YAML or JSON file, or from standard input")
    .argument("[file]", 'the file; absent or "-": standard input')
    .option("-f, --force", "replace what exists", false)
    .addOption(formatOption("text", "--format <format>"))
    .action((file: string | undefined, o: CreateOptions) => tctl.run((rpc) => create(rpc, file, o)));
  const get = program
    .command("get")
    .description("print resources")
    .argument("<refs>", "KIND or KIND/NAME, several separated by commas, or all (tokens too: a backup)");
  addFilters(get, { labels: "option" })
    .option("--with-secrets", "print tokens themselves", false)
    .addOption(formatOption("yaml"))
    .action((refs: string, o: GetOptions) => tctl.run((rpc) => printResources(rpc, refs.split(","), o)));
  program
    .command("edit")
    .description("edit a resource in your editor (TELEPORT_EDITOR, VISUAL, EDITOR, else vi)")
    .argument("<ref>", "KIND or KIND/NAME")
    .addOption(formatOption())
    .action((ref: string, o: { format: Format }) =>
      tctl.run((rpc) => edit(rpc, parseNamedRef(ref), { editor: tctl.editor, format: o.format })),
    );
  program
    .command("rm")
    .alias("del")
    .description("delete a resource")
    .argument("<ref>", "KIND or KIND/NAME")
    .addOption(formatOption())
    .action((ref: string, o: { format: Format }) => tctl.run((rpc) => remove(rpc, parseNamedRef(ref), o.format)));
}

interface CreateOptions {
  force: boolean;
  format: Format;
}

/** In the order of the file; stops at the first failure, and says so by its error. */
async function create(rpc: RpcClient, file: string | undefined, { force, format }: CreateOptions): Promise<void> {
  const written: Resource[] = [];
  const fromStdin = file === undefined || file === "-";
  const source = fromStdin ? await textOf(process.stdin) : await readResourceFile(file);
  for (const resource of parseDocuments(source, fromStdin ? "stdin" : file)) {
    if (!CREATABLE_KINDS.includes(resource.kind)) {
      throw new BadInputError(
        `creating resources of kind "${resource.kind}" is not supported; there are: ${CREATABLE_KINDS.join(", ")}`,
      );
    }
    const { kind, metadata } = resource;
    const replaces = force && SAYS_UPDATED.includes(kind) && (await exists(rpc, kind, metadata.name));
    const answer = await rpc.call(force ? "resource.upsert" : "resource.create", { resource }).catch(hintAtForce);
    written.push(answer.resource);
    if (format === "text") print(`${titleOf(kind, metadata.name)} has been ${replaces ? "updated" : "created"}\n`);
  }
  if (format === "json") print(renderJson(withoutSecrets(written)));
  if (format === "yaml") print(renderYaml(withoutSecrets(written)));
}

/** Of the others Teleport says "created" also where something was replaced. */
const SAYS_UPDATED: readonly Kind[] = ["user", "role", "app", "cluster_networking_config"];

function exists(rpc: RpcClient, kind: Kind, name: string): Promise<boolean> {
  return rpc.call("resource.get", { kind, name }).then(
    () => true,
    () => false, // Or it may not be read: then it is not said that it was there.
  );
}

function hintAtForce(error: unknown): never {
  if (!(error instanceof AlreadyExistsError)) throw error;
  throw new AlreadyExistsError(`${error.message}, use -f or --force flag to override`, { cause: error });
}

async function readResourceFile(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw ConfigFileError.of("the resource file", file, error);
  }
}

interface GetOptions extends ListFilter {
  format: Format;
  withSecrets: boolean;
}

async function printResources(rpc: RpcClient, texts: readonly string[], o: GetOptions): Promise<void> {
  const all = texts.includes("all");
  const refs = all ? CREATABLE_KINDS.map((kind) => ({ kind })) : texts.map(parseRef);
  if (refs.length > 1 && o.format !== "yaml") throw new UsageError("several kinds at once are printed as YAML only");
  const found = (await Promise.all(refs.map((ref) => fetchAll(rpc, ref, o)))).flat();
  const resources = o.withSecrets || all ? found : withoutSecrets(found);
  switch (o.format) {
    case "yaml":
      return print(renderYaml(resources));
    case "json":
      return print(renderJson(resources));
    case "text":
      return print(textTable(refs[0]!.kind, resources));
  }
}

/** A token's name lets a host join: it is printed only where it was asked for. */
export function withoutSecrets(resources: readonly Resource[]): Resource[] {
  return resources.map((each) => (each.kind === "token" ? masked(each) : each));
}

async function fetchAll(rpc: RpcClient, ref: ResourceRef, filter: ListFilter): Promise<Resource[]> {
  if (ref.name !== undefined) {
    return [(await rpc.call("resource.get", { kind: ref.kind, name: ref.name })).resource];
  }
  return listAll(rpc, ref.kind, filter);
}

function textTable(kind: Kind, resources: readonly Resource[]): string {
  if (kind === "vnet_config") {
    const rows = resources
      .filter((resource) => resource.kind === "vnet_config")
      .map((config) => [
        ipv4CidrOf(config),
        (config.spec.custom_dns_zones ?? []).map((zone) => zone.suffix).join(", "),
      ]);
    return table(["IPv4 CIDR range", "Custom DNS Zones"], rows);
  }
  return table(
    ["Name", "Labels"],
    resources.map(({ metadata }) => [metadata.name, labelsText(metadata.labels)]),
  );
}

/** A round trip through the editor, conditional on the revision that was fetched. */
async function edit(
  rpc: RpcClient,
  ref: Required<ResourceRef>,
  { editor, format }: { editor: string; format: Format },
): Promise<void> {
  const { resource } = await rpc.call("resource.get", ref).catch((error: unknown) => {
    if (!(error instanceof NotFoundError)) throw error;
    throw new NotFoundError(
      `could not get resource ${titleOf(ref.kind, ref.name)}: it does not exist; "tctl create" makes one`,
      { cause: error },
    );
  });
  const before = renderYaml([resource]);
  await editText(before, editor, async (after) => {
    if (after === before) return say("edit cancelled, no changes made\n");
    const updated = await update(rpc, ref, after);
    printAs(format, withoutSecrets([updated])[0], () => `${titleOf(ref.kind, ref.name)} has been updated\n`);
  });
}

async function update(rpc: RpcClient, ref: Required<ResourceRef>, after: string): Promise<Resource> {
  const [edited] = parseDocuments(after, titleOf(ref.kind, ref.name));
  if (edited === undefined || edited.kind !== ref.kind || edited.metadata.name !== ref.name) {
    throw new UsageError(
      `renaming ${titleOf(ref.kind, ref.name)} is not possible: create the new one and delete the old`,
    );
  }
  const { resource } = await rpc.call("resource.update", { resource: edited }).catch((cause: unknown) => {
    if (!(cause instanceof RevisionMismatchError)) throw cause;
    throw new RevisionMismatchError(
      `the revision of ${titleOf(ref.kind, ref.name)} does not match: it was changed while you edited it, ` +
        'and your edit was not saved; run "tctl edit" again to work from the latest state',
      { cause },
    );
  });
  return resource;
}

async function remove(rpc: RpcClient, ref: Required<ResourceRef>, format: Format): Promise<void> {
  await rpc.call("resource.delete", ref);
  printAs(format, { deleted: ref }, () => `${titleOf(ref.kind, ref.name)} has been deleted\n`);
}
