//! What must be true of the group at the end: every message once and in order for everybody who was in it, as it was left; the room
//! has the members, admins and name the group has.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use drawbridge::{
    network::interop::wire::Jid,
    sandbox::{GroupChange, Role, content::Content},
};

use super::{Group, Post, STAYING, Who, ghost, view};
use crate::{
    oracle::{Hashes, Verdict},
    support::{
        homeserver::World,
        stage::{BOT, Stage, USER},
    },
    view::FileAt,
};

impl Group {
    /// Judges the room and every phone.
    pub(crate) fn judge(&self, stage: &Stage, hashes: &Hashes, verdict: &mut Verdict) {
        let room = {
            let world = stage.homeserver.world();
            self.compare_state(&world, verdict);
            view::room(&world, self)
        };
        verdict.undecryptable += room.placeholders;
        verdict.refused += room.refused;
        self.compare("the room", &room, hashes, verdict);
        for contact in 0..self.contacts.len() {
            let counters = self.contacts[contact].counters();
            if contact < STAYING {
                let phone = view::phone(self, contact);
                self.compare(&format!("phone {contact}"), &phone, hashes, verdict);
                verdict.undecryptable += counters.undecryptable;
            } else {
                // Who comes while something is under way has to ask for the key of it.
                verdict.asked_again += counters.undecryptable;
                self.compare_visits(contact, verdict);
            }
            verdict.key_reuse += counters.key_reuse;
        }
    }

    /// Whether the server passed somebody's message on: of those who stay, all; of visitors, what the owner got.
    fn is_passed_on(&self, who: Who, post: &Post) -> bool {
        let Who::Contact(contact) = who else {
            return true;
        };
        who.stays() || self.owner_has(self.contacts[contact].jid(), &post.id)
    }

    fn owner_has(&self, of: &Jid, id: &str) -> bool {
        let message = self.owner().message_of(&self.jid, false, id);
        message.is_some_and(|message| message.sender.as_ref() == Some(of))
    }

    /// Compares one side with what was written.
    fn compare(&self, name: &str, side: &view::Side, hashes: &Hashes, verdict: &mut Verdict) {
        for trouble in &side.troubles {
            verdict.complain(format!("the group on {name}: {trouble}"));
        }
        for who in self.everybody() {
            let mut times: BTreeMap<usize, usize> = BTreeMap::new();
            let mut last = None;
            for seen in side.seen.iter().filter(|seen| seen.who == who) {
                *times.entry(seen.number).or_default() += 1;
                verdict.out_of_order += usize::from(last > Some(seen.number));
                last = Some(seen.number);
                let what = format!("{:?} {} on {name}", who, seen.number);
                let Some(post) = self.posts(who).get(seen.number) else {
                    verdict.complain(format!("{what} was never written"));
                    continue;
                };
                if post.is_deleted {
                    verdict.complain(format!("{what} was deleted and is there"));
                } else {
                    compare_post(&what, post, seen, hashes, verdict);
                }
            }
            verdict.duplicated += times.values().map(|times| times - 1).sum::<usize>();
            for (number, post) in self.posts(who).iter().enumerate() {
                let is_there = times.contains_key(&number);
                if !post.is_deleted && !is_there && self.is_passed_on(who, post) {
                    verdict.lose(&format!("{who:?} {number} on {name}"));
                }
            }
        }
    }

    /// Compares what a visitor got of the user's messages with what passed by while they were in the group.
    fn compare_visits(&self, visitor: usize, verdict: &mut Verdict) {
        let jid = self.contacts[visitor].jid();
        let mut got: HashMap<String, usize> = HashMap::new();
        for (id, is_in) in self.came_to(visitor, jid) {
            *got.entry(id.clone()).or_default() += 1;
            // What is sent again after a crash comes to those who are in the group by then.
            if !is_in {
                verdict.complain(format!(
                    "{id} came to visitor {visitor}, who was not in the group"
                ));
            }
        }
        verdict.duplicated += got.values().map(|times| times - 1).sum::<usize>();
        for (id, is_in) in self.came_to(0, jid) {
            if is_in && !got.contains_key(&id) {
                verdict.lose(&format!("{id} to visitor {visitor}, who was in the group"));
            }
        }
    }

