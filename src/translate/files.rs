//! What files are called: clean names, and which endings belong to which MIME types.

use super::names::is_invisible;
use crate::domain::MediaKind;

/// The longest name, in characters.
const MAX_NAME: usize = 120;

/// Types and their usual endings. Where several types share an ending, the first is what a file with it is taken for.
const ENDINGS: &[(&str, &str)] = &[
    ("image/jpeg", "jpg"),
    ("image/jpeg", "jpeg"),
    ("image/png", "png"),
    ("image/webp", "webp"),
    ("image/gif", "gif"),
    ("image/heic", "heic"),
    ("image/avif", "avif"),
    ("image/svg+xml", "svg"),
    ("video/mp4", "mp4"),
    ("video/3gpp", "3gp"),
    ("video/webm", "webm"),
    ("video/quicktime", "mov"),
    ("video/x-matroska", "mkv"),
    ("audio/ogg", "ogg"),
    ("audio/ogg", "opus"),
    ("audio/ogg", "oga"),
    ("audio/mpeg", "mp3"),
    ("audio/mp4", "m4a"),
    ("audio/aac", "aac"),
    ("audio/amr", "amr"),
    ("audio/flac", "flac"),
    ("audio/wav", "wav"),
    ("application/pdf", "pdf"),
    ("application/zip", "zip"),
    ("application/json", "json"),
    ("text/plain", "txt"),
    ("text/csv", "csv"),
    ("text/html", "html"),
    ("text/vcard", "vcf"),
    ("text/calendar", "ics"),
    ("application/msword", "doc"),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "docx",
    ),
    ("application/vnd.ms-excel", "xls"),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xlsx",
    ),
    ("application/vnd.ms-powerpoint", "ppt"),
    (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "pptx",
    ),
];

/// A file name that is one name everywhere and shows itself as it is: no path, no control or direction-changing characters,
/// no dots or blanks around it, at most 120 characters with its ending kept. `None` if nothing is left.
pub(super) fn clean_file_name(name: &str) -> Option<String> {
    let plain: String = name
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| match c {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
            c if c.is_control() || c.is_whitespace() => ' ',
            c => c,
        })
        .collect();
    let name = plain.trim_matches(|c: char| c == '.' || c == ' ');
    let length = name.chars().count();
    if length <= MAX_NAME {
        return (!name.is_empty()).then(|| name.to_owned());
    }
    let ending = name
        .rsplit_once('.')
        .map(|(_, ending)| ending)
        .filter(|ending| ending.chars().count() <= 10);
    let room = MAX_NAME - ending.map_or(0, |ending| ending.chars().count() + 1);
    let mut short: String = name.chars().take(room).collect();
    if let Some(ending) = ending {
        short.push('.');
        short.push_str(ending);
    }
    Some(short)
}

/// A name for a file that has none.
pub(super) fn made_up_name(kind: MediaKind, mime_type: &str) -> String {
    let name = match kind {
        MediaKind::Image => "image",
        MediaKind::Video => "video",
        MediaKind::Gif => "gif",
        MediaKind::Audio => "audio",
        MediaKind::Voice => "voice",
        MediaKind::File => "file",
        MediaKind::Sticker => "sticker",
    };
    let plain = essence(mime_type);
    match ENDINGS.iter().find(|(mime, _)| *mime == plain) {
        Some((_, ending)) => format!("{name}.{ending}"),
        None => name.to_owned(),
    }
}

/// The type a file has by the ending of its name.
pub(super) fn mime_type_of(name: &str) -> Option<&'static str> {
    let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
    ENDINGS
        .iter()
        .find(|(_, known)| *known == ending)
        .map(|(mime, _)| *mime)
}

/// A MIME type without its parameters, in small letters.
pub(super) fn essence(mime_type: &str) -> String {
    let plain = mime_type.split(';').next().unwrap_or_default();
    plain.trim().to_ascii_lowercase()
}

/// A MIME type as it came if it is well-formed and short (RFC 6838, section 4.2, parameters of any printable ASCII).
pub(super) fn well_formed_mime_type(mime_type: &str) -> Option<String> {
    let plain = essence(mime_type);
    let (kind, name) = plain.split_once('/')?;
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
    };
    let is_printable = mime_type.chars().all(|c| matches!(c, ' '..='~'));
    (is_name(kind) && is_name(name) && is_printable && mime_type.len() <= 127)
        .then(|| mime_type.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path_and_hides_nothing() {
        assert_eq!(
            clean_file_name("../../etc/passwd").as_deref(),
            Some("_.._etc_passwd")
        );
        assert_eq!(
            clean_file_name("photo\u{202e}gpj.exe\n").as_deref(),
            Some("photogpj.exe")
        );
        assert_eq!(clean_file_name(" .. "), None);
        let long = format!("{}.tar.gz", "a".repeat(300));
        let short = clean_file_name(&long).unwrap();
        assert_eq!(short.chars().count(), 120);
        assert!(short.ends_with("a.gz"));
    }

    #[test]
    fn a_type_is_one_line_of_ascii() {
        let voice = "audio/ogg; codecs=opus";
        assert_eq!(well_formed_mime_type(voice).as_deref(), Some(voice));
        for wrong in ["", "image", "image/", "image/a b", "image/png\r\nx: y", "/"] {
            assert_eq!(well_formed_mime_type(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn endings_and_types_belong_together() {
        assert_eq!(mime_type_of("A.JPEG"), Some("image/jpeg"));
        assert_eq!(mime_type_of("none"), None);
        assert_eq!(
            made_up_name(MediaKind::Voice, "audio/ogg; codecs=opus"),
            "voice.ogg"
        );
        assert_eq!(made_up_name(MediaKind::File, "x/y"), "file");
    }
}
