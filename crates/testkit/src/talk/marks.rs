//! The words after `>>>` and `<<<`: everything special about a block.
//!
//! The three tables are the whole vocabulary, for parsing, writing and error messages. Next:
//! [`super::render`], which obeys the marks; `corpus/TALK.md`, which explains them.

use super::units::number;

/// The marks of a block. By default a segment arrives, is captured whole and is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "generators and tests build it; render checks what it needs")]
pub struct Marks {
    /// Sent and received, but not in the capture.
    pub lost: bool,
    /// In the capture, but the peer never receives it.
    pub dropped: bool,
    /// From a third party: the peer drops it, and the sender does not know of it.
    pub forged: bool,
    /// Starts at the start of the sender's previous block; without payload it repeats that block.
    pub again: bool,
    /// Without the ACK flag.
    pub no_ack: bool,
    /// The peer acknowledges it only with its next block.
    pub unacked: bool,
    /// A segment without payload.
    pub ack: bool,
    /// With SYN, at the initial sequence number; payload on it is TCP Fast Open data.
    pub syn: bool,
    /// With FIN on the last segment.
    pub fin: bool,
    /// With RST.
    pub rst: bool,
    /// The TCP checksum is wrong.
    pub bad_checksum: bool,
    /// With a TCP MD5 signature option.
    pub md5: bool,
    /// IP total length 0, as segmentation offload leaves it.
    pub length_zero: bool,
    /// The fragments come in reverse order.
    pub fragments_reversed: bool,
    /// The second fragment comes again with other bytes, before the datagram is whole.
    pub fragments_conflict: bool,
    /// The frame comes twice in a row, as bridges and `-i any` show it.
    pub doubled: bool,
    /// Split into segments of this size.
    pub mss: Option<usize>,
    /// Captured only up to this many bytes of its payload.
    pub cut: Option<usize>,
    /// It arrives, and is captured, this many frames later.
    pub late: Option<usize>,
    /// It arrives in time and is acknowledged, but is captured this many frames later.
    pub seen_late: Option<usize>,
    /// A copy of the frame comes this many frames later.
    pub doubled_after: Option<usize>,
    /// In IP fragments of this size.
    pub fragment: Option<usize>,
    /// With URG and this urgent pointer.
    pub urgent: Option<usize>,
    /// With this window.
    pub window: Option<usize>,
    /// With this TTL or hop limit.
    pub ttl: Option<usize>,
    /// This many bytes of padding after the IP packet.
    pub pad: Option<usize>,
    /// Distance of the sequence number from the right one.
    pub seq: i64,
    /// Distance of the acknowledgement number from the right one.
    pub ack_shift: i64,
    /// Distance of the timestamp value from the clock's, in milliseconds.
    pub tsval: i64,
}

