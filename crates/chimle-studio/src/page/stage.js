// The large picture: comparing pictures, and painting a region.

const painting = { on: false, erase: false, strokes: [], current: null, cursor: [0.5, 0.5] };

function renderStage() {
  const picture = state.pictures[state.chosen];
  const { width, height } = state.session;
  document.documentElement.style.setProperty("--ratio", width / height);
  const big = byId("big");
  const url = pictureUrl(picture.id);
  if (big.getAttribute("src") !== url) big.src = url;
  big.alt = picture.kind === "input" ? "The photograph as the model sees it" : nameOf(picture);
  const more = picture.distance === null ? "" : `, ${picture.distance.toPrecision(3)} from the reference`;
  const finished = isFinished(picture) ? ", finished" : "";
  byId("caption").textContent = `${nameOf(picture)} of ${state.session.levels}${finished}${more}`
    .replace(/^Photograph of \d+/, "The photograph as the model sees it");

  const made = picture.level > 0;
  toggle("favorite", state.favorites.includes(picture.id), made);
  toggle("like", state.liked.includes(picture.id), made);
  toggle("unlike", state.unliked.includes(picture.id), made);
  byId("compare").disabled = !made;
  byId("back").disabled = !made;
  for (const id of ["save-picture", "save-recipe"]) byId(id).disabled = !made;
  byId("save-picture").textContent = isFinished(picture) ? "Picture, full size" : "Picture as it is, full size";
  byId("undo").disabled = state.done.length === 0;
  byId("redo").disabled = state.undone.length === 0;
  if (!made && comparing()) compare(false);
  renderCompared();
  renderRegion();
}

function toggle(id, pressed, enabled) {
  byId(id).setAttribute("aria-pressed", pressed);
  byId(id).disabled = !enabled;
}

const comparing = () => byId("compare").getAttribute("aria-pressed") === "true";

function compare(on) {
  byId("compare").setAttribute("aria-pressed", on);
  if (on && painting.on) paint(false);
  renderCompared();
  if (on) byId("slider").focus();
}

/** Returns the pictures that the chosen picture can be compared with. */
function comparable() {
  const path = pathTo(state.chosen).slice(1, -1).reverse();
  const last = state.done.findLast((before) => before.chosen !== state.chosen)?.chosen;
  const all = [...(last > 0 ? [last] : []), 0, ...state.favorites, ...path];
  return [...new Set(all)].filter((id) => id !== state.chosen);
}

function options(select, ids, first) {
  const wanted = [...(first ? [["", first]] : []), ...ids.map((id) => [String(id), nameOf(state.pictures[id])])];
  const now = [...select.options].map((option) => [option.value, option.text]);
  if (JSON.stringify(now) === JSON.stringify(wanted)) return;
  const value = select.value;
  select.replaceChildren(...wanted.map(([id, text]) => new Option(text, id)));
  if (wanted.some(([id]) => id === value)) select.value = value;
}

function renderCompared() {
  const on = comparing();
  for (const id of ["compared", "divider", "slider-row"]) byId(id).hidden = !on;
  if (!on) return;
  const select = byId("compare-with");
  options(select, comparable());
  const other = Number(select.value);
  byId("compared").src = pictureUrl(other);
  byId("compared").alt = `Left of the line: ${nameOf(state.pictures[other])}`;
  byId("frame").style.setProperty("--cut", `${byId("slider").value}%`);
}

// Painting.

function paint(on) {
  painting.on = on;
  if (on && comparing()) compare(false);
  byId("mask").hidden = !on;
  byId("brush").setAttribute("aria-pressed", on && !painting.erase);
  byId("eraser").setAttribute("aria-pressed", on && painting.erase);
  drawMask();
}

function chooseTool(erase) {
  const same = painting.on && painting.erase === erase;
  painting.erase = erase;
  paint(!same);
  if (!same) say("Paint on the picture. On the keyboard, use the arrow keys and Space.");
}

function clearRegion() {
  painting.strokes = [];
  painting.current = null;
  drawMask();
  renderRegion();
}

/** Returns the radius of the brush, as a fraction of the shorter side. */
const radius = () => Number(byId("brush-size").value) / 200;

/** Draws the strokes into a canvas of any size. */
function drawStrokes(context, width, height, color) {
  const side = Math.min(width, height);
  for (const stroke of [...painting.strokes, ...(painting.current ? [painting.current] : [])]) {
    context.globalCompositeOperation = stroke.erase ? "destination-out" : "source-over";
    context.strokeStyle = context.fillStyle = color;
    context.lineWidth = 2 * stroke.radius * side;
    context.lineCap = context.lineJoin = "round";
    const [first, ...others] = stroke.points.map(([x, y]) => [x * width, y * height]);
    // A click draws a dot, because a line of length 0 is not drawn.
    context.beginPath();
    context.arc(...first, stroke.radius * side, 0, 2 * Math.PI);
    context.fill();
    context.beginPath();
    context.moveTo(...first);
    for (const point of others) context.lineTo(...point);
    context.stroke();
  }
  context.globalCompositeOperation = "source-over";
}

