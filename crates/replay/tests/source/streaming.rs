//! Pipes: a source waits only for bytes that it needs, and reports before it waits.

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sniffer_replay::source::{Input, ReadEvent, Source};

use crate::bytes::{Pcap, Pcapng};

/// Returns one piece per read, and counts reads.
struct Live {
    pieces: std::vec::IntoIter<Vec<u8>>,
    reads: Arc<AtomicUsize>,
}

impl Read for Live {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let piece = self.pieces.next().unwrap_or_default();
        into[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

#[test]
fn a_frame_comes_as_soon_as_its_last_byte() {
    let pcap = Pcap::new();
    let pcapng = Pcapng::new(false).ethernet();
    for (name, whole, pieces) in [
        ("pcap", pcap.clone().packet(1, 0, b"abcd").packet(2, 0, b"efgh").done(), [24, 44, 64]),
        ("pcapng", pcapng.clone().enhanced(0, 1, 4, b"abcd").enhanced(0, 2, 4, b"efgh").done(), [48, 84, 120]),
    ] {
        let [header, first, second] = pieces;
        assert_eq!(whole.len(), second, "{name}");
        let pieces = vec![whole[..header].to_vec(), whole[header..first].to_vec(), whole[first..].to_vec()];
        let reads = Arc::new(AtomicUsize::new(0));
        let live = Live { pieces: pieces.into_iter(), reads: reads.clone() };
        let mut source = Source::from_reader(name, live).unwrap();
        let mut told = Vec::new();
        for frame in 1..=2 {
            let found =
                source.next(&mut |ahead| told.push((ahead, reads.load(Ordering::SeqCst)))).map(|frame| frame.number);
            assert_eq!(found, Some(frame), "{name}");
            assert_eq!(reads.load(Ordering::SeqCst) as u64, frame + 1, "{name}: no read further than frame {frame}");
        }
        assert!(source.next(&mut |ahead| told.push((ahead, reads.load(Ordering::SeqCst)))).is_none());
        let each = (1..=3).flat_map(|read| [(ReadEvent::Refill, read), (ReadEvent::Wait, read)]);
        assert!(told.iter().copied().eq(each), "{name}: told before every read, which could have waited: {told:?}");
    }
}

#[test]
fn a_source_may_be_handed_to_another_thread() {
    fn sendable<T: Send>() {}
    sendable::<Source>();
}

#[test]
fn one_read_may_bring_many_frames() {
    let mut file = Pcap::new();
    for secs in 0..100 {
        file = file.packet(secs, 0, b"abcd");
    }
    let reads = Arc::new(AtomicUsize::new(0));
    let mut source =
        Source::from_reader("test", Live { pieces: vec![file.done()].into_iter(), reads: reads.clone() }).unwrap();
    let mut told = 0;
    for _ in 0..100 {
        assert!(source.next(&mut |_| told += 1).is_some());
    }
    assert_eq!((told, reads.load(Ordering::SeqCst)), (0, 1));
}

#[test]
fn a_failing_read_is_damage_after_the_frames_before_it() {
    let file = Pcap::new().packet(1, 0, b"abcd").packet(2, 0, b"efgh").done();
    let reader = io::Cursor::new(file[..50].to_vec()).chain(Failing);
    let mut source = Source::from_reader("test", reader).unwrap();
    assert!(source.next(&mut |_| {}).is_some());
    assert!(source.next(&mut |_| {}).is_none());
    let line = source.damages()[0].to_string();
    assert_eq!(line, "test: damaged in record 2 at byte 44: reading failed: the disk is gone; 1 frame before it");
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _into: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}

#[test]
fn standard_input_is_read() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "streaming::standard_input_gives_two_frames"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let file = Pcap::new().packet(1, 0, b"abcd").packet(2, 0, b"efgh").done();
    let mut pipe = child.stdin.take().unwrap();
    for piece in file.chunks(10) {
        pipe.write_all(piece).unwrap();
        pipe.flush().unwrap();
    }
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "run by standard_input_is_read with a capture on its standard input"]
fn standard_input_gives_two_frames() {
    let mut source = Source::open(&[Input::from(std::ffi::OsString::from("-"))]).unwrap();
    let mut frames = 0;
    while source.next(&mut |_| {}).is_some() {
        frames += 1;
    }
    assert_eq!((frames, source.damages().len()), (2, 0));
    assert_eq!((source.progress().read, source.progress().total), (64, None));
}
