"""The community's room: four Matrix users, a WhatsApp group of three and a Messenger contact, of whom everybody sees everything."""

import secrets
import time

import pictures
from contact import Person
from matrix import Matrix
from people import Member, Phone
from processes import Failure
from stage import Wrong

PREFIX = "!drawbridge"
MEMBERS = ("bob", "carol", "dave")
PHONES = ("Livia Live", "Liam Live", "Chloe Changing")
CONTACT = "Lotte Live"
GATEKEEPERS = {"whatsapp": "WhatsApp", "messenger": "Messenger"}
PATIENCE = 30
KINDS = ("text", "draft", "picture", "reply", "reaction", "edit", "deletion", "last word")
EMOJI = "👍"


def gather(home, page, alice, desk, state, new_room_talk):
    """Brings everybody together in a new room; the members in the order in which they speak, and who begins."""
    users = [alice, *(Matrix(home, name, state.values["password"]) for name in MEMBERS)]
    for user in users:
        user.call_oneself(local(user).capitalize())
    contacts = {contact["name"]: contact for contact in page.get("contacts")}
    own = {partner["gatekeeper"]: partner["login"] for partner in page.get("partners") if partner["visible_id"] == alice.mxid}
    phones = [contacts[name] for name in PHONES]
    lotte = contacts[CONTACT]
    group = page.make_group(phones[0], "Lake walks", [*(phone["jid"] for phone in phones[1:]), own["whatsapp"]])
    desk.transcript.line(PHONES[0], f"makes the group “Lake walks” with {', '.join(PHONES[1:])} and {local(alice)}")

    left = state.values.get("community")
    if left and left in alice.joined_rooms():
        desk.say(f"unbridge {left}")
        desk.answer("the answer to unbridge")
    room = alice.public_room("The community's room", desk.other)
    state.set("community", room)
    desk.transcript.line("", f"{local(alice)} makes a public room; {', '.join(MEMBERS)} join it")
    for user in users[1:]:
        user.join(room)
    talk = new_room_talk(room)
    talk.answer("the bot's welcome")
    for command, expected in (
        (f"bridge whatsapp {group}", "is linked"),
        (f"bridge messenger {lotte['phone']}", "is linked"),
        ("set-relay whatsapp", "speaks in"),
        ("set-relay messenger", "speaks in"),
    ):
        talk.say(f"{PREFIX} {command}")
        answer = talk.answer(f"the answer to {command}")
        if expected not in answer:
            raise Failure(f"{command} did not work")

    names = {user.mxid: local(user).capitalize() for user in users}
    names |= wait_for_ghosts(alice, room, [*phones, lotte])
    members = [Member(user, room, names) for user in users]
    at_whatsapp = {phone["jid"]: shown(phone) for phone in phones}
    at_whatsapp[own["whatsapp"]] = "Alice"
    on_phones = [Phone(Person(page, phone, group), at_whatsapp, own["whatsapp"]) for phone in phones]
    at_messenger = {lotte["jid"]: shown(lotte), own["messenger"]: "Alice"}
    on_phones.append(Phone(Person(page, lotte, own["messenger"]), at_messenger, own["messenger"]))
    livia, liam, chloe, lotte = on_phones
    alice, bob, carol, dave = members
    return [alice, livia, bob, lotte, carol, liam, dave, chloe]


def wait_for_ghosts(user, room, contacts):
    """The Matrix users that stand for these, by id: what they will be called once they said something."""
    deadline = time.monotonic() + PATIENCE
    while True:
        there = [member for member, membership in user.members(room).items() if membership == "join"]
        ghosts = {member: shown(contact) for contact in contacts for member in there if contact["jid"].split("@")[0] in member}
        if len(ghosts) == len(contacts):
            return ghosts
        if time.monotonic() > deadline:
            raise Failure(f"in the room are {sorted(there)}, not all who are in the group")
        time.sleep(0.2)


def shown(contact):
    """What somebody at a phone is called everywhere else."""
    return f"{contact['name']} ({GATEKEEPERS[contact['gatekeeper']]})"


def local(user):
    return user.mxid[1:].split(":")[0]


