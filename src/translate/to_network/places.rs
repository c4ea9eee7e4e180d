//! Places.

use serde_json::Value;

use super::{
    NetworkContext, Part, PartContent,
    text::{foreign_quote, plain_parts, text_parts},
};
use crate::{
    domain::{Location, MessageContext, OutgoingContent, Unbridgeable},
    translate::{clean_text, event::extensible_text, markup, text::shortened},
};

/// The longest name of a place, in characters.
const MAX_NAME: usize = 200;

/// The parts of a message that is a place (`m.location`, and MSC3488).
pub(super) fn parts(
    content: &Value,
    context: &NetworkContext<'_>,
) -> Result<Vec<Part>, Unbridgeable> {
    let extended = ["m.location", "org.matrix.msc3488.location"]
        .iter()
        .map(|key| &content[key])
        .find(|value| value.is_object())
        .unwrap_or(&Value::Null);
    let uri = extended["uri"]
        .as_str()
        .or_else(|| content["geo_uri"].as_str());
    let Some(mut location) = uri.and_then(read_geo_uri) else {
        return Err(context.not_sent(
            "malformed",
            "the message does not say where the place is. Send it again",
        ));
    };
    location.name = name(content, extended);
    if !context.capabilities.locations {
        return Ok(text_parts(
            markup::from_plain(&described(&location), &[]),
            content,
            context,
        ));
    }
    let quote = foreign_quote(context).map(|quote| plain_parts(&quote, context));
    let place = Part {
        content: PartContent::Ready(OutgoingContent::Location(location)),
        context: MessageContext {
            quote: context.quote(),
            ..MessageContext::default()
        },
    };
    Ok(quote.into_iter().flatten().chain([place]).collect())
}

/// What the sender calls the place. Bodies that clients make up themselves tell the coordinates.
fn name(content: &Value, extended: &Value) -> Option<String> {
    let is_made_up = |body: &&str| body.contains("geo:") || body.contains("://");
    let description = extended["description"].as_str();
    let body = content["body"]
        .as_str()
        .or_else(|| extensible_text(content))
        .filter(|body| !is_made_up(body));
    let name = clean_text(description.or(body)?);
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    (!name.is_empty()).then(|| shortened(&name, MAX_NAME))
}

fn described(location: &Location) -> String {
    let (lat, lon) = (location.latitude, location.longitude);
    let map = format!("https://www.openstreetmap.org/?mlat={lat}&mlon={lon}#map=16/{lat}/{lon}");
    match &location.name {
        Some(name) => format!("{name}\n{map}"),
        None => map,
    }
}

/// Reads a `geo:` URI (RFC 5870) of the earth.
fn read_geo_uri(uri: &str) -> Option<Location> {
    let rest = uri.get(..4).filter(|s| s.eq_ignore_ascii_case("geo:"));
    let rest = rest.and(uri.get(4..))?;
    let mut fields = rest.split([';', '?']);
    let mut numbers = fields.next()?.split(',').map(number);
    let (latitude, longitude) = (numbers.next()??, numbers.next()??);
    if !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) {
        return None;
    }
    let accuracy = fields
        .find_map(|field| field.strip_prefix("u="))
        .and_then(|metres| metres.split('.').next()?.parse().ok());
    Some(Location {
        latitude,
        longitude,
        accuracy,
        name: None,
        address: None,
        live: false,
    })
}

/// A decimal number as RFC 5870 has them: no exponents, no infinities.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_decimal = text
        .chars()
        .all(|c| c.is_ascii_digit() || "+-.".contains(c));
    is_decimal.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_geo_uri_is_read_or_refused() {
        let read = read_geo_uri("geo:51.5008,-0.1247,12;u=35.5").unwrap();
        assert!((read.latitude - 51.5008).abs() < 1e-9);
        assert!((read.longitude + 0.1247).abs() < 1e-9);
        assert_eq!(read.accuracy, Some(35));
        for wrong in [
            "",
            "geo:",
            "geo:1",
            "geo:91,0",
            "geo:0,181",
            "geo:inf,0",
            "geo:1e9,0",
            "http:1,2",
            "géo:1,2",
        ] {
            assert_eq!(read_geo_uri(wrong), None, "{wrong}");
        }
    }
}
