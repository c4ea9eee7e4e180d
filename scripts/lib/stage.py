"""Where the scenes are played: both sides of one chat, what each must see, and what was wrong."""

import contextlib
import time

from processes import Failure

PATIENCE = 30
SHOWN_AS_MESSAGE = ("m.room.message", "m.sticker", "org.matrix.msc3381.poll.start")
BRACKETED = {"m.image": "picture", "m.video": "video", "m.audio": "audio", "m.file": "file", "m.location": "location"}


class Wrong(Exception):
    """Something is not as it should be; the text says what."""


class Stage:
    """One chat: alice's room, and the contact's phone."""

    def __init__(self, chat, bot, person, transcript, alive):
        self.user, self.room, self.ghost, self.bot = chat.user, chat.room, chat.other, bot
        self.person, self.transcript, self.alive = person, transcript, alive
        self.alice = self.user.mxid[1:].split(":")[0]
        # What is there already, and from then on what was awaited and came.
        self.known = {event["event_id"] for event in self.user.events(self.room)}
        self.known_there = {(message["outgoing"], message["id"]) for message in person.messages()}
        # Each row's name, and what is wrong with it or None.
        self.rows = []

    @contextlib.contextmanager
    def row(self, name):
        """What happens inside is a row of the check; the scenes go on when it is wrong."""
        complaint = None
        try:
            yield
        except (Wrong, Failure) as wrong:
            self.alive()
            complaint = str(wrong)
            self.transcript.line("", f"WRONG: {name}: {complaint}")
        self.rows.append((name, complaint))

    def tells(self, text, who=""):
        self.transcript.line(who, text)

    def until(self, what, look, patience=PATIENCE):
        """Waits until there is an answer that is not empty or false; the answer."""
        deadline = time.monotonic() + patience
        while True:
            answer = look()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise Wrong(f"{what}: not in {patience} s")
            time.sleep(0.1)

    # Alice

    def says(self, text, **more):
        return self.sends({"msgtype": "m.text", "body": text, **more})

    def sends(self, content, kind="m.room.message"):
        """Alice sends an event; its id."""
        self.tells(describe(kind, content), self.alice)
        return self.user.send(self.room, kind, content)

    def shares(self, data, mime_type, msgtype, **content):
        """Alice sends a file; its event's id."""
        info = {"mimetype": mime_type, "size": len(data), **content.pop("info", {})}
        content = {"msgtype": msgtype, "url": self.user.upload(data, mime_type), "info": info, **content}
        if msgtype == "m.sticker":
            del content["msgtype"]
            return self.sends(content, msgtype)
        return self.sends(content)

    def here(self, what, test=lambda content: True, sender=None):
        """Waits for the contact's next message in the room that passes a test of its content; the event."""

        def look():
            for event in self.user.events(self.room, 100):
                is_new = event["event_id"] not in self.known and event["sender"] == (sender or self.ghost)
                if is_new and is_message(event) and test(event["content"]):
                    return event
            return None

        event = self.until(f"{what} did not come to Matrix", look)
        self.known.add(event["event_id"])
        self.tells(describe(event["type"], event["content"]), "bot" if sender else self.person.name)
        return event

    def told(self, what, words):
        """Waits for a notice of the bot's in the room."""
        return self.here(what, lambda content: words in content.get("body", ""), self.bot)

    def changes(self, what, test):
        """Waits for an event in the room that is no message of its own, such as a reaction; the event."""

        def look():
            found = (e for e in self.user.events(self.room, 200) if e["event_id"] not in self.known and test(e))
            return next(found, None)

        return self.until(f"{what} did not come to Matrix", look)

    def goes(self, what, event_id):
        """Waits until an event of the room is deleted."""

        def look():
            redactions = (e for e in self.user.events(self.room, 200) if e["type"] == "m.room.redaction")
            return any(event_id in (e.get("redacts"), e["content"].get("redacts")) for e in redactions)

        self.until(f"{what} is still there in Matrix", look)

    def signalled(self, what, test):
        """Waits until `/sync` tells something that is no event of the room."""

        def look():
            self.user.sync()
            return test(self.user.signals)

        self.until(f"{what} did not come to Matrix", look)

    # The contact

    def there(self, what, test=lambda message: True):
        """Waits for alice's next message on the contact's phone that passes a test; the message."""

        def look():
            for message in self.person.messages():
                if is_received(message) and (False, message["id"]) not in self.known_there and test(message):
                    return message
            return None

        message = self.until(f"{what} did not reach the phone", look)
        self.known_there.add((message["outgoing"], message["id"]))
        return message

    def becomes(self, what, message, test):
        """Waits until a message on the contact's phone passes a test; the message as it is then."""
        message_id = message["id"] if isinstance(message, dict) else message

        def look():
            shown = (m for m in self.person.messages() if m["id"] == message_id and test(m))
            return next(shown, None)

        return self.until(f"{what} did not reach the phone", look)

    def sees(self, what, test):
        """Waits until the phone's list of chats shows something."""
        self.until(f"{what} did not reach the phone", lambda: test(self.person.sees()))

    def once(self):
        """Nothing came that was not awaited, nothing came twice, on neither side."""
        for event in self.user.events(self.room):
            if event["sender"] == self.ghost and is_message(event) and event["event_id"] not in self.known:
                raise Wrong(f"in Matrix came besides: {describe(event['type'], event['content'])}")
        for message in self.person.messages():
            if is_received(message) and (False, message["id"]) not in self.known_there:
                raise Wrong(f"on the phone came besides: {message['text'] or message['content']}")


