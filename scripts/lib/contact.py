"""The other side, through the sandbox's page: what a contact's phone shows, and what its owner does with it."""

import json
import urllib.error
import urllib.parse
import urllib.request

from processes import Failure


class Page:
    """The sandbox's page, by the same requests a browser makes."""

    def __init__(self, base):
        self.base = base

    def ask(self, path, method="GET", body=None, mime_type=None):
        """Asks the page's API: what it answers, as bytes."""
        quoted = "/".join(urllib.parse.quote(part, safe="") for part in path)
        query = ""
        if isinstance(body, Upload):
            query, mime_type, body = f"?{urllib.parse.urlencode(body.details)}", body.mime_type, body.data
        elif body is not None:
            mime_type, body = "application/json", json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}/api/{quoted}{query}", data=body, method=method)
        if mime_type:
            request.add_header("Content-Type", mime_type)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise Failure(f"the sandbox's page, {method} {path[-1]}: {error.code} {text}") from None
        except OSError as error:
            raise Failure(f"the sandbox's page does not answer at {self.base}: {error}") from None

    def get(self, *path):
        return json.loads(self.ask(path))

    def contact(self, script):
        """The first WhatsApp contact that does something by itself, such as `echo`, or nothing: `live`."""
        for contact in self.get("contacts"):
            if contact["gatekeeper"].lower() == "whatsapp" and contact["script"] == script:
                return contact
        raise Failure(f"the sandbox has no {script} contact")

    def make_group(self, contact, subject, members):
        """Makes a group of a contact and others; its address."""
        answer = self.ask(("contacts", contact["id"], "groups"), "POST", {"subject": subject, "members": members})
        return json.loads(answer)["jid"]

    def messages(self, contact):
        """Everything in the contact's chats, oldest first."""
        found = []
        for chat in self.get("contacts", contact["id"], "chats"):
            found += self.get("contacts", contact["id"], "chats", chat["jid"], "messages")
        return found

    def received(self, contact):
        return [message["text"] for message in self.messages(contact) if not message["outgoing"] and not message["notice"]]

    def sent(self, contact):
        return [message["text"] for message in self.messages(contact) if message["outgoing"]]


class Upload:
    """A file as the page sends it: what is said of it, its type, its bytes."""

    def __init__(self, data, mime_type, **details):
        self.data, self.mime_type, self.details = data, mime_type, details


class Person:
    """A contact at its phone, in the chat with one Matrix user."""

    def __init__(self, page, contact, chat):
        self.page, self.contact, self.chat = page, contact, chat
        self.name, self.address = contact["name"], contact["jid"]

    def path(self, *rest):
        return ("contacts", self.contact["id"], "chats", self.chat, *rest)

    def does(self, *what, **body):
        """Does something in the chat; the id of what is written by it, if anything is."""
        answer = self.page.ask(self.path(*what), "POST", body)
        return json.loads(answer)["id"] if answer else None

    def sends(self, kind, data, mime_type, **details):
        """Sends a file; its message's id."""
        answer = self.page.ask(self.path("files"), "POST", Upload(data, mime_type, kind=kind, **details))
        return json.loads(answer)["id"]

    def is_now(self, **state):
        """Is `online`, or not; is `present`, or not."""
        ((name, _),) = state.items()
        self.page.ask(("contacts", self.contact["id"], name), "POST", state)

    def to(self, message, what, **body):
        """Does something to a message of the chat."""
        self.page.ask(self.path("messages", side(message), message["id"], what), "POST", body)

    def deletes(self, own):
        self.page.ask(self.path("messages", "mine", own), "DELETE")

    def opens(self, message):
        """The bytes of a message's file."""
        return self.page.ask(self.path("messages", side(message), message["id"], "file"))

    def messages(self):
        return self.page.get(*self.path("messages"))

    def sees(self):
        """The chat as the list of chats shows it: `typing`, `present`, `timer`."""
        for chat in self.page.get("contacts", self.contact["id"], "chats"):
            if chat["jid"] == self.chat:
                return chat
        return {}


def side(message):
    return "mine" if message["outgoing"] else "theirs"
