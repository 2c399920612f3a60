//! The way in which a layer gives bytes back to the stack of its connection.
//!
//! A layer says how it ended and never names its successor: that is for [`crate::app::Stack`] to
//! decide.

/// The result of giving bytes to a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerStep {
    /// Bytes of the delivery that have their fate or are held.
    pub(crate) used: usize,
    /// Why the rest is not the layer's. `None`: it goes on.
    pub(crate) switch: Option<Switch>,
}

/// Why a layer gives up a direction, or the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switch {
    /// A message may start here, and the rest is not recognised at once.
    Undecided,
    /// The rest, and `held` bytes before it that have no fate yet, looked like a head and are none.
    Rejected {
        /// Bytes of earlier deliveries.
        held: usize,
    },
    /// 2xx to CONNECT: both directions are a tunnel (RFC 9110 §9.3.6).
    Tunnel,
    /// 101: both directions carry another protocol (RFC 9110 §15.2.2).
    Upgrade(Upgrade),
    /// The last message before an upgrade ended in this direction.
    Ended,
}

/// The protocol that a 101 switches to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upgrade {
    /// `h2c` (RFC 7540 §3.2).
    Http2,
    /// Any other: WebSocket, a vendor's own.
    Other,
}

impl LayerStep {
    /// Everything went to the layer, which goes on.
    pub(crate) const fn used(used: usize) -> Self {
        Self { used, switch: None }
    }
}
