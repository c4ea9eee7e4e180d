// What is written: text, answers, changes, files, and the dialogs for everything else.
import { at, bytes, call, chatPath, make, messagePath, nameIn, nameOf, showAt, state, thisChat, thisGroup, trouble } from "./dom.js";
import { describe } from "./media.js";

const MAX_FILE = 100 * 1024 * 1024;
const WITH_CAPTION = ["image", "video", "gif", "file"];
const WITH_ONCE = ["image", "video", "voice"];

// Lets the next text answer or change a message.
export function begin(about) {
  state.about = about;
  at("about").hidden = !about;
  if (!about) return;
  at("about-what").textContent = about.title;
  at("about-text").textContent = about.text;
  if (about.what === "edit") at("text").value = about.message.text;
  at("text").focus();
}

at("about-end").addEventListener("click", () => {
  if (state.about?.what === "edit") at("text").value = "";
  begin(null);
  at("text").focus();
});

const mentioned = () => nameOf(thisChat()).replace(/^@?/u, "@");

// Whom a text names by `@` and the name: the text as it travels, and the addresses.
function addressed(text) {
  const named = (name) => (name || "").replace(/^@?/u, "@");
  const others = thisGroup()?.members.filter((one) => !one.me).map((one) => [named(nameIn(one)), one.jid]);
  const mentions = [];
  for (const [name, jid] of others || [[mentioned(), thisChat().jid]]) {
    if (!text.includes(name)) continue;
    text = text.replaceAll(name, "@" + jid.split("@")[0]);
    mentions.push(jid);
  }
  return mentions.length ? { text, mentions } : { text };
}

const side = (message) => (message.outgoing ? "mine" : "theirs");

async function write(text, about) {
  if (about?.what === "edit") return call(messagePath(about.message) + "/text", { text });
  const quotes = about ? { side: side(about.message), id: about.message.id } : undefined;
  return call(chatPath() + "/messages", { ...addressed(text), quotes });
}

at("send").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [text, about] = [at("text").value, state.about];
  if (!text.trim()) return;
  at("text").value = "";
  begin(null);
  doing("paused");
  try {
    await write(text, about);
    trouble(null);
  } catch (error) {
    at("text").value = text;
    if (about) begin(about);
    trouble(error);
  }
});

at("text").addEventListener("keydown", (event) => {
  if (event.key === "Escape" && state.about) at("about-end").click();
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    at("send").requestSubmit();
  }
});

// Tells the other side what is being done, now and then.
function doing(what) {
  const now = Date.now();
  if (what === "composing" && now - state.typing < 5000) return;
  state.typing = what === "composing" ? now : 0;
  call(chatPath() + "/typing", { state: what }).catch(() => {});
}

at("text").addEventListener("input", () => doing(at("text").value ? "composing" : "paused"));

// Asks for some values: resolves to them by name, or to null.
export function ask({ title, go, fields, above }) {
  at("ask-title").textContent = title;
  at("ask-go").textContent = go;
  const inputs = {};
  const rows = fields.map(({ name, label, type = "text", value = "", options, required, ...rest }) => {
    const row = make("div");
    const tag = options ? "select" : type === "long" ? "textarea" : "input";
    const input = make(tag);
    input.id = "ask-" + name;
    if (tag === "input") input.type = type;
    for (const [key, text] of options || []) {
      const option = input.appendChild(make("option", "", text));
      option.value = key;
    }
    if (type === "checkbox") input.checked = Boolean(value);
    else input.value = value;
    input.required = Boolean(required);
    Object.assign(input, rest);
    inputs[name] = input;
    const words = make("label", type === "checkbox" ? "check" : "");
    words.htmlFor = input.id;
    if (type === "checkbox") words.append(input, label);
    else words.append(label);
    row.append(words);
    if (type !== "checkbox") row.append(input);
    return row;
  });
  at("ask-fields").replaceChildren(...(above ? [above] : []), ...rows);
  const dialog = at("ask");
  dialog.showModal();
  return new Promise((resolve) => {
    let values = null;
    at("ask-form").onsubmit = (event) => {
      event.preventDefault();
      values = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.type === "checkbox" ? input.checked : input.value]));
      dialog.close();
    };
    dialog.onclose = () => {
      at("ask-fields").replaceChildren();
      resolve(values);
    };
  });
}
at("ask-cancel").addEventListener("click", () => at("ask").close());

