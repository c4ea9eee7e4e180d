//! Whether a PNG or a GIF moves, told from the order of its parts.

/// Whether an animation control chunk stands before the first pixels (W3C, "PNG", `acTL`).
pub(super) fn png(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((length, kind, after)) = split_chunk(rest) {
        match kind {
            b"acTL" => return true,
            b"IDAT" | b"IEND" => return false,
            _ => {}
        }
        // The checksum ends it.
        let Some(next) = length.checked_add(4).and_then(|end| after.get(end..)) else {
            return false;
        };
        rest = next;
    }
    false
}

fn split_chunk(bytes: &[u8]) -> Option<(usize, &[u8; 4], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (kind, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    Some((length, kind, rest))
}

/// Whether there is a second image (W3C, "`GIF89a`"). Of a file that is cut short, only what there is counts.
pub(super) fn gif(bytes: &[u8]) -> bool {
    second_image(bytes).is_some()
}

fn second_image(bytes: &[u8]) -> Option<()> {
    // Signature, width, height, flags, background, aspect.
    let flags = *bytes.get(10)?;
    let mut rest = bytes.get(13 + color_table(flags)..)?;
    let mut images = 0;
    loop {
        let (&introducer, after) = rest.split_first()?;
        rest = match introducer {
            // An extension: its label, then blocks.
            0x21 => skip_blocks(after.get(1..)?)?,
            // An image: place and size, flags, its own colours, the code size, then blocks.
            0x2c => {
                images += 1;
                if images == 2 {
                    return Some(());
                }
                let flags = *after.get(8)?;
                skip_blocks(after.get(9 + color_table(flags) + 1..)?)?
            }
            _ => return None,
        };
    }
}

/// The length of the colour table that the flags announce, in bytes.
fn color_table(flags: u8) -> usize {
    if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 7) + 1)
    }
}

/// What stands behind blocks that each begin with their length, the last one's being 0.
fn skip_blocks(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let (&length, rest) = bytes.split_first()?;
        if length == 0 {
            return Some(rest);
        }
        bytes = rest.get(usize::from(length)..)?;
    }
}
