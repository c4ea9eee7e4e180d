//! The padding that hides a message's length.

use drawbridge::network::interop::wire::message;

#[test]
fn padding_comes_off_as_it_went_on() {
    for n in 1..=16 {
        for length in [0, 1, 15, 16, 200] {
            let plain = vec![n; length];
            let padded = message::pad(plain.clone(), n);
            assert_eq!(padded.len(), length + usize::from(n));
            assert_eq!(message::unpad(&padded).unwrap(), plain);
        }
    }
}

#[test]
fn bad_padding_is_refused() {
    for bad in [
        &b""[..],
        b"abc\x00",
        b"abc\x11",
        b"\x02",
        b"ab\x01\x03\x03",
        &[17; 40],
    ] {
        assert!(message::unpad(bad).is_err(), "{bad:?}");
    }
}
