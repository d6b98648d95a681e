/**
 * teleport.yaml and the environment, read once, as typed values with their
 * defaults. Opens no sockets and creates no files.
 */
export {
  type ClientEnvironment,
  DEFAULT_CONFIG_FILE,
  type Environment,
  readClientEnvironment,
  readConfigFilePath,
} from "./environment.ts";
