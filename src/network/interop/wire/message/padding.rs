//! The padding that hides a message's length: n bytes of value n, 1 to 16.

/// A decrypted message that is not padded as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the decrypted message is not padded as it should be")]
pub struct PaddingError;

/// Pads a message with `n` bytes, brought into 1 to 16.
#[must_use]
pub fn pad(mut plaintext: Vec<u8>, n: u8) -> Vec<u8> {
    let n = n.clamp(1, 16);
    plaintext.resize(plaintext.len() + usize::from(n), n);
    plaintext
}

/// A message without its padding.
///
/// # Errors
/// If it is not padded as it should be.
pub fn unpad(padded: &[u8]) -> Result<&[u8], PaddingError> {
    let n = *padded.last().ok_or(PaddingError)?;
    if !(1..=16).contains(&n) {
        return Err(PaddingError);
    }
    let at = padded
        .len()
        .checked_sub(usize::from(n))
        .ok_or(PaddingError)?;
    let (plaintext, padding) = padded.split_at(at);
    if padding.iter().any(|byte| *byte != n) {
        return Err(PaddingError);
    }
    Ok(plaintext)
}