const ASKS = {
  async location() {
    const number = { type: "number", step: "any", required: true };
    const place = await ask({ title: "Send a location", go: "Send", fields: [
      { name: "latitude", label: "Latitude", value: "52.5163", min: "-90", max: "90", ...number },
      { name: "longitude", label: "Longitude", value: "13.3777", min: "-180", max: "180", ...number },
      { name: "name", label: "What is there", value: "Brandenburg Gate" },
    ] });
    return place && ["/location", { ...place, latitude: Number(place.latitude), longitude: Number(place.longitude) }];
  },
  async card() {
    const card = await ask({ title: "Send a contact card", go: "Send", fields: [
      { name: "name", label: "Name", required: true },
      { name: "phone", label: "Phone number", type: "tel", value: "+44 7700 900006", required: true },
    ] });
    return card && ["/card", card];
  },
  async poll() {
    const poll = await ask({ title: "Ask in a poll", go: "Send", fields: [
      { name: "question", label: "Question", required: true },
      { name: "options", label: "Options, one a line", type: "long", required: true },
      { name: "several", label: "Several options may be chosen", type: "checkbox" },
    ] });
    const options = poll && poll.options.split("\n").map((option) => option.trim()).filter(Boolean);
    return poll && ["/poll", { ...poll, options }];
  },
  async link() {
    const link = await ask({ title: "Send a link with a preview", go: "Send", fields: [
      { name: "url", label: "Link", type: "url", value: "https://example.org/", required: true },
      { name: "title", label: "Title", required: true },
      { name: "description", label: "Description" },
    ] });
    return link && ["/messages", { text: link.url, preview: link }];
  },
  async event() {
    const event = await ask({ title: "Send an invitation to an event", go: "Send", fields: [{ name: "name", label: "Name", required: true }] });
    return event && ["/event", event];
  },
  async timer() {
    const options = [["0", "Off"], ["86400", "After 24 hours"], ["604800", "After 7 days"], ["7776000", "After 90 days"]];
    const now = String(thisChat().timer || 0);
    const timer = await ask({ title: "Disappearing messages", go: "Set", fields: [{ name: "seconds", label: "New messages disappear", options, value: now }] });
    return timer && ["/timer", { seconds: Number(timer.seconds) }];
  },
};

at("mention").addEventListener("click", () => {
  at("kinds").hidePopover();
  if (thisGroup()) return mentionOne();
  const before = at("text").value;
  at("text").value = before + (before && !/\s$/u.test(before) ? " " : "") + mentioned() + " ";
  at("text").focus();
});

async function mentionOne() {
  const others = thisGroup().members.filter((one) => !one.me).map(nameIn);
  const options = others.map((name) => [name.replace(/^@?/u, "@"), name]);
  const one = options.length && await ask({ title: "Mention somebody", go: "Mention", fields: [{ name: "who", label: "Whom", options, value: options[0][0] }] });
  if (!one) return;
  const before = at("text").value;
  at("text").value = before + (before && !/\s$/u.test(before) ? " " : "") + one.who + " ";
  at("text").focus();
}

at("attach").addEventListener("click", () => showAt(at("kinds"), at("attach")));
at("kinds").addEventListener("click", async (event) => {
  const { file, accept, ask: what } = event.target.dataset;
  if (!file && !what) return;
  at("kinds").hidePopover();
  if (file) return choose(file, accept);
  try {
    const wanted = await ASKS[what]();
    if (wanted) await call(chatPath() + wanted[0], wanted[1]);
    trouble(null);
  } catch (error) {
    trouble(error);
  }
});

function choose(kind, accept) {
  const chooser = at("chooser");
  chooser.accept = accept;
  chooser.value = "";
  chooser.onchange = () => chooser.files[0] && send(kind, chooser.files[0]);
  chooser.click();
}

// What a file is when nobody said.
function kindOf(file) {
  const kind = file.type.split("/")[0];
  return ["image", "video", "audio"].includes(kind) ? kind : "file";
}

async function send(kind, file) {
  if (file.size > MAX_FILE) return trouble(new Error("Files may have at most " + bytes(MAX_FILE) + "."));
  const about = state.about?.what === "reply" ? state.about : null;
  const chat = chatPath();
  if (kind === "voice") doing("recording");
  const details = await describe(kind, file);
  const fields = [];
  if (WITH_CAPTION.includes(kind)) fields.push({ name: "caption", label: "Caption", value: at("text").value, maxLength: 4096 });
  if (WITH_ONCE.includes(kind)) fields.push({ name: "once", label: "To be seen once", type: "checkbox" });
  const wanted = await ask({ title: "Send " + file.name, go: "Send (" + bytes(file.size) + ")", fields, above: details.preview });
  details.release();
  if (kind === "voice") doing("paused");
  if (!wanted) return;
  if (fields.length && WITH_CAPTION.includes(kind)) at("text").value = "";
  const query = new URLSearchParams({ kind, name: file.name, caption: wanted.caption || "", view_once: String(Boolean(wanted.once)), ...details.query });
  if (about) {
    query.set("side", side(about.message));
    query.set("quotes", about.message.id);
  }
  begin(null);
  try {
    await upload(chat + "/files?" + query, file, details.type);
    trouble(null);
  } catch (error) {
    trouble(error);
  }
}

// The fetch API does not tell how far an upload is.
function upload(path, file, type) {
  at("upload-name").textContent = "Sending " + file.name;
  at("upload-done").value = 0;
  at("upload").hidden = false;
  const request = new XMLHttpRequest();
  request.open("POST", "/api" + path);
  request.setRequestHeader("content-type", type || "application/octet-stream");
  request.responseType = "json";
  request.upload.onprogress = (event) => { if (event.total) at("upload-done").value = event.loaded / event.total; };
  return new Promise((resolve, reject) => {
    request.onload = () => (request.status === 200 ? resolve() : reject(new Error(request.response?.error || "the sandbox answered " + request.status)));
    request.onerror = () => reject(new Error("the file could not be sent"));
    request.onloadend = () => { at("upload").hidden = true; };
    request.send(file);
  });
}

function given(list) {
  const file = list?.files?.[0];
  if (file && state.chat) send(kindOf(file), file);
  return Boolean(file);
}
at("text").addEventListener("paste", (event) => { if (given(event.clipboardData)) event.preventDefault(); });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => { event.preventDefault(); given(event.dataTransfer); });
