"""The scenes of the demo: each kind of message a conversation carries, from each side to the other."""

import base64

import pictures
from stage import need, same

SIZE = {"w": 640, "h": 480}
LINK = "https://example.org/lakes"


def formatted(s):
    with s.row("→ formatted text"):
        html = "It was <strong>wonderful</strong>, <em>so <del>calm</del> wild</em>: <code>5 °C</code>"
        s.says("It was wonderful, so calm wild: 5 °C", format="org.matrix.custom.html", formatted_body=html)
        message = s.there("the formatted text")
        same("its marks", "It was *wonderful*, _so ~calm~ wild_: `5 °C`", message["text"])
    with s.row("← formatted text"):
        s.person.does("messages", text="*Really?* And _then_?\n- a swim\n- a sauna")
        content = s.here("the formatted text")["content"]
        html = content.get("formatted_body", "")
        for piece in ("<strong>Really?</strong>", "<em>then</em>", "<li>a swim</li>", "<li>a sauna</li>"):
            need(piece in html, f"{piece} is not in {html!r}")


def mentions(s):
    name = s.person.name
    at_person, at_alice = (f"@{address.split('@')[0]}" for address in (s.person.address, s.person.chat))
    with s.row("→ a mention"):
        pill = f'<a href="https://matrix.to/#/{s.ghost}">{name}</a>: of course'
        s.says(f"{name}: of course", format="org.matrix.custom.html", formatted_body=pill, **{"m.mentions": {"user_ids": [s.ghost]}})
        message = s.there("the mention")
        same("its text", f"{at_person}: of course", message["text"])
        same("who is mentioned", [{"address": s.person.address, "name": name}], message["mentions"])
    with s.row("← a mention"):
        s.person.does("messages", text=f"{at_alice} you are mad", mentions=[s.person.chat])
        content = s.here("the mention", lambda c: c["body"].endswith("you are mad"))["content"]
        same("who is mentioned", [s.user.mxid], content.get("m.mentions", {}).get("user_ids"))
        need(f"https://matrix.to/#/{s.user.mxid}" in content.get("formatted_body", ""), f"no pill: {content}")


def replies(s):
    with s.row("→ a reply"):
        own = s.person.does("messages", text="Which lake was it?")
        event = s.here("the question")
        s.says("That one behind the hill", **{"m.relates_to": {"m.in_reply_to": {"event_id": event["event_id"]}}})
        quotes = s.there("the reply")["quotes"]
        need(quotes and quotes["mine"] and quotes["id"] == own, f"it answers {quotes}, not the question")
    with s.row("← a reply"):
        asked = s.says("Have you been there?")
        message = s.there("the question")
        s.person.does("messages", text="Once, as a child", quotes={"side": "theirs", "id": message["id"]})
        content = s.here("the reply", lambda c: c["body"].endswith("Once, as a child"))["content"]
        same("what it answers", asked, content.get("m.relates_to", {}).get("m.in_reply_to", {}).get("event_id"))


def edits(s):
    with s.row("→ an edit"):
        event = s.says("It has six islands")
        message = s.there("the text")
        s.tells("changes that to: It has seven islands", s.alice)
        new = {"msgtype": "m.text", "body": "It has seven islands"}
        relation = {"rel_type": "m.replace", "event_id": event}
        s.user.send(s.room, "m.room.message", {**new, "body": f"* {new['body']}", "m.new_content": new, "m.relates_to": relation})
        s.becomes("the edit", message, lambda m: m["edited"] and m["text"] == new["body"])
    with s.row("← an edit"):
        own = s.person.does("messages", text="I count ate")
        event = s.here("the text")
        s.person.does("messages", "mine", own, "text", text="I count eight")

        def is_edit(e):
            relation = e["content"].get("m.relates_to", {})
            return relation.get("rel_type") == "m.replace" and relation["event_id"] == event["event_id"]

        edit = s.changes("the edit", is_edit)
        same("its text", "I count eight", edit["content"]["m.new_content"]["body"])
        s.tells("changes that to: I count eight", s.person.name)


def deletions(s):
    with s.row("→ a deletion"):
        event = s.says("Never mind my spelling")
        message = s.there("the text")
        s.tells("deletes that", s.alice)
        s.user.redact(s.room, event)
        s.becomes("the deletion", message, lambda m: m["revoked"] and not m["text"])
    with s.row("← a deletion"):
        own = s.person.does("messages", text="Nor mine")
        event = s.here("the text")
        s.person.deletes(own)
        s.goes("the deleted text", event["event_id"])
        s.tells("deletes that", s.person.name)


