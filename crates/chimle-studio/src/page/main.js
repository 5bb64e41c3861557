// The start page, the beginning of a session, and all event listeners.

function render() {
  if (!state.session) return;
  renderStage();
  renderRows();
  renderTree();
  renderMarks();
  renderBetween();
  options(byId("parts-with"), comparable().filter((id) => id > 0), "Choose a picture");
  byId("parts-make").disabled = byId("parts-with").value === "" || state.chosen === 0;
  byId("tone-make").disabled = byId("texture-make").disabled = state.chosen === 0;
  byId("tone-tool").hidden = !state.session.has_tone;
  byId("nearest-make").disabled = !state.reference;
}

function showStart() {
  byId("start").hidden = false;
  byId("work").hidden = byId("bar-buttons").hidden = true;
  byId("where").textContent = "";
  document.title = "chimle studio";
}

function showWork() {
  byId("start").hidden = true;
  byId("work").hidden = byId("bar-buttons").hidden = false;
  const { photograph, model, levels } = state.session;
  const name = state.models[model]?.name ?? "";
  byId("where").textContent = `${name}, ${levels} levels, ${photograph.join(" × ")} pixels`;
  document.title = `${name} – chimle studio`;
}

function startAgain() {
  state.work?.controller.abort();
  forgetInBrowser();
  Object.assign(state, {
    session: null, pictures: [], chosen: 0, lastChild: new Map(), favorites: [], liked: [], unliked: [],
    between: { from: null, to: null, way: [] }, reference: null, done: [], undone: [], work: null,
  });
  for (const map of [thumbs, items, rowElements, leaves, placeholders, state.awaited]) map.clear();
  if (painting.on) paint(false);
  painting.strokes = [];
  if (comparing()) compare(false);
  byId("reference").hidden = true;
  byId("notice").hidden = true;
  hideProgress();
  showStart();
  byId("pick").focus();
}

// Uploading the photograph.

async function bring(file) {
  byId("photograph-size").textContent = "Reading the photograph…";
  await brought(() => callJson("photographs", { method: "POST", body: file }));
}

async function brought(ask) {
  try {
    state.photograph = await ask();
  } catch (error) {
    byId("photograph-size").textContent = "";
    complain(error);
    return;
  }
  const { id, width, height } = state.photograph;
  const image = byId("photograph");
  image.src = address(`photographs/${id}/picture.png`);
  image.alt = "The photograph";
  image.hidden = false;
  byId("drop-text").hidden = true;
  byId("photograph-size").textContent = `${width} × ${height} pixels`;
  byId("notice").hidden = true;
  renderBegin();
  say("The photograph is ready");
}

const takeExample = () => brought(() =>
  callJson("photographs/example", { method: "POST", query: { model: chosenModel() } }));

const chosenModel = () => Number(document.querySelector("[name=model]:checked")?.value ?? 0);

function renderBegin() {
  byId("begin").disabled = !state.photograph || state.models.length === 0;
  byId("begin-hint").hidden = Boolean(state.photograph);
  const model = state.models[chosenModel()];
  byId("degrade-label").hidden = !model?.degrades;
  const photograph = state.photograph;
  if (model?.enlarges) byId("degrade").checked = !photograph || Math.max(photograph.width, photograph.height) > 96;
  renderSizes();
}

function renderSizes() {
  const model = state.models[chosenModel()];
  const small = model?.enlarges && !byId("degrade").checked;
  const sizes = small ? [32, 64, 96] : [128, 256, 384, 512, 768];
  const select = byId("size");
  const text = (side) => `${side} pixels${side === 256 ? ", fast" : ""}`;
  const usual = small ? 64 : 256;
  if (select.options.length !== sizes.length || select.options[0].value !== String(sizes[0])) {
    select.replaceChildren(...sizes.map((side) => new Option(text(side), side, side === usual, side === usual)));
  }
}

function renderModels() {
  const cards = state.models.map((model, index) => make("label", { className: "card" },
    make("input", { type: "radio", name: "model", value: model.id, checked: index === 0 }),
    make("b", { textContent: model.name }),
    make("span", { textContent: model.does }),
    make("span", { textContent: model.description }),
  ));
  byId("models").replaceChildren(...cards);
}

