/**
 * Sequence numbers wrap at 2^32 (RFC 9293 §3.4): they are compared by the sign
 * of their 32-bit difference, which is right for numbers less than 2^31 apart.
 */

export function add(a: number, octets: number): number {
  return (a + octets) >>> 0;
}

/** How far `a` lies behind `b`: negative when before it. */
export function diff(a: number, b: number): number {
  return (a - b) | 0;
}

export function lt(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

export function le(a: number, b: number): boolean {
  return ((a - b) | 0) <= 0;
}

export function gt(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

export function ge(a: number, b: number): boolean {
  return ((a - b) | 0) >= 0;
}

export function max(a: number, b: number): number {
  return lt(a, b) ? b : a;
}

export function min(a: number, b: number): number {
  return lt(a, b) ? a : b;
}

/** Is `a` one of the `wnd` numbers from `start` on? */
export function inWindow(a: number, start: number, wnd: number): boolean {
  return (a - start) >>> 0 < wnd;
}
