//! Lengths of time as people say them.

/// A number of seconds in the largest unit that fits: `1 day`, `7 days`, `90 minutes`.
#[must_use]
pub fn duration(seconds: u32) -> String {
    let units = [
        (86_400, "day"),
        (3600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let (length, name) = units
        .into_iter()
        .find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length))
        .unwrap_or((1, "second"));
    let count = seconds / length;
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {name}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_unit_that_fits() {
        let cases = [
            (86_400, "1 day"),
            (604_800, "7 days"),
            (5400, "90 minutes"),
            (1, "1 second"),
            (0, "0 seconds"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
    }
}
