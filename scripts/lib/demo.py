"""The demo's driver: see scripts/demo."""

import argparse
import json
import pathlib
import re
import secrets
import signal
import sys
import time

import bridge
import community
import scenes
import signs
import synapse
from contact import Page, Person
from matrix import Matrix
from processes import Failure, free_port
from stage import Stage, Wrong, same

DOMAIN = "drawbridge.localhost"
USER = "alice"
BOT = f"@drawbridgebot:{DOMAIN}"
PATIENCE = 60


class Transcript:
    """Prints who says what, as it happens."""

    def __init__(self):
        self.started = time.monotonic()

    def line(self, who, text):
        elapsed = time.monotonic() - self.started
        first, *rest = text.strip().split("\n")
        print(f"{elapsed:6.1f} s  {who:>22} │ {first}", flush=True)
        for more in rest:
            print(f"{'':32} │ {more}", flush=True)


class Conversation:
    """A room and one other member of it, followed by polling; what that member says is printed."""

    def __init__(self, user, room, other, name, transcript, known=None):
        self.user, self.room, self.other, self.name = user, room, other, name
        self.transcript = transcript
        self.known = {event["event_id"] for event in user.messages(room)} if known is None else set(known)

    def say(self, text):
        self.transcript.line(USER, text)
        self.known.add(self.user.say(self.room, text))

    def answer(self, what):
        """The next thing the other one says."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for event in self.user.messages(self.room):
                if event["event_id"] in self.known or event["sender"] != self.other:
                    continue
                self.known.add(event["event_id"])
                body = event["content"].get("body", "")
                self.transcript.line(self.name or self.user.display_name(self.other), body)
                return body
            time.sleep(0.2)
        raise Failure(f"{what} did not come in {PATIENCE} s; see the logs in .demo/")


class State:
    """What one run leaves for the next: ports, a password, the management room."""

    def __init__(self, path):
        self.path = path
        self.values = json.loads(path.read_text()) if path.exists() else {}

    def get(self, key, make):
        if key not in self.values:
            self.set(key, make())
        return self.values[key]

    def set(self, key, value):
        self.values[key] = value
        synapse.private_file(self.path, json.dumps(self.values, indent=2))


def choose_ports(arguments, state):
    """The port of each listener: as asked for, as last time, or the next free one."""
    ports = {}
    for number, name in enumerate(("synapse", "appservice", "partner", "chat", "page")):
        wanted = state.values.get("ports", {}).get(name, 29330 + number)
        if arguments.port_base is not None:
            wanted = arguments.port_base + number
        while True:
            port = free_port(wanted)
            if port not in ports.values():
                break
            wanted = port + 1
        ports[name] = port
    state.set("ports", ports)
    return ports


def start(arguments, folder, state, programs):
    """Starts Synapse and the bridge; returns the URLs of Synapse and of the sandbox's page."""
    ports = choose_ports(arguments, state)
    home = f"http://127.0.0.1:{ports['synapse']}"
    appservice = f"127.0.0.1:{ports['appservice']}"
    partner = f"127.0.0.1:{ports['partner']}"
    page = f"127.0.0.1:{ports['page']}"
    registration = bridge.configure(
        arguments.bridge,
        folder / "bridge",
        {
            "homeserver.address": home,
            "homeserver.domain": DOMAIN,
            "appservice.address": f"http://{appservice}",
            "appservice.listen": f'"{appservice}"',
            "partner.address": f"http://{partner}",
            "partner.listen": f'"{partner}"',
            "sandbox.chat_listen": f'"127.0.0.1:{ports["chat"]}"',
            "sandbox.http_listen": f'"{page}"',
            "bridge.permissions": f'{{"{DOMAIN}": user}}',
            "bridge.message_status_events": "true",
            "bridge.presence": "true",
            "relay.enabled": "true",
            "relay.admins_only": "false",
        },
    )
    shared_secret = synapse.write_config(folder / "synapse", DOMAIN, ports["synapse"], registration)
    print("starting Synapse", flush=True)
    programs.append(synapse.start(arguments.synapse, folder / "synapse", ports["synapse"]))
    print("starting the bridge, with the sandbox gatekeeper in it", flush=True)
    programs.append(bridge.start(arguments.bridge, folder / "bridge", appservice))
    password = state.get("password", lambda: secrets.token_urlsafe(9))
    for user in (USER, *community.MEMBERS):
        synapse.register(home, shared_secret, user, password)
    return home, f"http://{page}"


