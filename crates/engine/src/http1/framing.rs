//! Message framing (RFC 9112 §6.3): how long a body is, as one pure function.
//!
//! Next: [`super::chunked`].

use crate::anomaly::{Anomaly, AnomalySet};
use crate::http::{Field, Head, StartLine, Version};
use crate::http1::abnf::trim_ows;

/// How the body of a message is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// The body has exactly this many bytes; 0 means no body.
    Length(u64),
    /// The body is chunks, then trailers.
    Chunked,
    /// The body is everything until the connection closes.
    UntilClose,
    /// There is no body, and both directions carry the upgraded protocol from here on (101).
    Upgrade,
    /// There is no body, and both directions are a tunnel from here on (2xx to CONNECT).
    Tunnel,
    /// The end of the message cannot be determined.
    Unknown,
}

/// The method of the request that a response answers, as far as it affects framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// HEAD: the response has no body.
    Head,
    /// CONNECT: a 2xx opens a tunnel.
    Connect,
    /// Any other method, or an unknown one.
    Other,
}

impl Method {
    pub(crate) fn of(method: &[u8]) -> Self {
        // RFC 9110 §9.1: the method is case-sensitive.
        match method {
            b"HEAD" => Self::Head,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// Everything in a head that its framing depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FramingInput {
    /// Status of a response; none for a request.
    pub(crate) status: Option<u16>,
    pub(crate) version: Version,
    pub(crate) fields: FramingFields,
}

impl FramingInput {
    pub(crate) fn of(head: &Head<'_>) -> Self {
        let status = match head.start {
            StartLine::Response { status, .. } => Some(status),
            StartLine::Request { .. } => None,
        };
        let mut fields = FramingFields::default();
        head.fields.iter().for_each(|field| fields.see(field));
        Self { status, version: head.version, fields }
    }
}

/// What the fields read so far say about framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FramingFields {
    lengths: Lengths,
    coding: TransferCoding,
}

impl FramingFields {
    /// Names of the fields that frame a body, in lower case.
    const NAMES: [&[u8]; 2] = [b"content-length", b"transfer-encoding"];

    /// Returns whether a field with this name frames a body.
    pub(crate) fn names_one(name: &[u8]) -> bool {
        Self::NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
    }

    /// Returns whether a field that starts with these bytes may frame a body.
    pub(crate) fn may_begin(field: &[u8]) -> bool {
        Self::NAMES.iter().any(|known| {
            let common = known.len().min(field.len());
            field[..common].eq_ignore_ascii_case(&known[..common])
        })
    }

    /// Reads the next field.
    #[inline]
    pub(crate) fn see(&mut self, field: &Field<'_>) {
        // The length of the name rules out nearly every field, without a call (hot: see NOTES#framing-see).
        if Self::NAMES.iter().any(|known| known.len() == field.name.len()) {
            self.see_one(field);
        }
    }

