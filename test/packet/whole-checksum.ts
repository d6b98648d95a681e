import { isMalformed } from "../../src/base/mod.ts";
import {
  addWords,
  checksumOf,
  decodeIp,
  decodeVirtio,
  pseudoHeaderSum,
  put16,
  VIRTIO_HEADER_LEN,
  virtioFlag,
} from "../../src/net/wire/mod.ts";

/** What a device does with a partial checksum, so that damage done afterwards can be found. */
export function completeChecksum(frame: Uint8Array): void {
  const virtio = decodeVirtio(frame);
  if (isMalformed(virtio) || (virtio.flags & (virtioFlag.NEEDS_CSUM | virtioFlag.DATA_VALID)) === 0) return;
  const ip = decodeIp(frame, VIRTIO_HEADER_LEN);
  if (isMalformed(ip)) return;
  const field = VIRTIO_HEADER_LEN + virtio.csumStart + virtio.csumOffset;
  frame[0] = 0;
  if ((virtio.flags & virtioFlag.NEEDS_CSUM) === 0 && virtio.flags !== 0) return;
  put16(frame, field, 0);
  const pseudo = pseudoHeaderSum(frame, ip.addressesAt, ip.addressLen, ip.protocol, ip.end - ip.bodyAt);
  put16(frame, field, checksumOf(addWords(pseudo, frame, ip.bodyAt, ip.end)));
}