def management_room(user, state, transcript):
    """The direct chat with the bot: last time's, or a new one."""
    room = state.values.get("management")
    if room and room in user.joined_rooms() and user.members(room).get(BOT) == "join":
        return Conversation(user, room, BOT, "bot", transcript)
    transcript.line("", f"{USER} starts a direct chat with {BOT}")
    room = user.direct_chat(BOT)
    desk = Conversation(user, room, BOT, "bot", transcript)
    desk.answer("the bot's welcome")
    state.set("management", room)
    return desk


def log_in(desk, gatekeeper):
    """Logs in at a gatekeeper."""
    desk.say(f"login {gatekeeper}")
    answer = desk.answer("the answer to login")
    if "`accept`" in answer:
        desk.say("accept")
        answer = desk.answer("the answer to accept")
    if "logged in" not in answer or "not" in answer.split("logged in")[0]:
        raise Failure("the login did not work")


def open_chat(user, desk, contact, transcript):
    """Starts the chat with a contact, joins its room."""
    desk.say(f"start-chat whatsapp {contact['phone']}")
    answer = desk.answer("the answer to start-chat")
    found = re.search(r"\[(!\S+)\]", answer)
    if not found:
        raise Failure("no chat was started")
    room = found[1]
    user.join(room)
    (ghost,) = [member for member in user.members(room) if member not in (user.mxid, BOT)]
    transcript.line("", f"{USER} joins the room; in it is {ghost}")
    # Asked for anew at each line: a contact tells its name with its first message.
    return Conversation(user, room, ghost, None, transcript)


def talk_to_echo(user, chat, page, contact):
    """Says some lines and waits for each one's echo; a row of the check."""
    run = secrets.token_hex(2)
    lines = [
        f"Hello from Matrix! (run {run})",
        f"Ünïcödé survives: ñ 漢字 🦀 (run {run})",
        f"So do\nseveral lines. (run {run})",
    ]
    name = "⇄ texts and their echoes, each once, in order"
    try:
        for text in lines:
            chat.say(text)
            chat.answer(f"the echo of {text!r}")
        # Matrix keeps both sides of the room; the gatekeeper's page what the contact's phone decrypted and what it sent.
        room = user.messages(chat.room)
        bodies = lambda sender: [event["content"].get("body") for event in room if event["sender"] == sender]
        for what, found in (
            ("in Matrix, from the user", bodies(user.mxid)),
            ("in Matrix, from the contact", bodies(chat.other)),
            ("on the contact's phone, received", page.received(contact)),
            ("on the contact's phone, sent", page.sent(contact)),
        ):
            same(what, lines, [text for text in found if text in lines])
    except Wrong as wrong:
        return name, str(wrong)
    return name, None


def greet(chat, page, contact):
    """The first words to a contact, by which its phone gets to know the user; the contact as the person to play."""
    before = {message["id"] for message in page.messages(contact)}
    text = f"Hello {contact['name']}, we were at the lake!"
    chat.say(text)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for known in page.get("contacts", contact["id"], "chats"):
            person = Person(page, contact, known["jid"])
            if any(message["text"] == text and message["id"] not in before for message in person.messages()):
                return person
        time.sleep(0.2)
    raise Failure(f"{text!r} did not reach the phone in {PATIENCE} s; see the logs in .demo/")


