// Groups: made, looked at and changed.
import { at, button, call, make, nameIn, path, put, remove, state, thisGroup, trouble } from "./dom.js";
import { ask } from "./compose.js";

const groupPath = () => path() + "/groups/" + encodeURIComponent(state.chat);
const called = (member) => (member.me ? "You" : nameIn(member));
const ROLES = { creator: "made the group", admin: "admin", member: "" };
const CODES = { 403: "does not want that, or may not be changed", 404: "is nobody who could be", 409: "is so already" };

// Addresses, one a line.
const addresses = (text) => text.split(/[\s,]+/u).filter(Boolean);

// Everybody a contact could know, to choose from.
function known() {
  const mine = state.contacts.find((one) => one.id === state.me);
  const contacts = state.contacts.filter((one) => one.gatekeeper === mine?.gatekeeper && one.id !== state.me);
  const people = contacts.map((one) => [one.id, one.name + " · " + one.phone]);
  const others = state.chats.filter((chat) => !chat.group && !people.some(([jid]) => jid === chat.jid));
  return [...people, ...others.map((chat) => [chat.jid, (chat.name ? chat.name + " · " : "") + chat.jid])];
}

// A line a person can be chosen on.
function choices(except) {
  const box = make("div", "people");
  const boxes = known().filter(([jid]) => !except.has(jid)).map(([jid, words]) => {
    const label = make("label", "check");
    const input = make("input");
    input.type = "checkbox";
    input.value = jid;
    label.append(input, words);
    box.append(label);
    return input;
  });
  return { box, chosen: () => boxes.filter((input) => input.checked).map((input) => input.value) };
}

at("new-group").addEventListener("click", async () => {
  const people = choices(new Set());
  const values = await ask({ title: "Make a group", go: "Make", above: people.box, fields: [
    { name: "subject", label: "What it is called", required: true, maxLength: 100 },
    { name: "others", label: "Others, by their addresses", type: "long" },
  ] });
  if (!values) return;
  try {
    const members = [...people.chosen(), ...addresses(values.others)];
    const { jid } = await call(path() + "/groups", { subject: values.subject, members });
    dispatchEvent(new CustomEvent("open-chat", { detail: jid }));
    trouble(null);
  } catch (error) { trouble(error); }
});

async function members(what, whom) {
  const outcomes = await call(groupPath() + "/members", { what, members: whom });
  const wrong = outcomes.filter((one) => one.error).map((one) => one.jid + " " + (CODES[one.error] || "was refused"));
  if (wrong.length) throw new Error(wrong.join(". ") + ".");
}

// What is done from the dialog; the dialog shows what came of it when the phone is told.
function doing(work) {
  work.then(() => trouble(null), (error) => { at("group").close(); trouble(error); });
}

function row(member, group) {
  const line = make("li");
  const words = make("div");
  words.append(make("strong", "", called(member)), make("small", "", [ROLES[member.role], member.jid].filter(Boolean).join(" · ")));
  line.append(words);
  if (group.admin && !member.me && member.role !== "creator") {
    const up = member.role === "member";
    line.append(
      button("quiet", up ? "Make admin" : "No admin", () => doing(members(up ? "promote" : "demote", [member.jid]))),
      button("quiet", "Remove", () => doing(members("remove", [member.jid]))),
    );
  }
  return line;
}

// The dialog about the open group, as the group is now.
export function drawGroup() {
  const group = thisGroup();
  at("members").hidden = !group;
  for (const id of ["call", "video", "person"]) at(id).hidden = Boolean(group);
  const left = Boolean(group && !group.member);
  const shut = Boolean(group && group.announce && !group.admin);
  at("text").disabled = left || shut;
  at("text").placeholder = left ? "You are not in this group" : shut ? "Only admins may write" : "Message";
  if (!group || !at("group").open) return;
  const may = group.member && (group.admin || !group.locked);
  at("group-title").textContent = group.subject;
  at("group-about").textContent = group.description;
  at("group-picture").hidden = !group.picture;
  if (group.picture) at("group-picture").src = group.picture;
  for (const id of ["group-subject", "group-description", "group-image"]) at(id).hidden = !may;
  at("group-no-image").hidden = !may || !group.picture;
  at("group-add").hidden = !group.admin;
  at("group-leave").hidden = !group.member;
  for (const [id, on] of [["group-announce", group.announce], ["group-locked", group.locked]]) {
    at(id).checked = on;
    at(id).disabled = !group.admin;
  }
  at("group-count").textContent = group.members.length + (group.members.length === 1 ? " member" : " members");
  put(at("group-members"), group.members.map((member) => row(member, group)));
}

at("members").addEventListener("click", () => { at("group").showModal(); drawGroup(); });
at("group-close").addEventListener("click", () => at("group").close());
at("group-leave").addEventListener("click", () => { at("group").close(); doing(call(groupPath() + "/leave", {})); });
at("group-announce").addEventListener("change", (event) => doing(call(groupPath() + "/announce", { on: event.target.checked })));
at("group-locked").addEventListener("change", (event) => doing(call(groupPath() + "/locked", { on: event.target.checked })));
at("group-no-image").addEventListener("click", () => doing(remove(groupPath() + "/picture")));

async function change(what, field) {
  const values = await ask({ title: field.label, go: "Change", fields: [{ name: "text", ...field }] });
  if (values) doing(call(groupPath() + what, { text: values.text }));
}
at("group-subject").addEventListener("click", () => change("/subject", { label: "What the group is called", value: thisGroup().subject, required: true, maxLength: 100 }));
at("group-description").addEventListener("click", () => change("/description", { label: "What is said about it", type: "long", value: thisGroup().description, maxLength: 2048 }));
at("group-add").addEventListener("click", async () => {
  const people = choices(new Set(thisGroup().members.map((member) => member.jid)));
  const values = await ask({ title: "Add to the group", go: "Add", above: people.box, fields: [{ name: "others", label: "Others, by their addresses", type: "long" }] });
  const whom = values ? [...people.chosen(), ...addresses(values.others)] : [];
  if (whom.length) doing(members("add", whom));
});

// Pictures of groups are square JPEGs.
async function jpeg(file) {
  const bitmap = await createImageBitmap(file);
  const side = Math.min(bitmap.width, bitmap.height);
  const canvas = make("canvas");
  canvas.width = canvas.height = Math.min(side, 640);
  const place = [(bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, canvas.width, canvas.width];
  canvas.getContext("2d").drawImage(bitmap, ...place);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.85));
}

at("group-image").addEventListener("click", () => {
  const chooser = at("chooser");
  chooser.accept = "image/*";
  chooser.value = "";
  chooser.onchange = () => doing((async () => {
    const body = await jpeg(chooser.files[0]);
    const answer = await fetch("/api" + groupPath() + "/picture", { method: "POST", headers: { "content-type": "image/jpeg" }, body });
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error || "the sandbox answered " + answer.status);
  })());
  chooser.click();
});
