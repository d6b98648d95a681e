import { isMalformed, type Logger } from "../base/mod.ts";
import type { DialTcp } from "../dial/mod.ts";
import { identityOf, type UserIdentity } from "../pki/mod.ts";
import { RpcClient } from "../rpc/mod.ts";
import { dialProxy } from "./dial.ts";
import { LoginExpiredError, ProfileDamagedError } from "./errors.ts";
import type { Profile } from "./profile.ts";

/** Who the profile's certificate says the user is, valid or not. */
export function identityOfProfile(profile: Profile): UserIdentity {
  const identity = identityOf(profile.certPem);
  if (isMalformed(identity) || identity.kind !== "user") {
    throw new ProfileDamagedError(
      `the certificate of the saved login to ${profile.name} is damaged; log in again with "tsh login --proxy=${profile.name}"`,
    );
  }
  return identity;
}

export function isExpired(profile: Profile, now: number = Date.now()): boolean {
  return identityOfProfile(profile).expires <= now;
}

/** Auth's API with the profile's identity, through the proxy's relay. */
export function connectCluster(profile: Profile, log: Logger, dialTcp?: DialTcp): RpcClient {
  if (isExpired(profile)) throw expired(profile);
  return new RpcClient({
    dial: (signal) => dialProxy(profile.proxyAddress, signal, dialTcp),
    trust: { cluster: profile.cluster, hostCas: profile.hostCas },
    identity: { certPem: profile.certPem, keyPem: profile.keyPem },
    servername: profile.name,
    log,
  });
}

/** The API of a leaf cluster with the same identity, through the root's proxy. `hostCas`: of the leaf, as the root says. */
export function connectLeaf(
  profile: Profile,
  leaf: string,
  hostCas: readonly string[],
  log: Logger,
  dialTcp?: DialTcp,
): RpcClient {
  return new RpcClient({
    dial: (signal) => dialProxy(profile.proxyAddress, signal, dialTcp),
    trust: { cluster: leaf, hostCas },
    identity: { certPem: profile.certPem, keyPem: profile.keyPem },
    servername: profile.name,
    leaf,
    log,
  });
}

export function expired(profile: Profile): LoginExpiredError {
  return new LoginExpiredError(
    `your login to ${profile.name} has expired; log in again with "tsh login --proxy=${profile.proxyAddress} --user=${profile.user}"`,
  );
}
