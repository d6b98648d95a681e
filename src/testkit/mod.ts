/**
 * What tests and benches share: what they need from the machine, hosts made of
 * namespaces, real servers, fakes. Never imported by the product.
 */
export { lacking, type Need, needs, postgresBinDir, programPath } from "./needs.ts";
