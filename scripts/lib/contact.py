"""The other side, through the sandbox's page: what a contact's phone shows."""

import json
import urllib.parse
import urllib.request

from processes import Failure


class Page:
    """The sandbox's page, by the same requests a browser makes."""

    def __init__(self, base):
        self.base = base

    def get(self, *path):
        quoted = "/".join(urllib.parse.quote(part, safe="") for part in path)
        try:
            with urllib.request.urlopen(f"{self.base}/api/{quoted}", timeout=30) as answer:
                return json.load(answer)
        except OSError as error:
            raise Failure(f"the sandbox's page does not answer at {self.base}: {error}") from None

    def echo_contact(self):
        """The WhatsApp contact that answers every message with the same text."""
        for contact in self.get("contacts"):
            if contact["gatekeeper"].lower() == "whatsapp" and contact["script"] == "echo":
                return contact
        raise Failure("the sandbox has no echo contact")

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