class Play:
    """Everybody says one of each kind; what everybody saw of it."""

    def __init__(self, people, transcript, alive):
        self.people, self.transcript, self.alive = people, transcript, alive
        self.run = secrets.token_hex(2)
        # What each saw of each: (who saw it, who said it, kind) to None or what is wrong, and the item.
        self.cells, self.items = {}, {}
        # What each says has an id where they said it.
        self.said = {}

    def text(self, speaker, kind):
        words = {"text": "I was at the lake", "draft": "forget this", "reply": "how was it", "last word": "see you there"}
        return f"{words[kind]}, says {speaker.name} ({self.run})"

    def beside(self, speaker):
        """Whom somebody answers: each somebody of another network."""
        return self.people[(self.people.index(speaker) + 1) % len(self.people)]

    def play(self):
        self.round("text", lambda speaker: speaker.says(self.text(speaker, "text")))
        self.round("draft", lambda speaker: speaker.says(self.text(speaker, "draft")), wait=False)
        self.round("picture", lambda speaker: speaker.shares(self.picture(speaker)), wait=False)
        self.wait("draft", "picture")
        self.round("reply", lambda speaker: speaker.says(self.text(speaker, "reply"), self.seen(speaker, self.beside(speaker))), wait=False)
        self.round("reaction", lambda speaker: speaker.reacts(self.seen(speaker, self.beside(speaker)), EMOJI), wait=False)
        self.wait("reply", "reaction")
        self.round("edit", lambda speaker: speaker.edits(self.said[speaker, "text"], self.edited(speaker)), wait=False)
        self.round("deletion", lambda speaker: speaker.deletes(self.said[speaker, "draft"]), wait=False)
        self.wait("edit", "deletion")
        # Whatever came twice has come before this.
        self.round("last word", lambda speaker: speaker.says(self.text(speaker, "last word")))

    def picture(self, speaker):
        return pictures.png(96, 72, 30 * self.people.index(speaker))

    def edited(self, speaker):
        return self.text(speaker, "text").replace("was at", "swam in")

    def seen(self, viewer, speaker):
        """The text of a speaker as a viewer has it before them."""
        item = self.items.get((viewer, speaker, "text"))
        if item is None:
            raise Wrong(f"{viewer.name} cannot answer {speaker.name}, whose text did not come")
        return item

    def round(self, kind, act, wait=True):
        for speaker in self.people:
            self.transcript.line(speaker.name, self.describe(speaker, kind))
            try:
                self.said[speaker, kind] = act(speaker)
            except (Wrong, Failure, KeyError) as wrong:
                self.transcript.line("", f"WRONG: {wrong}")
        if wait:
            self.wait(kind)

    def describe(self, speaker, kind):
        beside = self.beside(speaker).name
        return {
            "picture": "[picture]",
            "reply": f"(to {beside}) how was it",
            "reaction": f"reacts to {beside} with {EMOJI}",
            "edit": f"changes that to: {self.edited(speaker)}" if kind == "edit" else "",
            "deletion": "deletes the draft",
        }.get(kind) or self.text(speaker, kind)

    def wait(self, *kinds):
        """Waits until everybody saw these of everybody, or too long."""
        deadline = time.monotonic() + PATIENCE
        while True:
            complete = True
            for viewer in self.people:
                items = viewer.sees()
                for speaker in self.people:
                    for kind in kinds:
                        complaint, item = self.look(viewer, speaker, kind, items)
                        self.cells[viewer, speaker, kind] = complaint
                        self.items[viewer, speaker, kind] = item
                        complete &= complaint is None
            if complete or time.monotonic() > deadline:
                return
            self.alive()
            time.sleep(0.1)

    def look(self, viewer, speaker, kind, items):
        """What a viewer sees of what a speaker did: what is wrong with it or None, and the item."""
        if kind in ("edit", "deletion"):
            before = self.items.get((viewer, speaker, "text" if kind == "edit" else "draft"))
            now = next((item for item in items if before and item.key == before.key), None)
            if kind == "deletion":
                return (None if before and (now is None or now.gone) else "is there"), None
            right = now and now.text == self.edited(speaker) and now.who == speaker.known_as(viewer)
            return (None if right else "unchanged"), now
        if kind == "picture":
            found = [item for item in items if item.kind == kind and item.data == self.picture(speaker)]
        elif kind == "reaction":
            target = self.text(self.beside(speaker), "text")
            found = [item for item in items if item.kind == kind and item.text == EMOJI and item.answers == target]
        else:
            found = [item for item in items if item.kind == "text" and item.text == self.text(speaker, kind)]
        if len(found) != 1:
            return f"{len(found)}×" if found else "missing", None
        (item,) = found
        if item.who != speaker.known_as(viewer):
            return f"by {item.who}", item
        if kind == "reply" and item.answers != self.text(self.beside(speaker), "text"):
            return f"answers {item.answers}", item
        return None, item

    def besides(self):
        """What came to somebody and is none of what was said."""
        rows = []
        for viewer in self.people:
            expected = {item.key for (by, _, _), item in self.items.items() if by is viewer and item}
            others = [item for item in viewer.sees() if item.key not in expected and not item.gone]
            rows += viewer.misnamed()
            rows += [f"{viewer.name} also sees: {item.who}: {item.text or item.kind}" for item in others]
        return rows

    def report(self):
        """Prints what was seen where; whether all is as it should be."""
        columns = [viewer.name.split(" ")[0] for viewer in self.people]
        print(f"\n{'what who said':<30}" + "".join(f"{name:>9}" for name in columns) + "   ← who saw it")
        complaints = []
        for speaker in self.people:
            for kind in KINDS:
                cells = [self.cells.get((viewer, speaker, kind), "not said") for viewer in self.people]
                shown = "".join(f"{'ok' if cell is None else 'WRONG':>9}" for cell in cells)
                print(f"{speaker.name.split(' ')[0] + ': ' + kind:<30}{shown}")
                of = f"{speaker.name}'s {kind}"
                complaints += [f"{of}, to {viewer.name}: {cell}" for viewer, cell in zip(self.people, cells) if cell]
        complaints += self.besides()
        for complaint in complaints:
            print(f"WRONG: {complaint}")
        count = len(self.people) ** 2 * len(KINDS)
        if complaints:
            print(f"check failed: {len(complaints)} of what {len(self.people)} people should see of each other is wrong")
        else:
            print(f"check passed: {count} sights, each once and by its author, nothing besides")
        return not complaints