def is_message(event):
    """Whether clients show an event as a message of its own; not an edit, not what was deleted."""
    relation = event["content"].get("m.relates_to", {}).get("rel_type")
    return event["type"] in SHOWN_AS_MESSAGE and bool(event["content"]) and relation != "m.replace"


def is_received(message):
    """Whether a message on the phone is one that alice wrote; a timer is told by its chat."""
    return not message["outgoing"] and not message["notice"] and message["content"]["type"] != "timer"


def need(condition, complaint):
    if not condition:
        raise Wrong(complaint)


def same(what, expected, found):
    need(found == expected, f"{what}: expected {short(expected)}, found {short(found)}")


def short(value):
    text = f"{len(value)} bytes" if isinstance(value, bytes) else repr(value)
    return text if len(text) < 200 else f"{text[:200]}…"


def describe(kind, content):
    """An event as one line of a transcript."""
    if kind == "org.matrix.msc3381.poll.start":
        start = content[kind]
        options = " / ".join(answer["org.matrix.msc1767.text"] for answer in start["answers"])
        return f"[poll: {start['question']['org.matrix.msc1767.text']} {options}]"
    body, msgtype, info = content.get("body", ""), content.get("msgtype"), content.get("info", {})
    if kind == "m.sticker":
        return f"[sticker: {body}]" if body else "[sticker]"
    if msgtype == "m.notice":
        return f"({body})"
    if msgtype not in BRACKETED:
        previews = [preview.get("og:title") for preview in content.get("com.beeper.linkpreviews", [])]
        return "\n".join([body, *(f"[preview: {title}]" for title in previews)])
    noun = "voice message" if "org.matrix.msc3245.voice" in content else "GIF" if info.get("fi.mau.gif") else BRACKETED[msgtype]
    name = content.get("filename", body)
    facts = [content["geo_uri"].removeprefix("geo:")] if "geo_uri" in content and "(" not in body else []
    if "w" in info:
        facts.append(f"{info['w']}×{info['h']}")
    if "duration" in info:
        facts.append(f"{info['duration'] / 1000:g} s")
    caption = f" {body}" if body != name else ""
    return f"[{noun}: {', '.join([name, *facts])}]{caption}"