function drawMask() {
  if (!painting.on) return;
  const canvas = byId("mask");
  const scale = Math.min(2, window.devicePixelRatio || 1);
  const [width, height] = [canvas.clientWidth * scale, canvas.clientHeight * scale].map(Math.round);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  drawStrokes(context, width, height, "#2f7dff");
  // The strokes have the same opacity everywhere, even where they cross.
  context.globalCompositeOperation = "destination-in";
  context.fillStyle = "rgba(0, 0, 0, 0.5)";
  context.fillRect(0, 0, width, height);
  context.globalCompositeOperation = "source-over";
  if (document.activeElement === canvas) {
    const [x, y] = painting.cursor;
    const side = radius() * Math.min(width, height);
    for (const [color, line] of [["#000", 4], ["#fff", 2]]) {
      context.strokeStyle = color;
      context.lineWidth = line;
      context.beginPath();
      context.arc(x * width, y * height, side, 0, 2 * Math.PI);
      context.stroke();
    }
  }
}

/** Returns the region as run lengths, alternately outside and inside the region. */
function regionRuns() {
  const { width, height } = state.session;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  drawStrokes(context, width, height, "#000");
  const { data } = context.getImageData(0, 0, width, height);
  const runs = [0];
  let inside = false;
  for (let at = 3; at < data.length; at += 4) {
    const now = data[at] >= 128;
    if (now !== inside) {
      runs.push(0);
      inside = now;
    }
    runs[runs.length - 1]++;
  }
  return { width, height, runs };
}

function renderRegion() {
  const picture = state.pictures[state.chosen];
  const usable = picture.level > 0;
  byId("brush").disabled = byId("eraser").disabled = !usable;
  if (!usable && painting.on) paint(false);
  byId("region-clear").disabled = painting.strokes.length === 0;
  byId("region-make").disabled = !usable || !painting.strokes.some((stroke) => !stroke.erase);
  const select = byId("region-level");
  if (select.options.length !== picture.level) {
    const choices = [...Array(picture.level).keys()].map((level) => {
      const text = level === 0 ? "All levels" : level + 1 === picture.level ? "Only the finest level" : `From level ${level + 1}`;
      return new Option(text, level + 1);
    });
    select.replaceChildren(...choices);
  }
}

function placeOf(event) {
  const box = byId("mask").getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

function endStroke() {
  if (!painting.current) return;
  painting.strokes.push(painting.current);
  painting.current = null;
  drawMask();
  renderRegion();
}

function listenToStage() {
  const canvas = byId("mask");
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    painting.cursor = placeOf(event);
    painting.current = { erase: painting.erase, radius: radius(), points: [placeOf(event)] };
    drawMask();
  });
  canvas.addEventListener("pointermove", (event) => {
    painting.cursor = placeOf(event);
    if (painting.current) painting.current.points.push(placeOf(event));
    drawMask();
  });
  for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, endStroke);
  canvas.addEventListener("focus", drawMask);
  canvas.addEventListener("blur", drawMask);
  canvas.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[event.key];
    const ratio = state.session.width / state.session.height;
    if (step) {
      const by = radius() / 2;
      const at = [step[0] * by * Math.min(1, 1 / ratio), step[1] * by * Math.min(1, ratio)];
      painting.cursor = painting.cursor.map((value, axis) => Math.min(1, Math.max(0, value + at[axis])));
    } else if (event.key === " " || event.key === "Enter" || event.key === "Backspace") {
      const erase = event.key === "Backspace" || painting.erase;
      painting.current = { erase, radius: radius(), points: [[...painting.cursor]] };
      endStroke();
    } else if ((event.ctrlKey || event.metaKey) && event.key === "z" && painting.strokes.length) {
      painting.strokes.pop();
      renderRegion();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    drawMask();
  });
  byId("brush-size").addEventListener("input", drawMask);
  byId("brush").addEventListener("click", () => chooseTool(false));
  byId("eraser").addEventListener("click", () => chooseTool(true));
  byId("region-clear").addEventListener("click", clearRegion);
  byId("compare").addEventListener("click", () => compare(!comparing()));
  byId("slider").addEventListener("input", renderCompared);
  byId("compare-with").addEventListener("change", renderCompared);
  byId("frame").addEventListener("pointermove", (event) => {
    if (!comparing() || event.pointerType === "touch" && event.buttons === 0) return;
    const box = byId("frame").getBoundingClientRect();
    byId("slider").value = Math.round(100 * (event.clientX - box.left) / box.width);
    renderCompared();
  });
  addEventListener("resize", drawMask);
}
