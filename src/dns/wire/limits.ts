/** RFC 1035 §2.3.4. The name's limit counts length octets and the root's. */
export const MAX_LABEL_LEN = 63;
export const MAX_NAME_LEN = 255;

/** Compression pointers in one name. Real messages chain a few; more is an attempt to make us work. */
export const MAX_POINTERS = 32;

/** A query holds a question, an OPT and perhaps a TSIG or SIG(0); more is not worth walking. */
export const MAX_QUERY_RECORDS = 8;

/** Records of an upstream's answer. 64 KiB could hold more; what servers send is far less. */
export const MAX_RECORDS = 1024;
