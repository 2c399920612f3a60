# The sniffer as a container: `docker build -t sniffer .`
#
# It needs the one capability NET_RAW and no root: the capability is on the file, so a user that is not root gets it.
# Configuration comes from the environment; docs/live.md lists it, deploy/ has manifests.

FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends libpcap-dev
WORKDIR /src
COPY . .
RUN cargo build --release --locked --features live

FROM debian:bookworm-slim
COPY --from=build /src/target/release/sniffer /usr/local/bin/sniffer
# setcap goes again: it is needed once, here, because a copy from another stage may lose the capability.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libpcap0.8 ca-certificates libcap2-bin \
 && setcap cap_net_raw+ep /usr/local/bin/sniffer \
 && apt-get purge --yes --auto-remove libcap2-bin \
 && rm -rf /var/lib/apt/lists/*
USER 65532:65532
# The first signal drains the outputs and ends with exit code 0.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/sniffer", "live"]
