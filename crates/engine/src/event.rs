//! The output as it happens: borrowed events, for callers that do not want whole messages.
//!
//! Whole messages are made from these alone, by [`crate::collect`].

use sniffer_packet::frame::Stamp;
use sniffer_packet::key::{Endpoint, FlowId, FlowKey, Side};

use crate::anomaly::{Anomaly, AnomalySet};
use crate::http::{Direction, Field, Head};

/// A tracked connection, as events name it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Flow {
    /// Stable identity, for output.
    pub id: FlowId,
    /// Dense number of the connection while it lives; used again after [`Event::Closed`].
    pub slot: u32,
    /// The two endpoints.
    pub key: FlowKey,
    /// Frame that opened it.
    pub first: Stamp,
    /// The side that takes the connection, as far as is known.
    pub server: Side,
    /// True if a SYN showed it when the connection began; otherwise it was guessed.
    pub server_by_syn: bool,
}

/// The place of a connection in the output: the frame that opened it comes first. The identity
/// decides where one frame opened several, as an 802.11 aggregate can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "an order; no invariant")]
pub struct Began {
    /// Number of the frame.
    pub frame: u64,
    /// The connection.
    pub id: FlowId,
}

impl Flow {
    /// Its place among connections.
    pub const fn began(&self) -> Began {
        Began { frame: self.first.number, id: self.id }
    }

    /// The server's endpoint.
    pub const fn receiver(&self) -> Endpoint {
        self.key.endpoint(self.server)
    }

    /// The client's endpoint.
    pub const fn destination(&self) -> Endpoint {
        self.key.endpoint(self.server.other())
    }
}

/// The message that an event is about. **At most one message is open in each direction of an
/// exchange**; any number of exchanges of a connection may be open at once.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "built by protocol layers and by tests; no invariant")]
pub struct About<'a> {
    /// Its connection.
    pub flow: &'a Flow,
    /// Its number on the connection, shared by a request and all its responses.
    pub exchange: u32,
    /// Its direction.
    pub direction: Direction,
    /// The frame that carried the bytes of this event.
    pub stamp: Stamp,
}

/// The exchanges of a connection that get no further message in one direction. The layer says it,
/// because it alone knows: HTTP/1 answers in order, HTTP/2 and HTTP/3 in any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "built by protocol layers and by tests; no invariant")]
pub struct Over {
    /// The message's own exchange.
    pub own: bool,
    /// Every exchange with a number below this.
    pub below: u32,
}

/// The end of a message: whole or cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Completion {
    /// All of it was there.
    Complete,
    /// It was cut.
    Incomplete(Incomplete),
}

/// Why a message is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incomplete {
    /// Bytes are missing from the capture.
    Gap,
    /// Bytes were cut by the snapshot length.
    Snaplen,
    /// The connection ended in it.
    Closed,
    /// Its connection was evicted.
    Evicted,
    /// Its connection was idle for too long.
    Idle,
    /// The capture ended in it.
    End,
}

impl Incomplete {
    /// The value of `incomplete` in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Snaplen => "snaplen",
            Self::Closed => "closed",
            Self::Evicted => "evicted",
            Self::Idle => "idle",
            Self::End => "end",
        }
    }
}

/// A protocol that is recognised and not taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// TLS records.
    Tls,
    /// HTTP/2 with prior knowledge, or after an upgrade.
    Http2,
    /// Behind a 101 or a 2xx to CONNECT.
    Tunnel,
}

/// Something the engine saw. Dies with the call.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A message starts.
    Head {
        /// Its message.
        about: About<'a>,
        /// Start line and fields.
        head: Head<'a>,
        /// The frames that carried the head, in stream order; never empty.
        frames: &'a [Stamp],
        /// Final response whose request is known: nanoseconds from the request's last byte to the
        /// response's first; absent when negative.
        latency_nanos: Option<u64>,
        /// Interim responses (1xx) of its exchange that came before it.
        interim: u32,
    },
    /// Content, after de-chunking; empty when the frame carried only framing.
    Body {
        /// Its message.
        about: About<'a>,
        /// The bytes, in order.
        bytes: &'a [u8],
    },
    /// Body bytes that are known to be missing at this place.
    Missing {
        /// Its message.
        about: About<'a>,
        /// Their number; at least 1.
        bytes: u64,
    },
    /// Trailer fields of a chunked body; never empty.
    Trailers {
        /// Its message.
        about: About<'a>,
        /// In wire order.
        fields: &'a [Field<'a>],
    },
    /// A message ends; every `Head` is followed by one of these.
    End {
        /// Its message.
        about: About<'a>,
        /// Whole or cut.
        completion: Completion,
        /// Its anomalies.
        anomalies: AnomalySet,
        /// The exchanges that get no further message in its direction.
        over: Over,
    },
    /// Something odd that touched no message.
    Anomaly {
        /// Its connection, if there is one.
        flow: Option<&'a Flow>,
        /// The anomaly.
        anomaly: Anomaly,
    },
    /// The connection carries something else from here on; once each.
    Recognised {
        /// Its connection.
        flow: &'a Flow,
        /// The protocol it carries.
        protocol: Protocol,
    },
    /// The connection is gone; its slot may be used again.
    Closed {
        /// The connection.
        flow: &'a Flow,
    },
}

/// Takes events.
pub trait Sink {
    /// One event, in order.
    fn event(&mut self, event: Event<'_>);
}

/// A sink made of a closure.
pub fn sink_fn<F: FnMut(Event<'_>)>(f: F) -> impl Sink {
    struct SinkFn<F>(F);
    impl<F: FnMut(Event<'_>)> Sink for SinkFn<F> {
        fn event(&mut self, event: Event<'_>) {
            (self.0)(event);
        }
    }
    SinkFn(f)
}
