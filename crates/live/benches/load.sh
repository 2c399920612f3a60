#!/usr/bin/env bash
# Measures how many packets per second live capture takes without a drop, as a share of what a bare
# libpcap loop takes, in one run on one machine. Needs root; works in its own network namespaces;
# takes a minute or two.
#
#   crates/live/benches/load.sh [RATE...]      packets a second, ascending
#
# Each rate is sent for three seconds to the bare loop, then to `sniffer live` (JSON lines to
# /dev/null), both with the same buffer. Prints what was sent, what each lost and where, and the
# sniffer's CPU time and memory.
set -euo pipefail
cd "$(dirname "$0")/../../.."

rates=("$@")
[ ${#rates[@]} -gt 0 ] || rates=(50000 100000 150000 200000 250000 300000 400000)
seconds=3
buffer=33554432

cargo build --quiet --release --features live
cargo build --quiet --release -p sniffer-live --examples
bin=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d)
from=load-$$-a to=load-$$-b
trap 'ip netns del $from 2>/dev/null || true; ip netns del $to 2>/dev/null || true; rm -rf "$work"' EXIT
ip netns add $from
ip netns add $to
ip -n $from link add va mtu 1500 type veth peer name vb netns $to
ip -n $from link set va up
ip -n $to link set vb up

blast() { ip netns exec $from "$bin/examples/blast" va "$1" $seconds; }
ready() { until grep -q "$1" "$2" 2>/dev/null; do sleep 0.05; done; }

held_bare=0 held_live=0 bare_lost=no live_lost=no
printf '%10s %10s | %12s | %12s %10s %8s %8s %9s\n' asked sent bare-drops kernel-drops ring-drops messages cpu-s rss-MiB
for rate in "${rates[@]}"; do
  ip netns exec $to "$bin/examples/bare" vb $((seconds + 1)) $buffer >"$work/bare" 2>"$work/ready" &
  bare=$!
  ready ready "$work/ready"
  read -r sent_bare _ < <(blast "$rate")
  wait $bare
  read -r _ bare_drops <"$work/bare"

  ip netns exec $to "$bin/sniffer" live -i vb -p 80 --buffer-size $buffer >/dev/null 2>"$work/log" &
  live=$!
  ready '"started"' "$work/log"
  read -r sent _ < <(blast "$rate")
  read -r user system < <(awk '{print $14, $15}' "/proc/$live/stat")
  rss=$(awk '/VmHWM/ {printf "%d", $2 / 1024}' "/proc/$live/status")
  kill -TERM $live
  wait $live
  field() { grep '"stopped"' "$work/log" | grep -o "\"$1\":[0-9]*" | head -1 | cut -d: -f2; }
  kernel=$(field kernelDrops) ring=$(field ringDrops) messages=$(field messages)
  printf '%10d %10d | %12d | %12d %10d %8d %8s %9d\n' "$rate" "$sent" "$bare_drops" "$kernel" "$ring" "$messages" \
    "$(awk "BEGIN {printf \"%.2f\", ($user + $system) / $(getconf CLK_TCK)}")" "$rss"
  if [ "$bare_drops" = 0 ] && [ $bare_lost = no ]; then held_bare=$sent_bare; else bare_lost=yes; fi
  if [ "$((kernel + ring))" = 0 ] && [ $live_lost = no ]; then held_live=$sent; else live_lost=yes; fi
done
echo "held without a drop: bare libpcap $held_bare/s, sniffer live $held_live/s: $(awk "BEGIN {printf \"%.0f\", 100 * $held_live / ($held_bare ? $held_bare : 1)}") %"
