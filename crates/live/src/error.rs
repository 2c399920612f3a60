//! Why a start fails, with a code for programs and a remedy for people.

/// Why a start failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The sniffer is running.
    #[error("the sniffer is running already")]
    AlreadyRunning,
    /// No interface has this name.
    #[error("there is no interface {name}; there are: {}", known.join(", "))]
    InterfaceNotFound {
        /// The name that was asked for.
        name: String,
        /// The names of all interfaces.
        known: Vec<String>,
    },
    /// The capture cannot be opened.
    #[error("{message}")]
    CaptureOpenFailed {
        /// libpcap's exact words.
        message: String,
    },
    /// An output cannot be opened.
    #[error("{message}")]
    OutputFailed {
        /// The output, and the reason.
        message: String,
    },
}

impl StartError {
    /// Returns a code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AlreadyRunning => "ALREADY_RUNNING",
            Self::InterfaceNotFound { .. } => "INTERFACE_NOT_FOUND",
            Self::CaptureOpenFailed { .. } => "CAPTURE_OPEN_FAILED",
            Self::OutputFailed { .. } => "OUTPUT_FAILED",
        }
    }

    /// Returns advice for people, if there is any.
    pub fn remedy(&self) -> Option<&'static str> {
        let Self::CaptureOpenFailed { message } = self else { return None };
        let rights = ["permission", "not permitted", "CAP_NET_RAW"].iter().any(|word| message.contains(word));
        rights.then_some("give the program the capability, `setcap cap_net_raw+ep FILE`, or the container NET_RAW; or run it as root")
    }
}
