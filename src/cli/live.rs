//! The options of `sniffer live`, as text: the configuration checks them together with the
//! environment's values.
//!
//! Nothing is checked here. Next: `live`, which runs these options.

use std::path::PathBuf;

use clap::Args;

pub(crate) const EXAMPLES: &str = "\
Examples:
  sniffer live -p 8080                              every interface, JSON lines to standard output
  sniffer live -i eth0 -p 80,8080 --output-url https://collector.example/in
  sniffer live -i lo -p 8080 --write-pcap seen.pcapng   and again: sniffer replay -p 8080 seen.pcapng

Every option can come from the environment, where an option wins over it: PORTS, INTERFACE, OUTPUT_URL, OUTPUT_STDOUT,
SAMPLE_RATE, MAX_BODY_SIZE, MAX_CONCURRENT_CONNECTIONS, CONNECTION_IDLE_TIMEOUT_MS, REDACT_HEADERS, PROMISCUOUS,
BUFFER_SIZE_BYTES, SNAPLEN, DRAIN_TIMEOUT_MS. OUTPUT_URL_AUTH_TOKEN, the bearer token, comes from there only.

Exit codes:
  0      it was stopped (Ctrl-C, SIGTERM), or the reader of the last output had enough
  1      wrong arguments or configuration
  2      cannot open, no such interface, the capture or the last output failed
  128+n  ended at once by a second signal n";

/// Options of `sniffer live`. Values are checked where those of the environment are, in the
/// configuration.
#[derive(Debug, Args)]
pub(crate) struct LiveOptions {
    /// Server port; repeat it, or separate several by commas
    #[arg(short, long = "port", value_name = "PORT", allow_hyphen_values = true)]
    pub(crate) ports: Vec<String>,

    /// Where to capture [default: any, on Linux]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) interface: Option<String>,

    /// Post every message to this URL
    #[arg(long, value_name = "URL")]
    pub(crate) output_url: Option<String>,

    /// JSON lines on standard output; without --output-url that is the default
    #[arg(long)]
    pub(crate) stdout: bool,

    /// Write the captured packets to this file, as pcapng
    #[arg(long, value_name = "FILE")]
    pub(crate) write_pcap: Option<PathBuf>,

    /// Fraction of connections to follow [default: 1]
    #[arg(long, value_name = "0..1", allow_hyphen_values = true)]
    pub(crate) sample_rate: Option<String>,

    /// Bytes of each body to keep; the rest is counted only [default: 1048576]
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub(crate) max_body_size: Option<String>,

    /// Connections followed at once; beyond it the least recently active is given up
    /// [default: 10000]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub(crate) max_connections: Option<String>,

    /// Time without packets after which a connection is given up [default: 300000]
    #[arg(long, value_name = "MS", allow_hyphen_values = true)]
    pub(crate) idle_timeout_ms: Option<String>,

    /// Header and trailer whose values become "[REDACTED]"
    /// [default: authorization, cookie, proxy-authorization, set-cookie]
    #[arg(long, value_name = "NAME")]
    pub(crate) redact: Vec<String>,

    /// Ask the interface for packets that are not for this host
    #[arg(long)]
    pub(crate) promiscuous: bool,

    /// The kernel's buffer for packets [default: 33554432]
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub(crate) buffer_size: Option<String>,

    /// Bytes of each packet to capture [default: 262144]
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub(crate) snaplen: Option<String>,

    /// How long outputs may take at the end [default: 10000]
    #[arg(long, value_name = "MS", allow_hyphen_values = true)]
    pub(crate) drain_timeout_ms: Option<String>,
}