type Flag = (&'static str, fn(&mut Marks) -> &mut bool);
type Count = (&'static str, fn(&mut Marks) -> &mut Option<usize>, usize, usize);
type Shift = (&'static str, fn(&mut Marks) -> &mut i64);

const FLAGS: [Flag; 16] = [
    ("syn", |m| &mut m.syn),
    ("fin", |m| &mut m.fin),
    ("rst", |m| &mut m.rst),
    ("ack", |m| &mut m.ack),
    ("lost", |m| &mut m.lost),
    ("dropped", |m| &mut m.dropped),
    ("forged", |m| &mut m.forged),
    ("again", |m| &mut m.again),
    ("doubled", |m| &mut m.doubled),
    ("no-ack", |m| &mut m.no_ack),
    ("unacked", |m| &mut m.unacked),
    ("bad-checksum", |m| &mut m.bad_checksum),
    ("md5", |m| &mut m.md5),
    ("length-zero", |m| &mut m.length_zero),
    ("fragments-reversed", |m| &mut m.fragments_reversed),
    ("fragments-conflict", |m| &mut m.fragments_conflict),
];

/// Name, field, least, greatest.
const COUNTS: [Count; 10] = [
    ("mss", |m| &mut m.mss, 1, 65_000),
    ("cut", |m| &mut m.cut, 0, 65_535),
    ("late", |m| &mut m.late, 1, 10_000),
    ("seen-late", |m| &mut m.seen_late, 1, 10_000),
    ("doubled-after", |m| &mut m.doubled_after, 1, 10_000),
    ("fragment", |m| &mut m.fragment, 8, 65_000),
    ("urgent", |m| &mut m.urgent, 0, 65_535),
    ("window", |m| &mut m.window, 0, 65_535),
    ("ttl", |m| &mut m.ttl, 0, 255),
    ("pad", |m| &mut m.pad, 1, 1_000),
];

const SHIFTS: [Shift; 3] = [("seq", |m| &mut m.seq), ("ack", |m| &mut m.ack_shift), ("tsval", |m| &mut m.tsval)];
const SHIFT_MAX: i64 = u32::MAX as i64;

impl Marks {
    /// Applies one word; the error names what is allowed.
    pub(super) fn take(&mut self, word: &str) -> Result<(), String> {
        if word == "keep-alive" {
            // A sequence number that is already acknowledged, and no data (RFC 1122 §4.2.3.6).
            (self.ack, self.seq) = (true, -1);
            return Ok(());
        }
        if let Some((_, field)) = FLAGS.iter().find(|(name, _)| *name == word) {
            *field(self) = true;
            return Ok(());
        }
        if let Some((name, value)) = word.split_once('=') {
            let (_, field, least, most) = COUNTS.iter().find(|count| count.0 == name).ok_or_else(|| unknown(word))?;
            let value = number(value).and_then(|value| usize::try_from(value).ok());
            let value = value.filter(|value| (least..=most).contains(&value));
            let value = value.ok_or_else(|| format!("{word:?}: {name} takes a number from {least} to {most}"))?;
            *field(self) = Some(value);
            return Ok(());
        }
        for (name, field) in SHIFTS {
            let Some(value) = word.strip_prefix(name).filter(|value| value.starts_with(['+', '-'])) else { continue };
            let value = value.parse::<i64>().ok().filter(|value| value.abs() <= SHIFT_MAX);
            *field(self) =
                value.ok_or_else(|| format!("{word:?}: {name} takes + or - and a number up to {SHIFT_MAX}"))?;
            return Ok(());
        }
        Err(unknown(word))
    }

    /// Returns the words for these marks.
    pub fn words(&self) -> Vec<String> {
        let mut copy = self.clone();
        let mut words = Vec::new();
        for (name, field) in FLAGS {
            if *field(&mut copy) {
                words.push(name.to_owned());
            }
        }
        for (name, field, ..) in COUNTS {
            if let Some(value) = *field(&mut copy) {
                words.push(format!("{name}={value}"));
            }
        }
        for (name, field) in SHIFTS {
            if *field(&mut copy) != 0 {
                words.push(format!("{name}{:+}", field(&mut copy)));
            }
        }
        words
    }
}

fn unknown(word: &str) -> String {
    let flags = FLAGS.iter().map(|(name, _)| (*name).to_owned());
    let counts = COUNTS.iter().map(|(name, ..)| format!("{name}=N"));
    let shifts = SHIFTS.iter().map(|(name, _)| format!("{name}±N"));
    let all: Vec<String> = flags.chain(counts).chain(shifts).chain(["keep-alive".to_owned()]).collect();
    format!("{word:?} is no mark; allowed: {}", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<Marks, String> {
        let mut marks = Marks::default();
        words.split_whitespace().try_for_each(|word| marks.take(word)).map(|()| marks)
    }

    #[test]
    fn marks_are_written_as_they_are_parsed() {
        for words in ["", "fin", "lost mss=100", "rst forged seq+1000", "again late=2 ttl=1", "ack seq-1", "syn no-ack"]
        {
            let marks = read(words).unwrap();
            assert_eq!(read(&marks.words().join(" ")).unwrap(), marks, "{words:?}");
        }
        assert_eq!(read("keep-alive").unwrap(), read("ack seq-1").unwrap());
    }

    #[test]
    fn the_error_for_a_wrong_word_names_what_is_allowed() {
        for (words, part) in [
            ("lots", "\"lots\" is no mark; allowed: syn, fin"),
            ("mss=0", "mss takes a number from 1 to 65000"),
            ("mss=x", "mss takes a number"),
            ("mss", "is no mark"),
            ("colour=1", "is no mark"),
            ("seq+x", "seq takes + or - and a number"),
            ("seq+4294967296", "seq takes + or -"),
        ] {
            let error = read(words).unwrap_err();
            assert!(error.contains(part), "{words:?}: {error}");
        }
    }
}
