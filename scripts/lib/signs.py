"""The scenes about what is no message: receipts, typing, presence, how far a message is, timers, calls."""

from stage import need, same

DAY = 86_400
STATUS = "com.beeper.message_send_status"


def receipts(s):
    with s.row("→ a read receipt"):
        own = s.person.does("messages", text="See you on Sunday then")
        event = s.here("the text")["event_id"]
        s.becomes("that it was delivered", own, lambda m: m["status"] == "delivered")
        s.user.read(s.room, event)
        s.becomes("that alice read it", own, lambda m: m["status"] == "read")
        s.tells("has read that", s.alice)
    with s.row("← a read receipt"):
        event = s.says("See you!")
        s.there("the text")
        s.person.does("read")
        s.signalled("the contact's receipt", lambda signals: (s.room, event, s.ghost) in signals.reads)
        s.tells("has read that", s.person.name)


def typing(s):
    with s.row("→ typing"):
        for state, shown in ((True, "composing"), (False, "paused")):
            s.user.types(s.room, state)
            s.sees(f"that alice is {shown}", lambda chat: chat["typing"] == shown)
            s.tells("is typing…" if state else "stopped", s.alice)
    with s.row("← typing, recording"):
        for state in ("composing", "recording"):
            s.person.does("typing", state=state)
            s.signalled(f"that the contact is {state}", lambda signals: s.ghost in signals.writers.get(s.room, []))
            s.tells({"composing": "is typing…", "recording": "is recording, shown as typing…"}[state], s.person.name)
            s.person.does("typing", state="paused")
            s.signalled("that the contact stopped", lambda signals: s.ghost not in signals.writers.get(s.room, []))


def presence(s):
    with s.row("→ presence"):
        # Only a change is told, and Synapse takes who was online when it stopped for online until some time has passed.
        def comes():
            s.user.is_now("unavailable")
            s.user.is_now("online")
            return s.person.sees().get("present")

        s.until("that alice is online did not reach the phone", comes, 90)
        s.tells("is online", s.alice)
        s.user.is_now("unavailable")
        s.sees("that alice is away", lambda chat: not chat["present"])
        s.tells("is away", s.alice)
        s.user.is_now("offline")
    with s.row("← presence"):
        for present in (False, True):
            s.person.is_now(present=present)
            s.signalled(f"the contact's presence {present}", lambda signals: (signals.presences.get(s.ghost) == "online") == present)
            s.tells("is online" if present else "is away", s.person.name)


def progress(s):
    with s.row("→ the state of a message: at WhatsApp, delivered"):
        s.person.is_now(online=False)
        s.tells("switches the phone off", s.person.name)
        event = s.says("Bring the tent")

        def told(delivered_to):
            def is_it(e):
                content = e["content"]
                about = content.get("m.relates_to", {}).get("event_id")
                there = content.get("delivered_to_users", [])
                return e["type"] == STATUS and about == event and content["status"] == "SUCCESS" and there == delivered_to

            return is_it

        s.changes("that WhatsApp has it", told([]))
        s.signalled("the bot's receipt", lambda signals: (s.room, event, s.bot) in signals.reads)
        s.tells("(the message is at WhatsApp)")
        s.person.is_now(online=True)
        s.tells("switches the phone on", s.person.name)
        s.there("the text")
        s.changes("that the contact has it", told([s.ghost]))
        s.tells("(the message is delivered)")


def timers(s, desk):
    whom = f"chat-settings whatsapp {s.person.contact['phone']}"
    with s.row("→ disappearing messages, set and taken back"):
        desk.say(f"{whom} timer 1d")
        answer = desk.answer("the answer to chat-settings")
        need("1 day" in answer, "the timer was not set")
        s.told("the notice about the timer", "1 day")
        s.sees("the timer", lambda chat: chat["timer"] == DAY)
        s.says("This is gone tomorrow")
        same("after how long it disappears", DAY, s.there("the text")["expires_after"])
        desk.say(f"{whom} timer off")
        need("stay" in desk.answer("the answer to chat-settings"), "the timer was not taken back")
        s.told("the notice about the timer", "")
        s.sees("that the timer is off", lambda chat: not chat["timer"])
        s.says("This stays")
        same("after how long it disappears", None, s.there("the text")["expires_after"])
    with s.row("← disappearing messages, set and taken back"):
        s.person.does("timer", seconds=7 * DAY)
        s.here("the notice about the timer", lambda c: "7 days" in c.get("body", "") or "1 week" in c.get("body", ""))
        s.says("Gone in a week")
        same("after how long it disappears", 7 * DAY, s.there("the text")["expires_after"])
        s.person.does("timer", seconds=0)
        s.here("the notice about the timer", lambda c: c.get("msgtype") == "m.notice")
        s.says("This stays as well")
        same("after how long it disappears", None, s.there("the text")["expires_after"])


def calls(s):
    with s.row("← a call, and that it was missed"):
        call = s.person.does("call", video=True)
        s.here("the call", lambda c: c["msgtype"] == "m.notice" and "video call" in c["body"])
        s.person.does("hang_up", call=call)
        s.here("the missed call", lambda c: c["msgtype"] == "m.notice" and "tried to reach you" in c["body"])


SCENES = (receipts, typing, presence, progress, calls)
