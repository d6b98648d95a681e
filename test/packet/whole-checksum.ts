import { isMalformed } from "../../src/base/mod.ts";
import {
  addWords,
  checksumOf,
  decodeVirtio,
  fold,
  pseudoHeaderSum,
  put16,
  VIRTIO_HEADER_LEN,
  virtioFlag,
} from "../../src/net/wire/mod.ts";
import { sentPacket } from "./sent-packet.ts";

/** What `addWords` takes at once. */
const PIECE_LEN = 32 * 1024;

/** What a device does with a partial checksum, so that damage done afterwards can be found. */
export function completeChecksum(frame: Uint8Array): void {
  const virtio = decodeVirtio(frame);
  if (isMalformed(virtio) || (virtio.flags & (virtioFlag.NEEDS_CSUM | virtioFlag.DATA_VALID)) === 0) return;
  const ip = sentPacket(frame);
  if (isMalformed(ip)) return;
  const field = VIRTIO_HEADER_LEN + virtio.csumStart + virtio.csumOffset;
  frame[0] = 0;
  if ((virtio.flags & virtioFlag.NEEDS_CSUM) === 0 && virtio.flags !== 0) return;
  put16(frame, field, 0);
  const pseudo = pseudoHeaderSum(frame, ip.addressesAt, ip.addressLen, ip.protocol, ip.end - ip.bodyAt);
  let sum = pseudo;
  for (let at = ip.bodyAt; at < ip.end; at += PIECE_LEN) {
    sum = fold(addWords(sum, frame, at, Math.min(at + PIECE_LEN, ip.end)));
  }
  put16(frame, field, checksumOf(sum));
}