async function begin(event) {
  event?.preventDefault();
  const model = state.models[chosenModel()];
  const request = { photograph: state.photograph.id, model: model.id, largest: Number(byId("size").value) };
  if (model.degrades) request.degrade = byId("degrade").checked;
  byId("begin").disabled = true;
  byId("begin").textContent = "Beginning…";
  try {
    open(await callJson("sessions", withJson(request)));
    continueFrom(0);
  } catch (error) {
    complain(error);
  } finally {
    byId("begin").textContent = "Begin";
    renderBegin();
  }
}

/** Shows a session. `kept` is the state that the browser kept before a reload. */
function open(session, kept) {
  const { pictures, ...others } = session;
  Object.assign(state, { session: others, pictures });
  if (kept) {
    const known = (id) => id < pictures.length;
    state.chosen = known(kept.chosen) ? kept.chosen : 0;
    state.favorites = kept.favorites.filter(known);
    state.lastChild = new Map(kept.lastChild.filter((pair) => pair.every(known)));
  }
  showWork();
  keepInBrowser();
  render();
  byId("main").focus();
}

// Event listeners.

function listenToFiles() {
  const drop = byId("drop");
  byId("pick").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", () => byId("file").files[0] && bring(byId("file").files[0]));
  byId("example").addEventListener("click", takeExample);
  addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || drop.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    takeFile(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])][0];
    if (file) takeFile(file);
  });
  byId("reference-pick").addEventListener("click", () => byId("reference-file").click());
  byId("reference-file").addEventListener("change", async () => {
    const file = byId("reference-file").files[0];
    if (!file) return;
    try {
      state.reference = await callJson("photographs", { method: "POST", body: file });
      byId("reference").src = address(`photographs/${state.reference.id}/picture.png`);
      byId("reference").hidden = false;
      render();
    } catch (error) {
      complain(error);
    }
  });
}

/** Begins again with a file that was dropped or pasted. */
function takeFile(file) {
  if (!file) return;
  if (state.session) startAgain();
  bring(file);
}

function listenToKeys() {
  addEventListener("keydown", (event) => {
    if (!state.session || byId("help").open) return;
    moveInRows(event);
    moveInTree(event);
    if (event.defaultPrevented) return;
    const typing = event.target.matches?.("select, input:not([type=range]), textarea");
    const control = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    const action = control
      ? { z: event.shiftKey ? redo : undo, y: redo }[key]
      : { m: moreOfLast, b: back, f: favorite, c: () => compare(!comparing()), escape: escape }[key];
    if (!action || event.altKey || (typing && !control)) return;
    event.preventDefault();
    action();
  });
}

function escape() {
  if (painting.on) paint(false);
  else if (comparing()) compare(false);
  else cancel();
}

function moreOfLast() {
  const row = rowsShown().filter((one) => !one.edits).at(-1);
  if (row) continueFrom(row.of);
}

function listen() {
  listenToFiles();
  listenToKeys();
  listenToStage();
  const clicks = {
    undo, redo, again: startAgain, favorite, back, cancel,
    like: () => mark(state.liked, state.unliked),
    unlike: () => mark(state.unliked, state.liked),
    "region-make": makeRegion,
    "tone-make": makeTone,
    "texture-make": makeTexture,
    "parts-make": makeParts,
    "like-make": makeLike,
    "set-from": () => setEnd("from"),
    "set-to": () => setEnd("to"),
    "between-make": makeWay,
    "nearest-make": makeNearest,
    "save-picture": saving(savePicture),
    "save-recipe": saving(saveRecipe),
    "save-sheet": saving(saveSheet),
    "save-film": saving(saveFilm),
    "help-open": () => byId("help").showModal(),
    "notice-close": () => { byId("notice").hidden = true; },
  };
  for (const [id, action] of Object.entries(clicks)) byId(id).addEventListener("click", () => action());
  byId("models-form").addEventListener("submit", begin);
  byId("models").addEventListener("change", renderBegin);
  byId("degrade").addEventListener("change", renderSizes);
  byId("parts-with").addEventListener("change", render);
  byId("between-slider").addEventListener("input", () => {
    const id = state.between.way[Number(byId("between-slider").value)];
    if (id !== undefined && id !== state.chosen) choosing(id);
  });
}

async function main() {
  listen();
  try {
    state.models = (await callJson("models")).models;
  } catch (error) {
    showStart();
    complain(error, "Try again", () => location.reload());
    return;
  }
  renderModels();
  renderBegin();
  const kept = keptInBrowser();
  if (kept) {
    try {
      open(await callJson(`sessions/${kept.id}`), kept);
      return;
    } catch {
      forgetInBrowser();
    }
  }
  showStart();
}

main();