def play(user, desk, chat, page, contact, programs, transcript):
    """Plays every scene with a contact; the rows of the check."""
    # Left as the last run may not have left it.
    page.ask(("contacts", contact["id"], "online"), "POST", {"online": True})
    person = greet(chat, page, contact)

    def alive():
        for program in programs:
            program.check()

    stage = Stage(chat, BOT, person, transcript, alive)
    for scene in (*scenes.SCENES, *signs.SCENES):
        scene(stage)
    signs.timers(stage, desk)
    with stage.row("⇄ nothing came twice, nothing came unasked"):
        stage.once()
    return stage.rows


def report(rows):
    """Prints a line a row; whether all are as they should be."""
    print("\n→ from Matrix to WhatsApp, ← to Matrix")
    for name, complaint in rows:
        print(f"{'WRONG' if complaint else 'ok':<6} {name}" + (f": {complaint}" if complaint else ""))
    wrong = sum(complaint is not None for _, complaint in rows)
    print(f"check failed: {wrong} of {len(rows)} rows are wrong" if wrong else f"check passed: {len(rows)} rows, verified on both sides")
    return not wrong


def play_community(home, user, desk, page, state, programs, transcript):
    """Plays the scene of the community's room; it knows what everybody saw."""

    def alive():
        for program in programs:
            program.check()

    log_in(desk, "messenger")
    talk = lambda room: Conversation(user, room, BOT, "bot", transcript, known=())
    scene = community.Play(community.gather(home, page, user, desk, state, talk), transcript, alive)
    scene.play()
    return scene


def stay(home, state, page_url, folder, programs, others):
    """Says where everything is, and stays up until somebody presses Ctrl-C."""
    print(
        f"\nEverything stays up until you press Ctrl-C.\n"
        f"  Matrix client:   homeserver {home}, user {USER}, password {state.values['password']}\n"
        f"  Sandbox's page:  {page_url}/ (be the person on the other side: {others})\n"
        f"  Logs:            {folder}/bridge/bridge.log, {folder}/synapse/synapse.log\n"
    )
    while True:
        time.sleep(1)
        for program in programs:
            program.check()


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description="A chat between a Matrix user on Synapse and a contact of the sandbox gatekeeper.")
    parser.add_argument("--check", action="store_true", help="verify what arrived on each side, then stop; exit 0 or 1")
    parser.add_argument("--community", action="store_true", help="play another scene: a public room linked to a group and a contact")
    parser.add_argument("--port-base", type=int, metavar="PORT", help="listen on five ports from this one on (default: 29330; taken ones are passed over)")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path(".demo"), help="where everything is kept (default: .demo)")
    parser.add_argument("--synapse", help=argparse.SUPPRESS)
    parser.add_argument("--bridge", help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    # A SIGTERM ends the demo as a Ctrl-C does, and a Ctrl-C ends it even if it was started where that is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    programs = []
    try:
        state = State(folder / "state.json")
        home, page_url = start(arguments, folder, state, programs)
        transcript = Transcript()
        user = Matrix(home, USER, state.values["password"])
        page = Page(page_url)
        desk = management_room(user, state, transcript)
        log_in(desk, "whatsapp")
        if arguments.community:
            scene = play_community(home, user, desk, page, state, programs, transcript)
            all_right = scene.report()
            if arguments.check:
                return 0 if all_right else 1
            stay(home, state, page_url, folder, programs, "the people of the group, or another")
        echo, live = page.contact("echo"), page.contact("live")
        rows = [talk_to_echo(user, open_chat(user, desk, echo, transcript), page, echo)]
        rows += play(user, desk, open_chat(user, desk, live, transcript), page, live, programs, transcript)
        if arguments.check:
            return 0 if report(rows) else 1
        stay(home, state, page_url, folder, programs, f"{live['name']}, whose chat this was, or another")
    except KeyboardInterrupt:
        print("\nstopping")
        return 1 if arguments.check else 0
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    finally:
        for program in reversed(programs):
            program.stop()


if __name__ == "__main__":
    sys.exit(main())
