// A Matrix client that encrypts, driven by lines of JSON on stdin; see ../protocol.md.

import "fake-indexeddb/auto";
import { createInterface } from "node:readline";
import { createClient, MatrixEvent } from "matrix-js-sdk";
import { logger } from "matrix-js-sdk/lib/logger.js";
import {
    AllDevicesIsolationMode,
    EventShieldColour,
    EventShieldReason,
    OnlySignedDevicesIsolationMode,
} from "matrix-js-sdk/lib/crypto-api/index.js";

import { download, fileContent } from "./files.mjs";
import { ask, devices, forget, Gate, isEncrypted, verify } from "./keys.mjs";

logger.setLevel("warn", false);

const PATIENCE = 30_000;
const MEGOLM = "m.megolm.v1.aes-sha2";
const COLOURS = { [EventShieldColour.GREY]: "grey", [EventShieldColour.RED]: "red" };

const sayLine = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

let client;
let login;
let gate;
// What was told of each event, so that it is told again only when there is more to say.
const told = new Map();

/** Waits for a condition that events of the client make true. */
function until(what, condition) {
    return new Promise((resolve, reject) => {
        const names = ["sync", "RoomState.events", "Room.myMembership"];
        const done = () => {
            clearTimeout(timer);
            names.forEach((name) => client.off(name, look));
        };
        const look = async () => {
            try {
                if (await condition()) {
                    done();
                    resolve();
                }
            } catch (error) {
                done();
                reject(error);
            }
        };
        const timer = setTimeout(() => {
            done();
            reject(new Error(`waited for ${what} in vain`));
        }, PATIENCE);
        names.forEach((name) => client.on(name, look));
        look();
    });
}

/** What the client shows of an event. */
async function described(event) {
    const failed = event.isDecryptionFailure();
    const encrypted = event.isEncrypted();
    const shown = {
        room: event.getRoomId(),
        sender: event.getSender(),
        event_id: event.getId(),
        type: failed ? event.getWireType() : event.getType(),
        content: failed ? event.getWireContent() : event.getOriginalContent(),
        encrypted,
    };
    if (event.isState()) {
        shown.state_key = event.getStateKey();
    }
    if (event.isRedaction()) {
        shown.redacts = event.getAssociatedId();
    }
    if (encrypted) {
        shown.session = event.getWireContent().session_id;
    }
    if (failed) {
        shown.error = `${event.decryptionFailureReason}`;
    } else if (encrypted) {
        const info = await client.getCrypto().getEncryptionInfoForEvent(event);
        const colour = COLOURS[info?.shieldColour];
        const reason = EventShieldReason[info?.shieldReason] ?? "unknown";
        shown.verified = colour ? `${colour}: ${reason.toLowerCase().replaceAll("_", " ")}` : "ok";
    }
    return shown;
}

async function tell(event) {
    if (event.status !== null || event.isBeingDecrypted()) {
        return;
    }
    const shown = await described(event);
    const text = JSON.stringify(shown);
    if (told.get(event.getId()) !== text) {
        told.set(event.getId(), text);
        sayLine({ event: shown.state_key === undefined ? "message" : "state", ...shown });
    }
}

async function start() {
    client = createClient({ ...login.options, fetchFn: gate.fetch, disableVoip: true });
    client.on("Room.timeline", async (event, _room, backwards) => {
        if (!backwards && event.status === null) {
            await client.decryptEventIfNeeded(event);
            await tell(event);
        }
    });
    client.on("Event.decrypted", tell);
    client.on("Room.myMembership", (room, membership) => {
        if (membership === "invite") {
            const sender = room.getMember(client.getUserId())?.events.member?.getSender();
            sayLine({ event: "invite", room: room.roomId, sender });
        }
    });
    client.on("Room.receipt", (event, room) => {
        for (const [id, kinds] of Object.entries(event.getContent())) {
            for (const sender of Object.keys(kinds["m.read"] ?? {})) {
                sayLine({ event: "receipt", room: room.roomId, sender, event_id: id });
            }
        }
    });
    client.on("RoomMember.typing", (event, member) => {
        const users = event.getContent().user_ids;
        sayLine({ event: "typing", room: member.roomId, users });
    });
    client.on("receivedToDeviceMessage", ({ message }) => {
        const { type, sender, content } = message;
        if (type === "m.room_key" || type === "m.forwarded_room_key") {
            const forwarded = type === "m.forwarded_room_key";
            sayLine({ event: "key", room: content.room_id, sender, session: content.session_id, forwarded });
        } else if (type === "m.room_key_request" && content.action === "request") {
            sayLine({ event: "key_request", room: content.body.room_id, sender, session: content.body.session_id });
        }
    });
    await client.initRustCrypto({ cryptoDatabasePrefix: login.prefix });
    client.getCrypto().globalBlacklistUnverifiedDevices = false;
    const ready = new Promise((resolve) => {
        client.on("sync", (state) => state === "PREPARED" && resolve());
    });
    await client.startClient({ initialSyncLimit: 100, pollTimeout: 5000 });
    await ready;
}

