/** A reporter of node:test that writes nothing but `{"tests","skipped"}` at the end. */
import type { TestEvent } from "node:test/reporters";

// node:test takes a reporter as default export only.
// biome-ignore lint/style/noDefaultExport: see above
export default async function* summary(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    // Files have a summary each; the whole run's has no file.
    if (event.type === "test:summary" && event.data.file === undefined) {
      yield JSON.stringify({ tests: event.data.counts.tests, skipped: event.data.counts.skipped });
    }
  }
}
