//! What became of a frame: a TCP segment, or why there was none. Each frame has exactly one fate.

macro_rules! frame_fates {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// What became of a frame that gave no TCP segment, or of an IP datagram in pieces.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum FrameFate {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl FrameFate {
            /// All of them, in the order in which they are printed.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The column's name, in lower case with hyphens.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

frame_fates! {
    /// A TCP segment.
    Tcp = "tcp",
    /// Well-formed and neither TCP nor a tunnel that is opened.
    NotTcp = "not-tcp",
    /// A fragment of an IP datagram; the datagram counts once it is whole.
    Fragment = "fragment",
    /// A link type that is not known.
    UnknownLinkType = "unknown-link-type",
    /// Cut or malformed in the link layer.
    MalformedLink = "malformed-link",
    /// Cut or malformed in a tunnel's header.
    MalformedTunnel = "malformed-tunnel",
    /// Cut or malformed in the IP header or its extensions.
    MalformedIp = "malformed-ip",
    /// Cut or malformed in the TCP header.
    MalformedTcp = "malformed-tcp",
    /// More tunnels inside each other than the limit.
    TooDeep = "too-deep",
}
