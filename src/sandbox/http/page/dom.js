// Small things every part of the page uses: elements, the API, the state.

export const state = {
  contacts: [], me: null, chats: [], chat: null, messages: [], events: null, typing: 0, shown: false,
  // What the message that is being written answers or changes.
  about: null,
  call: null,
};

export const at = (id) => document.getElementById(id);

// Everything that came from somebody goes through here, as text.
export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

export function button(className, text, what) {
  const element = make("button", className, text);
  element.type = "button";
  element.addEventListener("click", what);
  return element;
}

export const path = () => "/contacts/" + encodeURIComponent(state.me);
export const chatPath = () => path() + "/chats/" + encodeURIComponent(state.chat);
export const messagePath = (message) => chatPath() + "/messages/" + (message.outgoing ? "mine" : "theirs") + "/" + encodeURIComponent(message.id);
export const fileAddress = (message) => "/api" + messagePath(message) + "/file";

async function answered(answer) {
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Error(problem.error || "the sandbox answered " + answer.status);
  }
  return answer.status === 204 ? null : answer.json();
}

export async function call(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  return answered(await fetch("/api" + path, options));
}

export async function send(path, blob) {
  return answered(await fetch("/api" + path, { method: "POST", headers: { "content-type": blob.type }, body: blob }));
}

export async function remove(path) {
  return answered(await fetch("/api" + path, { method: "DELETE" }));
}

// Tells what a failed request says, in the place of the file it was for.
export async function whyNot(address) {
  const answer = await fetch(address).catch(() => null);
  if (!answer) return "the sandbox does not answer";
  if (answer.ok) return "this browser cannot show it";
  const problem = await answer.json().catch(() => ({}));
  return problem.error || "the sandbox answered " + answer.status;
}

export function trouble(error) {
  at("trouble").hidden = !error;
  at("trouble").textContent = error ? error.message : "";
}

export const time = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
export const day = (ms) => new Date(ms).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
export const nameOf = (chat) => chat.name || chat.jid;
export const initial = (name) => (name.replace(/^[^\p{L}\p{N}]+/u, "")[0] || "?").toUpperCase();
// Shows somebody: their picture, or the first letter of their name.
export function draw(face, person) {
  const from = person.picture || initial(nameOf(person));
  if (face.dataset.from === from) return face;
  face.dataset.from = from;
  face.textContent = person.picture ? "" : from;
  if (person.picture) {
    const picture = face.appendChild(make("img"));
    picture.src = person.picture;
    picture.alt = "";
  }
  return face;
}
export const me = () => state.contacts.find((contact) => contact.id === state.me);
export const thisGroup = () => thisChat().group || null;
export const thisChat = () => state.chats.find((one) => one.jid === state.chat) || { jid: state.chat };

// Changes only what is different, so that what plays goes on playing.
export function put(list, wanted) {
  wanted.forEach((element, index) => {
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] || null);
  });
  while (list.children.length > wanted.length) list.lastChild.remove();
}

// What a member of a group is called: as they say, or as the sandbox calls its phones.
export const nameIn = (member) => member.name || state.contacts.find((one) => one.id === member.jid)?.name || member.jid;

// Who wrote a message, in a chat of two or in a group.
export const writer = (message) => (message.outgoing ? "You" : message.sender ? message.sender_name || message.sender : nameOf(thisChat()));

export function bytes(size) {
  if (size < 1024) return size + " bytes";
  const [amount, unit] = size < 1 << 20 ? [size / 1024, "KB"] : [size / (1 << 20), "MB"];
  return amount.toLocaleString([], { maximumFractionDigits: 1 }) + " " + unit;
}

export function span(seconds) {
  if (!seconds) return "off";
  for (const [length, name] of [[86400, "day"], [3600, "hour"], [60, "minute"]]) {
    if (seconds % length === 0) return seconds / length + " " + name + (seconds === length ? "" : "s");
  }
  return seconds + " seconds";
}

// Shows a popover beside what it belongs to, inside the window.
export function showAt(popover, element) {
  popover.showPopover();
  const [box, own] = [element.getBoundingClientRect(), popover.getBoundingClientRect()];
  const below = box.bottom + own.height + 8 < innerHeight;
  const top = below ? box.bottom + 4 : Math.max(8, box.top - own.height - 4);
  popover.style.top = top + "px";
  popover.style.left = Math.max(8, Math.min(box.left, innerWidth - own.width - 8)) + "px";
  const first = popover.querySelector("button");
  if (first) first.focus({ focusVisible: false });
}
