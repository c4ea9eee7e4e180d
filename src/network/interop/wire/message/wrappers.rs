//! Messages in messages: `FutureProofMessage{message=1}` in the fields that say something about what is in them (it disappears,
//! is to be seen once, is a document with a caption), and `deviceSentMessage=31{message=2}`.

use waproto::{
    buffa::MessageField,
    whatsapp::{
        Message, MessageContextInfo, message::FutureProofMessage,
        message_association::AssociationType,
    },
};

/// Messages in messages that are looked into.
const MAX_WRAPPERS: usize = 4;

/// A field that has a message in it.
type Wrapper = fn(&mut Message) -> &mut MessageField<FutureProofMessage>;

const VIEW_ONCE: [Wrapper; 3] = [
    |m| &mut m.view_once_message,
    |m| &mut m.view_once_message_v2,
    |m| &mut m.view_once_message_v2_extension,
];

const EDIT: Wrapper = |m| &mut m.edited_message;

const OTHERS: [Wrapper; 12] = [
    |m| &mut m.ephemeral_message,
    |m| &mut m.document_with_caption_message,
    |m| &mut m.group_mentioned_message,
    |m| &mut m.lottie_sticker_message,
    |m| &mut m.associated_child_message,
    |m| &mut m.poll_creation_message_v4,
    |m| &mut m.poll_creation_option_image_message,
    |m| &mut m.event_cover_image,
    |m| &mut m.spoiler_message,
    |m| &mut m.bot_invoke_message,
    |m| &mut m.bot_forwarded_message,
    |m| &mut m.question_message,
];

/// The innermost message, and what the wrappers around it say.
pub(super) struct Opened<'a> {
    /// The message.
    pub(super) message: &'a mut Message,
    /// Whether it is to be seen once only.
    pub(super) view_once: bool,
    /// Whether it is wrapped as an edit.
    pub(super) edited: bool,
    /// The secret that replies to it are encrypted with.
    pub(super) secret: Option<[u8; 32]>,
    /// Whether it is a second form, such as a better resolution, of a message that is sent anyway.
    pub(super) second_form: bool,
}

/// The innermost message; `None` if it is wrapped more often than is looked into.
pub(super) fn open(mut message: &mut Message) -> Option<Opened<'_>> {
    let (mut view_once, mut edited, mut secret, mut second_form) = (false, false, None, false);
    for _ in 0..=MAX_WRAPPERS {
        if let Some(info) = message.message_context_info.as_option() {
            secret = secret_in(info).or(secret);
            second_form |= is_second_form(info);
        }
        view_once |= VIEW_ONCE.iter().any(|wrapper| wraps(message, *wrapper));
        edited |= wraps(message, EDIT);
        let mut wrappers = VIEW_ONCE.iter().chain([&EDIT]).chain(&OTHERS);
        message = if let Some(wrapper) = wrappers.find(|wrapper| wraps(message, **wrapper)) {
            wrapper(message).as_option_mut()?.message.as_option_mut()?
        } else if sent_by_own_device(message) {
            let sent = message.device_sent_message.as_option_mut()?;
            sent.message.as_option_mut()?
        } else {
            return Some(Opened {
                message,
                view_once,
                edited,
                secret,
                second_form,
            });
        };
    }
    None
}

fn wraps(message: &mut Message, wrapper: Wrapper) -> bool {
    let wrapper = wrapper(message).as_option();
    wrapper.is_some_and(|wrapper| wrapper.message.is_set())
}

fn sent_by_own_device(message: &Message) -> bool {
    let sent = message.device_sent_message.as_option();
    sent.is_some_and(|sent| sent.message.is_set())
}

fn secret_in(info: &MessageContextInfo) -> Option<[u8; 32]> {
    info.message_secret.as_deref()?.try_into().ok()
}

fn is_second_form(info: &MessageContextInfo) -> bool {
    let association = info.message_association.as_option();
    matches!(
        association.and_then(|association| association.association_type),
        Some(
            AssociationType::HD_IMAGE_DUAL_UPLOAD
                | AssociationType::HD_VIDEO_DUAL_UPLOAD
                | AssociationType::HEVC_VIDEO_DUAL_UPLOAD
                | AssociationType::MOTION_PHOTO
        )
    )
}
