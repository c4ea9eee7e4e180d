// The messages of the open chat, and what can be done with each.
import { at, button, call, day, draw, make, me, messagePath, nameIn, nameOf, put, remove, showAt, span, state, thisChat, thisGroup, time, trouble, writer } from "./dom.js";
import { elements, summary } from "./content.js";
import { plain } from "./marks.js";
import { begin } from "./compose.js";
import { drawGroup } from "./groups.js";

const EMOJI = ["👍", "❤️", "😂", "😮", "😢", "🙏"];
// The elements that are shown, by message, with what they were made from.
let drawn = new Map();
let chosen = null;

const keyOf = (message) => (message.outgoing ? "mine " : "theirs ") + message.id;

function ticks(message) {
  const played = message.played && message.content.type === "file" && message.content.kind === "voice";
  const [sign, words, className] = {
    queued: ["🕓", "waiting", ""], sent: ["✓", "sent", ""], delivered: ["✓✓", "delivered", ""],
    read: ["✓✓", played ? "listened to" : "read", "read"], failed: ["⚠", "not sent", "failed"],
  }[message.status];
  const element = make("span", "ticks " + className);
  const shown = make("span", "", sign);
  shown.setAttribute("aria-hidden", "true");
  element.append(shown, make("span", "hidden-text", words));
  element.title = words;
  return element;
}

function quote({ id, mine, text, by }) {
  const element = button("quote", undefined, () => {
    const original = drawn.get((mine ? "mine " : "theirs ") + id);
    if (!original) return;
    original.element.scrollIntoView({ block: "center" });
    original.element.classList.add("found");
    setTimeout(() => original.element.classList.remove("found"), 1700);
  });
  const original = state.messages.find((message) => message.id === id && message.outgoing === mine);
  element.append(make("strong", "", mine ? "You" : by || (original && writer(original)) || nameOf(thisChat())), make("span", "", plain(original ? summary(original) : text || "A message")));
  element.lastChild.dir = "auto";
  return element;
}

function bubble(message) {
  const kind = message.notice || message.content.type === "timer" ? " notice" : message.outgoing ? " mine" : "";
  const isSticker = message.content.kind === "sticker" && !message.revoked;
  const row = make("li", "row" + kind + (isSticker ? " sticker" : ""));
  const stack = row.appendChild(make("div", "stack"));
  const box = stack.appendChild(make("div", "bubble"));
  if (message.sender && kind === "") box.append(make("strong", "writer", writer(message)));
  else if (kind !== " notice") box.append(make("span", "hidden-text", writer(message) + ": "));
  if (message.quotes) box.append(quote(message.quotes));
  box.append(...elements(message));
  if (kind === " notice") return row;
  const meta = box.appendChild(make("div", "meta"));
  if (message.edited) meta.append(make("span", "", "edited"));
  if (message.expires_after) {
    const timer = make("span", "", "◷");
    timer.title = "disappears after " + span(message.expires_after);
    meta.append(timer);
  }
  meta.append(make("span", "", time(message.at)));
  if (message.outgoing) meta.append(ticks(message));
  if (message.reactions.length) {
    const reactions = stack.appendChild(make("div", "reactions"));
    for (const { mine, emoji, by } of message.reactions) {
      const one = reactions.appendChild(make("span", "", emoji));
      const whose = by || nameOf(thisChat());
      one.title = mine ? "You" : whose;
      one.append(make("span", "hidden-text", mine ? " from you" : " from " + whose));
    }
  }
  if (!message.revoked) {
    const more = button("round more", "⋯", () => act(message, more));
    more.setAttribute("aria-label", "React, reply and more");
    more.setAttribute("aria-haspopup", "true");
    row.append(more);
  }
  return row;
}

function heading(text) {
  return make("li", "day", text);
}

function subtitle(chat) {
  const doing = { composing: "typing…", recording: "recording…" }[chat.typing];
  const timer = chat.timer ? "messages disappear after " + span(chat.timer) : "";
  const who = chat.writing?.length ? chat.writing.join(", ") + ": " : "";
  const members = chat.group ? chat.group.members.map((one) => (one.me ? "You" : nameIn(one))).join(", ") : "";
  return doing ? who + doing : [chat.present ? "online" : "", timer, members || (chat.name ? chat.jid : "")].filter(Boolean).join(" · ");
}

