/**
 * Loaded into the process of every test file: when its tests have run and it
 * does not end, something that they started is still open. That is a failure,
 * told by name, instead of a run that waits forever.
 */
import { after } from "node:test";

/** Between the last test and the process's end. */
const GRACE_MS = 5_000;

// The runner itself loads this file too, and has no tests of its own.
if (process.env.NODE_TEST_CONTEXT !== undefined) {
  after(() => {
    setTimeout(() => {
      process.stderr.write(
        `${process.argv[1]}: still open after all tests: ${process.getActiveResourcesInfo().join(", ")}\n`,
      );
      process.exit(1);
    }, GRACE_MS).unref();
  });
}