def reactions(s):
    with s.row("→ a reaction: added, changed, taken back"):
        own = s.person.does("messages", text="Shall we go there?")
        event = s.here("the question")["event_id"]
        sent = []
        for emoji in ("👍", "🎉"):
            s.tells(f"reacts with {emoji}", s.alice)
            relation = {"rel_type": "m.annotation", "event_id": event, "key": emoji}
            sent.append(s.user.send(s.room, "m.reaction", {"m.relates_to": relation}))
            s.becomes(f"the reaction {emoji}", own, lambda m: m["reactions"] == [{"mine": False, "emoji": emoji}])
        s.goes("the first reaction, which the second replaces", sent[0])
        s.tells("takes the reaction back", s.alice)
        s.user.redact(s.room, sent[1])
        s.becomes("that the reaction was taken back", own, lambda m: not m["reactions"])
    with s.row("← a reaction: added, changed, taken back"):
        event = s.says("On Sunday, by bus")
        message = s.there("the answer")
        for emoji in ("😮", "❤️"):
            s.person.to(message, "reaction", emoji=emoji)
            is_it = lambda e: e["type"] == "m.reaction" and e["content"].get("m.relates_to") == {"rel_type": "m.annotation", "event_id": event, "key": emoji}
            reaction = s.changes(f"the reaction {emoji}", is_it)
            s.tells(f"reacts with {emoji}", s.person.name)
        s.person.to(message, "reaction", emoji="")
        s.goes("the reaction", reaction["event_id"])
        s.tells("takes the reaction back", s.person.name)


def to_phone(s, data, kind, **facts):
    """The next message on the phone is a file of a kind with these bytes and facts; its content."""
    caption = facts.pop("caption", "")
    message = s.there(f"the {kind}")
    content = message["content"]
    same("its kind", kind, content.get("kind"))
    same("its caption", caption, message["text"])
    for name, value in facts.items():
        same(f"its {name}", value, content.get(name))
    same("its bytes", data, s.person.opens(message))
    return message


def to_matrix(s, data, what, mime_type, **facts):
    """The contact's next message in the room is a file with these bytes; its content."""
    content = s.here(f"the {what}", lambda c: "url" in c)["content"]
    same("its type", mime_type, content["info"]["mimetype"])
    for name, value in facts.items():
        same(f"its {name}", value, content.get(name, content["info"].get(name)))
    same("its bytes", data, s.user.download(content["url"]))
    return content


