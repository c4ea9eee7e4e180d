"""A Matrix user's client, as much as the demo needs."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request

from processes import Failure


class Matrix:
    """A user logged in at a homeserver."""

    def __init__(self, base, user, password):
        self.base = base
        self.token = None
        self.since = None
        self.signals = Signals()
        # Several lines can be sent in one millisecond, and a second run must not repeat the first one's ids.
        self.next_txn = int(time.time() * 1000) * 1000
        identifier = {"type": "m.id.user", "user": user}
        answer = self.post(
            "v3/login",
            {"type": "m.login.password", "identifier": identifier, "password": password, "device_id": "DEMO"},
        )
        self.token, self.mxid = answer["access_token"], answer["user_id"]

    def ask(self, method, path, body=None, timeout=60):
        """Asks the client API; raises Failure with the homeserver's own words."""
        request = urllib.request.Request(f"{self.base}/_matrix/client/{path}", method=method)
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise Failure(f"{method} {path.split('?')[0]}: {error.code} {text}") from None

    def post(self, path, body):
        return self.ask("POST", path, body)

    def direct_chat(self, user):
        """A room with one other user, as clients make it."""
        body = {"preset": "trusted_private_chat", "is_direct": True, "invite": [user]}
        return self.post("v3/createRoom", body)["room_id"]

    def public_room(self, name, bot):
        """A room anybody may join, with the bot invited into it."""
        body = {"preset": "public_chat", "name": name, "invite": [bot]}
        return self.post("v3/createRoom", body)["room_id"]

    def call_oneself(self, name):
        """Sets the user's display name."""
        self.ask("PUT", f"v3/profile/{quote(self.mxid)}/displayname", {"displayname": name})

    def join(self, room):
        self.post(f"v3/join/{quote(room)}", {})

    def joined_rooms(self):
        return self.ask("GET", "v3/joined_rooms")["joined_rooms"]

    def say(self, room, text):
        """Sends a text; returns its event id."""
        return self.send(room, "m.room.message", {"msgtype": "m.text", "body": text})

    def send(self, room, kind, content):
        """Sends any event; returns its id."""
        self.next_txn += 1
        return self.ask("PUT", f"v3/rooms/{quote(room)}/send/{kind}/{self.next_txn}", content)["event_id"]

    def redact(self, room, event):
        self.next_txn += 1
        self.ask("PUT", f"v3/rooms/{quote(room)}/redact/{quote(event)}/{self.next_txn}", {})

    def read(self, room, event):
        self.post(f"v3/rooms/{quote(room)}/receipt/m.read/{quote(event)}", {})

    def types(self, room, typing):
        self.ask("PUT", f"v3/rooms/{quote(room)}/typing/{quote(self.mxid)}", {"typing": typing, "timeout": 30_000})

    def is_now(self, presence):
        self.ask("PUT", f"v3/presence/{quote(self.mxid)}/status", {"presence": presence})

    def upload(self, data, mime_type):
        """Uploads a file; its URI."""
        return json.loads(self.transfer("_matrix/media/v3/upload", data, mime_type))["content_uri"]

    def download(self, uri):
        """The bytes of a file."""
        return self.transfer(f"_matrix/client/v1/media/download/{uri.removeprefix('mxc://')}")

    def transfer(self, path, data=None, mime_type=None):
        request = urllib.request.Request(f"{self.base}/{path}", data=data)
        request.add_header("Authorization", f"Bearer {self.token}")
        if mime_type:
            request.add_header("Content-Type", mime_type)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise Failure(f"{path}: {error.code} {error.read().decode(errors='replace')}") from None

    def members(self, room):
        """User ids by membership: {"@a:x": "join"}."""
        members = self.ask("GET", f"v3/rooms/{quote(room)}/members")["chunk"]
        return {event["state_key"]: event["content"]["membership"] for event in members}

    def display_name(self, user):
        """The user's display name, or its id."""
        try:
            return self.ask("GET", f"v3/profile/{quote(user)}/displayname").get("displayname") or user
        except Failure:
            return user

    def messages(self, room, limit=100):
        """The latest messages of a room, oldest first."""
        return [event for event in self.events(room, limit) if event["type"] == "m.room.message"]

    def events(self, room, limit=1000):
        """The latest events of a room, oldest first."""
        answer = self.ask("GET", f"v3/rooms/{quote(room)}/messages?dir=b&limit={limit}")
        return answer["chunk"][::-1]

    def sync(self, timeout_ms=300):
        """Brings `signals` up to date."""
        query = {"timeout": timeout_ms, "set_presence": "offline"}
        if self.since:
            query["since"] = self.since
        answer = self.ask("GET", f"v3/sync?{urllib.parse.urlencode(query)}")
        self.since = answer["next_batch"]
        self.signals.take(answer)


class Signals:
    """What a client shows that is no message, as `/sync` told it last."""

    def __init__(self):
        self.reads, self.writers, self.presences = set(), {}, {}

    def take(self, answer):
        for event in answer.get("presence", {}).get("events", []):
            self.presences[event["sender"]] = event["content"]["presence"]
        for room, joined in answer.get("rooms", {}).get("join", {}).items():
            for event in joined.get("ephemeral", {}).get("events", []):
                if event["type"] == "m.typing":
                    self.writers[room] = event["content"]["user_ids"]
                elif event["type"] == "m.receipt":
                    for about, kinds in event["content"].items():
                        self.reads.update((room, about, user) for user in kinds.get("m.read", {}))


def quote(text):
    return urllib.parse.quote(text, safe="")
