#!/usr/bin/env python3
"""Writes NAME.tshark.tsv next to each capture: what tshark finds in it.

  ./expect.py              all captures in this folder
  ./expect.py FILE...      only these

This is the expectation that does not come from our own tool. One line for each
HTTP/1 message, in the order of frames:

  frame, tcp.stream, request|response, method|status, target|reason,
  body length, sha256 of the body (or - when there is none)

The frame is the one where tshark had the whole message. The body is as on the
wire after de-chunking and before content-decoding. Web socket frames, and bytes
that belong to no message (a capture that starts in the middle), have no line.

Where tshark is known to be wrong or to say nothing, CORRECTIONS holds lines made
by hand. They name frames of one recording: look at them again after record.sh.

Needs tshark (made with 4.0.17).
"""
import hashlib
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ET

HERE = pathlib.Path(__file__).resolve().parent
PORTS = range(18080, 18085)  # see record.sh
CAPTURES = (".pcap", ".pcapng", ".pcap.gz", ".pcap.zst")

JSON = "3ab1ad02570e9bc2ab5684f558842da01d4bf705baa829b596aaf12e3911fd84"  # data.json
NOISE_4K = "ee69854cf5ff35ee6ed0a071341aad1bbc0ffdd510aaaa9b0d691065a33dacde"
MISSING = "533a1ca5d6595793725bca7641d9461a0f00dd1732dded3e4281196f5dd21736"  # nginx's 404

# file name: lines that tshark does not give; the reason is also in the page.
CORRECTIONS = {
    # With all requests in one frame tshark pairs every answer with the last one,
    # a GET. So it waits for the body that the answer to HEAD does not have.
    "nginx-pipelined-head.pcap": [
        (8, 0, "response", "200", "OK", 0, "-"),
        (10, 0, "response", "200", "OK", 4096, NOISE_4K),
        (12, 0, "response", "201", "Created", 0, "-"),
        (14, 0, "response", "404", "Not Found", 153, MISSING),
        (16, 0, "response", "200", "OK", 24, JSON),
    ],
    # A body that ends before its content-length: tshark shows no message at all.
    # Length and hash are those of the bytes that came (a start of noise-150k.bin).
    "nginx-client-leaves.pcap": [
        (9, 0, "response", "200", "OK", 30462,
         "c4d41a580a0dc46e74cb7a465f881ca138402f16eaadefe364df0db6f79597de"),
    ],
    "nginx-client-abort.pcap": [
        (18, 0, "response", "200", "OK", 20222,
         "7e7ecd208c4f7959fdd2af473890263d08f6dca4a9b65da8bebd8ec519b6e7ff"),
    ],
    # The client keeps the body to itself after the 413: no message for tshark.
    "nginx-expect-refused.pcap": [
        (4, 0, "request", "PUT", "/dav/limited/big.bin", 0, "-"),
    ],
    # After a frame that was cut, tshark puts off whole frames when it reassembles
    # out of order (without that option it shows both of these).
    "nginx-snaplen-heads.pcap": [
        (12, 0, "response", "200", "OK", 24, JSON),
        (18, 0, "response", "200", "OK", 0, "-"),
    ],
}


def tshark(path):
    command = ["tshark", "-n", "-2", "-r", str(path), "-T", "pdml",
               "-o", "tcp.reassemble_out_of_order:TRUE",
               "-o", "http.decompress_body:FALSE"]
    for port in PORTS:
        command += ["-d", f"tcp.port=={port},http"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=120, check=True)
    return ET.fromstring(done.stdout)


def field(node, name, attribute="show"):
    found = node.find(f".//field[@name='{name}']")
    return None if found is None else found.get(attribute)


def body_of(http):
    # Plain bodies are http.file_data; encoded ones, with decompression off, are
    # handed to the "data" dissector. Both come after de-chunking.
    value = field(http, "http.file_data", "value") or field(http, "data.data", "value")
    return bytes.fromhex(value) if value else b""


def lines(path):
    for packet in tshark(path).iter("packet"):
        frame = field(packet, "num")
        stream = field(packet, "tcp.stream")
        for http in packet.iter("proto"):
            if http.get("name") != "http":
                continue
            method, status = field(http, "http.request.method"), field(http, "http.response.code")
            if method:
                what = ["request", method, field(http, "http.request.uri")]
            elif status:
                what = ["response", status, field(http, "http.response.phrase") or ""]
            else:
                continue
            body = body_of(http)
            yield [int(frame), int(stream), *what, len(body),
                   hashlib.sha256(body).hexdigest() if body else "-"]


def main():
    names = sys.argv[1:] or sorted(p.name for p in HERE.iterdir() if p.name.endswith(CAPTURES))
    for name in names:
        rows = list(lines(HERE / name))
        rows += map(list, CORRECTIONS.get(name, ()))
        rows.sort(key=lambda r: r[0])  # stable: messages in one frame stay in order
        text = "".join("\t".join(map(str, r)) + "\n" for r in rows)
        (HERE / f"{name}.tshark.tsv").write_text(text)
        print(f"{name}: {len(rows)} messages")


main()