def files(s):
    with s.row("→ a picture with a caption"):
        data = pictures.png(640, 480, 230)
        s.shares(data, "image/png", "m.image", body="The lake, at six", filename="lake.png", info=SIZE)
        message = to_phone(s, data, "image", caption="The lake, at six", mime_type="image/png", width=640, height=480)
        need(message["content"].get("thumbnail"), "it has no small picture")
    with s.row("← a picture with a caption"):
        data = pictures.png(320, 200, 120)
        s.person.sends("image", data, "image/png", name="pond.png", caption="Mine is *smaller*", width=320, height=200)
        content = to_matrix(s, data, "picture", "image/png", msgtype="m.image", w=320, h=200)
        need("thumbnail_url" in content["info"] and "xyz.amorgan.blurhash" in content["info"], "it has no small picture")
    with s.row("→ a video"):
        data = pictures.mp4(90_000, 1)
        s.shares(data, "video/mp4", "m.video", body="Waves", filename="waves.mp4", info={**SIZE, "duration": 12_000})
        to_phone(s, data, "video", caption="Waves", mime_type="video/mp4", width=640, height=480, seconds=12)
    with s.row("← a GIF"):
        data = pictures.mp4(20_000, 2)
        s.person.sends("gif", data, "video/mp4", width=160, height=120, seconds=2)
        to_matrix(s, data, "GIF", "video/mp4", msgtype="m.video", w=160, h=120, **{"fi.mau.gif": True})
    with s.row("→ a voice message with its waveform"):
        data = pictures.ogg(4, 1)
        audio = {"duration": 4_000, "waveform": pictures.waveform(80, 1024)}
        more = {"org.matrix.msc3245.voice": {}, "org.matrix.msc1767.audio": audio}
        s.shares(data, "audio/ogg", "m.audio", body="Voice message.ogg", info={"duration": 4_000}, **more)
        wave = to_phone(s, data, "voice", seconds=4)["content"]["waveform"]
        need(len(wave) >= 32 and 50 < max(wave) <= 100, f"its waveform is {wave}")
    with s.row("← a voice message with its waveform"):
        data, wave = pictures.ogg(3, 2), bytes(pictures.waveform(64, 100))
        encoded = base64.urlsafe_b64encode(wave).decode().rstrip("=")
        s.person.sends("voice", data, "audio/ogg; codecs=opus", seconds=3, waveform=encoded)
        content = s.here("the voice message", lambda c: "org.matrix.msc3245.voice" in c)["content"]
        same("its bytes", data, s.user.download(content["url"]))
        loudness = content["org.matrix.msc1767.audio"]["waveform"]
        need(len(loudness) == 64 and 500 < max(loudness) <= 1024, f"its waveform is {loudness}")
    with s.row("→ audio"):
        data = pictures.mp3(2)
        s.shares(data, "audio/mpeg", "m.audio", body="boat horn.mp3", info={"duration": 2_000})
        to_phone(s, data, "audio", mime_type="audio/mpeg", seconds=2)
    with s.row("← audio"):
        data = pictures.wav(1, 880)
        s.person.sends("audio", data, "audio/wav", name="bird.wav", seconds=1)
        to_matrix(s, data, "audio", "audio/wav", msgtype="m.audio", duration=1_000)
    with s.row("→ a file"):
        data = pictures.pdf("The bus leaves at nine")
        s.shares(data, "application/pdf", "m.file", body="The timetable", filename="bus.pdf")
        to_phone(s, data, "file", caption="The timetable", name="bus.pdf", mime_type="application/pdf")
    with s.row("← a file"):
        data = "Towels, tea, a book\n".encode()
        s.person.sends("file", data, "text/plain", name="what to bring.txt", caption="My list")
        to_matrix(s, data, "file", "text/plain", msgtype="m.file", filename="what to bring.txt", body="My list")
    with s.row("→ a sticker, made into WebP"):
        s.shares(pictures.png(128, 128, 40), "image/png", "m.sticker", body="boat", info={"w": 128, "h": 128})
        message = s.there("the sticker")
        same("its kind", ("sticker", "image/webp"), (message["content"]["kind"], message["content"]["mime_type"]))
        same("how its bytes begin", b"WEBP", s.person.opens(message)[8:12])
    with s.row("← a sticker"):
        data = pictures.webp(256, 30, 140, 120)
        s.person.sends("sticker", data, "image/webp", width=256, height=256)
        to_matrix(s, data, "sticker", "image/webp", w=256, h=256)
    with s.row("← a picture to be seen once"):
        data = pictures.png(64, 64, 255)
        s.person.sends("image", data, "image/png", caption="Only for you", view_once="true", width=64, height=64)
        to_matrix(s, data, "picture", "image/png", body="Only for you")


