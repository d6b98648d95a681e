import type { Malformed } from "../../base/mod.ts";
import { EQUALS, valueAt } from "./filter-language.ts";
import { decides, LABEL_FUNCTIONS, lists } from "./label-language.ts";
import { type Language, type Type, Undecidable } from "./language.ts";

/** Who wants to do something to what, as `where` in a role's rule sees it. */
export interface RuleSubject {
  readonly user: {
    readonly name: string;
    readonly roles: readonly string[];
    readonly traits: Readonly<Record<string, readonly string[]>>;
  };
  /** `undefined` while it is not known which: what depends on it cannot be decided then. */
  readonly resource: object | undefined;
}

/** What a rule speaks of. */
export interface RuleScope {
  /** What `resource.metadata.name` and other fields hold there. */
  readonly fieldType: (path: readonly string[]) => Type | Malformed;
  /** Whether it is about recorded sessions, which Teleport has: nobody takes part in any here. */
  readonly sessions: boolean;
}

/** Teleport's language of `where`, for rules that speak of these kinds. */
export function ruleLanguage({ fieldType, sessions }: RuleScope): Language<RuleSubject> {
  const participants = { type: "list", get: () => [] } as const;
  return {
    fields: {
      "user.metadata.name": { type: "text", get: ({ user }) => user.name },
      "user.spec.roles": { type: "list", get: ({ user }) => user.roles },
      "user.spec.traits": {
        type: "list",
        keyed: "one",
        get: ({ user: { traits } }, [key = ""]) => (Object.hasOwn(traits, key) ? traits[key] : undefined),
      },
      resource: { type: fieldType, keyed: "path", get: ({ resource }, path) => valueAt(given(resource), path) },
      ...(sessions && { "session.participants": participants, "ssh_session.participants": participants }),
    },
    functions: {
      ...LABEL_FUNCTIONS,
      equals: EQUALS,
      has_prefix: decides(["text", "text"], (args) => args.text(0).startsWith(args.text(1))),
      set: { ...lists(["text"], (args) => args.texts()), variadic: true },
      // Of an empty list these three hold, as in Teleport.
      is_subset: {
        ...decides(["list", "text"], (args) => args.list(0).every((item) => args.texts(1).includes(item))),
        variadic: true,
      },
      all_equal: decides(["list", "text"], (args) => args.list(0).every((item) => item === args.text(1))),
      all_end_with: decides(["list", "text"], (args) => args.list(0).every((item) => item.endsWith(args.text(1)))),
      "system.catype": {
        params: [],
        type: "text",
        run: (_, { subject: { resource } }) => {
          const type = valueAt(given(resource), ["spec", "type"]);
          return valueAt(resource, ["kind"]) === "cert_authority" && typeof type === "string" ? type : "";
        },
      },
    },
  };
}

function given(resource: object | undefined): object {
  if (resource === undefined) throw new Undecidable("it depends on the resource");
  return resource;
}
