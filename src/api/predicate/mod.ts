/**
 * Teleport's small languages: conditions on labels and traits
 * (`app_labels_expression`) and of rules (`where`), filters of resources
 * (`--query`), patterns and templates in roles. Read once, with the place of
 * every fault; run in bounded time. The expression knows only the names of its
 * language: no loops, no variables, no way to the outside.
 */
export { FILTER_LANGUAGE, type FilterSubject, matchesSearch } from "./filter-language.ts";
export { LABEL_LANGUAGE, type LabelSubject } from "./label-language.ts";
export type { Language, Type as FieldType } from "./language.ts";
export type { Fault } from "./lexer.ts";
export { type Expression, parseExpression } from "./parser.ts";
export { isRegexPattern, type Matcher, parsePattern } from "./pattern.ts";
export { parseRegex, quoteRegex, type Regex } from "./regex.ts";
export { type RuleScope, type RuleSubject, ruleLanguage } from "./rule-language.ts";
export { parseTraitPattern, type TraitPattern, type Traits } from "./template.ts";
