// What a test does to keys: loses them, carries them over, asks for them, holds back what carries them.

import { MatrixEvent } from "matrix-js-sdk";
import { UserId } from "@matrix-org/matrix-sdk-crypto-wasm";

const KEYS = "inbound_group_sessions";
const TO_DEVICE = "/sendToDevice/m.room.encrypted/";

/** A `fetch` that takes out and keeps what goes to devices of held users. */
export class Gate {
    users = new Set();
    #held = [];

    fetch = async (url, options) => {
        if (this.users.size > 0 && String(url).includes(TO_DEVICE)) {
            const { messages } = JSON.parse(options.body);
            const kept = Object.entries(messages).filter(([user]) => this.users.has(user));
            if (kept.length > 0) {
                this.#held.push(Object.fromEntries(kept));
                for (const [user] of kept) {
                    delete messages[user];
                }
                options = { ...options, body: JSON.stringify({ messages }) };
            }
        }
        return await fetch(url, options);
    };

    /** Lets the held messages go, or forgets them; how many. */
    async release(client, drop) {
        this.users.clear();
        const held = this.#held;
        this.#held = [];
        for (const messages of drop ? [] : held) {
            const contents = new Map(
                Object.entries(messages).map(([user, devices]) => [user, new Map(Object.entries(devices))]),
            );
            await client.sendToDevice("m.room.encrypted", contents);
        }
        return held.length;
    }
}

const finished = (request) =>
    new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });

/** Deletes the keys of a room, or one of them, behind the library's back; how many. */
export async function forget(client, prefix, room, session) {
    const exported = JSON.parse(await client.getCrypto().exportRoomKeysAsJson());
    const rest = exported.filter((key) => key.room_id !== room || (session && key.session_id !== session));
    const database = await finished(indexedDB.open(`${prefix}::matrix-sdk-crypto`));
    const stores = [...database.objectStoreNames].filter((name) => name.startsWith(KEYS) && !name.includes("meta"));
    const change = database.transaction(stores, "readwrite");
    await Promise.all(stores.map((name) => finished(change.objectStore(name).clear())));
    database.close();
    // The store's keys are opaque, so all of them go and those to keep come back.
    await client.getCrypto().importRoomKeysAsJson(JSON.stringify(rest));
    return exported.length - rest.length;
}

/** Asks the user's own devices for the key of an event; the event, which is decrypted when the key comes. */
export async function ask(client, room, id) {
    const event = new MatrixEvent({ ...(await client.fetchRoomEvent(room, id)), room_id: room });
    const { olmMachine, outgoingRequestsManager } = client.getCrypto();
    olmMachine.roomKeyRequestsEnabled = true;
    try {
        await client.decryptEventIfNeeded(event);
        await outgoingRequestsManager.doProcessOutgoingRequests();
    } finally {
        olmMachine.roomKeyRequestsEnabled = false;
    }
    return event;
}

/** Signs another user's identity, as one who compared emoji. */
export async function verify(client, user) {
    const crypto = client.getCrypto();
    await crypto.getUserDeviceInfo([user], true);
    const identity = await crypto.olmMachine.getIdentity(new UserId(user));
    if (!identity) {
        throw new Error(`${user} has no cross-signing keys`);
    }
    await crypto.outgoingRequestProcessor.makeOutgoingRequest(await identity.verify());
}

/** The devices of a user and what the library thinks of them. */
export async function devices(client, user) {
    const crypto = client.getCrypto();
    const known = (await crypto.getUserDeviceInfo([user], true)).get(user) ?? new Map();
    const list = [];
    for (const device of known.keys()) {
        const status = await crypto.getDeviceVerificationStatus(user, device);
        list.push({ device, verified: status.isVerified(), signed_by_owner: status.signedByOwner });
    }
    const status = await crypto.getUserVerificationStatus(user);
    return { devices: list, identity: { known: status.known, verified: status.isVerified() } };
}

/** Whether the library is set to encrypt to a room; what it stored of a room is not enough after a restart. */
export const isEncrypted = (client, room) => Boolean(client.getCrypto().roomEncryptors[room]);
