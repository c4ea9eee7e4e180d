//! What the header of a JPEG says about the memory its decoding takes (ITU T.81, annex B).

/// The size in bytes of the coefficients of the whole picture, where they have to be kept until the last scan: in a progressive
/// picture, and in one whose first scan has not all components. Otherwise 0. `None` if that cannot be told.
pub(super) fn coefficients(bytes: &[u8]) -> Option<u64> {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
    let mut frame = None;
    loop {
        let (marker, after) = next_marker(rest)?;
        // Markers that stand alone.
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            rest = after;
            continue;
        }
        let (length, _) = after.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let segment = after.get(2..length)?;
        match marker {
            // Start of frame; the three others of this row are tables.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                frame = Some(Frame::read(marker, segment)?);
            }
            // Start of scan.
            0xda => {
                let frame: Frame = frame?;
                let in_scan = *segment.first()?;
                let kept = frame.progressive || in_scan < frame.components;
                return Some(if kept { frame.coefficients } else { 0 });
            }
            0xd9 => return None,
            _ => {}
        }
        rest = after.get(length..)?;
    }
}

struct Frame {
    progressive: bool,
    components: u8,
    coefficients: u64,
}

impl Frame {
    fn read(marker: u8, segment: &[u8]) -> Option<Self> {
        let [_, h1, h0, w1, w0, components] = *segment.first_chunk::<6>()?;
        let height = u64::from(u16::from_be_bytes([h1, h0]));
        let width = u64::from(u16::from_be_bytes([w1, w0]));
        let sampling: Vec<(u64, u64)> = segment
            .get(6..6 + usize::from(components) * 3)?
            .chunks_exact(3)
            .map(|component| (u64::from(component[1] >> 4), u64::from(component[1] & 15)))
            .collect();
        let across = sampling.iter().map(|(h, _)| *h).max()?.max(1);
        let down = sampling.iter().map(|(_, v)| *v).max()?.max(1);
        // Blocks of eight by eight, of two bytes each value.
        let units = width.div_ceil(8 * across) * height.div_ceil(8 * down);
        let blocks: u64 = sampling.iter().map(|(h, v)| h * v * units).sum();
        Some(Self {
            progressive: !matches!(marker, 0xc0 | 0xc1),
            components,
            coefficients: blocks * 64 * 2,
        })
    }
}

/// The next marker and what stands behind it; what stands before it is skipped, as decoders do.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let mut rest = bytes;
    loop {
        let at = rest.iter().position(|byte| *byte == 0xff)?;
        let (&marker, after) = rest.get(at + 1..)?.split_first()?;
        if matches!(marker, 0x00 | 0xff) {
            rest = rest.get(at + 1..)?;
        } else {
            return Some((marker, after));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::coefficients;

    fn header(frame: u8, in_scan: u8) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, frame, 0, 17, 8];
        bytes.extend([0, 100, 0, 200, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]);
        bytes.extend([0xff, 0xda, 0, 3, in_scan]);
        bytes
    }

    #[test]
    fn only_what_has_to_be_kept_counts() {
        // 13 by 7 units of sixteen by sixteen, six blocks each.
        let whole = Some(13 * 7 * 6 * 64 * 2);
        assert_eq!(coefficients(&header(0xc2, 3)), whole);
        assert_eq!(coefficients(&header(0xc2, 1)), whole);
        assert_eq!(coefficients(&header(0xc0, 1)), whole);
        assert_eq!(coefficients(&header(0xc0, 3)), Some(0));
    }

    #[test]
    fn what_ends_before_its_first_scan_is_not_known() {
        let whole = header(0xc2, 3);
        for length in 0..whole.len() {
            assert_eq!(coefficients(&whole[..length]), None, "{length}");
        }
    }
}
