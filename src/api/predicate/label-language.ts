import { MAX_MATCH_LEN } from "../limits.ts";
import {
  type Arguments,
  type Evaluation,
  type FunctionSpec,
  type Language,
  type Param,
  Undecidable,
} from "./language.ts";

/** Who wants to reach what, as `app_labels_expression` sees it. */
export interface LabelSubject {
  readonly labels: Readonly<Record<string, string>>;
  readonly traits: Readonly<Record<string, readonly string[]>>;
}

/** The local part of an e-mail address, plain or as `Name <local@host>`; `undefined` where it is none. */
export function emailLocal(address: string): string | undefined {
  const plain = /<([^<>]+)>\s*$/.exec(address)?.[1] ?? address.trim();
  return /^([^\s@<>]+)@[^\s@<>]+$/.exec(plain)?.[1];
}

/** The functions that need to know only their arguments: role templates have them too. */
export const LABEL_FUNCTIONS = {
  contains: decides(["list", "text"], (args) => args.list(0).includes(args.text(1))),
  contains_any: decides(["list", "list"], (args) => args.list(1).some((item) => args.list(0).includes(item))),
  // Of nothing, not all: an app without such labels is none of the user's.
  contains_all: decides(["list", "list"], (args) => {
    const items = args.list(1);
    return items.length > 0 && items.every((item) => args.list(0).includes(item));
  }),
  "regexp.match": decides(["list", "regex"], (args, evaluation) =>
    evaluation.spend(args.list(0)).some((text) => args.regex(1).test(text)),
  ),
  // What the pattern does not occur in is left out, as in Teleport.
  "regexp.replace": lists(["list", "regex", "text"], (args, evaluation) => {
    const replaced: string[] = [];
    for (const text of evaluation.spend(args.list(0))) {
      if (!args.regex(1).test(text)) continue;
      const result = args.regex(1).replaceAll(text, args.text(2));
      if (result.length > MAX_MATCH_LEN) throw new Undecidable(`a text of more than ${MAX_MATCH_LEN} characters`);
      replaced.push(result);
    }
    return evaluation.spend(replaced);
  }),
  "email.local": lists(["list"], (args, evaluation) =>
    evaluation.spend(args.list(0)).map((address) => {
      const local = emailLocal(address);
      if (local === undefined) throw new Undecidable("email.local: not an e-mail address");
      return local;
    }),
  ),
  "strings.upper": lists(["list"], (args, evaluation) =>
    evaluation.spend(args.list(0)).map((text) => text.toUpperCase()),
  ),
  "strings.lower": lists(["list"], (args, evaluation) =>
    evaluation.spend(args.list(0)).map((text) => text.toLowerCase()),
  ),
};

/** Teleport's language of label expressions. */
export const LABEL_LANGUAGE: Language<LabelSubject> = {
  fields: {
    labels: { type: "text", keyed: "one", get: ({ labels }, [key = ""]) => own(labels, key) },
    "user.spec.traits": { type: "list", keyed: "one", get: ({ traits }, [key = ""]) => own(traits, key) },
  },
  functions: {
    ...LABEL_FUNCTIONS,
    labels_matching: {
      params: ["pattern"],
      type: "list",
      run: (args, evaluation) => {
        const { labels } = evaluation.subject;
        const keys = evaluation.spend(Object.keys(labels)).filter((key) => args.pattern(0)(key));
        return evaluation.spend(keys.map((key) => labels[key] ?? ""));
      },
    },
  },
};

/** How a function comes to its answer. */
type Run<R> = (args: Arguments, evaluation: Evaluation<unknown>) => R;

export function decides(params: readonly Param[], run: Run<boolean>): FunctionSpec<unknown> {
  return { params, type: "boolean", run };
}

export function lists(params: readonly Param[], run: Run<readonly string[]>): FunctionSpec<unknown> {
  return { params, type: "list", run };
}

function own<T>(map: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}
