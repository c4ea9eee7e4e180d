// What a browser can tell of a file before it is sent: its size in pixels, its length, a small picture, the loudness of a voice.
import { make } from "./dom.js";

const SMALL = 96;
const BARS = 64;
const MOST_DECODED = 16 * 1024 * 1024;
const PATIENCE = 4000;

function soon(element, name) {
  return new Promise((resolve, reject) => {
    element.addEventListener(name, resolve, { once: true });
    element.addEventListener("error", () => reject(new Error("it cannot be read")), { once: true });
    setTimeout(() => reject(new Error("it takes too long")), PATIENCE);
  });
}

const short = (base64) => base64.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

function small(source, width, height) {
  const scale = Math.min(1, SMALL / Math.max(width, height));
  const canvas = make("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  return short(canvas.toDataURL("image/jpeg", 0.6).split(",")[1] || "");
}

async function picture(address, query) {
  const image = make("img", "preview");
  image.alt = "";
  image.src = address;
  await soon(image, "load");
  Object.assign(query, { width: image.naturalWidth, height: image.naturalHeight, thumbnail: small(image, image.naturalWidth, image.naturalHeight) });
  return image;
}

async function film(address, query) {
  const video = make("video", "preview");
  Object.assign(video, { muted: true, preload: "auto", controls: true });
  video.src = address;
  await soon(video, "loadeddata");
  Object.assign(query, { width: video.videoWidth, height: video.videoHeight, seconds: Math.round(video.duration) || 0 });
  query.thumbnail = small(video, video.videoWidth, video.videoHeight);
  return video;
}

async function sound(address, query, kind, file) {
  const audio = make("audio");
  audio.controls = true;
  audio.src = address;
  await soon(audio, "loadedmetadata");
  if (Number.isFinite(audio.duration)) query.seconds = Math.round(audio.duration);
  if (kind === "voice" && file.size <= MOST_DECODED) query.waveform = await loudness(file);
  return audio;
}

async function loudness(file) {
  const context = new OfflineAudioContext(1, 1, 8000);
  const samples = (await context.decodeAudioData(await file.arrayBuffer())).getChannelData(0);
  const length = Math.max(1, Math.floor(samples.length / BARS));
  const bars = Array.from({ length: BARS }, (_, bar) => {
    let sum = 0;
    for (let at = bar * length; at < (bar + 1) * length && at < samples.length; at++) sum += Math.abs(samples[at]);
    return sum / length;
  });
  const loudest = Math.max(...bars, 1e-6);
  return short(btoa(String.fromCharCode(...bars.map((bar) => Math.round((100 * bar) / loudest)))));
}

// The type, the query's part, and an element that shows the file. What cannot be told is left out.
export async function describe(kind, file) {
  const query = {};
  const address = URL.createObjectURL(file);
  const how = { image: picture, sticker: picture, video: film, gif: film, audio: sound, voice: sound }[kind];
  const preview = how ? await how(address, query, kind, file).catch(() => null) : null;
  if (kind === "sticker") delete query.thumbnail;
  const type = kind === "voice" && file.type === "audio/ogg" ? "audio/ogg; codecs=opus" : file.type;
  return { query, preview, type, release: () => URL.revokeObjectURL(address) };
}
