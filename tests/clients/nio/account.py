"""A matrix-nio client with what a test needs besides: keys held back, asked for, given, lost and carried over."""

import json
import uuid

import nio
from nio.crypto import InboundGroupSession
from nio.store import SqliteStore
from nio.store.models import MegolmInboundSessions

MEGOLM = "m.megolm.v1.aes-sha2"
TO_DEVICE = "/sendToDevice/m.room.encrypted/"


class Account(nio.AsyncClient):
    """A user's device; its store is a folder."""

    def __init__(self, base, user, store):
        config = nio.AsyncClientConfig(store=SqliteStore, store_sync_tokens=True, encryption_enabled=True)
        super().__init__(base, user, store_path=store, config=config)
        self.held_users = set()
        self.held = []
        # Users asked for a session's key because they wrote with it.
        self.asked = {}
        # Called with each request for a key.
        self.on_request = None

    def load_store(self):
        super().load_store()
        if self.olm:
            strict = self.olm._should_accept_forward
            # The library takes keys of the user's own devices alone; what was asked of a sender may come from them.
            self.olm._should_accept_forward = lambda sender, key, event: (
                event.session_id in self.olm.outgoing_key_requests
                and (self.asked.get(event.session_id) == sender or strict(sender, key, event))
            )

    async def _collect_key_requests(self):
        for request in list(self.olm.received_key_requests.values()):
            if isinstance(request, nio.RoomKeyRequest):
                await self.on_request(request)
        await super()._collect_key_requests()

    def encrypt(self, room_id, message_type, content):
        """As the library, with the relation in the clear as other clients have it."""
        sent_type, sent = super().encrypt(room_id, message_type, content)
        if "m.relates_to" in content:
            sent["m.relates_to"] = content["m.relates_to"]
        return sent_type, sent

    async def send(self, method, path, data=None, headers=None, trace_context=None, timeout=None):
        """As the library, with what goes to devices of held users taken out and kept."""
        if self.held_users and TO_DEVICE in path:
            messages = json.loads(data)["messages"]
            kept = {user: messages.pop(user) for user in list(messages) if user in self.held_users}
            if kept:
                self.held.append(kept)
                data = json.dumps({"messages": messages})
        return await super().send(method, path, data, headers, trace_context, timeout)

    async def release(self, drop):
        """Lets the held messages go, or forgets them; how many."""
        self.held_users.clear()
        held, self.held = self.held, []
        for messages in [] if drop else held:
            path = f"/_matrix/client/v3{TO_DEVICE}{uuid.uuid4()}?access_token={self.access_token}"
            answer = await super().send("PUT", path, json.dumps({"messages": messages}))
            answer.raise_for_status()
        return len(held)

    async def ask(self, event, of_sender):
        """Asks the user's own devices, or the sender's, for the key of an event."""
        user = event.sender if of_sender else self.user_id
        if of_sender:
            self.asked[event.session_id] = user
        message = event.as_key_request(user, self.device_id, str(uuid.uuid4()))
        self.olm.outgoing_to_device_messages.append(message)
        # Sent messages of this type are remembered by their request's id; answers are looked up by the session's.
        await checked(self.to_device(message))
        request = self.olm.outgoing_key_requests.pop(message.request_id)
        self.olm.outgoing_key_requests[event.session_id] = request

    async def give(self, request):
        """Answers another user's request for a key, which the library would not."""
        if request.requesting_device_id not in self.device_store[request.sender]:
            self.olm.users_for_key_query.add(request.sender)
            await checked(self.keys_query())
        device = self.device_store[request.sender][request.requesting_device_id]
        if not self.olm.session_store.get(device.curve25519):
            await checked(self.keys_claim({device.user_id: [device.id]}))
        session = self.olm.session_store.get(device.curve25519)
        key = self.olm.inbound_group_store.get(request.room_id, request.sender_key, request.session_id)
        if key is None or session is None:
            return False
        message = self.olm._encrypt_forwarding_key(request.room_id, key, session, device)
        await checked(self.to_device(message))
        return True

    def forget(self, room, session):
        """Loses the keys of a room, or one of them; how many."""
        lost = 0
        for keys in self.olm.inbound_group_store[room].values():
            for name in [name for name in keys if session in (None, name)]:
                del keys[name]
                lost += 1
        with self.store.database.bind_ctx(self.store.models):
            rows = MegolmInboundSessions.delete().where(MegolmInboundSessions.room_id == room)
            if session:
                rows = rows.where(MegolmInboundSessions.session_id == session)
            rows.execute()
        return lost

    def export(self):
        """Every key, in the form clients export them in."""
        return [
            {
                "algorithm": MEGOLM,
                "room_id": key.room_id,
                "session_id": key.id,
                "session_key": key.export_session(key.first_known_index),
                "sender_key": key.sender_key,
                "sender_claimed_keys": {"ed25519": key.ed25519},
                "forwarding_curve25519_key_chain": key.forwarding_chain,
            }
            for key in self.olm.inbound_group_store
        ]

    def take(self, keys):
        """Takes exported keys in; how many were new."""
        new = 0
        for key in keys:
            session = InboundGroupSession.import_session(
                key["session_key"],
                key["sender_claimed_keys"]["ed25519"],
                key["sender_key"],
                key["room_id"],
                key.get("forwarding_curve25519_key_chain"),
            )
            if self.olm.inbound_group_store.add(session):
                self.olm.save_inbound_group_session(session)
                new += 1
        return new


async def checked(call):
    """The response of a call of the library, which hands errors back; raises them."""
    response = await call
    if isinstance(response, nio.ErrorResponse):
        raise RuntimeError(str(response))
    return response
