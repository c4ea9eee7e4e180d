"""A room as an ordinary Matrix client library (matrix-nio) reads it: what the Matrix side's user would be shown.

Usage: reader.py HOMESERVER USER TOKEN messages ROOM        one JSON object a line, oldest first
       reader.py HOMESERVER USER TOKEN download URI PATH    the file behind an mxc:// URI
"""

import asyncio
import json
import sys

import nio


async def messages(client, room):
    events, start = [], ""
    while True:
        page = await client.room_messages(room, start, limit=250, direction=nio.MessageDirection.back)
        if not isinstance(page, nio.RoomMessagesResponse):
            raise SystemExit(f"the room cannot be read: {page}")
        events += page.chunk
        if not page.end or not page.chunk:
            break
        start = page.end
    for event in reversed(events):
        read = {name: value for name, value in vars(event).items() if isinstance(value, (str, int, float, bool))}
        read["class"] = type(event).__name__
        read["source"] = event.source
        print(json.dumps(read))


async def download(client, uri, path):
    answer = await client.download(mxc=uri)
    if not isinstance(answer, nio.DownloadResponse):
        raise SystemExit(f"the file cannot be had: {answer}")
    with open(path, "wb") as file:
        file.write(answer.body)
    print(json.dumps({"content_type": answer.content_type, "filename": answer.filename}))


async def main():
    homeserver, user, token, what, *rest = sys.argv[1:]
    client = nio.AsyncClient(homeserver, user)
    client.access_token, client.user_id = token, user
    try:
        await {"messages": messages, "download": download}[what](client, *rest)
    finally:
        await client.close()


asyncio.run(main())
