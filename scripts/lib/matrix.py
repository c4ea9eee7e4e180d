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

    def join(self, room):
        self.post(f"v3/join/{quote(room)}", {})

    def joined_rooms(self):
        return self.ask("GET", "v3/joined_rooms")["joined_rooms"]

    def say(self, room, text):
        """Sends a text; returns its event id."""
        self.next_txn += 1
        path = f"v3/rooms/{quote(room)}/send/m.room.message/{self.next_txn}"
        return self.ask("PUT", path, {"msgtype": "m.text", "body": text})["event_id"]

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
        answer = self.ask("GET", f"v3/rooms/{quote(room)}/messages?dir=b&limit={limit}")
        return [event for event in reversed(answer["chunk"]) if event["type"] == "m.room.message"]

    def sync(self, timeout_ms=1000):
        """What is new since the last call: the raw answer."""
        query = {"timeout": timeout_ms}
        if self.since:
            query["since"] = self.since
        answer = self.ask("GET", f"v3/sync?{urllib.parse.urlencode(query)}")
        self.since = answer["next_batch"]
        return answer


def quote(text):
    return urllib.parse.quote(text, safe="")
