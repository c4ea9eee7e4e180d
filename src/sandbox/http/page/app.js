// The page: who one is, which chat is open, and keeping up with what happens.
import { at, call, chatPath, me, path, state, trouble } from "./dom.js";
import { drawChats, drawContacts, drawTalk, forget } from "./talk.js";
import { begin } from "./compose.js";
import { drawPeople, listen } from "./people.js";

let refreshing = null, again = false;
async function refresh() {
  if (refreshing) { again = true; return refreshing; }
  refreshing = (async () => {
    do {
      again = false;
      const [mine, chat] = [state.me, state.chat];
      const contacts = await call("/contacts");
      const chats = mine ? await call(path() + "/chats") : [];
      const messages = mine && chat ? await call(chatPath() + "/messages") : [];
      if (mine !== state.me || chat !== state.chat) { again = true; continue; }
      Object.assign(state, { contacts, chats, messages });
      drawContacts(); drawChats(open); drawTalk(); drawPeople();
      const shown = chats.find((one) => one.jid === chat);
      if (shown && shown.unread && document.visibilityState === "visible") await call(chatPath() + "/read", {});
    } while (again);
  })();
  try { await refreshing; } catch (error) { trouble(error); } finally { refreshing = null; }
}

function become(id) {
  Object.assign(state, { me: id, chat: null, chats: [], messages: [] });
  leave();
  if (state.events) state.events.close();
  state.events = new EventSource("/api" + path() + "/events");
  state.events.onmessage = refresh;
  state.events.onerror = () => trouble(new Error("The sandbox does not answer. Trying again…"));
  state.events.onopen = () => { trouble(null); refresh(); };
  remember();
  drawTalk();
  refresh();
}

// Nothing of one chat stays in the next.
function leave() {
  forget();
  begin(null);
  at("text").value = "";
  at("calling").hidden = true;
  state.call = null;
}

function open(jid) {
  at("group").close();
  Object.assign(state, { chat: jid, messages: [] });
  leave();
  remember();
  drawTalk();
  refresh();
  if (matchMedia("(min-width: 701px)").matches) at("text").focus();
}

function remember() {
  const place = new URLSearchParams({ me: state.me });
  if (state.chat) place.set("chat", state.chat);
  history.replaceState(null, "", "#" + place);
}

async function ring(video) {
  try {
    const { id } = await call(chatPath() + "/call", { video });
    state.call = { id, path: chatPath() };
    at("calling").hidden = false;
    at("hang-up").focus();
  } catch (error) { trouble(error); }
}

at("call").addEventListener("click", () => ring(false));
at("video").addEventListener("click", () => ring(true));
at("hang-up").addEventListener("click", () => {
  at("calling").hidden = true;
  if (state.call) call(state.call.path + "/hang_up", { call: state.call.id }).catch(trouble);
  state.call = null;
});
at("who").addEventListener("change", (event) => become(event.target.value));
at("back").addEventListener("click", () => { state.chat = null; remember(); drawTalk(); drawChats(open); });
at("online").addEventListener("click", () => call(path() + "/online", { online: !me().connected }).then(refresh, trouble));
at("new").addEventListener("submit", (event) => {
  event.preventDefault();
  const jid = at("whom").value.trim();
  if (jid) { at("whom").value = ""; open(jid); }
});
addEventListener("open-chat", (event) => open(event.detail));
listen(refresh);
document.addEventListener("visibilitychange", refresh);

try {
  state.contacts = await call("/contacts");
  const place = new URLSearchParams(location.hash.slice(1));
  const known = state.contacts.find((contact) => contact.id === place.get("me"));
  const first = known || state.contacts.find((contact) => contact.script === "live") || state.contacts[0];
  if (first) become(first.id);
  if (known && place.get("chat")) open(place.get("chat"));
} catch (error) { trouble(error); }
