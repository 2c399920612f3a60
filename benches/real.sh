#!/usr/bin/env bash
# Makes captures of real programs for `cargo xtask bench`: nginx with wrk, curl and iperf3, in
# network namespaces of their own, MTU 1500, offloads off. Needs root, a minute, and 3 GB, of which
# 2 remain.
#
#   benches/real.sh FOLDER BRIDGE      BRIDGE is the program of benches/src/bin/bridge.rs
#
# Makes api.pcap, churn.pcap, bulk.pcap, lossy.pcap and mixed.pcapng if they do not exist, and for
# each a file NAME.truth with the number of requests that nginx served in clear. A capture is
# complete or does not exist: it begins before the first SYN, and if the kernel drops a packet or
# nginx refuses a request, this script fails. Exits with 69 if a program or root is missing, after
# printing which.
set -euo pipefail

folder=$(realpath -m "$1") bridge=$(realpath "$2")
here=$(dirname "$(realpath "$0")")
captures=(api.pcap churn.pcap bulk.pcap lossy.pcap mixed.pcapng)

missing=()
for capture in "${captures[@]}"; do
  [ -f "$folder/$capture" ] || missing+=("$capture")
done
[ ${#missing[@]} -gt 0 ] || exit 0
for program in ip ethtool sysctl nginx wrk curl iperf3 openssl tcpdump editcap; do
  command -v $program >/dev/null || { echo "no real traffic: $program is missing"; exit 69; }
done
[ "$(id -u)" = 0 ] || { echo "no real traffic: it needs root"; exit 69; }

mkdir -p "$folder"
work=$(mktemp -d)
client=real-$$-client server=real-$$-server line=real-$$-line
# Kills whatever hangs: a normal run takes less than half as long.
bound=240
at_client=(timeout $bound ip netns exec $client)
at_server=(timeout $bound ip netns exec $server)
# Rates are limited below, so that the capture can be written as fast.
fetch=("${at_client[@]}" curl -sSfk --limit-rate)

leave() {
  local running
  # Once is enough: a second signal would leave namespaces behind.
  trap '' HUP INT TERM
  running=$(jobs -p)
  [ -z "$running" ] || kill $running 2>/dev/null || true
  wait
  take_down
  rm -rf "$work"
}
trap leave EXIT
trap 'exit 1' HUP INT TERM

fail() {
  echo "real.sh: $1" >&2
  exit 1
}

# Waits for a condition while the job that should fulfil it runs.
await() { # PID COMMAND...
  local pid=$1
  shift
  until "$@"; do
    kill -0 "$pid" 2>/dev/null || fail "ended too early: $*"
    sleep 0.1
  done
}

stop() { # PID
  kill "$1" 2>/dev/null || fail "a program that was to be stopped had ended"
  wait "$1" || true
}

interface() { # NAMESPACE INTERFACE [ADDRESS...]
  local namespace=$1 interface=$2 address
  shift 2
  for address in "$@"; do ip -n "$namespace" addr add "$address/24" dev "$interface"; done
  ip netns exec "$namespace" ethtool -K "$interface" gro off gso off tso off tx off rx off sg off >/dev/null 2>&1
  ip -n "$namespace" link set "$interface" up promisc on
  ip -n "$namespace" link set lo up
}

# The client's interface is `near`, the server's is `far`; between them is a cable, or the bad line.
set_up() { # cable | line
  ip netns add $client
  ip netns add $server
  if [ "$1" = cable ]; then
    ip -n $client link add near mtu 1500 type veth peer name far mtu 1500 netns $server
  else
    ip netns add $line
    ip -n $client link add near mtu 1500 type veth peer name one mtu 1500 netns $line
    ip -n $server link add far mtu 1500 type veth peer name other mtu 1500 netns $line
    interface $line one
    interface $line other
  fi
  interface $client near 10.9.0.1
  # Several addresses, because a client has no more than 64 k ports for each.
  interface $server far 10.9.0.2 10.9.0.3 10.9.0.4 10.9.0.5
  ip netns exec $client sysctl -qw net.ipv4.ip_local_port_range="1024 65535"
  ip netns exec $server sysctl -qw net.core.somaxconn=4096 net.ipv4.tcp_max_syn_backlog=4096
}

take_down() {
  local namespace
  for namespace in $client $server $line; do
    ip netns del $namespace 2>/dev/null || true
  done
}

# nginx serves responses of 0.3–4 KiB, and files of several megabytes.
make_files() {
  mkdir -p "$work/www"
  awk -v folder="$work/www" 'BEGIN {
    for (n = 0; n < 40; n++) {
      file = folder "/" n ".json"
      size = 300 * (4096 / 300) ^ (n / 39) - 160
      text = "{\"ok\": true, \"items\": ["
      while (length(text) < size)
        text = text sprintf("{\"id\": %d, \"name\": \"item-%x\", \"tags\": [\"alpha\", \"delta\"], \"note\": \"café \\\"quoted\\\"\"}, ",
                            rand() * 1e9, rand() * 1e9)
      print text "null]}" >file
      close(file)
    }
  }'
  local megabytes
  for megabytes in 1 2 5 10 20 50; do
    head -c ${megabytes}M < <(yes "$(cat "$work/www/39.json" "$work/www/30.json" "$work/www/20.json")" 2>/dev/null) >"$work/www/$megabytes"
  done
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/key" -out "$work/certificate" -days 2 -subj /CN=api.example.test 2>/dev/null
}

start_nginx() {
  rm -f "$work/pid" "$work/served"
  cat >"$work/nginx.conf" <<CONF
user root;
worker_processes 1;
worker_rlimit_nofile 16384;
daemon off;
pid $work/pid;
error_log $work/errors warn;
events { worker_connections 8192; }
http {
  log_format served '\$status \$request_method \$request_uri';
  access_log off;
  client_body_temp_path $work/bodies;
  proxy_temp_path $work/proxied;
  client_body_buffer_size 64k;
  client_max_body_size 0;
  keepalive_requests 1000000;
  default_type application/octet-stream;
  types { application/json json; }
  root $work/www;
  add_header X-Request-Id \$request_id;
  add_header Cache-Control "no-cache, private";
  server {
    listen 80 backlog=4096;
    access_log $work/served served;
    location /v1/ {
      default_type application/json;
      return 201 '{"id":"\$request_id","status":"created","length":\$content_length,"links":{"self":"/v1/orders/\$request_id"}}';
    }
    # Server-side includes remove the length, so the response is chunked.
    location /chunked/ { alias $work/www/; ssi on; ssi_types application/octet-stream; }
    # Reads all of a body before it responds, and discards it.
    location /upload/ { proxy_pass http://127.0.0.1:8081; proxy_pass_request_body off; proxy_set_header Content-Length ""; }
  }
  server { listen 127.0.0.1:8081; default_type application/json; return 201 '{"ok":true}'; }
  server { listen 8443 ssl; ssl_certificate $work/certificate; ssl_certificate_key $work/key; }
}
CONF
  "${at_server[@]}" nginx -p "$work" -e "$work/errors" -c "$work/nginx.conf" &
  nginx=$!
  await $nginx test -s "$work/pid"
}

start_capture() {
  # A buffer that holds a whole capture, because tcpdump shares two cores with the traffic.
  : >"$work/tcpdump"
  "${at_server[@]}" tcpdump -i far -B 1048576 -Z root -w "$work/capture" tcp 2>"$work/tcpdump" &
  tcpdump=$!
  await $tcpdump grep -q 'listening on' "$work/tcpdump"
}

# Ends everything, and leaves the capture and its truth in the folder.
finish() { # CAPTURE
  sleep 2
  stop $tcpdump
  stop $nginx
  grep -q '^0 packets dropped by kernel' "$work/tcpdump" || fail "$1: $(grep 'dropped by kernel' "$work/tcpdump")"
  ! grep -v '^20[01] ' "$work/served" || fail "$1: requests that were refused"
  case $1 in
    *.pcapng) editcap -F pcapng "$work/capture" "$folder/making" ;;
    *) mv "$work/capture" "$folder/making" ;;
  esac
  wc -l <"$work/served" >"$folder/${1%.*}.truth"
  mv "$folder/making" "$folder/$1"
  take_down
}

