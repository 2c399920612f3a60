//! `sniffer perturb`: the same conversations under a worse network, seeded.
//!
//! The network is the test kit's, which also checks the engine's properties; this file reads
//! options and writes frames. It holds the whole capture, up to [`BYTES_MAX`], because reordering
//! and resegmenting need all of it. Next: the test kit's `net`, which states the promise of each
//! kind.

use std::path::PathBuf;

use clap::Args;
use sniffer_testkit::net::{Perturbation, perturb};
use sniffer_testkit::wire::Wrap;

use crate::capture;
use crate::exit::{Exit, say};

/// Most bytes of frames that are held. Arbitrary; the network needs about three times that.
const BYTES_MAX: usize = 1 << 30;
/// Most frames that are held.
const FRAMES_MAX: usize = 10_000_000;

/// Shown below the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  sniffer perturb x.pcap --seed 7 --reorder --duplicate -o worse.pcap
  sniffer perturb x.pcap --resegment --tunnel vlan:7,vxlan:42 | sniffer replay -
  sniffer perturb x.pcap --drop 0.01 -o lossy.pcap

The same capture, options and seed give the same frames on every machine. All kinds but --drop lose nothing: \
a tool that reads the worse capture must find the same messages, in the same order on each connection, if the capture \
has all of its connections from their beginning. Frames that are not understood (not TCP, already in a tunnel, cut) stay \
as they are. The kinds act in the order in which they are listed here.

Exit codes: 0 all well, 1 wrong arguments, 2 cannot open or write, or damaged";

/// Options of `sniffer perturb`.
#[derive(Debug, Args)]
pub(crate) struct PerturbOptions {
    /// The capture; `-` is standard input
    #[arg(value_name = "CAPTURE")]
    file: PathBuf,

    /// What decides all that is left to chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Sequence numbers wrap early in each direction
    #[arg(long)]
    wrap: bool,

    /// Segments are cut anew: split and merged
    #[arg(long)]
    resegment: bool,

    /// Frames come up to N places later, 6 when N is not given
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "6")]
    reorder: Option<usize>,

    /// Acknowledgements show before what they acknowledge, as from a tap that captures the
    /// directions apart
    #[arg(long)]
    reorder_acks: bool,

    /// This share of the frames comes twice, 0.2 when not given
    #[arg(long, value_name = "SHARE", num_args = 0..=1, require_equals = true, default_missing_value = "0.2", value_parser = share)]
    duplicate: Option<f64>,

    /// This share of the segments comes in IP fragments, 0.3 when not given
    #[arg(long, value_name = "SHARE", num_args = 0..=1, require_equals = true, default_missing_value = "0.3", value_parser = share)]
    fragment: Option<f64>,

    /// Layers around every packet, outermost first: vlan, qinq, mpls, pppoe, gre, erspan, vxlan,
    /// geneve, ipip, 6in4, 4in6, gtpu, l2tp, teredo; an id may follow, as in vlan:7
    #[arg(long, value_name = "LAYER", value_delimiter = ',', value_parser = layer)]
    tunnel: Vec<Wrap>,

    /// This share of the frames is lost
    #[arg(long, value_name = "SHARE", value_parser = share)]
    drop: Option<f64>,

    /// Write here instead of to standard output; pcapng when the name ends in that
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command; it has printed every message when it returns.
pub(crate) fn run(options: &PerturbOptions) -> Exit {
    try_run(options).unwrap_or_else(|(exit, line)| {
        say(line);
        exit
    })
}

fn try_run(options: &PerturbOptions) -> Result<Exit, (Exit, String)> {
    let kinds = options.kinds();
    if kinds.is_empty() {
        let line = "say what the network does: --reorder, --duplicate, --resegment … (see sniffer perturb --help)";
        return Err((Exit::Usage, line.to_owned()));
    }
    let capture = capture::read(&options.file, FRAMES_MAX, BYTES_MAX)?;
    let frames = perturb(capture.frames, options.seed, &kinds);
    let written = capture::write(&frames, options.output.as_deref())?;
    Ok(if written == Exit::Success { capture.exit } else { written })
}

impl PerturbOptions {
    /// The kinds in the order of their effect: first segments, then their order, then the layers
    /// around them.
    fn kinds(&self) -> Vec<Perturbation> {
        /// Places between a frame and its copy.
        const COPY_WINDOW: usize = 4;
        let tunnel = (!self.tunnel.is_empty()).then(|| Perturbation::Tunnel(self.tunnel.clone()));
        [
            self.wrap.then_some(Perturbation::Wrap),
            self.resegment.then_some(Perturbation::Resegment),
            self.reorder.map(|window| Perturbation::Reorder { window }),
            self.reorder_acks.then_some(Perturbation::ReorderAcks),
            self.duplicate.map(|share| Perturbation::Duplicate { share, window: COPY_WINDOW }),
            self.fragment.map(|share| Perturbation::Fragment { share }),
            tunnel,
            self.drop.map(Perturbation::Drop),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share is a number from 0 to 1, such as 0.01".to_owned())
}

/// Parses a layer; one that needs an id and has none gets 100.
fn layer(text: &str) -> Result<Wrap, String> {
    text.parse()
        .or_else(|error: sniffer_testkit::wire::WireError| format!("{text}:100").parse().map_err(|_| error.to_string()))
}