    /// The user's messages as they came to a contact's phone, each with whether a visitor was in the group then.
    fn came_to(&self, contact: usize, visitor: &Jid) -> Vec<(String, bool)> {
        let mut is_in = false;
        let mut came = Vec::new();
        for message in self.contacts[contact].messages(&self.jid) {
            match message.content {
                Content::Group { change, .. } => match change {
                    GroupChange::Added { who } if who.contains(visitor) => is_in = true,
                    GroupChange::Removed { who } | GroupChange::Left { who }
                        if who.contains(visitor) =>
                    {
                        is_in = false;
                    }
                    _ => {}
                },
                _ if message.sender.as_ref() == Some(&self.login) => {
                    came.push((message.id, is_in));
                }
                _ => {}
            }
        }
        came
    }

    /// Compares the room's members, admins and name with the group's.
    fn compare_state(&self, world: &World, verdict: &mut Verdict) {
        let room = &world.rooms[&self.room];
        let group = self.owner().group(&self.address);
        let group = group.expect("the owner knows the group");
        let state = |kind: &str| room.state.get(&(kind.to_owned(), String::new()));
        let name = state("m.room.name").map(|content| content["name"].clone());
        if name.as_ref().and_then(|name| name.as_str()) != Some(&group.subject) {
            verdict.complain(format!(
                "the room is called {name:?} and the group {:?}",
                group.subject
            ));
        }
        let accounts = group.members.keys().filter(|jid| **jid != self.login);
        let mut wanted: BTreeSet<String> = accounts.map(ghost).collect();
        wanted.extend([USER.to_owned(), BOT.to_owned()]);
        let there = room.members.iter();
        let there: BTreeSet<String> = there
            .filter(|(_, membership)| *membership == "join" || *membership == "invite")
            .map(|(user, membership)| match membership.as_str() {
                "join" => user.clone(),
                other => format!("{user} ({other})"),
            })
            .collect();
        for user in there.symmetric_difference(&wanted) {
            let side = if wanted.contains(user) {
                "the group"
            } else {
                "the room"
            };
            verdict.complain(format!("only {side} has {user}"));
        }
        let levels = state("m.room.power_levels");
        for (jid, role) in group.members.iter().filter(|(jid, _)| **jid != self.login) {
            let level = levels.and_then(|levels| levels["users"][ghost(jid)].as_i64());
            if (level.unwrap_or(0) >= 50) != (*role > Role::Member) {
                verdict.complain(format!("{jid} is {role:?} and has the power {level:?}"));
            }
        }
    }
}

fn compare_post(
    what: &str,
    post: &Post,
    seen: &view::Seen,
    hashes: &Hashes,
    verdict: &mut Verdict,
) {
    if seen.text != post.text {
        verdict.complain(format!(
            "{what} says {:?} and not {:?}",
            seen.text, post.text
        ));
    }
    let file = match &seen.file {
        Some(FileAt::Phone(sha256)) => Some(*sha256),
        Some(FileAt::Matrix(url)) => hashes.get(url).copied(),
        None => None,
    };
    if file != post.file {
        verdict.complain(format!("{what} has another file"));
    }
    let bare = |emoji: &str| emoji.replace('\u{fe0f}', "");
    let wanted: BTreeMap<Who, Vec<String>> = post
        .reactions
        .iter()
        .map(|(who, reaction)| (*who, vec![bare(reaction.emoji)]))
        .collect();
    let shown: BTreeMap<Who, Vec<String>> = seen
        .reactions
        .iter()
        .map(|(who, emoji)| (*who, emoji.iter().map(|one| bare(one)).collect()))
        .collect();
    if shown != wanted {
        verdict.complain(format!(
            "{what} has the reactions {shown:?} and not {wanted:?}"
        ));
    }
}