all_answered() { [ "$(grep -c '^done' "$work/wrk")" = 2 ]; }

requests() { # ADDRESS CONNECTIONS REQUESTS [close]
  : >"$work/wrk"
  "${at_client[@]}" wrk -t2 -c"$2" -d${bound}s --timeout 60s -s "$here/real.lua" "http://$1/" -- $(($3 / 2)) "${4:-}" >"$work/wrk" 2>&1 &
  local wrk=$!
  await $wrk all_answered
  stop $wrk
}

api() {
  requests 10.9.0.2 300 150000
}

churn() {
  local host
  for host in 2 3 4 5; do requests 10.9.0.$host 200 31000 close; done
}

bulk() {
  local megabytes at=http://10.9.0.2
  for megabytes in 1 2 5 10 20 50 1 2 5 10 20 50; do
    "${fetch[@]}" 120M $at/$megabytes $at/chunked/$megabytes >/dev/null
  done
  for megabytes in 1 5 20 50; do
    "${fetch[@]}" 120M -T "$work/www/$megabytes" $at/upload/ >/dev/null
    "${fetch[@]}" 120M -T "$work/www/$megabytes" -H 'Transfer-Encoding: chunked' $at/upload/ >/dev/null
  done
  # Three at the same time.
  local transfers=() transfer
  for _ in 1 2 3; do
    "${fetch[@]}" 40M $at/50 >/dev/null &
    transfers+=($!)
  done
  for transfer in "${transfers[@]}"; do wait "$transfer"; done
}

lossy() {
  requests 10.9.0.2 300 80000
}

mixed() {
  : >"$work/iperf3"
  "${at_server[@]}" iperf3 -s -1 --forceflush >"$work/iperf3" 2>&1 &
  local iperf3=$!
  await $iperf3 grep -q listening "$work/iperf3"
  "${at_client[@]}" iperf3 -c 10.9.0.2 -n 140M -b 300M -P 2 >/dev/null &
  local streams=$!
  "${fetch[@]}" 60M https://10.9.0.2:8443/{20,20,20,20} "https://10.9.0.2:8443/[0-39].json" >/dev/null &
  local encrypted=$!
  requests 10.9.0.2 100 36000
  wait $streams
  wait $encrypted
}

make_files
for capture in "${missing[@]}"; do
  echo "making $folder/$capture"
  class=${capture%.*}
  if [ "$class" = lossy ]; then
    set_up line
    mkfifo "$work/end"
    timeout $bound ip netns exec $line "$bridge" one other <"$work/end" &
    carrier=$!
    exec 3>"$work/end"
  else
    set_up cable
  fi
  start_nginx
  start_capture
  $class
  if [ "$class" = lossy ]; then
    sleep 1
    echo >&3
    wait $carrier
  fi
  finish "$capture"
done
