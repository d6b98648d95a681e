import { UsageError } from "../cli/program.ts";

/** A kind as the command line knows it. */
export interface KindWords {
  readonly kind: string;
  /** The name of the one resource of this kind. */
  readonly singleton?: string;
  readonly aliases: readonly string[];
  /** `user "alice"`, or just `vnet_config` for the one there is. */
  readonly title: (name: string) => string;
}

export const KINDS: readonly KindWords[] = [
  { kind: "vnet_config", singleton: "vnet-config", aliases: [], title: () => "vnet_config" },
  {
    kind: "cluster_auth_preference",
    singleton: "cluster-auth-preference",
    aliases: ["cap"],
    title: () => "cluster auth preference",
  },
  { kind: "user", aliases: ["users"], title: (name) => `user "${name}"` },
  { kind: "role", aliases: ["roles"], title: (name) => `role "${name}"` },
  { kind: "app", aliases: ["apps"], title: (name) => `application "${name}"` },
  { kind: "app_server", aliases: ["app_servers"], title: (name) => `app_server "${name}"` },
  { kind: "token", aliases: ["tokens"], title: (name) => `provision_token "${name}"` },
  { kind: "cert_authority", aliases: ["cas"], title: (name) => `cert_authority "${name}"` },
  { kind: "proxy", aliases: ["proxies"], title: (name) => `proxy "${name}"` },
];

export interface ResourceRef {
  readonly words: KindWords;
  /** Absent: all of the kind. */
  readonly name?: string;
}

/** Reads `KIND` or `KIND/NAME`. */
export function parseRef(text: string): ResourceRef {
  const slash = text.indexOf("/");
  const word = slash < 0 ? text : text.slice(0, slash);
  const name = slash < 0 ? undefined : text.slice(slash + 1);
  const words = KINDS.find((each) => each.kind === word || each.aliases.includes(word));
  if (words === undefined) {
    throw new UsageError(`unknown kind "${word}"; there are: ${KINDS.map((each) => each.kind).join(", ")}`);
  }
  if (name === "") throw new UsageError(`"${text}": a name is missing after the slash`);
  if (words.singleton !== undefined) {
    if (name !== undefined) throw new UsageError(`there is only one ${words.kind}: say just "${words.kind}"`);
    return { words, name: words.singleton };
  }
  return name === undefined ? { words } : { words, name };
}

/** Reads `KIND/NAME`, or just `KIND` where there is only one. */
export function parseNamedRef(text: string): Required<ResourceRef> {
  const { words, name } = parseRef(text);
  if (name === undefined) throw new UsageError(`"${text}" names no resource: expected ${words.kind}/NAME`);
  return { words, name };
}

export function wordsOf(kind: string): KindWords {
  return KINDS.find((each) => each.kind === kind) ?? { kind, aliases: [], title: (name) => `${kind} "${name}"` };
}
