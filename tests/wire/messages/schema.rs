//! Protobuf written by hand, so that field numbers are checked against the schema and not against the code.

/// A field of bytes, a text or a message.
pub(super) fn bytes(field: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut out = varint(field << 3 | 2);
    out.extend(varint(content.len() as u64));
    out.extend(content);
    out
}

/// A field of a number, a switch or a choice.
pub(super) fn number(field: u64, value: u64) -> Vec<u8> {
    let mut out = varint(field << 3);
    out.extend(varint(value));
    out
}

/// A field of a floating-point number.
pub(super) fn double(field: u64, value: f64) -> Vec<u8> {
    let mut out = varint(field << 3 | 1);
    out.extend(value.to_le_bytes());
    out
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return out;
        }
        out.push(byte | 0x80);
    }
}

/// Fields in a row.
macro_rules! fields {
    ($($field:expr),* $(,)?) => { [$($field.as_slice()),*].concat() };
}
pub(super) use fields;
