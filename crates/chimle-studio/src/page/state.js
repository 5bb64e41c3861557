// The state of the page: the session, its pictures, the choices, and the history for undo.

const byId = (id) => document.getElementById(id);

const state = {
  models: [],
  /** The uploaded photograph: {id, width, height}. */
  photograph: null,
  /** A recipe that waits to be opened: {name, text, input}. */
  recipe: null,
  session: null,
  /** All pictures of the session, by number. */
  pictures: [],
  /** The chosen picture. */
  chosen: 0,
  /** The continuation of each picture that was chosen last, so that going back keeps the branch. */
  lastChild: new Map(),
  /** All pictures that were chosen. */
  visited: new Set(),
  favorites: [],
  liked: [],
  unliked: [],
  between: { from: null, to: null, way: [] },
  reference: null,
  undone: [],
  done: [],
  /** The work that runs at the moment: {controller}. */
  work: null,
  /** The number of pictures that are still awaited in each row. */
  awaited: new Map(),
};

/** Creates an element. */
function make(tag, properties = {}, ...children) {
  const { dataset, style, ...others } = properties;
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(others)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  Object.assign(element.dataset, dataset);
  for (const [name, value] of Object.entries(style ?? {})) element.style.setProperty(name, value);
  element.append(...children);
  return element;
}

/** Sets the children of a parent. Elements that are already in place are not touched, so they keep the focus. */
function fill(parent, elements) {
  elements.forEach((element, index) => {
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
  });
  while (parent.children.length > elements.length) parent.lastElementChild.remove();
}

const pictureUrl = (id) => address(`sessions/${state.session.id}/pictures/${id}/picture.png`);

const isFinished = (picture) => picture.level === state.session.levels;

const names = {
  input: "Photograph",
  continue: "Candidate",
  region: "Region",
  tone: "Other tone",
  texture: "Other texture",
  parts: "Combination",
  between: "Between",
  like: "Similar",
  nearest: "Nearest",
};

/** Returns the name of a picture. */
function nameOf(picture) {
  if (picture.kind === "input") return names.input;
  const number = picture.number === null ? picture.id : picture.number;
  return `${names[picture.kind]} ${number}, level ${picture.level}`;
}

/** Returns the path from the photograph to a picture. */
function pathTo(id) {
  const path = [];
  for (let at = id; at !== null; at = state.pictures[at].parent) path.unshift(at);
  return path;
}

const say = (text) => { byId("status").textContent = text; };

/** Returns a copy of the choices and marks, for undo. */
const remembered = () => ({
  chosen: state.chosen,
  lastChild: new Map(state.lastChild),
  visited: new Set(state.visited),
  favorites: [...state.favorites],
  liked: [...state.liked],
  unliked: [...state.unliked],
});

/** Changes the choices or marks, in a way that can be undone. */
function change(action) {
  state.done.push(remembered());
  if (state.done.length > 500) state.done.shift();
  state.undone = [];
  action();
  keepMarks();
  render();
}

function goBackInTime(from, to) {
  const before = from.pop();
  if (!before) return;
  to.push(remembered());
  Object.assign(state, before);
  keepMarks();
  render();
  say(`Now chosen: ${nameOf(state.pictures[state.chosen])}`);
}

const undo = () => goBackInTime(state.done, state.undone);
const redo = () => goBackInTime(state.undone, state.done);

/** The choices and marks that the server does not have yet, and whether they are being sent. */
const unsent = { marks: null, sending: false };

/** Sends the choices and marks to the server, which keeps them as long as the session. */
async function keepMarks() {
  const { session, chosen, lastChild, visited, favorites, liked, unliked } = state;
  const marks = { chosen, taken: [...lastChild], visited: [...visited], favorites, like: liked, unlike: unliked };
  unsent.marks = { path: `sessions/${session.id}/marks`, body: JSON.stringify(marks) };
  if (unsent.sending) return;
  unsent.sending = true;
  while (unsent.marks) await sendMarks();
  unsent.sending = false;
}

async function sendMarks() {
  const { path, body } = unsent.marks;
  unsent.marks = null;
  try {
    await call(path, { ...withJson(), method: "PUT", body, keepalive: true });
  } catch {
    // The next change sends all choices and marks again.
  }
}

// The tab remembers which session it shows.

function rememberSession() {
  try {
    sessionStorage.setItem("chimle-studio", state.session.id);
  } catch {
    // If the browser cannot store anything, a reload loses the session.
  }
}

function forgetSession() {
  try {
    sessionStorage.removeItem("chimle-studio");
  } catch {
    // Nothing was stored.
  }
}

function rememberedSession() {
  try {
    return sessionStorage.getItem("chimle-studio");
  } catch {
    return null;
  }
}

/** Shows an error, and a button for what can be done. */
function complain(error, label, action) {
  byId("notice-text").textContent = error.message;
  const button = byId("notice-action");
  button.hidden = !label;
  button.textContent = label ?? "";
  button.onclick = () => {
    byId("notice").hidden = true;
    action();
  };
  byId("notice").hidden = false;
}
