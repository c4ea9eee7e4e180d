//! Bytes as a stanza, packed or not; what is one is written and read again.
#![no_main]

use drawbridge_fuzz::wire::{self, Dialect, Jid, Node};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(node) = wire::decode(bytes) {
        written_and_read(&node);
    }
    if let Ok(node) = wire::unpack(bytes) {
        written_and_read(&node);
        assert_eq!(wire::unpack(&wire::pack(&node)), Ok(node));
    }
    if let Ok(jid) = String::from_utf8_lossy(bytes).parse::<Jid>() {
        assert_eq!(jid.to_string().parse(), Ok(jid));
    }
});

fn written_and_read(node: &Node) {
    for interop_trailing_server in [false, true] {
        let dialect = Dialect {
            interop_trailing_server,
        };
        let bytes = wire::encode_as(node, dialect);
        assert_eq!(wire::decode(&bytes).as_ref(), Ok(node));
    }
}
