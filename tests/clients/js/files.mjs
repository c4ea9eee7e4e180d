// Files of messages: encrypted and uploaded, downloaded and decrypted.

import { readFile, writeFile } from "node:fs/promises";
import { Attachment, EncryptedAttachment } from "@matrix-org/matrix-sdk-crypto-wasm";

/** Uploads a file, encrypted or not; the field of a message that tells where it is. */
async function upload(client, data, type, encrypted, [plainKey, fileKey]) {
    if (!encrypted) {
        const { content_uri: uri } = await client.uploadContent(new Blob([data]), { type });
        return { [plainKey]: uri };
    }
    const sealed = Attachment.encrypt(new Uint8Array(data));
    const secret = JSON.parse(sealed.mediaEncryptionInfo);
    const body = new Blob([sealed.encryptedData]);
    const { content_uri: url } = await client.uploadContent(body, { type: "application/octet-stream" });
    return { [fileKey]: { ...secret, url } };
}

/** The content of a message with a file. */
export async function fileContent(client, encrypted, request) {
    const data = await readFile(request.path);
    const info = { mimetype: request.mime_type, size: data.length, ...request.info };
    const content = { msgtype: `m.${request.kind}`, body: request.name, filename: request.name, info };
    Object.assign(content, await upload(client, data, request.mime_type, encrypted, ["url", "file"]));
    if (request.thumbnail) {
        const small = await readFile(request.thumbnail);
        const keys = ["thumbnail_url", "thumbnail_file"];
        Object.assign(info, await upload(client, small, request.thumbnail_type, encrypted, keys));
        info.thumbnail_info = { mimetype: request.thumbnail_type, size: small.length };
    }
    return content;
}

/** Writes the file of a message, or its thumbnail, to a path. */
export async function download(client, content, thumbnail, to) {
    const place = thumbnail ? (content.info ?? {}) : content;
    const secret = thumbnail ? place.thumbnail_file : place.file;
    const uri = secret?.url ?? (thumbnail ? place.thumbnail_url : place.url);
    if (!uri) {
        throw new Error("the event has no such file");
    }
    const url = client.mxcUrlToHttp(uri, undefined, undefined, undefined, true, true, true);
    const answer = await fetch(url, { headers: { Authorization: `Bearer ${client.getAccessToken()}` } });
    if (!answer.ok) {
        throw new Error(`${uri}: ${answer.status}`);
    }
    let data = new Uint8Array(await answer.arrayBuffer());
    if (secret) {
        const { url: _, ...info } = secret;
        data = Attachment.decrypt(new EncryptedAttachment(data, JSON.stringify(info)));
    }
    await writeFile(to, data);
    return { encrypted: Boolean(secret), size: data.length };
}