export function drawTalk() {
  const open = Boolean(state.chat);
  document.body.classList.toggle("talking", open);
  for (const id of ["top", "talk", "send"]) at(id).hidden = !open;
  at("welcome").hidden = open;
  if (!open) return;
  const chat = thisChat();
  at("title").textContent = nameOf(chat);
  at("subtitle").textContent = subtitle(chat);
  draw(at("face"), chat);
  drawGroup();
  const talk = at("talk");
  const atEnd = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 80;
  const before = drawn;
  drawn = new Map();
  const wanted = [];
  let today = "";
  const reuse = (key, from, how) => {
    const old = before.get(key);
    const kept = old && old.from === from ? old : { from, element: how() };
    drawn.set(key, kept);
    wanted.push(kept.element);
  };
  for (const message of state.messages) {
    const date = day(message.at);
    if (date !== today) reuse("day " + date, date, () => heading(date));
    today = date;
    reuse(keyOf(message), JSON.stringify([message, nameOf(chat)]), () => bubble(message));
  }
  put(talk, wanted);
  if (atEnd || !state.shown) talk.scrollTop = talk.scrollHeight;
  state.shown = state.messages.length > 0;
}

// Pictures grow when they come.
at("talk").addEventListener("load", () => {
  const talk = at("talk");
  if (talk.scrollHeight - talk.scrollTop - talk.clientHeight < 600) talk.scrollTop = talk.scrollHeight;
}, true);

export function forget() {
  drawn = new Map();
  at("talk").replaceChildren();
  state.shown = false;
}

const mineOn = (message) => message.reactions.find((reaction) => reaction.mine)?.emoji;

function act(message, beside) {
  chosen = message;
  const own = message.outgoing;
  for (const choice of at("emoji").children) choice.setAttribute("aria-pressed", String(choice.value === mineOn(message)));
  at("edit").hidden = !own || !(message.content.type === "text" || (message.content.type === "file" && message.text));
  at("delete").hidden = !own && !thisGroup()?.admin;
  at("any-emoji").value = "";
  showAt(at("actions"), beside);
}

function done(promise) {
  at("actions").hidePopover();
  promise.then(() => trouble(null), trouble);
}

const react = (emoji) => done(call(messagePath(chosen) + "/reaction", { emoji }));

for (const emoji of EMOJI) {
  const choice = button("", emoji, () => react(mineOn(chosen) === emoji ? "" : emoji));
  choice.value = emoji;
  at("emoji").append(choice);
}
at("other-emoji").addEventListener("submit", (event) => {
  event.preventDefault();
  const emoji = at("any-emoji").value.trim();
  if (emoji) react(emoji);
});
at("reply").addEventListener("click", () => {
  at("actions").hidePopover();
  begin({ what: "reply", message: chosen, title: "Reply to " + (chosen.outgoing ? "yourself" : writer(chosen)), text: plain(summary(chosen)) });
});
at("edit").addEventListener("click", () => {
  at("actions").hidePopover();
  begin({ what: "edit", message: chosen, title: "Edit", text: plain(summary(chosen)) });
});
at("delete").addEventListener("click", () => done(remove(messagePath(chosen))));

// Who wrote the last message of a chat, where that is not clear.
const said = (last) => (last.outgoing ? "You: " : last.sender ? writer(last) + ": " : "");

export function drawChats(open) {
  const items = state.chats.map((chat) => {
    const item = make("li");
    const one = button("chat", undefined, () => open(chat.jid));
    one.setAttribute("aria-current", String(chat.jid === state.chat));
    const face = draw(make("span", "face"), chat);
    face.setAttribute("aria-hidden", "true");
    const doing = { composing: "typing…", recording: "recording…" }[chat.typing];
    const last = doing || (chat.last ? said(chat.last) + plain(summary(chat.last)) : "");
    one.append(face, make("span", "name", nameOf(chat)), make("span", "when", chat.last ? time(chat.last.at) : ""), make("span", "last", last));
    if (chat.unread) {
      const unread = make("span", "unread", String(chat.unread));
      unread.append(make("span", "hidden-text", " unread"));
      one.append(unread);
    }
    item.append(one);
    return item;
  });
  if (!items.length) items.push(make("li", "nothing", "No chats yet. When a Matrix user writes to you, the chat is here."));
  at("chats").replaceChildren(...items);
}

export function drawContacts() {
  const select = at("who");
  const titles = { whatsapp: "WhatsApp", messenger: "Messenger", other: "Another Partner's users" };
  const of = (one) => (one.visible_id ? "other" : one.gatekeeper);
  const groups = Object.entries(titles).map(([kind, title]) => {
    const group = make("optgroup");
    group.label = title;
    for (const contact of state.contacts.filter((one) => of(one) === kind)) {
      const option = make("option", "", contact.name + " · " + contact.phone + (contact.visible_id ? " at " + titles[contact.gatekeeper] : "") + (contact.script === "live" ? "" : " · by itself"));
      option.value = contact.id;
      option.selected = contact.id === state.me;
      group.append(option);
    }
    return group;
  });
  select.replaceChildren(...groups.filter((group) => group.children.length));
  const mine = me();
  at("dot").className = mine && mine.connected ? "dot on" : "dot";
  at("state").textContent = mine && mine.connected ? "connected" : "not connected";
  at("online").hidden = !mine;
  at("online").textContent = mine && mine.connected ? "Go offline" : "Go online";
}
