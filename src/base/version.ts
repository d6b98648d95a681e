/** The one version constant: of all programs, of `server_version`, of `package.json` (a test compares). */
export const VERSION = "17.7.2";

/**
 * Why a program of version `peer` is not served by one of version `own`, as a
 * sentence that says what to install; `undefined` where they work together: at
 * most one major version apart.
 */
export function versionObjection(peer: string, own: string = VERSION): string | undefined {
  const [theirs, ours] = [majorOf(peer), majorOf(own)];
  if (theirs === undefined || ours === undefined) return `${JSON.stringify(peer.slice(0, 40))} is not a version`;
  if (Math.abs(theirs - ours) <= 1) return undefined;
  return (
    `version ${peer} does not work with this cluster's ${own}, since they are more than one major version apart: ` +
    `install version ${own} on this machine`
  );
}

function majorOf(version: string): number | undefined {
  const major = /^(\d{1,6})\.\d+\.\d+([-+.].*)?$/.exec(version)?.[1];
  return major === undefined ? undefined : Number(major);
}