def things(s):
    with s.row("→ a location"):
        s.sends({"msgtype": "m.location", "body": "The jetty", "geo_uri": "geo:52.4319,13.1789"})
        place = s.there("the location")["content"]
        same("its kind and name", ("location", "The jetty"), (place["type"], place.get("name")))
        same("where it is", (52.4319, 13.1789), (round(place["latitude"], 6), round(place["longitude"], 6)))
    with s.row("← a location"):
        s.person.does("location", latitude=52.5163, longitude=13.3777, name="The bus stop")
        content = s.here("the location")["content"]
        need(content["msgtype"] == "m.location" and content["geo_uri"].startswith("geo:52.5163,13.3777"), f"it is {content}")
        need("The bus stop" in content["body"], f"it says {content['body']!r}")
    with s.row("→ a contact card, as a file"):
        data = pictures.vcard("Ferry office", "+44 7700 900006")
        s.shares(data, "text/vcard", "m.file", body="Ferry office.vcf")
        to_phone(s, data, "file", name="Ferry office.vcf", mime_type="text/vcard")
    with s.row("← a contact card"):
        s.person.does("card", name="Sam Sauna", phone="+44 7700 900007")
        content = s.here("the contact card")["content"]
        card = s.user.download(content["url"]).decode() if "url" in content else content["body"]
        need("Sam Sauna" in card and "900007" in card.replace(" ", ""), f"it says {card!r}")
    with s.row("→ a link preview"):
        preview = {"matched_url": LINK, "og:url": LINK, "og:title": "Ten lakes", "og:description": "All of them cold."}
        s.says(f"More of them: {LINK}", **{"com.beeper.linkpreviews": [preview]})
        content = s.there("the link")["content"]
        expected = {"url": LINK, "title": "Ten lakes", "description": "All of them cold."}
        same("its preview", expected, {key: content.get("preview", {}).get(key) for key in expected})
    with s.row("← a link preview"):
        s.person.does("messages", text=f"I know {LINK}?swim", preview={"url": f"{LINK}?swim", "title": "Where to swim"})
        previews = s.here("the link")["content"].get("com.beeper.linkpreviews", [])
        same("its preview", [(f"{LINK}?swim", "Where to swim")], [(p["matched_url"], p["og:title"]) for p in previews])
    with s.row("→ what has no name"):
        s.sends({"msgtype": "org.example.scent", "body": "Fresh hay"})
        s.told("that it was not sent", "Not sent to WhatsApp")
    with s.row("← what has no name"):
        s.person.does("event", name="Swim in the morning")
        content = s.here("the notice of it")["content"]
        need(content["msgtype"] == "m.notice" and "event" in content["body"], f"it is {content}")


def votes(s, poll):
    """The answers of the contact's newest vote in a poll."""
    cast = [e for e in s.user.events(s.room, 200) if e["sender"] == s.ghost and e["type"] == "org.matrix.msc3381.poll.response"]
    cast = [e["content"] for e in cast if e["content"].get("m.relates_to", {}).get("event_id") == poll]
    return cast[-1]["org.matrix.msc3381.poll.response"]["answers"] if cast else None


def vote(s, poll, answers):
    relation = {"rel_type": "m.reference", "event_id": poll}
    kind = "org.matrix.msc3381.poll.response"
    s.user.send(s.room, kind, {"m.relates_to": relation, kind: {"answers": answers}})


def tally(message):
    return {option["text"]: (option["votes"], option["mine"]) for option in message["content"]["options"]}


def polls(s):
    with s.row("→ a poll, with a vote from each side"):
        options = {"early": "At six", "late": "At noon"}
        text = "org.matrix.msc1767.text"
        answers = [{"id": name, text: option} for name, option in options.items()]
        start = {"question": {text: "When?"}, "kind": "org.matrix.msc3381.poll.disclosed", "max_selections": 1, "answers": answers}
        kind = "org.matrix.msc3381.poll.start"
        poll = s.sends({kind: start, text: "When?\n1. At six\n2. At noon"}, kind)
        message = s.there("the poll")
        same("its question", "When?", message["text"])
        same("its options", list(options.values()), list(tally(message)))
        s.person.to(message, "vote", options=["At noon"])
        s.until("the contact's vote did not come to Matrix", lambda: votes(s, poll) == ["late"])
        s.tells("votes for: At noon", s.person.name)
        s.tells("votes for: At six", s.alice)
        vote(s, poll, ["early"])
        s.becomes("alice's vote", message, lambda m: tally(m) == {"At six": (1, False), "At noon": (1, True)})
    with s.row("← a poll, with a vote from each side"):
        own = s.person.does("poll", question="What to eat?", options=["Soup", "Cake", "Both"])
        event = s.here("the poll")
        answers = event["content"]["org.matrix.msc3381.poll.start"]["answers"]
        same("its options", ["Soup", "Cake", "Both"], [answer["org.matrix.msc1767.text"] for answer in answers])
        s.tells("votes for: Both", s.alice)
        vote(s, event["event_id"], [answers[2]["id"]])
        s.becomes("alice's vote", own, lambda m: tally(m)["Both"] == (1, False))
        s.person.does("messages", "mine", own, "vote", options=["Cake"])
        s.becomes("its own vote", own, lambda m: tally(m)["Cake"] == (1, True))
        # The one who asked is the same user in Matrix, and votes there like anybody.
        s.until("the contact's vote did not come to Matrix", lambda: votes(s, event["event_id"]) == [answers[1]["id"]])
        s.tells("votes for: Cake", s.person.name)


SCENES = (formatted, mentions, replies, edits, deletions, reactions, files, things, polls)