    #[inline(never)]
    fn see_one(&mut self, field: &Field<'_>) {
        if field.name.eq_ignore_ascii_case(Self::NAMES[0]) {
            self.lengths.see(field.value);
        } else if field.name.eq_ignore_ascii_case(Self::NAMES[1]) {
            self.coding.see(field.value);
        }
    }
}

/// Decides how a body is delimited, in the order of RFC 9112 §6.3. For a response,
/// `request_method` is the method of the request it answers.
pub(crate) fn framing(input: &FramingInput, request_method: Method) -> (Framing, AnomalySet) {
    let mut anomalies = AnomalySet::EMPTY;
    let framing = by_status(input.status, request_method)
        .or_else(|| by_transfer_encoding(input, &mut anomalies))
        .unwrap_or_else(|| by_content_length(input, &mut anomalies));
    (framing, anomalies)
}

/// Rules 1 and 2: responses without a body, whatever their fields say.
const fn by_status(status: Option<u16>, request_method: Method) -> Option<Framing> {
    match (status, request_method) {
        (Some(101), _) => Some(Framing::Upgrade),
        (Some(100..=199 | 204 | 304), _) | (Some(_), Method::Head) => Some(Framing::Length(0)),
        (Some(200..=299), Method::Connect) => Some(Framing::Tunnel),
        _ => None,
    }
}

/// Rules 3 and 4: Transfer-Encoding, which overrides Content-Length.
fn by_transfer_encoding(input: &FramingInput, anomalies: &mut AnomalySet) -> Option<Framing> {
    let FramingFields { lengths, coding } = input.fields;
    if coding == TransferCoding::Absent {
        return None;
    }
    if lengths != Lengths::Absent {
        anomalies.insert(Anomaly::ClAndTe);
    }
    if input.version == Version::Http10 {
        anomalies.insert(Anomaly::TeInHttp10);
    }
    match coding {
        TransferCoding::Chunked => Some(Framing::Chunked),
        TransferCoding::ChunkedLast => {
            anomalies.insert(Anomaly::UnusualTransferEncoding);
            Some(Framing::Chunked)
        }
        TransferCoding::NotChunked => {
            anomalies.insert(Anomaly::TeNotChunked);
            Some(undelimited(input))
        }
        // RFC 7230 removed "identity" from the registry; a sender of it means no coding at all.
        TransferCoding::Identity => {
            anomalies.insert(Anomaly::UnusualTransferEncoding);
            None
        }
        TransferCoding::Absent => None,
    }
}

/// Rules 5 to 8: Content-Length, or neither field.
fn by_content_length(input: &FramingInput, anomalies: &mut AnomalySet) -> Framing {
    match input.fields.lengths {
        Lengths::One(length) => Framing::Length(length),
        Lengths::Repeated(length) => {
            anomalies.insert(Anomaly::RepeatedContentLength);
            Framing::Length(length)
        }
        Lengths::Conflicting => {
            anomalies.insert(Anomaly::ConflictingContentLength);
            undelimited(input)
        }
        Lengths::Invalid => {
            anomalies.insert(Anomaly::InvalidContentLength);
            undelimited(input)
        }
        Lengths::Absent if input.status.is_none() => Framing::Length(0),
        Lengths::Absent => Framing::UntilClose,
    }
}

/// The framing of a message whose fields do not say where it ends (policy 12).
const fn undelimited(input: &FramingInput) -> Framing {
    if input.status.is_some() { Framing::UntilClose } else { Framing::Unknown }
}

/// The values of all Content-Length fields together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Lengths {
    #[default]
    Absent,
    One(u64),
    Repeated(u64),
    Conflicting,
    Invalid,
}

impl Lengths {
    fn see(&mut self, values: &[u8]) {
        if let (Self::Absent, Some(n)) = (*self, decimal(values)) {
            *self = Self::One(n);
            return;
        }
        // RFC 9110 §8.6: a list of equal values may be read as one.
        for value in values.split(|&b| b == b',') {
            *self = match (*self, decimal(trim_ows(value))) {
                (Self::Invalid, _) | (_, None) => Self::Invalid,
                (Self::Absent, Some(n)) => Self::One(n),
                (Self::One(before) | Self::Repeated(before), Some(n)) if n == before => Self::Repeated(n),
                _ => Self::Conflicting,
            };
        }
    }
}

/// Parses `1*DIGIT` up to 2⁶³ − 1. No real body is larger, and larger values would overflow offsets.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let value = digits.iter().try_fold(0_u64, |n, b| {
        if !b.is_ascii_digit() {
            return None;
        }
        n.checked_mul(10)?.checked_add(u64::from(b - b'0'))
    })?;
    (value <= i64::MAX as u64).then_some(value)
}

/// The values of all Transfer-Encoding fields together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum TransferCoding {
    #[default]
    Absent,
    /// Only "identity".
    Identity,
    /// Only "chunked".
    Chunked,
    /// "chunked" last, after other codings.
    ChunkedLast,
    /// Some other coding last.
    NotChunked,
}

impl TransferCoding {
    fn see(&mut self, values: &[u8]) {
        for value in values.split(|&b| b == b',') {
            // RFC 9110 §10.1.4: a coding may have parameters. Chunked has none, but with some it is still chunked.
            let coding = trim_ows(value.split(|&b| b == b';').next().unwrap_or(value));
            let before = *self;
            let plain = coding.len() == trim_ows(value).len();
            *self = if coding.is_empty() {
                if before == Self::Absent { Self::NotChunked } else { before }
            } else if coding.eq_ignore_ascii_case(b"chunked") {
                if before == Self::Absent && plain { Self::Chunked } else { Self::ChunkedLast }
            } else if coding.eq_ignore_ascii_case(b"identity") {
                match before {
                    Self::Absent => Self::Identity,
                    // Identity does nothing, so the chunked before it still applies, as in Zeek and tshark.
                    Self::Chunked => Self::ChunkedLast,
                    before => before,
                }
            } else {
                Self::NotChunked
            };
        }
    }
}
