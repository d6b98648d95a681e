/** Text of one `tctl create` or one teleport.yaml: far above any real one, far below what hurts. */
export const MAX_DOCUMENT_BYTES = 1024 * 1024;
/** Documents in one text; `tctl get all` of a large cluster fits. */
export const MAX_DOCUMENTS = 10_000;
/** Expansions of YAML anchors in one document: a bomb needs thousands, an honest file a few. */
export const MAX_YAML_ALIASES = 64;
/** Problems reported for one document; a wrong file would fill the terminal. */
export const MAX_PROBLEMS = 20;
/** Characters of a resource's name: one path segment, one database key. */
export const MAX_NAME_LEN = 255;
/** Entries of one list or map inside a resource. */
export const MAX_ENTRIES = 1024;
/** Characters of a single text value inside a resource. */
export const MAX_TEXT_LEN = 64 * 1024;
/** Resources in one answer of `resource.list`. */
export const MAX_PAGE = 1000;
/** Events in one `audit.emit` call. */
export const MAX_EVENTS = 500;
