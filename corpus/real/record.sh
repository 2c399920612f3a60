#!/usr/bin/env bash
# Records the captures in this folder again: real programs, real kernel, real
# tcpdump. Nothing here is synthesised.
#
#   sudo ./record.sh                 all of them
#   sudo ./record.sh nginx-head ...  only those named
#   ./record.sh --list               the names
#
# Recordings differ from one time to the next in time stamps, ports, sequence
# numbers and how bytes fall into segments. So after recording again: run
# ./expect.py, read the difference of every *.tshark.tsv, and read again
# whatever snapshots the tests keep of these files. Do not accept them unread.
#
# Needs root (tcpdump, network namespaces), Linux, bash, and these programs. It
# installs none of them. On Debian 12 they come from the packages in brackets:
#   tcpdump [tcpdump], dumpcap and editcap [wireshark-common], nginx [nginx],
#   apache2 [apache2-bin], ab [apache2-utils], curl [curl], wrk [wrk],
#   nc [netcat-openbsd], tinyproxy [tinyproxy-bin], node (20) [nodejs],
#   python3 (3.11) [python3], ip [iproute2], ethtool [ethtool],
#   openssl [openssl], zstd [zstd], gzip [gzip]
#
# All servers listen on loopback or inside namespaces this script makes and
# removes. It stops only processes it started. Everything is bounded in time.
set -euo pipefail
export LC_ALL=C

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CAPTURES=(
  nginx-keepalive nginx-gzip nginx-head nginx-pipelined nginx-pipelined-head
  nginx-not-modified nginx-range nginx-redirects nginx-expect-refused
  nginx-client-leaves nginx-client-abort nginx-slow-head nginx-slow-read
  nginx-ipv6 nginx-gso nginx-lossy nginx-wrk nginx-any-sll2 nginx-any-routed
  nginx-vlan nginx-qinq nginx-snaplen nginx-snaplen-heads nginx-midstream
  nginx-midbody
  apache-brotli-zstd apache-continue apache-dav apache-ab-keepalive
  node-chunked node-deflate node-multipart node-trailers node-websocket
  node-ab-close python-http10 tinyproxy-plain tinyproxy-tls two-interfaces
)

# Ports. One range, so that one tshark decode-as rule covers all of them.
NGINX=18080 APACHE=18081 NODE=18082 PYTHON=18083 PROXY=18084 TLS=18443

# --- processes, namespaces, clean-up -------------------------------------------

WORK='' PIDS=() SPACES=() DUMP='' RELAY='' IN=()

