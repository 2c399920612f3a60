#!/usr/bin/env python3
"""A wire in user space: joins two Ethernet interfaces frame by frame.

Used by record.sh to make two kinds of link the kernel did not offer where
the corpus was recorded: one that loses and reorders frames, and one whose
frames carry 802.1Q tags.

  relay.py A B [--loss PCT] [--reorder PCT] [--seed N]
  relay.py A B --mid T1 T2 --tags 42        (or --tags 88a8:100,8100:42)

Without --mid, what comes in at A goes out at B and the other way round. With
--mid, the path is A - T1 = T2 - B, where T1 = T2 is a veth pair: frames are
tagged before they enter that pair and untagged after it, so that a capture on
T1 sees tagged frames in both directions.

Only IPv4 frames are lost or reordered, so that ARP always works. Runs for at
most --seconds, or until SIGTERM. Needs root.
"""
import argparse
import random
import select
import signal
import socket
import struct
import sys
import time

ETH_P_ALL = 3
TAG_TYPES = (b"\x81\x00", b"\x88\xa8")


def open_interface(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.bind((name, ETH_P_ALL))
    # SOL_PACKET, PACKET_ADD_MEMBERSHIP, promiscuous: frames here are addressed
    # to the far end, not to us.
    membership = struct.pack("iHH8s", socket.if_nametoindex(name), 1, 0, b"")
    s.setsockopt(263, 1, membership)
    s.setblocking(False)
    return s


def parse_tags(text):
    tags = b""
    for part in filter(None, text.split(",")):
        kind, _, vid = part.rpartition(":")
        tags += struct.pack("!HH", int(kind or "8100", 16), int(vid))
    return tags


def untag(frame):
    while frame[12:14] in TAG_TYPES:
        frame = frame[:12] + frame[16:]
    return frame


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("a")
    p.add_argument("b")
    p.add_argument("--mid", nargs=2, metavar=("T1", "T2"))
    p.add_argument("--tags", default="")
    p.add_argument("--loss", type=float, default=0)
    p.add_argument("--reorder", type=float, default=0)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--seconds", type=float, default=60)
    o = p.parse_args()

    rng = random.Random(o.seed)
    tags = parse_tags(o.tags)
    # way[socket] = (socket to send on, tag the frame on the way?)
    a, b = open_interface(o.a), open_interface(o.b)
    if o.mid:
        t1, t2 = map(open_interface, o.mid)
        way = {a: (t1, True), t2: (b, False), b: (t2, True), t1: (a, False)}
    else:
        way = {a: (b, False), b: (a, False)}

    running = [True]
    signal.signal(signal.SIGTERM, lambda *_: running.clear())
    end = time.monotonic() + o.seconds
    held = []  # (when to let it go, socket, frame)
    total = lost = reordered = 0
    print("ready", file=sys.stderr, flush=True)
    while running and time.monotonic() < end:
        readable, _, _ = select.select(list(way), [], [], 0.001 if held else 0.05)
        for s in readable:
            for _ in range(32):
                try:
                    frame, (_, _, kind, _, _) = s.recvfrom(65536)
                except BlockingIOError:
                    break
                if kind == socket.PACKET_OUTGOING:
                    continue  # our own frame, on its way out
                out, add = way[s]
                frame = untag(frame)
                total += 1
                if frame[12:14] == b"\x08\x00":
                    if rng.random() * 100 < o.loss:
                        lost += 1
                        continue
                    if rng.random() * 100 < o.reorder:
                        reordered += 1
                        held.append((time.monotonic() + rng.uniform(0.001, 0.004), out, frame))
                        continue
                out.send(frame[:12] + tags + frame[12:] if add else frame)
        now = time.monotonic()
        for item in [h for h in held if h[0] <= now]:
            held.remove(item)
            item[1].send(item[2])
    print(f"frames {total}, lost {lost}, reordered {reordered}", file=sys.stderr)


main()
