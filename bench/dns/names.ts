/** What is asked, and where. */
export const ZONE = "company.test";
/** VNet's, in the range that `vnet.ts` takes. */
export const DNS_ADDRESS = "100.64.0.2";
/** Answered by whoever is measured. */
export const LOCAL_NAMES = Array.from({ length: 100 }, (_, i) => `app${i}.${ZONE}`);
/** Known to the upstream only. */
export const FORWARDED_NAMES = Array.from({ length: 100 }, (_, i) => `host${i}.example.org`);
/** What all local names have where the answer is configured. */
export const ANSWER = "100.64.9.9";
