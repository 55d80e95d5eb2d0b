// The page that export writes: a photo is chosen, taken or dropped, and the network in the page says what it sees.
const $ = (id) => document.getElementById(id);
const settings = JSON.parse($("settings").textContent);
const sure = (share) => `${(100 * share).toFixed(1)}\u202f%`;
const say = (text) => { $("status").textContent = text; };

async function unpack(id) {
  const text = atob($(id).textContent), bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  $(id).remove();
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
}

async function load() {
  const ort = await import(URL.createObjectURL(new Blob([await unpack("script")], { type: "text/javascript" })));
  Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: await unpack("engine") });
  const session = await ort.InferenceSession.create(await unpack("model"), { executionProviders: ["wasm"] });
  return (pixels) => session.run({ images: new ort.Tensor("uint8", pixels, [1, settings.side, settings.side, 3]) });
}

// The pixels of a file, or an Error whose message is for people.
async function read(file) {
  const photo = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" }).catch(() => {
    throw new Error("This browser cannot read that file as a photo. Try a JPEG, PNG or WebP file.");
  });
  if (photo.width * photo.height > settings.most) throw new Error("That photo is too large. Make it smaller first.");
  try {
    return squared(photo, settings);
  } catch (error) {
    throw new Error(error.message === "transparent" ? "That picture has transparent parts. Save it as a JPEG file first." : "This browser has no memory for a photo of that size. Make it smaller first.");
  } finally {
    photo.close();
  }
}

function chances(scores) {
  const most = Math.max(...scores), powers = [...scores].map((score) => Math.exp((score - most) / settings.temperature));
  const sum = powers.reduce((one, other) => one + other);
  return powers.map((power, index) => [power / sum, settings.titles[index]]).sort((one, other) => other[0] - one[0]);
}

function verdict([[confidence, title]], found) {
  const limits = settings.limits;
  if (limits && !(found.distance.data[0] <= limits.distance)) return ["not-ours", "Not one of these leaves", "This photo looks unlike all that the model was trained on, so do not take its guesses for an answer. It knows only the leaves that are listed below."];
  if (limits && !(found.confidence.data[0] >= limits.confidence)) return ["not-sure", "Not sure", `The best guess is ${title}, but the model is only ${sure(confidence)} sure of it: too little for an answer. Try another photo: one leaf, in focus, filling the picture.`];
  return ["answer", title, `${sure(confidence)} sure`];
}

function show(file, found) {
  const ranked = chances(found.scores.data), [kind, title, reason] = verdict(ranked, found);
  $("answer").dataset.kind = kind;
  $("verdict").textContent = title;
  $("reason").textContent = reason;
  URL.revokeObjectURL($("shown").src);
  $("shown").src = URL.createObjectURL(file);
  $("guesses").open = kind !== "not-ours";
  $("guesses").querySelector("tbody").replaceChildren(...ranked.slice(0, 3).map(([chance, name]) => {
    const row = $("guess").content.cloneNode(true);
    row.querySelector("th").textContent = name;
    Object.assign(row.querySelector("data"), { value: chance, textContent: sure(chance) });
    row.querySelector("b").style.width = `${100 * chance}%`;
    return row;
  }));
  $("answer").hidden = false;
}

let latest = 0;
async function ask(file) {
  const mine = ++latest;
  say("Looking at the photo …");
  $("answer").hidden = true;
  try {
    const run = await ready.catch((error) => { throw new Error(`This browser cannot run the network (${error.message}). Try a newer one.`); });
    const found = await run(await read(file));
    if (mine !== latest) return; // another photo has been chosen since
    show(file, found);
    say("");
    $("answer").scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (mine === latest) say(error.message);
  }
}

for (const input of document.querySelectorAll("input[type=file]")) {
  input.addEventListener("change", () => { if (input.files.length) ask(input.files[0]); input.value = ""; });
}
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("over"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("over"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) ask(file); else say("That was no file. Save the photo first, then choose it.");
});

say("Getting ready …");
const ready = load();
ready.then(() => { if (!latest) say("Ready."); }, (error) => say(`This browser cannot run the network (${error.message}). Try a newer one.`));
