// What is in a message, besides its text.
import { bytes, button, call, fileAddress, make, messagePath, span, trouble, whyNot } from "./dom.js";
import { formatted } from "./marks.js";

const NOUNS = { image: "Picture", video: "Video", gif: "GIF", audio: "Audio", voice: "Voice message", file: "File", sticker: "Sticker" };

// One line about a message, for the list of chats and for quotes.
export function summary(message) {
  if (message.revoked) return "This message was deleted";
  const content = message.content;
  const about = {
    file: () => NOUNS[content.kind] + (content.name && content.kind === "file" ? ": " + content.name : "") + (message.text ? ": " + message.text : ""),
    location: () => "Location" + (content.name ? ": " + content.name : ""),
    contacts: () => "Contact: " + content.cards.map((card) => card.name).join(", "),
    poll: () => "Poll: " + message.text,
    event: () => "Event: " + message.text,
    timer: () => (content.seconds ? "Messages disappear after " + span(content.seconds) : "Messages do not disappear any more"),
    call: () => (content.missed ? "A call nobody answered" : content.video ? "Video call" : "Call"),
    other: () => "A kind of message this phone does not know: " + content.name,
  }[content.type];
  return about ? about() : message.text;
}

function missing(what, address) {
  const note = make("p", "gone", what + " cannot be opened");
  if (address) whyNot(address).then((why) => { note.textContent = what + " cannot be opened: " + why; });
  return note;
}

function film(message, address, alone) {
  const video = make("video", "picture");
  video.preload = "metadata";
  video.playsInline = true;
  video.controls = true;
  if (alone && matchMedia("(prefers-reduced-motion: no-preference)").matches) {
    Object.assign(video, { autoplay: true, loop: true, muted: true, controls: false });
  }
  video.src = address;
  video.setAttribute("aria-label", NOUNS[message.content.kind] + (message.text ? ": " + message.text : ""));
  return video;
}

function picture(message, address) {
  const { width, height, kind } = message.content;
  const image = make("img", "picture");
  if (width && height && kind === "image") Object.assign(image, { width, height });
  image.style.height = "auto";
  image.loading = "lazy";
  image.alt = NOUNS[kind] + (message.text ? ": " + message.text : "");
  image.src = address;
  return image;
}

function sound(message, address) {
  const box = make("div");
  const wave = message.content.waveform || [];
  if (message.content.kind === "voice" && wave.length) {
    const bars = make("div", "wave");
    bars.setAttribute("aria-hidden", "true");
    for (const value of wave) bars.appendChild(make("i")).style.height = Math.max(4, Math.min(100, value)) + "%";
    box.append(bars);
  }
  const audio = make("audio");
  audio.controls = true;
  audio.preload = "none";
  audio.src = address;
  audio.setAttribute("aria-label", NOUNS[message.content.kind]);
  audio.addEventListener("play", () => {
    if (!message.outgoing && !message.played) call(messagePath(message) + "/played", {}).catch(trouble);
  });
  box.append(audio);
  return box;
}

function document_(message, address) {
  const { name, mime_type: type, size } = message.content;
  const link = make("a", "file");
  link.href = address;
  link.download = name || "file";
  const ending = /\.([a-z0-9]{1,4})$/iu.exec(name || "");
  const sign = make("span", "sign", ending ? ending[1].toUpperCase() : "FILE");
  sign.setAttribute("aria-hidden", "true");
  const words = make("span");
  words.append(make("strong", "", name || "File without a name"), make("small", "", bytes(size) + (type ? " · " + type : "")));
  link.append(sign, words);
  return link;
}

function file(message) {
  const { kind, there, view_once: once } = message.content;
  if (!there) return missing(NOUNS[kind]);
  const address = fileAddress(message);
  const shown = () => {
    const element = { image: picture, sticker: picture, video: film, gif: (m, a) => film(m, a, true), audio: sound, voice: sound, file: document_ }[kind](message, address);
    const source = element.matches("img, video") ? element : element.querySelector("audio");
    if (source) source.addEventListener("error", () => element.replaceWith(missing(NOUNS[kind], address)), { once: true });
    return element;
  };
  if (!once) return shown();
  const open = button("once", "View once: " + NOUNS[kind].toLowerCase(), () => open.replaceWith(shown()));
  return open;
}

function place({ content }) {
  const box = make("div", "place");
  const { latitude, longitude, name, address, live } = content;
  if (name) box.append(make("strong", "", name));
  if (address) box.append(make("small", "", address));
  const where = latitude.toFixed(5) + ", " + longitude.toFixed(5);
  const link = make("a", "", "Map: " + where);
  link.href = "https://www.openstreetmap.org/?mlat=" + latitude + "&mlon=" + longitude + "#map=15/" + latitude + "/" + longitude;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  box.append(make("small", "", live ? "Live location" : "Location"), link);
  return box;
}

function cards({ content }) {
  const box = make("div");
  for (const { name, vcard } of content.cards) {
    const card = make("div", "card");
    card.append(make("small", "", "Contact"), make("strong", "", name || "Without a name"));
    for (const [, number] of vcard.matchAll(/^(?:[a-z0-9]+\.)?TEL[^:\n]*:(.*)$/gimu)) card.append(make("small", "", number.trim()));
    box.append(card);
  }
  return box;
}

function poll(message) {
  const { options, selectable } = message.content;
  const set = make("fieldset", "poll");
  set.append(make("legend", "", message.text), make("small", "", selectable === 1 ? "Choose one" : selectable ? "Choose up to " + selectable : "Choose one or more"));
  const most = Math.max(1, ...options.map((option) => option.votes));
  for (const option of options) {
    const choose = button("option", "", () => {
      const chosen = options.filter((one) => one.mine).map((one) => one.text);
      const others = chosen.filter((text) => text !== option.text);
      const after = option.mine ? others : selectable === 1 ? [option.text] : [...others, option.text];
      call(messagePath(message) + "/vote", { options: after }).catch(trouble);
    });
    choose.setAttribute("aria-pressed", String(option.mine));
    const bar = make("span", "bar");
    bar.style.width = (100 * option.votes) / most + "%";
    choose.append(make("span", "count", String(option.votes)), option.text, bar);
    set.append(choose);
  }
  return set;
}

function linked({ content }) {
  const { url, title, description, thumbnail } = content.preview;
  const safe = /^https?:\/\//iu.test(url);
  const card = make(safe ? "a" : "div", "preview-card");
  if (safe) Object.assign(card, { href: url, target: "_blank", rel: "noopener noreferrer" });
  if (thumbnail) {
    const image = make("img");
    image.src = "data:image/jpeg;base64," + thumbnail;
    image.alt = "";
    image.addEventListener("error", () => image.remove(), { once: true });
    card.append(image);
  }
  const words = make("span");
  words.append(make("strong", "", title || url));
  if (description) words.append(make("small", "", description));
  card.append(words);
  return card;
}

// The elements of a message.
export function elements(message) {
  if (message.revoked) return [make("p", "gone", "This message was deleted")];
  const { content, text, mentions } = message;
  const written = text ? [formatted(text, mentions)] : [];
  switch (content.type) {
    case "file": return [file(message), ...written];
    case "location": return [place(message)];
    case "contacts": return [cards(message)];
    case "poll": return [poll(message)];
    case "text": return content.preview ? [linked(message), ...written] : written;
    default: return [make("p", "", summary(message))];
  }
}
