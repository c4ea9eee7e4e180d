//! Places: `locationMessage=5{degreesLatitude=1, degreesLongitude=2, name=3, address=4, isLive=6, accuracyInMeters=7}` and
//! `liveLocationMessage=18{degreesLatitude=1, degreesLongitude=2, accuracyInMeters=3, caption=6}`.

use waproto::{
    buffa::MessageField,
    whatsapp::{
        ContextInfo, Message,
        message::{LiveLocationMessage, LocationMessage},
    },
};

use super::{Reading, context, read::unsupported};
use crate::domain::{IncomingContent, IncomingMessage, Location};

/// A live location has no address on the wire.
pub(super) fn build(location: &Location, context: MessageField<ContextInfo>) -> Message {
    if location.live {
        return Message {
            live_location_message: MessageField::some(LiveLocationMessage {
                degrees_latitude: Some(location.latitude),
                degrees_longitude: Some(location.longitude),
                accuracy_in_meters: location.accuracy,
                caption: location.name.clone(),
                context_info: context,
                ..LiveLocationMessage::default()
            }),
            ..Message::default()
        };
    }
    Message {
        location_message: MessageField::some(LocationMessage {
            degrees_latitude: Some(location.latitude),
            degrees_longitude: Some(location.longitude),
            name: location.name.clone(),
            address: location.address.clone(),
            accuracy_in_meters: location.accuracy,
            context_info: context,
            ..LocationMessage::default()
        }),
        ..Message::default()
    }
}

pub(super) fn read(message: &mut Message, reading: Reading<'_>) -> Option<IncomingMessage> {
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (latitude, longitude, location, context) =
        if let Some(place) = message.location_message.take() {
            let location = Location {
                latitude: 0.0,
                longitude: 0.0,
                accuracy: place.accuracy_in_meters,
                name: said(place.name),
                address: said(place.address),
                live: place.is_live.unwrap_or(false),
            };
            let (latitude, longitude) = (place.degrees_latitude, place.degrees_longitude);
            (latitude, longitude, location, place.context_info)
        } else {
            let place = message.live_location_message.take()?;
            let location = Location {
                latitude: 0.0,
                longitude: 0.0,
                accuracy: place.accuracy_in_meters,
                name: said(place.caption),
                address: None,
                live: true,
            };
            let (latitude, longitude) = (place.degrees_latitude, place.degrees_longitude);
            (latitude, longitude, location, place.context_info)
        };
    let degrees = |degrees: Option<f64>, most: f64| degrees.filter(|d| (-most..=most).contains(d));
    let (Some(latitude), Some(longitude)) = (degrees(latitude, 90.0), degrees(longitude, 180.0))
    else {
        return Some(unsupported("location"));
    };
    Some(IncomingMessage {
        content: IncomingContent::Location(Location {
            latitude,
            longitude,
            ..location
        }),
        context: context::read(context, reading),
    })
}
