//! The fate of a frame: a TCP segment, or the reason why there is none. Each frame has exactly one.

macro_rules! frame_fates {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// The fate of a frame.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum FrameFate {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl FrameFate {
            /// All of them, in the order of output.
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
    /// Well-formed, and neither TCP nor a tunnel that is opened.
    NotTcp = "not-tcp",
    /// A fragment of an IP datagram; the datagram counts once it is whole.
    Fragment = "fragment",
    /// The link type is unknown.
    UnknownLinkType = "unknown-link-type",
    /// Cut or malformed in the link layer.
    MalformedLink = "malformed-link",
    /// Cut or malformed in a tunnel's header.
    MalformedTunnel = "malformed-tunnel",
    /// Cut or malformed in the IP header or its extensions.
    MalformedIp = "malformed-ip",
    /// Cut or malformed in the TCP header.
    MalformedTcp = "malformed-tcp",
    /// More tunnels inside each other than the limit allows.
    TooDeep = "too-deep",
}