stop_pid() { # PID: ask, wait, never by name
  kill -TERM "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

clean() {
  local i
  for ((i = ${#PIDS[@]} - 1; i >= 0; i--)); do stop_pid "${PIDS[i]}"; done
  PIDS=() DUMP=''
  for i in ${SPACES[@]+"${SPACES[@]}"}; do ip netns del "$i" 2>/dev/null || true; done
  SPACES=()
}

finish() {
  clean
  if [[ -n $WORK ]]; then rm -rf "$WORK"; fi
}

until_true() { # SECONDS COMMAND...: poll, fail when the time is over
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= end)); then echo "timed out: $*" >&2; return 1; fi
    sleep 0.05
  done
}

# Runs a command in the namespace given by -n, else here. 90 s is far more than
# any capture takes; it only keeps a fault from hanging the script.
background() { # LOG COMMAND...
  local log=$1
  shift
  ${IN[@]+"${IN[@]}"} timeout 90 "$@" >"$log" 2>&1 </dev/null &
  PIDS+=($!)
}

in_space() { IN=(ip netns exec "$1"); }
in_host() { IN=(); }

listening() { # PORT, in the current namespace
  ${IN[@]+"${IN[@]}"} ss -Hltn "sport = :$1" | grep -q .
}

# --- capturing -----------------------------------------------------------------

# The filter keeps unrelated traffic out. No --immediate-mode: with it each frame
# takes a whole snapshot length of a small ring, and short bursts already lose
# frames. Without it frames reach tcpdump up to a second late (see stop_capture).
capture() { # FILE INTERFACE FILTER [tcpdump options...]
  local file=$1 iface=$2 filter=$3
  shift 3
  background "$WORK/tcpdump.log" tcpdump -Z root -n -i "$iface" -U \
    -w "$WORK/$file" "$@" "$filter"
  DUMP=${PIDS[-1]}
  until_true 5 grep -q 'listening on' "$WORK/tcpdump.log"
}

capture_ng() { # FILE FILTER INTERFACE...: dumpcap writes pcapng
  local file=$1 filter=$2 args=() i
  shift 2
  for i in "$@"; do args+=(-i "$i" -f "$filter"); done
  # dumpcap insists on a file it may write to under its own rules: make it first.
  : >"$WORK/$file"
  background "$WORK/tcpdump.log" dumpcap -q -n "${args[@]}" -w "$WORK/$file"
  DUMP=${PIDS[-1]}
  until_true 5 grep -q 'File:' "$WORK/tcpdump.log"
  sleep 0.3
}

stop_capture() { # wait for the last FIN and ACK, and for tcpdump to be handed them
  sleep 1.5
  stop_pid "$DUMP"
  DUMP=''
  # A capture that lost frames by itself would not show what its page says.
  if ! grep -Eq '^0 packets dropped by kernel|dropped on interface.*: [0-9]+/0 ' "$WORK/tcpdump.log" ||
    grep -Eq '^[1-9][0-9]* packets dropped|: [0-9]+/[1-9]' "$WORK/tcpdump.log"; then
    cat "$WORK/tcpdump.log" >&2
    return 1
  fi
}

keep() { # FILE: move it from the work folder to this one
  mv "$WORK/$1" "$HERE/$1"
  chmod 644 "$HERE/$1"
}

# --- documents and servers -----------------------------------------------------

# The same bytes each time, so that lengths and hashes in the pages stay true.
make_documents() {
  local d=$WORK/doc
  mkdir -p "$d/gz" "$d/br" "$d/pre" "$d/cgi-bin" "$WORK/dav/limited" "$WORK/tmp"
  printf 'hello\n' >"$d/hello.txt"
  printf '<!doctype html><title>index</title><p>It works.\n' >"$d/index.html"
  printf '{"name":"sample","n":3}\n' >"$d/data.json"
  : >"$d/empty.txt"
  seq -f 'line %05g of a plain text file' 1 400 >"$d/text.txt"
  noise() { python3 -c 'import random,sys; sys.stdout.buffer.write(random.Random(int(sys.argv[1])).randbytes(int(sys.argv[2])))' "$1" "$2"; }
  noise 1 4096 >"$d/noise-4k.bin"
  noise 2 40000 >"$d/noise-40k.bin"
  noise 3 150000 >"$d/noise-150k.bin"
  cp "$d/text.txt" "$d/gz/text.txt"
  cp "$d/text.txt" "$d/br/text.txt"
  zstd -q -19 "$d/text.txt" -o "$d/pre/text.txt.zst"
  gzip -9 -n -c "$d/text.txt" >"$d/gz/stored.txt.gz"
  cat >"$d/cgi-bin/list.py" <<'CGI'
#!/usr/bin/env python3
print("Content-Type: text/plain")
print()
for n in range(50):
    print("row", n)
CGI
  chmod 755 "$d/cgi-bin/list.py"
  find "$d" -exec touch -d '2024-01-02 03:04:05 UTC' {} +
  chown -R www-data "$WORK/dav" "$WORK/tmp"
  chmod -R a+rX "$WORK"
}

start_nginx() { # LISTEN-ADDRESS...
  local c=$WORK/nginx.conf listens='' a
  for a in "$@"; do listens+="listen $a:$NGINX; "; done
  cat >"$c" <<CONF
user www-data;
worker_processes 1;
daemon off;
pid $WORK/nginx.pid;
error_log $WORK/nginx.err;
events {}
http {
  access_log off;
  default_type application/octet-stream;
  types { text/html html; text/plain txt; application/json json; }
  client_body_temp_path $WORK/tmp/body;
  proxy_temp_path $WORK/tmp/proxy;
  fastcgi_temp_path $WORK/tmp/fastcgi;
  uwsgi_temp_path $WORK/tmp/uwsgi;
  scgi_temp_path $WORK/tmp/scgi;
  # wrk has no rate option: the delay in /paced/ keeps its burst small.
  limit_req_zone \$server_addr zone=paced:1m rate=150r/s;
  server {
    $listens
    root $WORK/doc;
    location /gz/ { gzip on; gzip_types text/plain; gzip_static on; }
    location /slow/ { alias $WORK/doc/; limit_rate 30k; }
    location /paced/ { alias $WORK/doc/; limit_req zone=paced burst=50; }
    location /dav/ { alias $WORK/dav/; dav_methods PUT DELETE MKCOL; }
    location /dav/limited/ { alias $WORK/dav/limited/; dav_methods PUT; client_max_body_size 1k; }
    location = /old { return 301 /older; }
    location = /older { return 302 /hello.txt; }
    location = /moved.txt { return 307 /dav/moved.txt; }
  }
  server {
    listen 127.0.0.1:$TLS ssl;
    ssl_certificate $WORK/cert.pem;
    ssl_certificate_key $WORK/key.pem;
    root $WORK/doc;
  }
}
CONF
  if [[ ! -e $WORK/cert.pem ]]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=example.test \
      -keyout "$WORK/key.pem" -out "$WORK/cert.pem" 2>/dev/null
  fi
  background "$WORK/nginx.log" nginx -e "$WORK/nginx.err" -c "$c"
  until_true 5 listening "$NGINX"
}

start_apache() {
  local c=$WORK/apache.conf m
  {
    for m in mpm_event authz_core dir mime filter deflate brotli dav dav_fs alias; do
      echo "LoadModule ${m}_module /usr/lib/apache2/modules/mod_$m.so"
    done
    cat <<CONF
User www-data
Group www-data
ServerName example.test
ServerRoot $WORK
DocumentRoot $WORK/doc
PidFile $WORK/apache.pid
ErrorLog $WORK/apache.err
DefaultRuntimeDir $WORK/tmp
Listen 127.0.0.1:$APACHE
KeepAlive On
KeepAliveTimeout 3
StartServers 1
ThreadsPerChild 8
MaxRequestWorkers 8
TypesConfig /dev/null
AddType text/plain .txt
AddType text/html .html
DavLockDB $WORK/tmp/davlock
<Location /br/>
  AddOutputFilterByType BROTLI_COMPRESS text/plain
</Location>
<Location /gz/>
  AddOutputFilterByType DEFLATE text/plain
</Location>
<Directory $WORK/doc/pre>
  RemoveType .zst
  AddEncoding zstd .zst
</Directory>
Alias /dav/ $WORK/dav/
<Directory $WORK/dav>
  Dav On
</Directory>
CONF
  } >"$c"
  background "$WORK/apache.log" apache2 -f "$c" -DFOREGROUND
  until_true 5 listening "$APACHE"
}

# Node's own http module does all the framing; this only picks what to send.
start_node() {
  cat >"$WORK/server.js" <<'JS'
const http = require('http'), zlib = require('zlib'), crypto = require('crypto');
const text = Array.from({ length: 400 }, (_, i) => `row ${i} of a table\n`).join('');
const sleep = ms => new Promise(r => setTimeout(r, ms));
const server = http.createServer(async (req, res) => {
  res.sendDate = false; // the same bytes each time
  const path = req.url.split('?')[0];
  if (path === '/pieces') {          // five chunks of different sizes, then the end
    res.writeHead(200, { 'Content-Type': 'text/plain' });
    for (const n of [1, 15, 16, 300, 2000]) { res.write('x'.repeat(n - 1) + '\n'); await sleep(20); }
    return res.end();
  }
  if (path === '/one') return res.end(text); // one end(): content-length
  if (path === '/deflate') {
    const body = zlib.deflateSync(text);
    res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Encoding': 'deflate', 'Content-Length': body.length });
    return res.end(body);
  }
  if (path === '/deflate-chunked') {
    res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Encoding': 'deflate' });
    const z = zlib.createDeflate();
    z.pipe(res); z.write(text); z.flush(() => z.end(text));
    return;
  }
  if (path === '/none') { res.writeHead(204); return res.end(); }
  // Everything else: read the request body, answer with what was read.
  const hash = crypto.createHash('sha256');
  let n = 0;
  for await (const piece of req) { n += piece.length; hash.update(piece); }
  const answer = JSON.stringify({ bytes: n, sha256: hash.digest('hex'), trailers: req.trailers }) + '\n';
  if (path === '/trailers') {
    res.writeHead(200, { 'Content-Type': 'application/json', Trailer: 'X-Count, X-Done' });
    res.write(answer);
    res.addTrailers({ 'X-Count': String(n), 'X-Done': 'yes' });
    return res.end();
  }
  res.writeHead(path === '/upload' ? 201 : 200, { 'Content-Type': 'application/json', 'Content-Length': answer.length });
  res.end(answer);
});
// Web sockets by hand: the handshake, a first frame in the same write, then an
// answer "pong" to whatever comes, then the close frame.
server.on('upgrade', (req, socket) => {
  const accept = crypto.createHash('sha1')
    .update(req.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    `Sec-WebSocket-Accept: ${accept}\r\n\r\n` + '\x81\x05hello', 'latin1');
  socket.on('data', d => {
    if ((d[0] & 15) === 8) socket.end(Buffer.from([0x88, 0]));
    else socket.write(Buffer.from('\x81\x04pong', 'latin1'));
  });
  socket.on('error', () => {});
});
server.keepAliveTimeout = 3000;
server.listen(+process.argv[2], '127.0.0.1');
JS
  background "$WORK/node.log" node "$WORK/server.js" "$NODE"
  until_true 10 listening "$NODE"
}

start_python() {
  cp -r "$WORK/doc" "$WORK/pydoc"
  background "$WORK/python.log" python3 -m http.server "$PYTHON" --bind 127.0.0.1 --cgi --directory "$WORK/pydoc"
  # (--cgi serves the current folder's /cgi-bin; --directory sets that folder.)
  until_true 10 listening "$PYTHON"
}

start_tinyproxy() {
  cat >"$WORK/tinyproxy.conf" <<CONF
Port $PROXY
Listen 127.0.0.1
Timeout 20
MaxClients 10
LogFile "$WORK/tinyproxy.err"
PidFile "$WORK/tinyproxy.pid"
ConnectPort $NGINX
ConnectPort $TLS
DisableViaHeader Yes
CONF
  background "$WORK/tinyproxy.log" tinyproxy -d -c "$WORK/tinyproxy.conf"
  until_true 5 listening "$PROXY"
}

# --- clients -------------------------------------------------------------------

# Bodies go to /dev/null. A client that gives up early is part of some captures,
# so the exit status is for the caller to judge.
get() { ${IN[@]+"${IN[@]}"} timeout 40 curl -sS --max-time 30 "$@" >/dev/null; }

H=http://127.0.0.1

# --- namespaces and links ------------------------------------------------------

space() { # NAME: a namespace of its own, quiet (no IPv6 chatter)
  ip netns add "$1"
  SPACES+=("$1")
  ip netns exec "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
  ip -n "$1" link set lo up
}

plug() { # SPACE1 NAME1 SPACE2 NAME2 [ADDRESS1 ADDRESS2]: a veth pair
  ip link add "$2" netns "$1" type veth peer name "$4" netns "$3"
  if [[ -n ${5:-} ]]; then ip -n "$1" addr add "$5" dev "$2"; fi
  if [[ -n ${6:-} ]]; then ip -n "$3" addr add "$6" dev "$4"; fi
  ip -n "$1" link set "$2" up
  ip -n "$3" link set "$4" up
}

# A frame that a program in user space takes and sends on must be complete:
# real checksums, no segments larger than the MTU.
no_offload() { # SPACE INTERFACE
  ip netns exec "$1" ethtool -K "$2" tx off rx off tso off gso off gro off >/dev/null
}

client_and_server() { # two namespaces, one wire: 10.9.0.1 and 10.9.0.2
  space hc-client
  space hc-server
  plug hc-client wire hc-server wire 10.9.0.1/24 10.9.0.2/24
}

client_relay_server() { # [relay options]: the same with relay.py in the middle
  space hc-client
  space hc-server
  space hc-relay
  plug hc-client wire hc-relay to-client 10.9.0.1/24
  plug hc-server wire hc-relay to-server 10.9.0.2/24
  plug hc-relay mid-1 hc-relay mid-2
  ip -n hc-relay link set mid-1 mtu 1600
  ip -n hc-relay link set mid-2 mtu 1600
  no_offload hc-client wire
  no_offload hc-server wire
  no_offload hc-relay to-client
  no_offload hc-relay to-server
  no_offload hc-relay mid-1
  no_offload hc-relay mid-2
  in_space hc-relay
  background "$WORK/relay.log" python3 "$HERE/relay.py" to-client to-server "$@"
  RELAY=${PIDS[-1]}
  until_true 5 grep -q ready "$WORK/relay.log"
}

# --- the captures, one function each -------------------------------------------

cap_nginx-keepalive() {
  start_nginx 127.0.0.1
  capture nginx-keepalive.pcap lo "tcp port $NGINX"
  get "$H:$NGINX/hello.txt" "$H:$NGINX/index.html" "$H:$NGINX/data.json" \
    "$H:$NGINX/missing.txt" "$H:$NGINX/empty.txt" "$H:$NGINX/noise-4k.bin"
  stop_capture
  keep nginx-keepalive.pcap
}

cap_nginx-gzip() { # written as .pcap.gz
  start_nginx 127.0.0.1
  capture nginx-gzip.pcap lo "tcp port $NGINX"
  # On the fly (chunked), stored (content-length), and not asked for (plain).
  get --compressed "$H:$NGINX/gz/text.txt" "$H:$NGINX/gz/stored.txt"
  get "$H:$NGINX/gz/text.txt"
  stop_capture
  gzip -9 -n "$WORK/nginx-gzip.pcap"
  keep nginx-gzip.pcap.gz
}

cap_nginx-head() {
  start_nginx 127.0.0.1
  capture nginx-head.pcap lo "tcp port $NGINX"
  # A HEAD answer says content-length but has no body; the next message follows
  # at once on the same connection.
  get -I "$H:$NGINX/text.txt" "$H:$NGINX/noise-40k.bin" --next "$H:$NGINX/hello.txt" \
    --next -I "$H:$NGINX/missing.txt" --next "$H:$NGINX/data.json"
  stop_capture
  keep nginx-head.pcap
}

pipelined() { # FILE SECOND-METHOD
  start_nginx 127.0.0.1
  capture "$1" lo "tcp port $NGINX"
  local r='Host: example.test\r\n'
  # Six requests in one write; the last one closes. nc waits for the server.
  printf "GET /hello.txt HTTP/1.1\r\n$r\r\n$2 /text.txt HTTP/1.1\r\n$r\r\nGET /noise-4k.bin HTTP/1.1\r\n$r\r\nPUT /dav/a.txt HTTP/1.1\r\n${r}Content-Length: 10\r\n\r\n0123456789GET /missing.txt HTTP/1.1\r\n$r\r\nGET /data.json HTTP/1.1\r\n${r}Connection: close\r\n\r\n" |
    timeout 10 nc -w 3 127.0.0.1 "$NGINX" >/dev/null
  stop_capture
  keep "$1"
}
cap_nginx-pipelined() { pipelined nginx-pipelined.pcap GET; }
cap_nginx-pipelined-head() { pipelined nginx-pipelined-head.pcap HEAD; }

cap_nginx-not-modified() {
  start_nginx 127.0.0.1
  capture nginx-not-modified.pcap lo "tcp port $NGINX"
  get -z 'Tue, 02 Jan 2024 03:04:05 GMT' "$H:$NGINX/text.txt" \
    --next -sS -H 'If-None-Match: "65937d25-6"' "$H:$NGINX/hello.txt" \
    --next -sS "$H:$NGINX/hello.txt" \
    --next -sS -z 'Sun, 01 Jan 2023 00:00:00 GMT' "$H:$NGINX/data.json"
  stop_capture
  keep nginx-not-modified.pcap
}

cap_nginx-range() {
  start_nginx 127.0.0.1
  capture nginx-range.pcap lo "tcp port $NGINX"
  get -r 100-299 "$H:$NGINX/noise-40k.bin" \
    --next -sS -r 0-9,100-109,-5 "$H:$NGINX/noise-4k.bin" \
    --next -sS -r -1000 "$H:$NGINX/text.txt" \
    --next -sS -r 999999- "$H:$NGINX/hello.txt"
  stop_capture
  keep nginx-range.pcap
}

cap_nginx-redirects() {
  start_nginx 127.0.0.1
  capture nginx-redirects.pcap lo "tcp port $NGINX"
  # 301, 302, 200 on one connection; then a PUT that is sent again after a 307.
  get -L "$H:$NGINX/old"
  get -L -H 'Expect:' -T "$WORK/doc/data.json" "$H:$NGINX/moved.txt"
  stop_capture
  keep nginx-redirects.pcap
}

cap_nginx-expect-refused() {
  start_nginx 127.0.0.1
  capture nginx-expect-refused.pcap lo "tcp port $NGINX"
  # curl announces 40000 bytes, nginx answers 413 instead of 100, curl sends none.
  get -H 'Expect: 100-continue' -T "$WORK/doc/noise-40k.bin" "$H:$NGINX/dav/limited/big.bin"
  # The same within the limit: 100, then the body, then 201.
  get -H 'Expect: 100-continue' -T "$WORK/doc/data.json" "$H:$NGINX/dav/limited/small.json"
  stop_capture
  keep nginx-expect-refused.pcap
}

cap_nginx-client-leaves() {
  start_nginx 127.0.0.1
  capture nginx-client-leaves.pcap lo "tcp port $NGINX"
  # nginx sends 30 kB/s, curl gives up before the second lot. It has read all that
  # came, so it closes with FIN.
  get --max-time 0.8 "$H:$NGINX/hello.txt" "$H:$NGINX/slow/noise-150k.bin" && return 1
  stop_capture
  keep nginx-client-leaves.pcap
}

cap_nginx-client-abort() {
  # A small receive buffer (see nginx-slow-read) keeps the file small.
  space hc-client
  ip netns exec hc-client sysctl -qw net.ipv4.tcp_rmem='4096 8192 8192'
  in_space hc-client
  start_nginx 127.0.0.1
  capture nginx-client-abort.pcap lo "tcp port $NGINX"
  # head goes away after 100 bytes; curl cannot write any more and ends. There are
  # bytes it has not read, so the kernel closes with RST.
  { "${IN[@]}" timeout 20 curl -sS "$H:$NGINX/hello.txt" "$H:$NGINX/noise-150k.bin" || true; } |
    head -c 100 >/dev/null
  stop_capture
  in_host
  keep nginx-client-abort.pcap
}

cap_nginx-slow-head() {
  start_nginx 127.0.0.1
  capture nginx-slow-head.pcap lo "tcp port $NGINX"
  # Two requests, cut at the worst places: inside the method, the target, a header
  # name, between CR and LF, and before the last LF; each piece its own segment.
  {
    local piece
    for piece in 'G' 'ET /hel' 'lo.txt HTTP' '/1.1\r' '\nHo' 'st: example.test\r\nX-Long: ' \
      'aaaaaaaaaaaaaaaaaaaa' '\r\n\r' '\n' \
      'PUT /dav/slow.txt HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\nTransfer-Enc' \
      'oding: chunked\r\n\r\n' 'A' '\r' '\n01234' '56789\r\n' '5;ext=1\r\nabc' 'de\r\n' '0\r\n' '\r\n'; do
      printf "$piece"
      sleep 0.05
    done
    sleep 0.3
  } | timeout 15 nc -w 3 127.0.0.1 "$NGINX" >/dev/null
  stop_capture
  keep nginx-slow-head.pcap
}

cap_nginx-slow-read() {
  # A small receive buffer makes the window close, so it is in a namespace where
  # the setting can be changed.
  space hc-client
  ip netns exec hc-client sysctl -qw net.ipv4.tcp_rmem='4096 8192 8192'
  in_space hc-client
  start_nginx 127.0.0.1
  capture nginx-slow-read.pcap lo "tcp port $NGINX"
  get --limit-rate 15k "$H:$NGINX/noise-40k.bin" "$H:$NGINX/hello.txt"
  stop_capture
  in_host
  keep nginx-slow-read.pcap
}

cap_nginx-ipv6() { # written as .pcap.zst
  start_nginx 127.0.0.1 '[::1]'
  capture nginx-ipv6.pcap lo "tcp port $NGINX"
  get "http://[::1]:$NGINX/hello.txt" "http://[::1]:$NGINX/noise-40k.bin" "http://[::1]:$NGINX/missing.txt"
  get -H 'Expect:' -T "$WORK/doc/text.txt" "http://[::1]:$NGINX/dav/six.txt"
  stop_capture
  zstd -q -19 --rm "$WORK/nginx-ipv6.pcap"
  keep nginx-ipv6.pcap.zst
}

cap_nginx-gso() {
  start_nginx 127.0.0.1
  capture nginx-gso.pcap lo "tcp port $NGINX"
  # The loopback MTU is 65536 and segmentation is put off, so one frame in the
  # capture can hold 64 KiB.
  get "$H:$NGINX/noise-150k.bin" "$H:$NGINX/hello.txt"
  stop_capture
  keep nginx-gso.pcap
}

cap_nginx-lossy() { # nanosecond time stamps
  client_relay_server --loss 5 --reorder 3 --seed 5
  in_space hc-server
  start_nginx 10.9.0.2
  # Captured at the client: what the link lost on the way here is missing and
  # comes again later; what the client sent is there even when it was lost after.
  in_space hc-client
  capture nginx-lossy.pcap wire "tcp port $NGINX" --time-stamp-precision=nano
  get "http://10.9.0.2:$NGINX/noise-40k.bin" "http://10.9.0.2:$NGINX/text.txt" \
    "http://10.9.0.2:$NGINX/hello.txt" "http://10.9.0.2:$NGINX/noise-40k.bin"
  get -H 'Expect:' -T "$WORK/doc/noise-40k.bin" "http://10.9.0.2:$NGINX/dav/up.bin"
  stop_capture
  stop_pid "$RELAY"
  cat "$WORK/relay.log" # how many it lost and reordered, for the page
  in_host
  keep nginx-lossy.pcap
}

cap_nginx-wrk() {
  client_and_server
  in_space hc-server
  start_nginx 10.9.0.2
  capture nginx-wrk.pcap wire "tcp port $NGINX"
  # wrk cannot be told a number of requests, only a time, and that is at least one
  # second: nginx paces it (see limit_req). wrk ends by dropping its connections,
  # so the last requests may have no answer.
  in_space hc-client
  timeout 20 "${IN[@]}" wrk -t 1 -c 3 -d 1s "http://10.9.0.2:$NGINX/paced/data.json" >"$WORK/wrk.log"
  stop_capture
  in_host
  keep nginx-wrk.pcap
}

cap_nginx-any-sll2() {
  start_nginx 127.0.0.1 '[::1]'
  capture nginx-any-sll2.pcap any "tcp port $NGINX"
  get "$H:$NGINX/hello.txt" "http://[::1]:$NGINX/noise-4k.bin"
  stop_capture
  keep nginx-any-sll2.pcap
}

cap_nginx-any-routed() {
  # A router between client and server: on its "any" interface each packet comes
  # twice, in and out, with the TTL one lower. Older Linux cooked header (SLL 1).
  space hc-client
  space hc-server
  space hc-router
  plug hc-client wire hc-router left 10.9.1.1/24 10.9.1.254/24
  plug hc-server wire hc-router right 10.9.2.2/24 10.9.2.254/24
  ip -n hc-client route add default via 10.9.1.254
  ip -n hc-server route add default via 10.9.2.254
  ip netns exec hc-router sysctl -qw net.ipv4.ip_forward=1
  in_space hc-server
  start_nginx 10.9.2.2
  in_space hc-router
  capture nginx-any-routed.pcap any "tcp port $NGINX" -y LINUX_SLL
  in_space hc-client
  get "http://10.9.2.2:$NGINX/hello.txt" "http://10.9.2.2:$NGINX/text.txt"
  get -H 'Expect:' -T "$WORK/doc/noise-4k.bin" "http://10.9.2.2:$NGINX/dav/r.bin"
  stop_capture
  in_host
  keep nginx-any-routed.pcap
}

tagged() { # FILE TAGS FILTER-WORDS: the same traffic over a tagged wire
  client_relay_server --mid mid-1 mid-2 --tags "$2"
  in_space hc-server
  start_nginx 10.9.0.2
  in_space hc-relay
  # "vlan" moves what follows it in the filter past one tag.
  capture "$1" mid-1 "$3 and tcp port $NGINX"
  in_space hc-client
  get "http://10.9.0.2:$NGINX/hello.txt" "http://10.9.0.2:$NGINX/text.txt"
  get -H 'Expect:' -T "$WORK/doc/data.json" "http://10.9.0.2:$NGINX/dav/v.json"
  stop_capture
  in_host
  keep "$1"
}
cap_nginx-vlan() { tagged nginx-vlan.pcap 42 vlan; }
cap_nginx-qinq() { tagged nginx-qinq.pcap 88a8:100,8100:42 'vlan and vlan'; }

snaplen() { # FILE LENGTH
  start_nginx 127.0.0.1
  capture "$1" lo "tcp port $NGINX" -s "$2"
  get "$H:$NGINX/hello.txt" "$H:$NGINX/text.txt" "$H:$NGINX/data.json" \
    "$H:$NGINX/noise-40k.bin" "$H:$NGINX/empty.txt"
  stop_capture
  keep "$1"
}
# 200 bytes of each frame: requests are whole, heads of answers are cut.
cap_nginx-snaplen() { snaplen nginx-snaplen.pcap 200; }
# 400 bytes: heads and small bodies are whole, larger bodies are cut.
cap_nginx-snaplen-heads() { snaplen nginx-snaplen-heads.pcap 400; }

cap_nginx-midstream() {
  start_nginx 127.0.0.1
  mkfifo "$WORK/steps"
  timeout 20 nc -w 5 127.0.0.1 "$NGINX" <"$WORK/steps" >/dev/null &
  PIDS+=($!)
  exec 9>"$WORK/steps"
  printf 'GET /hello.txt HTTP/1.1\r\nHost: example.test\r\n\r\n' >&9
  sleep 0.5
  # Now the connection is open and idle: no SYN in the capture, a clean start.
  capture nginx-midstream.pcap lo "tcp port $NGINX"
  printf 'GET /data.json HTTP/1.1\r\nHost: example.test\r\n\r\n' >&9
  sleep 0.3
  printf 'GET /noise-4k.bin HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n' >&9
  sleep 0.3
  exec 9>&-
  stop_capture
  rm "$WORK/steps"
  keep nginx-midstream.pcap
}

cap_nginx-midbody() {
  start_nginx 127.0.0.1
  get "$H:$NGINX/slow/noise-150k.bin" "$H:$NGINX/hello.txt" "$H:$NGINX/data.json" &
  local client=$!
  # Two of about five seconds into the first body: the capture starts in the
  # middle of it, and two whole exchanges follow on the same connection.
  sleep 2
  capture nginx-midbody.pcap lo "tcp port $NGINX"
  wait "$client"
  stop_capture
  keep nginx-midbody.pcap
}

cap_apache-brotli-zstd() {
  start_apache
  capture apache-brotli-zstd.pcap lo "tcp port $APACHE"
  get --compressed "$H:$APACHE/br/text.txt" "$H:$APACHE/pre/text.txt.zst" "$H:$APACHE/gz/text.txt"
  stop_capture
  keep apache-brotli-zstd.pcap
}

cap_apache-continue() { # nanosecond time stamps
  start_apache
  capture apache-continue.pcap lo "tcp port $APACHE" --time-stamp-precision=nano
  # Content-length, then chunked (curl reads standard input), both with 100.
  get -H 'Expect: 100-continue' -T "$WORK/doc/noise-40k.bin" "$H:$APACHE/dav/up.bin"
  get -H 'Expect: 100-continue' -T - "$H:$APACHE/dav/chunked.txt" <"$WORK/doc/text.txt"
  stop_capture
  keep apache-continue.pcap
}

cap_apache-dav() {
  start_apache
  capture apache-dav.pcap lo "tcp port $APACHE"
  local u=$H:$APACHE/dav
  get -X OPTIONS --request-target '*' "$H:$APACHE/" \
    --next -sS -X OPTIONS "$u/" \
    --next -sS -H 'Expect:' -T "$WORK/doc/data.json" "$u/one.json" \
    --next -sS -X MKCOL "$u/box/" \
    --next -sS -X PROPFIND -H 'Depth: 1' "$u/" \
    --next -sS -X MOVE -H "Destination: $u/box/two.json" "$u/one.json" \
    --next -sS "$u/box/two.json" \
    --next -sS -X DELETE "$u/box/" \
    --next -sS -X PATCH -d 'a=1' "$u/" \
    --next -sS -X POST -d 'name=value&other=1' "$H:$APACHE/hello.txt"
  stop_capture
  keep apache-dav.pcap
}

cap_apache-ab-keepalive() {
  start_apache
  capture apache-ab-keepalive.pcap lo "tcp port $APACHE"
  # ab speaks HTTP/1.0 and asks for keep-alive by header.
  timeout 20 ab -q -k -n 24 -c 3 "$H:$APACHE/hello.txt" >"$WORK/ab.log"
  stop_capture
  keep apache-ab-keepalive.pcap
}

cap_node-chunked() {
  start_node
  capture node-chunked.pcap lo "tcp port $NODE"
  get "$H:$NODE/pieces" "$H:$NODE/one" "$H:$NODE/none" "$H:$NODE/pieces?again"
  stop_capture
  keep node-chunked.pcap
}

cap_node-deflate() {
  start_node
  capture node-deflate.pcap lo "tcp port $NODE"
  get --compressed "$H:$NODE/deflate" "$H:$NODE/deflate-chunked"
  stop_capture
  keep node-deflate.pcap
}

cap_node-multipart() { # pcapng, converted by editcap
  start_node
  capture plain.pcap lo "tcp port $NODE"
  get -H 'Expect:' -F 'title=three files' -F "a=@$WORK/doc/hello.txt" \
    -F "b=@$WORK/doc/noise-4k.bin;type=application/octet-stream" -F "c=@$WORK/doc/text.txt" \
    "$H:$NODE/upload" \
    --next -sS -d 'name=value&other=1' "$H:$NODE/form"
  stop_capture
  editcap -F pcapng "$WORK/plain.pcap" "$WORK/node-multipart.pcapng"
  keep node-multipart.pcapng
}

cap_node-trailers() {
  start_node
  cat >"$WORK/client.js" <<'JS'
const http = require('http');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const post = pieces => new Promise((done, fail) => {
  const req = http.request({ host: '127.0.0.1', port: +process.argv[2], agent, method: 'POST', path: '/trailers',
    headers: { Trailer: 'X-Checksum', 'Content-Type': 'text/plain' } }, res => { res.resume(); res.on('end', done); });
  req.on('error', fail);
  (async () => {
    for (const p of pieces) { req.write(p); await new Promise(r => setTimeout(r, 20)); }
    req.addTrailers({ 'X-Checksum': 'abc123' });
    req.end();
  })();
});
(async () => {
  await post(['first piece\n', 'second piece\n', 'x'.repeat(500) + '\n']);
  await post(['only piece\n']);
  agent.destroy();
})();
JS
  capture node-trailers.pcap lo "tcp port $NODE"
  timeout 20 node "$WORK/client.js" "$NODE"
  stop_capture
  keep node-trailers.pcap
}

cap_node-websocket() {
  start_node
  cat >"$WORK/client.js" <<'JS'
const http = require('http');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const base = { host: '127.0.0.1', port: +process.argv[2], agent };
// A plain exchange first, then the upgrade on the same connection.
http.get({ ...base, path: '/form' }, res => {
  res.resume();
  res.on('end', () => setTimeout(() => {
    const req = http.request({ ...base, path: '/chat', headers: { Connection: 'Upgrade', Upgrade: 'websocket',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version': '13' } });
    req.on('upgrade', (res, socket) => {
      // "ping" as a masked text frame (mask 1 2 3 4), later a masked close frame.
      const mask = [1, 2, 3, 4], text = [...Buffer.from('ping')].map((b, i) => b ^ mask[i]);
      socket.write(Buffer.from([0x81, 0x84, ...mask, ...text]));
      setTimeout(() => socket.write(Buffer.from([0x88, 0x80, ...mask])), 100);
      socket.on('data', () => {});
      socket.on('end', () => { socket.end(); agent.destroy(); });
    });
    req.end();
  }, 50));
});
JS
  capture node-websocket.pcap lo "tcp port $NODE"
  timeout 20 node "$WORK/client.js" "$NODE"
  stop_capture
  keep node-websocket.pcap
}

cap_node-ab-close() {
  start_node
  capture node-ab-close.pcap lo "tcp port $NODE"
  # ab asks by HTTP/1.0, so node may not chunk: the body ends with the connection.
  timeout 20 ab -q -n 4 -c 2 "$H:$NODE/pieces" >"$WORK/ab.log"
  stop_capture
  keep node-ab-close.pcap
}

cap_python-http10() {
  start_python
  capture python-http10.pcap lo "tcp port $PYTHON"
  # Answers are HTTP/1.0. The CGI one has no content-length.
  get "$H:$PYTHON/hello.txt" "$H:$PYTHON/cgi-bin/list.py" "$H:$PYTHON/gz/" "$H:$PYTHON/noise-4k.bin"
  get -I "$H:$PYTHON/text.txt"
  get -d 'a=1' "$H:$PYTHON/hello.txt"
  stop_capture
  keep python-http10.pcap
}

cap_tinyproxy-plain() {
  start_nginx 127.0.0.1
  start_tinyproxy
  # Only the leg from the client to the proxy.
  capture tinyproxy-plain.pcap lo "tcp port $PROXY"
  # First as an ordinary proxy (absolute target), then a tunnel with plain HTTP in it.
  get -x "$H:$PROXY" "$H:$NGINX/hello.txt"
  get -p -x "$H:$PROXY" "$H:$NGINX/data.json" "$H:$NGINX/noise-4k.bin"
  # A port the proxy does not tunnel to: refused.
  printf 'CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n' |
    timeout 10 nc -w 3 127.0.0.1 "$PROXY" >/dev/null
  stop_capture
  keep tinyproxy-plain.pcap
}

cap_tinyproxy-tls() {
  start_nginx 127.0.0.1
  start_tinyproxy
  capture tinyproxy-tls.pcap lo "tcp port $PROXY"
  get -k -x "$H:$PROXY" "https://127.0.0.1:$TLS/hello.txt"
  stop_capture
  keep tinyproxy-tls.pcap
}

cap_two-interfaces() { # pcapng from dumpcap, with two interface blocks
  # Client and server on one wire; the server also has its own loopback.
  client_and_server
  in_space hc-server
  start_nginx 127.0.0.1 10.9.0.2
  capture_ng two-interfaces.pcapng "tcp port $NGINX" lo wire
  get "$H:$NGINX/hello.txt"
  in_space hc-client
  get "http://10.9.0.2:$NGINX/text.txt" "http://10.9.0.2:$NGINX/hello.txt"
  in_space hc-server
  get "$H:$NGINX/data.json"
  stop_capture
  in_host
  keep two-interfaces.pcapng
}

# --- main ----------------------------------------------------------------------

if [[ ${1:-} == --list ]]; then
  printf '%s\n' "${CAPTURES[@]}"
  exit
fi
missing=''
for p in tcpdump dumpcap editcap nginx apache2 ab curl wrk nc tinyproxy node python3 ip ss ethtool openssl zstd gzip; do
  command -v "$p" >/dev/null || missing+=" $p"
done
if [[ -n $missing ]]; then echo "not installed:$missing" >&2; exit 1; fi
if ((EUID != 0)); then echo "needs root" >&2; exit 1; fi

trap finish EXIT
trap 'exit 1' INT TERM
for name in "${@:-${CAPTURES[@]}}"; do
  declare -F "cap_$name" >/dev/null || { echo "no such capture: $name" >&2; exit 1; }
  echo "== $name"
  WORK=$(mktemp -d /tmp/record.XXXXXX)
  chmod 755 "$WORK"
  make_documents
  "cap_$name"
  clean
  rm -rf "$WORK"
  WORK=''
done
