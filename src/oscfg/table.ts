/** How the kernel's routes and rules of VNet are told from all others. */
export const TABLE = {
  /** "vn"; tables are numbered freely beyond 255. */
  id: "30318",
  /** Of routes and rules (`RTPROT`); unassigned in rt_protos, tells ours from others' in one call. */
  protocol: "176",
  /** Before 5210 to 5270, where Tailscale routes 100.64.0.0/10 to itself, and before main's 32766. */
  priorities: { dns: 5190, users: 5191, root: 5192, rest: 5193 },
} as const;

/**
 * Attributes of the routes into the TUN. That path never leaves the machine:
 * a congestion control that paces, as BBR does, would set a timer of the kernel
 * for every segment and cost more than all the copying. Reno does not, and
 * every kernel has it.
 */
export const TUN_ROUTE: readonly string[] = ["congctl", "reno"];
