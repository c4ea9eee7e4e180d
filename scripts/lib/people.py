"""Who is in the community's room: Matrix users and people at phones, who say things and see what others say in one form."""

import dataclasses
import re

from contact import side

# A login that speaks for somebody says so before a text, for a reaction, and before a file that can have no text.
SAID = re.compile(r"\*(?P<who>[^*]+)\*:(?: (?P<text>.*))?", re.DOTALL)
REACTED = re.compile(r"\*(?P<who>[^*]+)\* reacted with (?P<emoji>.+)")
SENT = re.compile(r"\*(?P<who>[^*]+)\* sent a picture:")


@dataclasses.dataclass
class Item:
    """One thing that somebody sees: `text`, `picture` or `reaction`."""

    key: str
    kind: str
    who: str
    text: str = ""
    # The text of what it is about.
    answers: str | None = None
    data: bytes | None = None
    gone: bool = False
    # What is needed to do something with it.
    handle: object = None


class Member:
    """A Matrix user in the room."""

    def __init__(self, user, room, names):
        self.user, self.room, self.names = user, room, names
        self.name = names[user.mxid]
        self.files = {}

    def known_as(self, _viewer):
        return self.name

    def says(self, text, answers=None):
        content = {"msgtype": "m.text", "body": text}
        if answers:
            content["m.relates_to"] = {"m.in_reply_to": {"event_id": answers.key}}
        return self.user.send(self.room, "m.room.message", content)

    def shares(self, data):
        info = {"mimetype": "image/png", "size": len(data), "w": 96, "h": 72}
        content = {"msgtype": "m.image", "body": "lake.png", "url": self.user.upload(data, "image/png"), "info": info}
        return self.user.send(self.room, "m.room.message", content)

    def reacts(self, item, emoji):
        relation = {"rel_type": "m.annotation", "event_id": item.key, "key": emoji}
        return self.user.send(self.room, "m.reaction", {"m.relates_to": relation})

    def edits(self, event, text):
        new = {"msgtype": "m.text", "body": text}
        relation = {"rel_type": "m.replace", "event_id": event}
        return self.user.send(self.room, "m.room.message", {**new, "body": f"* {text}", "m.new_content": new, "m.relates_to": relation})

    def deletes(self, event):
        self.user.redact(self.room, event)

    def sees(self):
        """Everything in the room but the talk with the bot."""
        items, first = {}, {}
        for event in self.user.events(self.room):
            key, content, who = event["event_id"], event["content"], self.names.get(event["sender"])
            if who is None or event["type"] not in ("m.room.message", "m.reaction") or not content:
                continue
            relation = content.get("m.relates_to", {})
            about = relation.get("event_id") or relation.get("m.in_reply_to", {}).get("event_id")
            if event["type"] == "m.reaction":
                items[key] = Item(key, "reaction", who, relation["key"].rstrip("\ufe0f"), first.get(about))
            elif relation.get("rel_type") == "m.replace":
                if about in items and items[about].who == who:
                    items[about].text = content["m.new_content"]["body"]
            elif "url" in content:
                items[key] = Item(key, "picture", who, data=self.file(content["url"]))
            elif not content["body"].startswith("!"):
                first[key] = content["body"]
                items[key] = Item(key, "text", who, content["body"], first.get(about))
        return list(items.values())

    def misnamed(self):
        """Whom the room shows under another name than it should."""
        members = self.user.members(self.room)
        shown = {user: self.user.display_name(user) for user in self.names if members.get(user) == "join"}
        return [f"{self.name} sees {shown.get(user)}, not {name}" for user, name in self.names.items() if shown.get(user) != name]

    def file(self, uri):
        if uri not in self.files:
            self.files[uri] = self.user.download(uri)
        return self.files[uri]


class Phone:
    """Somebody at a phone, in a group or in the chat with the user who speaks for the others."""

    def __init__(self, person, names, relay):
        self.person, self.names, self.relay = person, names, relay
        self.name = person.name
        self.files, self.known = {}, {message["id"] for message in person.messages()}

    def known_as(self, _viewer):
        return self.names[self.person.address]

    def says(self, text, answers=None):
        more = {"quotes": {"side": side(answers.handle), "id": answers.handle["id"]}} if answers else {}
        return self.person.does("messages", text=text, **more)

    def shares(self, data):
        return self.person.sends("image", data, "image/png", name="lake.png", width=96, height=72)

    def reacts(self, item, emoji):
        self.person.to(item.handle, "reaction", emoji=emoji)

    def edits(self, own, text):
        self.person.does("messages", "mine", own, "text", text=text)

    def deletes(self, own):
        self.person.deletes(own)

    def sees(self):
        """Everything in the chat, said by whom it says it is by."""
        items, first, sent_by = [], {}, None
        for message in self.person.messages():
            if message["notice"] or message["id"] in self.known:
                continue
            by = self.person.address if message["outgoing"] else message["sender"] or self.person.chat
            who, text, quotes = self.names.get(by, by), message["text"], message["quotes"]
            item = Item(message["id"], "text", who, text, gone=message["revoked"], handle=message)
            item.answers = first.get(quotes["id"]) if quotes else None
            for_another = by == self.relay and self.person.address != self.relay
            if for_another and (sent := SENT.fullmatch(text)):
                # The picture comes behind it.
                sent_by = sent["who"]
                continue
            if for_another and (said := SAID.fullmatch(text)):
                item.who, item.text = said["who"], said["text"] or ""
            elif for_another and (reacted := REACTED.fullmatch(text)):
                item.kind, item.who, item.text = "reaction", reacted["who"], reacted["emoji"]
            if message["content"]["type"] == "file":
                item.kind, item.data = "picture", self.file(message)
                item.who, sent_by = sent_by or item.who, None
            items.append(item)
            first[item.key] = item.text
            items += [self.reaction(message, item.text, reaction) for reaction in message["reactions"]]
        return items

    def misnamed(self):
        return []

    def reaction(self, message, about, reaction):
        """A reaction beneath a message; in the chat of two, one that is not one's own is the other's."""
        if reaction["mine"]:
            who = self.names[self.person.address]
        else:
            by = reaction.get("by")
            who = next((name for name in self.names.values() if name.split(" (")[0] == by), by or self.names[self.relay])
        return Item(f"{message['id']} {who}", "reaction", who, reaction["emoji"], about, handle=message)

    def file(self, message):
        if message["id"] not in self.files:
            self.files[message["id"]] = self.person.opens(message)
        return self.files[message["id"]]
