//! Faults a test switches on: each happens a given number of times to what the chat server sends to Partner users.

use std::{sync::Mutex, time::Duration};

use crate::network::interop::wire::{Content, Node};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A stanza is not sent. It stays in the mailbox and comes with the next connection.
    Drop,
    /// A stanza and all after it are sent later.
    Delay(Duration),
    /// A stanza is sent twice.
    Duplicate,
    /// A stanza is sent after the one that follows it.
    Reorder,
    /// The connection is closed after a stanza.
    Disconnect,
    /// The ciphertext of a message is changed on its way; the mailbox has it right.
    CorruptCiphertext,
    /// A stanza of an unknown kind is sent before a stanza.
    UnknownStanza,
    /// A login is refused with a code.
    RefuseLogin(u16),
}

/// What goes wrong with a file that a contact sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaFault {
    /// The media server answers a Partner's download with a status, such as 404, 410 or 503.
    Status(u16),
    /// The connection ends in the middle of the file.
    Cut,
    /// Only half of the file comes, and HTTP says that this is all.
    Truncate,
    /// A byte in the middle is another.
    Corrupt,
    /// As many bytes more come.
    Oversize(u64),
    /// Each piece of 64 KiB comes after a pause.
    Slow(Duration),
    /// Half of the file comes, and then nothing more.
    Stall,
    /// The message names a hash that is not the file's. This happens when a contact sends a file.
    WrongHash,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    /// The tag of the stanzas it happens to; `None` for any.
    tag: Option<String>,
    /// How many stanzas that fit pass before it happens.
    after: usize,
    left: usize,
}

/// The faults that are switched on.
#[derive(Debug, Default)]
pub struct Faults {
    stanzas: Mutex<Vec<Armed>>,
    /// Each with how often it is still to happen.
    media: Mutex<Vec<(MediaFault, usize)>>,
}

/// What becomes of a stanza.
#[derive(Debug)]
pub(super) struct Verdict {
    /// How often it is sent.
    pub(super) copies: usize,
    pub(super) delay: Option<Duration>,
    /// Whether it waits for the next.
    pub(super) hold: bool,
    pub(super) disconnect: bool,
    pub(super) before: Option<Node>,
}

impl Default for Verdict {
    fn default() -> Self {
        Self {
            copies: 1,
            delay: None,
            hold: false,
            disconnect: false,
            before: None,
        }
    }
}

impl Faults {
    /// A fault happens to the next `times` stanzas with a tag, of any kind if there is none.
    pub fn inject(&self, fault: Fault, tag: Option<&str>, times: usize) {
        self.inject_after(fault, tag, 0, times);
    }

    /// As [`inject`](Self::inject), after `after` stanzas that fit have passed.
    pub fn inject_after(&self, fault: Fault, tag: Option<&str>, after: usize, times: usize) {
        self.armed().push(Armed {
            fault,
            tag: tag.map(str::to_owned),
            after,
            left: times,
        });
    }

    /// A fault happens to the next `times` files.
    pub fn inject_media(&self, fault: MediaFault, times: usize) {
        self.media().push((fault, times));
    }

    /// How often faults are still to happen.
    #[must_use]
    pub fn pending(&self) -> usize {
        let media: usize = self.media().iter().map(|(_, left)| left).sum();
        self.armed().iter().map(|armed| armed.left).sum::<usize>() + media
    }

    /// Switches all faults off.
    pub fn clear(&self) {
        self.armed().clear();
        self.media().clear();
    }

    /// What happens to a download: the first fault there is.
    pub(super) fn download(&self) -> Option<MediaFault> {
        self.next_media(|fault| *fault != MediaFault::WrongHash)
    }

    /// Whether a message that is written is to name a wrong hash.
    pub(super) fn spoils_hash(&self) -> bool {
        self.next_media(|fault| *fault == MediaFault::WrongHash)
            .is_some()
    }

    fn next_media(&self, fits: impl Fn(&MediaFault) -> bool) -> Option<MediaFault> {
        let mut media = self.media();
        media.retain(|(_, left)| *left > 0);
        let (fault, left) = media.iter_mut().find(|(fault, _)| fits(fault))?;
        *left -= 1;
        Some(*fault)
    }

    fn media(&self) -> std::sync::MutexGuard<'_, Vec<(MediaFault, usize)>> {
        self.media
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The code to refuse a login with.
    pub(super) fn refusal(&self) -> Option<u16> {
        let mut armed = self.armed();
        let found = armed
            .iter_mut()
            .find(|armed| armed.left > 0 && matches!(armed.fault, Fault::RefuseLogin(_)))?;
        found.left -= 1;
        match found.fault {
            Fault::RefuseLogin(code) => Some(code),
            _ => None,
        }
    }

    /// What happens to a stanza; it may be changed.
    pub(super) fn judge(&self, node: &mut Node) -> Verdict {
        let mut verdict = Verdict::default();
        let mut all = self.armed();
        for armed in all.iter_mut() {
            let fits = armed.tag.as_deref().is_none_or(|tag| tag == node.tag);
            if armed.left == 0 || !fits || matches!(armed.fault, Fault::RefuseLogin(_)) {
                continue;
            }
            if armed.after > 0 {
                armed.after -= 1;
                continue;
            }
            armed.left -= 1;
            match armed.fault {
                Fault::Drop => verdict.copies = 0,
                Fault::Delay(time) => verdict.delay = Some(time),
                Fault::Duplicate => verdict.copies = 2,
                Fault::Reorder => verdict.hold = true,
                Fault::Disconnect => verdict.disconnect = true,
                Fault::CorruptCiphertext => corrupt(node),
                Fault::UnknownStanza => verdict.before = Some(unknown_stanza()),
                Fault::RefuseLogin(_) => {}
            }
        }
        all.retain(|armed| armed.left > 0);
        verdict
    }

    fn armed(&self) -> std::sync::MutexGuard<'_, Vec<Armed>> {
        self.stanzas
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn unknown_stanza() -> Node {
    Node::new("weather")
        .with("id", "unknown-1")
        .with("from", "s.whatsapp.net")
        .child(Node::new("rain").with("amount", "3"))
}

/// Changes the last byte of a message's ciphertext, which is part of its authentication code.
fn corrupt(node: &mut Node) {
    if let Content::Nodes(children) = &mut node.content {
        for child in children.iter_mut().filter(|child| child.tag == "enc") {
            if let Content::Bytes(bytes) = &mut child.content
                && let Some(last) = bytes.last_mut()
            {
                *last ^= 0x55;
            }
        }
    }
}
