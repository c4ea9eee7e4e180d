// Text with the gatekeeper's marks, as elements. Nothing of a text is ever read as HTML.
import { make } from "./dom.js";

const MOST_MARKED = 20000;
const DEEPEST = 8;
const TAGS = { "*": "strong", "_": "em", "~": "s" };
const PIECES = [
  ["link", /\bhttps?:\/\/[^\s<>"'`]*[^\s<>"'`.,;:!?)\]]/u],
  ["code", /`([^`\n]+)`/u],
  ["mention", /@\d[\d-]*/u],
  ["mark", /(?<![\p{L}\p{N}])([*_~])(?=\S)([^\n]*?\S)\1(?![\p{L}\p{N}])/u],
];

function inline(text, names, into, depth) {
  let rest = text;
  while (rest) {
    let first = null;
    for (const [kind, pattern] of PIECES) {
      const match = pattern.exec(rest);
      if (match && (!first || match.index < first.match.index)) first = { kind, match };
    }
    if (!first || depth > DEEPEST) break;
    const { kind, match } = first;
    into.append(rest.slice(0, match.index));
    into.append(piece(kind, match, names, depth));
    rest = rest.slice(match.index + match[0].length);
  }
  into.append(rest);
}

function piece(kind, match, names, depth) {
  if (kind === "link") {
    const link = make("a", "", match[0]);
    link.href = match[0];
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    return link;
  }
  if (kind === "code") return make("code", "", match[1]);
  if (kind === "mention") {
    const name = names.get(match[0].slice(1));
    return name === undefined ? match[0] : make("span", "mention", name.startsWith("@") ? name : "@" + name);
  }
  const element = make(TAGS[match[1]]);
  inline(match[2], names, element, depth + 1);
  return element;
}

// Lines of one kind make one block.
const BLOCKS = [
  ["blockquote", /^> ?(.*)$/u],
  ["ul", /^[*-] (.*)$/u],
  ["ol", /^\d{1,3}\. (.*)$/u],
];

function blocks(text, names, into) {
  let open = null;
  let plain = [];
  const flush = () => {
    if (!plain.length) return;
    inline(plain.join("\n"), names, into.appendChild(make("span")), 0);
    plain = [];
  };
  for (const line of text.split("\n")) {
    const block = BLOCKS.map(([tag, pattern]) => [tag, pattern.exec(line)]).find(([, match]) => match);
    if (!block) {
      open = null;
      plain.push(line);
      continue;
    }
    flush();
    const [tag, match] = block;
    if (!open || open.tagName.toLowerCase() !== tag) {
      open = into.appendChild(make(tag));
      if (tag === "ol") open.start = parseInt(line, 10);
    } else if (tag === "blockquote") {
      open.append("\n");
    }
    inline(match[1], names, tag === "blockquote" ? open : open.appendChild(make("li")), 0);
  }
  flush();
}

// `mentions` are addresses with names; a text names each by `@` and the part before the server.
export function formatted(text, mentions = []) {
  const into = make("div", "text");
  into.dir = "auto";
  if (text.length > MOST_MARKED) {
    into.textContent = text;
    return into;
  }
  const names = new Map(mentions.map(({ address, name }) => [address.split("@")[0], name || address]));
  text.split(/\n?```\n?([\s\S]+?)\n?```\n?/u).forEach((part, index) => {
    if (index % 2) into.appendChild(make("pre")).append(make("code", "", part));
    else if (part) blocks(part, names, into);
  });
  return into;
}

// The text without marks, for one line.
export const plain = (text) => text.replace(/```|`(?=[^`\n]+`)|(?<=`[^`\n]+)`|(?<![\p{L}\p{N}])[*_~](?=\S)|(?<=\S)[*_~](?![\p{L}\p{N}])/gu, "").replace(/\s+/gu, " ");
