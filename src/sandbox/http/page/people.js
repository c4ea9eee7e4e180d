// People: one's own profile, who asks to be let through, and whom one blocked.
import { at, button, call, chatPath, draw, make, me, path, remove, send, showAt, state, thisChat, trouble } from "./dom.js";
import { ask } from "./compose.js";

const PICTURE = 192;

const attempt = (what) => what.then(() => trouble(null), trouble);

export function drawPeople() {
  const mine = me();
  at("mine").hidden = !mine;
  if (!mine) return;
  draw(at("my-face"), mine);
  const partner = Boolean(mine.visible_id);
  at("opted").textContent = partner ? "a user of another Partner" : mine.opted_in ? "other apps may write" : "other apps may not write";
  at("opt").hidden = partner;
  at("opt").textContent = mine.opted_in ? "Switch other apps off" : "Switch other apps on";
  at("no-picture").hidden = !mine.picture;
  const items = mine.requests.map((request) => {
    const item = make("li");
    const words = item.appendChild(make("p"));
    words.append(make("strong", "", request.name || request.jid), " uses another app and asks whether they may write to you.");
    words.firstChild.title = request.jid;
    const answer = (accept) => attempt(call(path() + "/requests/" + encodeURIComponent(request.jid), { accept }));
    item.append(button("go", "Accept", () => answer(true)), button("quiet", "Decline", () => answer(false)));
    return item;
  });
  at("requests").replaceChildren(...items);
  at("requests").hidden = !items.length;
  if (!state.chat) return;
  const chat = thisChat();
  at("block").textContent = chat.blocked ? "Unblock them" : "Block them";
  at("blocks-me").textContent = chat.blocks_me ? "As if they unblocked you elsewhere" : "As if they blocked you elsewhere";
}

// A picture as the gatekeeper takes it: a small square JPEG.
async function squared(file) {
  const bitmap = await createImageBitmap(file);
  const side = Math.min(bitmap.width, bitmap.height);
  const canvas = make("canvas");
  canvas.width = canvas.height = PICTURE;
  const left = (bitmap.width - side) / 2;
  const top = (bitmap.height - side) / 2;
  canvas.getContext("2d").drawImage(bitmap, left, top, side, side, 0, 0, PICTURE, PICTURE);
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.85));
}

async function choosePicture(file) {
  let jpeg;
  try {
    jpeg = await squared(file);
  } catch {
    throw new Error("This browser cannot read the picture.");
  }
  await send(path() + "/picture", jpeg);
}

async function rename() {
  const wanted = await ask({ title: "What others see", go: "Change", fields: [
    { name: "name", label: "Name", value: me().name, required: true, maxLength: 100 },
  ] });
  if (wanted) await call(path() + "/name", wanted);
}

const DEEDS = {
  rename,
  async picture() {
    const chooser = at("chooser");
    chooser.accept = "image/*";
    chooser.value = "";
    chooser.onchange = () => chooser.files[0] && attempt(choosePicture(chooser.files[0]));
    chooser.click();
  },
  "no-picture": () => remove(path() + "/picture"),
  opt: () => call(path() + "/opted_in", { opted_in: !me().opted_in }),
  block: () => call(chatPath() + "/blocked", { blocked: !thisChat().blocked }),
  "blocks-me": () => call(chatPath() + "/blocks_me", { blocked: !thisChat().blocks_me }),
};

// `then` is called after what nobody tells the page of.
export function listen(then) {
  for (const [opener, menu] of [["profile", "profile-menu"], ["person", "person-menu"]]) {
    at(opener).addEventListener("click", () => showAt(at(menu), at(opener)));
    at(menu).addEventListener("click", (event) => {
      const deed = DEEDS[event.target.dataset.deed];
      if (!deed) return;
      at(menu).hidePopover();
      attempt(deed().then(then));
    });
  }
}
