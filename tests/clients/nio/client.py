"""A Matrix client that encrypts, driven by lines of JSON on stdin; see ../protocol.md."""

import asyncio
import io
import json
import os
import sys
import traceback
import urllib.parse
import uuid

import nio
from account import MEGOLM, Account, checked
from nio.crypto.attachments import decrypt_attachment, encrypt_attachment


def say_line(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def ended(syncing):
    """A client that no longer syncs is of no use, and must not look like one that hears nothing."""
    if not syncing.cancelled() and syncing.exception():
        traceback.print_exception(syncing.exception())
        os._exit(1)


class Client:
    """One device and what it saw."""

    def __init__(self):
        self.account = None
        self.login = None
        self.syncing = None
        # What was told of each event, so that it is told again only when there is more to say.
        self.told = {}
        # Events whose key is missing, by their session.
        self.waiting = {}

    async def do_login(self, base, user, password, store, device=None):
        os.makedirs(store, exist_ok=True)
        account = Account(base, user, store)
        account.device_id = device
        response = await checked(account.login(password, "nio"))
        await account.close()
        self.login = (base, response.user_id, response.device_id, response.access_token, store)
        await self.start()
        return {"user": response.user_id, "device": response.device_id}

    async def start(self):
        base, user, device, token, store = self.login
        self.account = Account(base, user, store)
        self.account.restore_login(user, device, token)
        self.account.on_request = self.on_request
        self.account.add_event_callback(self.on_event, nio.Event)
        self.account.add_event_callback(self.on_invite, nio.InviteEvent)
        self.account.add_ephemeral_callback(self.on_ephemeral, nio.EphemeralEvent)
        self.account.add_to_device_callback(self.on_to_device, nio.ToDeviceEvent)
        if self.account.should_upload_keys:
            await checked(self.account.keys_upload())
        ready = asyncio.ensure_future(self.account.synced.wait())
        self.syncing = asyncio.ensure_future(self.account.sync_forever(timeout=5000, full_state=True))
        self.syncing.add_done_callback(ended)
        await asyncio.wait([ready, self.syncing], return_when=asyncio.FIRST_COMPLETED)
        if self.syncing.done():
            self.syncing.result()

    async def halt(self):
        if self.syncing:
            self.syncing.cancel()
            await asyncio.wait([self.syncing])
            await self.account.close()
            self.syncing = None

    async def do_restart(self):
        await self.halt()
        await self.start()

    async def do_logout(self):
        await checked(self.account.logout())
        await self.halt()

    async def do_join(self, room):
        await checked(self.account.join(room))
        await self.until(lambda: room in self.account.rooms)

    async def do_leave(self, room):
        await checked(self.account.room_leave(room))

    async def do_create(self, encrypted=False, direct=False, invite=(), name=None):
        state = [{"type": "m.room.encryption", "state_key": "", "content": {"algorithm": MEGOLM}}] if encrypted else []
        preset = nio.RoomPreset.trusted_private_chat if direct else nio.RoomPreset.private_chat
        response = await checked(
            self.account.room_create(name=name, is_direct=direct, preset=preset, invite=invite, initial_state=state)
        )
        room = response.room_id
        await self.until(lambda: room in self.account.rooms and self.account.rooms[room].encrypted == encrypted)
        return {"room": room}

    async def do_encrypt(self, room, rotate_after=None):
        content = {"algorithm": MEGOLM}
        if rotate_after:
            content["rotation_period_msgs"] = rotate_after
        await checked(self.account.room_put_state(room, "m.room.encryption", content))
        await self.until(lambda: self.account.rooms[room].encrypted)

    async def do_invite(self, room, user):
        await checked(self.account.room_invite(room, user))

    async def do_say(self, room, text, reply_to=None, thread=None):
        content = {"msgtype": "m.text", "body": text}
        if thread:
            content["m.relates_to"] = {"rel_type": "m.thread", "event_id": thread}
        if reply_to:
            content.setdefault("m.relates_to", {})["m.in_reply_to"] = {"event_id": reply_to}
        return await self.send(room, "m.room.message", content)

    async def do_edit(self, room, event, text):
        new = {"msgtype": "m.text", "body": text}
        relation = {"rel_type": "m.replace", "event_id": event}
        content = {**new, "body": f"* {text}", "m.new_content": new, "m.relates_to": relation}
        return await self.send(room, "m.room.message", content)

    async def do_react(self, room, event, key):
        relation = {"rel_type": "m.annotation", "event_id": event, "key": key}
        return await self.send(room, "m.reaction", {"m.relates_to": relation})

    async def do_redact(self, room, event):
        await checked(self.account.room_redact(room, event))

    async def do_send_file(self, room, path, kind, mime_type, name, thumbnail=None, thumbnail_type=None, info=None):
        encrypted = self.account.rooms[room].encrypted
        with open(path, "rb") as file:
            data = file.read()
        info = {"mimetype": mime_type, "size": len(data), **(info or {})}
        content = {"msgtype": f"m.{kind}", "body": name, "filename": name, "info": info}
        content |= await self.upload(data, mime_type, encrypted, ("url", "file"))
        if thumbnail:
            with open(thumbnail, "rb") as file:
                small = file.read()
            info |= await self.upload(small, thumbnail_type, encrypted, ("thumbnail_url", "thumbnail_file"))
            info["thumbnail_info"] = {"mimetype": thumbnail_type, "size": len(small)}
        return await self.send(room, "m.room.message", content)

    async def upload(self, data, mime_type, encrypted, keys):
        """Uploads a file, encrypted or not; the field of a message that tells where it is."""
        plain_key, file_key = keys
        secret = None
        if encrypted:
            data, secret = encrypt_attachment(data)
            mime_type = "application/octet-stream"
        upload = self.account.upload(io.BytesIO(data), mime_type, filesize=len(data))
        response, _ = await upload
        if isinstance(response, nio.ErrorResponse):
            raise RuntimeError(str(response))
        uri = response.content_uri
        return {file_key: {"url": uri, **secret}} if secret else {plain_key: uri}

    async def do_download(self, room, event, to, thumbnail=False):
        content = (await self.event(room, event))["content"]
        place = content.get("info", {}) if thumbnail else content
        file, uri = ("thumbnail_file", "thumbnail_url") if thumbnail else ("file", "url")
        secret = place.get(file)
        where = urllib.parse.urlparse(secret["url"] if secret else place[uri])
        path = f"/_matrix/client/v1/media/download/{where.netloc}{where.path}"
        answer = await self.account.send("GET", path, headers={"Authorization": f"Bearer {self.account.access_token}"})
        answer.raise_for_status()
        data = await answer.read()
        if secret:
            data = decrypt_attachment(data, secret["key"]["k"], secret["hashes"]["sha256"], secret["iv"])
        with open(to, "wb") as out:
            out.write(data)
        return {"encrypted": bool(secret), "size": len(data)}

    async def do_read(self, room, event):
        await checked(self.account.update_receipt_marker(room, event))

    async def do_typing(self, room, typing):
        await checked(self.account.room_typing(room, typing))

    async def do_members(self, room):
        response = await checked(self.account.joined_members(room))
        return {"members": [member.user_id for member in response.members]}

    async def do_timeline(self, room, limit=100):
        # The library decrypts the events of this answer itself.
        response = await checked(self.account.room_messages(room, limit=limit))
        return {"events": [self.described(room, event) for event in reversed(response.chunk)]}

    async def do_forget(self, room, session=None):
        return {"keys": self.account.forget(room, session)}

    async def do_export(self):
        return {"keys": self.account.export()}

    async def do_import(self, keys):
        new = self.account.take(keys)
        for session in list(self.waiting):
            await self.retry(session)
        return {"keys": new}

    async def do_rotate(self, room):
        self.account.invalidate_outbound_session(room)

    async def do_ask(self, room, event, of="own"):
        response = await checked(self.account.room_get_event(room, event))
        if not isinstance(response.event, nio.MegolmEvent):
            raise RuntimeError(f"{event} is not encrypted, or not known how")
        response.event.room_id = room
        self.told.pop(event, None)
        waiting = self.waiting.setdefault(response.event.session_id, {})
        waiting[event] = (room, response.event)
        await self.account.ask(response.event, of == "sender")

    async def do_trust(self, user, device):
        await self.until(lambda: device in self.account.device_store[user])
        self.account.verify_device(self.account.device_store[user][device])

    async def do_devices(self, user):
        self.account.olm.users_for_key_query.add(user)
        await checked(self.account.keys_query())
        known = self.account.device_store.active_user_devices(user)
        return {"devices": [{"device": device.id, "verified": device.verified} for device in known]}

    async def do_bootstrap(self, password):
        raise RuntimeError("matrix-nio does not cross-sign")

    async def do_hold(self, users):
        self.account.held_users |= set(users)

    async def do_release(self, drop=False):
        return {"messages": await self.account.release(drop)}

    async def send(self, room, kind, content):
        response = await checked(
            self.account.room_send(room, kind, content, str(uuid.uuid4()), ignore_unverified_devices=True)
        )
        return {"event_id": response.event_id}

    async def event(self, room, event):
        """An event as the homeserver has it now, decrypted."""
        found = (await checked(self.account.room_get_event(room, event))).event
        if isinstance(found, nio.MegolmEvent):
            found.room_id = room
            found = self.account.decrypt_event(found)
        return found.source

    async def until(self, condition, seconds=30):
        async with asyncio.timeout(seconds):
            while not condition():
                await self.account.synced.wait()

    def described(self, room, event):
        """What the client shows of an event."""
        source = event.source
        missing = isinstance(event, nio.MegolmEvent)
        encrypted = missing or event.decrypted
        content = source.get("content", {})
        told = {
            "room": room,
            "sender": event.sender,
            "event_id": event.event_id,
            "type": source.get("type"),
            "content": content,
            "encrypted": encrypted,
        }
        if "state_key" in source:
            told["state_key"] = source["state_key"]
        if getattr(event, "redacts", None):
            told["redacts"] = event.redacts
        if encrypted:
            told["session"] = event.session_id
        if missing:
            told["error"] = "no key for this message"
        elif encrypted:
            told["verified"] = "ok" if event.verified else "grey: unverified device"
        return told

    def tell(self, room, event):
        told = self.described(room, event)
        if self.told.get(event.event_id) != told:
            self.told[event.event_id] = told
            say_line({"event": "state" if "state_key" in told else "message", **told})

    async def on_event(self, room, event):
        if not event.event_id:
            return
        if isinstance(event, nio.MegolmEvent):
            self.waiting.setdefault(event.session_id, {})[event.event_id] = (room.room_id, event)
        self.tell(room.room_id, event)

    async def retry(self, session):
        for room, event in self.waiting.pop(session, {}).values():
            decrypted = self.account.olm._decrypt_megolm_no_error(event, room)
            if decrypted:
                self.tell(room, decrypted)
            else:
                self.waiting.setdefault(session, {})[event.event_id] = (room, event)

    async def on_invite(self, room, event):
        if getattr(event, "membership", None) == "invite" and event.state_key == self.account.user_id:
            say_line({"event": "invite", "room": room.room_id, "sender": event.sender})

    async def on_ephemeral(self, room, event):
        if isinstance(event, nio.TypingNoticeEvent):
            say_line({"event": "typing", "room": room.room_id, "users": event.users})
        elif isinstance(event, nio.ReceiptEvent):
            for receipt in event.receipts:
                told = {"room": room.room_id, "sender": receipt.user_id, "event_id": receipt.event_id}
                say_line({"event": "receipt", **told})

    async def on_to_device(self, event):
        if isinstance(event, (nio.RoomKeyEvent, nio.ForwardedRoomKeyEvent)):
            forwarded = isinstance(event, nio.ForwardedRoomKeyEvent)
            told = {"room": event.room_id, "sender": event.sender, "session": event.session_id, "forwarded": forwarded}
            say_line({"event": "key", **told})
            await self.retry(event.session_id)

    async def on_request(self, request):
        told = {"room": request.room_id, "sender": request.sender, "session": request.session_id}
        say_line({"event": "key_request", **told})
        if request.sender != self.account.user_id:
            asyncio.ensure_future(self.give(request))

    async def give(self, request):
        try:
            await self.account.give(request)
        except Exception:
            traceback.print_exc()


async def answer(client, request):
    name, number = request.pop("do"), request.pop("id")
    try:
        method = getattr(client, f"do_{name}", None)
        if method is None:
            raise RuntimeError(f"there is no request {name!r}")
        result = await method(**request)
        say_line({"id": number, "ok": result if result is not None else {}})
    except Exception as error:
        traceback.print_exc()
        say_line({"id": number, "error": f"{name}: {type(error).__name__}: {error}"})


async def main():
    client = Client()
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        request = json.loads(line)
        if request["do"] == "stop":
            await client.halt()
            say_line({"id": request["id"], "ok": {}})
            return
        # In the order they came, so that what is said arrives in the order it was said.
        await answer(client, request)


asyncio.run(main())
