/** Text of one `tctl create` or one teleport.yaml: far above any real one, far below what hurts. */
export const MAX_DOCUMENT_BYTES = 1024 * 1024;
/** Documents in one text; `tctl get all` of a large cluster fits. */
export const MAX_DOCUMENTS = 10_000;
/** Expansions of YAML anchors in one document: a bomb needs thousands, an honest file a few. */
export const MAX_YAML_ALIASES = 64;
/** Problems reported for one document; a wrong file would fill the terminal. */
export const MAX_PROBLEMS = 20;
/** Characters of an error's sentence as the API answers it. */
export const MAX_MESSAGE_LEN = 8192;
/** Characters of somebody's text that an error repeats. */
export const MAX_SHOWN_LEN = 80;
/** Characters of a resource's name: one path segment, one database key. */
export const MAX_NAME_LEN = 255;
/** Entries of one list or map inside a resource. */
export const MAX_ENTRIES = 1024;
/** Characters of a single text value inside a resource. */
export const MAX_TEXT_LEN = 64 * 1024;
/** Resources in one answer of `resource.list`. */
export const MAX_PAGE = 1000;
/** Certificates of one authority in one message: two while it rotates. */
export const MAX_CA_CERTS = 8;
/** Resources that a watcher may say it has: with more of them reading all again is as cheap. */
export const MAX_KNOWN = 5000;
/** Events in one `audit.emit` call. */
export const MAX_EVENTS = 500;
/** Characters of one regular expression in a role. */
export const MAX_REGEX_LEN = 1000;
/** Instructions of a compiled one: with `MAX_MATCH_LEN` it bounds the time of one match, which is their product. */
export const MAX_REGEX_PROGRAM = 5000;
/** Longest text that a pattern is tried on; labels are short. */
export const MAX_MATCH_LEN = 4096;
/** Characters of one predicate expression. */
export const MAX_EXPRESSION_LEN = 8192;
/** Operators, calls and values in one. */
export const MAX_EXPRESSION_NODES = 500;
/** Brackets, calls and negations inside each other. */
export const MAX_EXPRESSION_DEPTH = 32;
/** Values of one list inside an expression, and of what one trait template stands for. */
export const MAX_EXPANSION = 256;
/** Characters that the functions of one evaluation look at: text that grows by replacing ends there. */
export const MAX_EVALUATION_LEN = 1024 * 1024;
