/**
 * teleport.yaml, flags and the environment, read once, as typed values with
 * their defaults. Opens no sockets and creates no files.
 */
export {
  type ClientEnvironment,
  DEFAULT_CONFIG_FILE,
  type Environment,
  readClientEnvironment,
  readConfigFilePath,
} from "./environment.ts";
export { ConfigFileError } from "./errors.ts";
export { loadTeleportConfig, parseTeleportConfig } from "./load.ts";
export { AUTH_PORT, DEFAULT_DATA_DIR, WEB_PORT } from "./schema.ts";
export { type StartingFileOptions, startingFile } from "./starting-file.ts";
export type { AppConfig, AuthConfig, ProxyConfig, StartFlags, TeleportConfig } from "./teleport-config.ts";
export { loadTshConfig, type TshConfig } from "./tsh-config.ts";
export { MAX_VALUE_FILE_LEN, readValue, type ValueSource } from "./value-source.ts";
