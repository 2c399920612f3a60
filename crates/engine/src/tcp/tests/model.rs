//! The reorder buffer against a byte map, fed the same random segments.

use proptest::prelude::*;

use super::*;

/// A slow and obvious model: the first copy of each stream byte wins.
fn model(pieces: &[(usize, Vec<u8>)]) -> Vec<Option<u8>> {
    let end = pieces.iter().map(|(at, bytes)| at + bytes.len()).max().unwrap_or(0);
    let mut map = vec![None; end];
    let mut delivered = 0;
    for (at, bytes) in pieces {
        for (place, &byte) in bytes.iter().enumerate() {
            map[at + place].get_or_insert(byte);
        }
        while map.get(delivered).is_some_and(Option::is_some) {
            delivered += 1;
        }
    }
    map
}

proptest! {
    #[test]
    fn any_pieces_in_any_order_are_as_in_the_byte_map(
        pieces in prop::collection::vec((0_usize..60, prop::collection::vec(any::<u8>(), 1..20)), 1..40),
    ) {
        let mut connection = TcpConnection::new();
        let mut stream = Vec::new();
        let mut ledger = Account::default();
        {
            struct Keep<'a>(&'a mut Vec<Option<u8>>, &'a mut Account);
            impl StreamSink for Keep<'_> {
                fn deliver(&mut self, _: Side, delivery: Delivery<'_>) {
                    match delivery {
                        Delivery::Bytes(StreamBytes { bytes, .. }) => {
                            self.1.count(Fate::Body, bytes.len());
                            self.0.extend(bytes.iter().map(|&b| Some(b)));
                        }
                        Delivery::Gap { missing, .. } => self.0.extend((0..missing).map(|_| None)),
                        Delivery::End(_) => {}
                    }
                }
                fn flag_message(&mut self, _: Side, _: Anomaly) {}
                fn flag_connection(&mut self, _: Anomaly) {}
                fn may_begin(&self, _: &[u8]) -> bool {
                    true
                }
                fn retention(&self, _: Side) -> Retention {
                    Retention::Open
                }
                fn account(&mut self) -> &mut Account {
                    self.1
                }
            }
            let mut keep = Keep(&mut stream, &mut ledger);
            for (row, _) in HANDSHAKE {
                let (side, _, segment) = segment(row);
                push(&mut connection, side, &segment, &mut keep);
            }
            for (at, bytes) in &pieces {
                let (side, _, mut segment) = segment("c 1 1 A");
                segment.seq = segment.seq.add(*at as u32);
                segment.payload = bytes;
                keep.1.receive(bytes.len());
                push(&mut connection, side, &segment, &mut keep);
                prop_assert_eq!(keep.1.balance(), connection.held_payload() as i128);
            }
            end(&mut connection, EndCause::EndOfCapture, &mut keep);
        }
        prop_assert_eq!(&stream, &model(&pieces));
        prop_assert_eq!(ledger.balance(), 0);
        let missing = stream.iter().filter(|byte| byte.is_none()).count();
        prop_assert_eq!(ledger.missing(), missing as u64);
    }
}