async function eventOf(room, id) {
    const event = new MatrixEvent({ ...(await client.fetchRoomEvent(room, id)), room_id: room });
    await client.decryptEventIfNeeded(event);
    return event;
}

const inRoom = (room) => until(`${room} to be joined`, () => client.getRoom(room)?.getMyMembership() === "join");
const encrypting = (room) => until(`${room} to be encrypted`, () => isEncrypted(client, room));

/**
 * Waits until the library knows of a room what the homeserver does, who is in it and whether it is encrypted: after a restart
 * it takes the room's past for its present for a while.
 */
async function writable(room) {
    await inRoom(room);
    const state = await client.getStateEvent(room, "m.room.encryption", "").catch((error) => {
        if (error.errcode !== "M_NOT_FOUND") {
            throw error;
        }
    });
    await (state && encrypting(room));
    const joined = Object.keys((await client.getJoinedRoomMembers(room)).joined);
    const known = (user) => client.getRoom(room).getMember(user)?.membership === "join";
    await until(`the members of ${room}`, () => joined.every(known));
}

async function send(room, type, content) {
    await writable(room);
    const { event_id } = await client.sendEvent(room, null, type, content);
    return { event_id };
}

const requests = {
    async login({ base, user, password, device }) {
        const account = createClient({ baseUrl: base });
        const identifier = { type: "m.id.user", user };
        const body = { type: "m.login.password", identifier, password, device_id: device };
        const answer = await account.loginRequest(body);
        const { user_id: userId, device_id: deviceId, access_token: accessToken } = answer;
        login = { options: { baseUrl: base, userId, deviceId, accessToken }, prefix: `${userId} ${deviceId}` };
        gate = new Gate();
        await start();
        return { user: userId, device: deviceId };
    },
    async restart() {
        client.stopClient();
        await start();
    },
    async logout() {
        await client.logout(true);
    },
    async join({ room }) {
        await client.joinRoom(room);
        await inRoom(room);
    },
    async leave({ room }) {
        await client.leave(room);
    },
    async create({ encrypted = false, direct = false, invite = [], name }) {
        const state = { type: "m.room.encryption", state_key: "", content: { algorithm: MEGOLM } };
        const preset = direct ? "trusted_private_chat" : "private_chat";
        const initial_state = encrypted ? [state] : [];
        const { room_id: room } = await client.createRoom({ preset, is_direct: direct, invite, name, initial_state });
        await inRoom(room);
        await (encrypted && encrypting(room));
        return { room };
    },
    async encrypt({ room, rotate_after: limit }) {
        const content = { algorithm: MEGOLM, ...(limit && { rotation_period_msgs: limit }) };
        await client.sendStateEvent(room, "m.room.encryption", content, "");
        await encrypting(room);
    },
    async invite({ room, user }) {
        await client.invite(room, user);
    },
    async say({ room, text, reply_to: reply, thread }) {
        const content = { msgtype: "m.text", body: text };
        if (reply || thread) {
            content["m.relates_to"] = {
                ...(thread && { rel_type: "m.thread", event_id: thread }),
                ...(reply && { "m.in_reply_to": { event_id: reply } }),
            };
        }
        return await send(room, "m.room.message", content);
    },
    async edit({ room, event, text }) {
        const fresh = { msgtype: "m.text", body: text };
        const relation = { rel_type: "m.replace", event_id: event };
        const content = { ...fresh, body: `* ${text}`, "m.new_content": fresh, "m.relates_to": relation };
        return await send(room, "m.room.message", content);
    },
    async react({ room, event, key }) {
        const relation = { rel_type: "m.annotation", event_id: event, key };
        return await send(room, "m.reaction", { "m.relates_to": relation });
    },
    async redact({ room, event }) {
        await client.redactEvent(room, event);
    },
    async send_file({ room, ...file }) {
        await writable(room);
        const content = await fileContent(client, isEncrypted(client, room), file);
        return await send(room, "m.room.message", content);
    },
    async download({ room, event, to, thumbnail = false }) {
        const content = (await eventOf(room, event)).getOriginalContent();
        return await download(client, content, thumbnail, to);
    },
    async read({ room, event }) {
        await client.sendReadReceipt(await eventOf(room, event));
    },
    async typing({ room, typing }) {
        await client.sendTyping(room, typing, PATIENCE);
    },
    async members({ room }) {
        return { members: Object.keys((await client.getJoinedRoomMembers(room)).joined) };
    },
    async timeline({ room, limit = 100 }) {
        const { chunk } = await client.createMessagesRequest(room, null, limit, "b");
        const events = [];
        for (const raw of chunk.reverse()) {
            const event = new MatrixEvent({ ...raw, room_id: room });
            await client.decryptEventIfNeeded(event);
            events.push(await described(event));
        }
        return { events };
    },
    async forget({ room, session }) {
        return { keys: await forget(client, login.prefix, room, session) };
    },
    async export() {
        return { keys: JSON.parse(await client.getCrypto().exportRoomKeysAsJson()) };
    },
    async import({ keys }) {
        await client.getCrypto().importRoomKeysAsJson(JSON.stringify(keys));
        return { keys: keys.length };
    },
    async rotate({ room }) {
        await client.getCrypto().forceDiscardSession(room);
    },
    async ask({ room, event: id, of = "own" }) {
        if (of !== "own") {
            throw new Error("matrix-js-sdk asks the user's own devices alone");
        }
        told.delete(id);
        const event = await ask(client, room, id);
        event.on("Event.decrypted", tell);
    },
    async trust({ user, device }) {
        await client.getCrypto().getUserDeviceInfo([user], true);
        await client.getCrypto().setDeviceVerified(user, device, true);
    },
    async verify({ user }) {
        await verify(client, user);
    },
    async devices({ user }) {
        return await devices(client, user);
    },
    async bootstrap({ password }) {
        const identifier = { type: "m.id.user", user: client.getUserId() };
        const proof = { type: "m.login.password", identifier, password };
        await client.getCrypto().bootstrapCrossSigning({
            setupNewCrossSigning: true,
            authUploadDeviceSigningKeys: async (upload) => {
                try {
                    await upload(null);
                } catch (error) {
                    await upload({ ...proof, session: error.data?.session });
                }
            },
        });
    },
    async isolate({ on }) {
        const mode = on ? new OnlySignedDevicesIsolationMode() : new AllDevicesIsolationMode(false);
        client.getCrypto().setDeviceIsolationMode(mode);
    },
    async hold({ users }) {
        users.forEach((user) => gate.users.add(user));
    },
    async release({ drop = false }) {
        return { messages: await gate.release(client, drop) };
    },
    async stop() {
        client?.stopClient();
    },
};

process.on("unhandledRejection", (error) => console.error("unhandled:", error));

for await (const line of createInterface({ input: process.stdin })) {
    const { id, do: name, ...request } = JSON.parse(line);
    try {
        if (!Object.hasOwn(requests, name)) {
            throw new Error(`there is no request "${name}"`);
        }
        // In the order they came, so that what is said arrives in the order it was said.
        sayLine({ id, ok: (await requests[name](request)) ?? {} });
    } catch (error) {
        console.error(error);
        sayLine({ id, error: `${name}: ${error}` });
    }
    if (name === "stop") {
        break;
    }
}
process.exit(0);
