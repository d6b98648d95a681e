import assert from "node:assert/strict";
import { test } from "node:test";
import { virtualClock } from "../testkit/mod.ts";
import { DetachedBound, type WaitingLink } from "./detached-bound.ts";
import { DETACHED_SWEEP_MS, MAX_DETACHED_LINKS, MAX_DETACHED_OCTETS } from "./limits.ts";

const MIB = 1024 * 1024;

function setUp() {
  const clock = virtualClock();
  const links: WaitingLink[] = [];
  const closed: string[] = [];
  const add = (user: string, name: string, heldOctets: number, detachedAt: number | undefined) => {
    const link = { heldOctets, detachedAt, close: () => void closed.push(name) };
    links.push({ user, link });
    return link;
  };
  const bound = new DetachedBound(clock, () => links.filter(({ link }) => !closed.includes(nameOf(link))));
  const names = new Map<object, string>();
  const nameOf = (link: object) => names.get(link) ?? "";
  const named = (user: string, name: string, held: number, at: number | undefined) => {
    const link = add(user, name, held, at);
    names.set(link, name);
    return link;
  };
  return { clock, bound, closed, add: named };
}

test("the longest waiting links of a user go when too much is held; other users and present clients do not", () => {
  const { clock, bound, closed, add } = setUp();
  add("alice", "second", 12 * MIB, 20);
  add("alice", "first", 12 * MIB, 10);
  add("alice", "third", 12 * MIB, 30);
  add("alice", "here", 100 * MIB, undefined);
  add("bob", "only", MAX_DETACHED_OCTETS, 5);
  bound.watch();
  clock.advance(DETACHED_SWEEP_MS);
  assert.deepEqual(closed, ["first"]);
});

test("of too many links of a user the longest waiting ones go, though they hold nothing", () => {
  const { clock, bound, closed, add } = setUp();
  for (let i = 0; i < MAX_DETACHED_LINKS + 2; i++) add("alice", `link ${i}`, 0, i);
  bound.watch();
  clock.advance(DETACHED_SWEEP_MS);
  assert.deepEqual(closed, ["link 0", "link 1"]);
});

test("it looks again while somebody is away, and no longer", () => {
  const { clock, bound, closed, add } = setUp();
  const link = add("alice", "growing", MIB, 10);
  bound.watch();
  clock.advance(DETACHED_SWEEP_MS);
  link.heldOctets = MAX_DETACHED_OCTETS + 1;
  clock.advance(DETACHED_SWEEP_MS);
  assert.deepEqual(closed, ["growing"]);
  clock.advance(DETACHED_SWEEP_MS);
  assert.equal(clock.pending, 0);
});
