/** The one version constant: of all programs, of `server_version`, of `package.json` (a test compares). */
export const VERSION = "17.7.2";
