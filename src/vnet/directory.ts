import type { AppView, ClusterView } from "../api/mod.ts";
import type { ByteStream } from "../base/mod.ts";

export type { AppView, ClusterView };

/** What VNet knows of the clusters, and its one way to reach an app. */
export interface Directory {
  /** Clusters in the order of the search; one whose login has expired is as it was last seen, and says so. */
  clusters(): readonly ClusterView[];
  /** Calls `listener` after each change of what `clusters` returns. Returns the end of that. */
  onChange(listener: () => void): () => void;
  /**
   * Opens a connection to an app. Resolves only when the app's own server has
   * accepted; rejects with an OperationError whose message a person understands.
   * May wait for a new login where the last one has expired.
   */
  dial(cluster: ClusterView, app: AppView, port: number, signal: AbortSignal): Promise<ByteStream>;
  /** Someone asks for a name of a cluster whose login has expired. Called for each question. */
  needsLogin?(cluster: ClusterView): void;
}
