import type { AppView, ClusterView } from "../api/mod.ts";
import type { ByteStream } from "../base/mod.ts";

export type { AppView, ClusterView };

/** What VNet knows of the clusters, and its one way to reach an app. */
export interface Directory {
  /** Usable clusters in the order of the search; one whose login has expired is absent. */
  clusters(): readonly ClusterView[];
  /** Calls `listener` after each change of what `clusters` returns. Returns the end of that. */
  onChange(listener: () => void): () => void;
  /**
   * Opens a connection to an app. Resolves only when the app's own server has
   * accepted; rejects with an OperationError whose message a person understands.
   */
  dial(cluster: ClusterView, app: AppView, port: number, signal: AbortSignal): Promise<ByteStream>;
}
