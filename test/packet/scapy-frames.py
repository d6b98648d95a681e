"""scapy's packets, right, wrong and fuzzed, into a TUN device: DEVICE NEAR4 FAR4 NEAR6 FAR6 COUNT SEED.

Prints how many were sent, and how many could not be built or were refused by the device.
"""

import random
import socket
import sys

from scapy.all import (
    ICMP,
    IP,
    TCP,
    UDP,
    DNS,
    DNSQR,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    Raw,
    fragment,
    fragment6,
    fuzz,
)

device, near4, far4, near6, far6, count, seed = sys.argv[1:]
random.seed(int(seed))
ETH_P = {4: 0x0800, 6: 0x86DD}


def port():
    return random.choice([53, 80, random.randrange(65536)])


def text():
    return Raw(random.randbytes(random.choice([0, 1, 20, 1400])))


def tcp():
    flags = random.choice(["S", "A", "FA", "R", "SA", "FPU", "", "SF", "PA", "SRA", random.randrange(256)])
    options = random.choice([[], [("MSS", random.randrange(65536))], [("WScale", 15), ("SAckOK", b"")],
                             [("Timestamp", (random.randrange(2**32), 0))], [("MSS", 0), ("NOP", None)],
                             [(random.randrange(256), random.randbytes(random.randrange(8)))]])
    return TCP(sport=random.randrange(65536), dport=port(), seq=random.randrange(2**32), ack=random.randrange(2**32),
               flags=flags, window=random.randrange(65536), urgptr=random.randrange(65536), options=options)


def transport(v6):
    echo = ICMPv6EchoRequest() if v6 else ICMP()
    udp = UDP(sport=random.randrange(65536), dport=port())
    return random.choice([
        lambda: tcp() / text(),
        lambda: fuzz(TCP()) / text(),
        lambda: udp / text(),
        lambda: fuzz(UDP()) / text(),
        lambda: udp / fuzz(DNS(qd=DNSQR())),
        lambda: echo / text(),
        lambda: fuzz(echo) / text(),
        # What ICMP says of a segment: mostly of one that was never sent.
        lambda: (ICMPv6PacketTooBig(mtu=random.randrange(2**32)) / IPv6(src=far6, dst=near6) / tcp()) if v6
        else ICMP(type=3, code=random.randrange(16), nexthopmtu=random.randrange(65536)) / IP(src=far4, dst=near4) / tcp(),
    ])()


def packet4():
    return random.choice([
        lambda: IP(src=near4, dst=far4) / transport(False),
        lambda: IP(src=far4, dst=far4) / tcp(),  # "land"
        lambda: IP(src=near4, dst="255.255.255.255") / transport(False),
        lambda: IP(src=near4, dst=far4, proto=random.randrange(256)) / text(),
        lambda: IP(src=near4, dst=far4, flags="MF", frag=random.randrange(8192)) / transport(False),
        lambda: fuzz(IP(src=near4, dst=far4)) / transport(False),
    ])()


def packet6():
    base = IPv6(src=near6, dst=far6)
    return random.choice([
        lambda: base / transport(True),
        lambda: base / fuzz(IPv6ExtHdrHopByHop()) / transport(True),
        lambda: base / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / transport(True),
        lambda: base / fuzz(IPv6ExtHdrRouting()) / transport(True),
        lambda: base / fuzz(IPv6ExtHdrFragment()) / transport(True),
        lambda: base / ICMPv6ND_RA() / text(),
        lambda: base / fuzz(ICMPv6ND_NS()),
        lambda: fuzz(IPv6(src=near6, dst=far6)) / transport(True),
    ])()


def whole(v6):
    """One packet, or its fragments in any order."""
    if random.random() < 0.9:
        return [packet6() if v6 else packet4()]
    long = Raw(random.randbytes(4000))
    if v6:
        parts = fragment6(IPv6(src=near6, dst=far6) / IPv6ExtHdrFragment() / UDP(dport=port()) / long, 1280)
    else:
        parts = fragment(IP(src=near4, dst=far4) / UDP(dport=port()) / long, 600)
    random.shuffle(parts)
    return parts if random.random() < 0.5 else parts[1:] + parts[:1] * 2


out = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
sent = refused = 0
while sent < int(count):
    v6 = random.random() < 0.5
    for packet in whole(v6):
        try:
            frame = bytes(packet)
            out.sendto(frame[:1500], (device, ETH_P[6 if v6 else 4]))
            sent += 1
        except Exception:  # what scapy cannot build, and what the device does not take
            refused += 1
print(f"{sent} sent, {refused} not")
